//! The life of a session: renewed when its capability ends, and dead for everybody once somebody used a copy. And what
//! an answer that is lost on the way must not cost: the session, or the recovery code.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::Value;
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    files,
    server::Server,
};

fn session_file(machine: &Machine) -> std::path::PathBuf {
    files::below(machine.config()).into_iter().find(|f| f.ends_with("session.json")).expect("a session file")
}

fn session(machine: &Machine) -> Value {
    serde_json::from_slice(&fs::read(session_file(machine)).expect("read")).expect("JSON")
}

/// Makes the machine believe that its capability is over, so that its next call renews it.
fn expire(machine: &Machine) {
    let mut session = session(machine);
    session["capability_expires_at_ms"] = 1.into();
    fs::write(session_file(machine), session.to_string()).expect("write");
}

#[test]
fn a_session_is_renewed_when_its_capability_ends() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let before = session(&alice);
    expire(&alice);
    alice.ok(&["projects", "list"]);
    let after = session(&alice);
    assert_ne!(before["capability"], after["capability"]);
    assert_ne!(before["refresh_token"], after["refresh_token"], "the token is good once");
    assert_eq!(before["holder"], after["holder"], "the key stays");
}

#[test]
fn two_commands_at_once_renew_the_session_without_killing_it() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    for _ in 0..5 {
        expire(&alice);
        let mut both: Vec<_> = (0..4).map(|_| alice.start(&["projects", "list"])).collect();
        assert!(both.iter_mut().all(|c| veilcloud_tests::server::wait(c).success()));
    }
    alice.ok(&["projects", "list"]);
}

#[test]
fn a_copied_refresh_token_ends_the_session_for_thief_and_owner() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let copy = fs::read(session_file(&alice)).expect("read");
    expire(&alice);
    alice.ok(&["projects", "list"]);

    // The thief comes with the copy, whose token was used by its owner since.
    let thief = Machine::new(server.endpoint());
    fs::create_dir_all(thief.config()).expect("a folder");
    let place = thief
        .config()
        .join(session_file(&alice).strip_prefix(alice.config()).expect("inside the config folder"));
    fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
    fs::write(&place, &copy).expect("write");
    expire(&thief);
    thief.refused(&["projects", "list"], 4, "REFRESH_REUSED");
    alice.refused(&["projects", "list"], 4, "CREDENTIAL_REVOKED");
}

#[test]
fn a_renewal_whose_answer_was_lost_is_repeated_with_the_same_next_token() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let mut before = session(&alice);
    expire(&alice);
    alice.ok(&["projects", "list"]);
    let after = session(&alice);
    assert!(after["pending_refresh"].is_null(), "nothing is left to repeat");
    // What a process leaves that was killed between its request and the answer.
    before["pending_refresh"] = after["refresh_token"].clone();
    fs::write(session_file(&alice), before.to_string()).expect("write");
    expire(&alice);
    alice.ok(&["projects", "list"]);
    assert_eq!(session(&alice)["refresh_token"], after["refresh_token"]);
    expire(&alice);
    alice.ok(&["projects", "list"]);
}

#[test]
fn a_recovery_code_survives_an_answer_that_is_lost() {
    let server = Server::start();
    let lossy = losing_long_requests(server.endpoint());
    let folder = tempfile::tempdir().expect("a folder");
    let kit = folder.path().join("kit.txt");
    let kit = kit.to_str().expect("plain path");
    let alice = Machine::new(&lossy);
    let register = ["--json", "register", "alice@example.com", "--password-stdin", "--recovery-file", kit];
    let ran = alice.run_with(&register, PASSWORD.as_bytes());
    assert_eq!((ran.code, ran.reason()), (6, "NETWORK".to_owned()), "{}", ran.stderr);
    assert_eq!((&ran.json()["outcome"], &ran.json()["recovery_file"]), (&"unknown".into(), &kit.into()));
    // The account was made, so its only code has to be good.
    let recover = ["recover", "alice@example.com", "--recovery-code-file", kit, "--password-stdin"];
    let ran = alice.run_with(&recover, b"a brand new password 7");
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    let code = ran.text().lines().find_map(|line| line.strip_prefix("recovery code  ")).map(str::to_owned);
    let code = code.unwrap_or_else(|| panic!("no code in {}", ran.text()));
    let code = code.split(' ').next().expect("the code");
    let direct = alice.at(server.endpoint());
    let again = ["recover", "alice@example.com", "--recovery-code-stdin", "--password-stdin"];
    direct.ok_with(&again, format!("{code}\na third password 8\n").as_bytes());
    direct.ok_with(&["login", "alice@example.com", "--password-stdin"], b"a third password 8");
}

#[test]
fn a_kit_whose_account_was_refused_is_taken_away() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let kit = alice.config().join("second-kit.txt");
    let path = kit.to_str().expect("plain path");
    let register = ["--json", "register", "alice@example.com", "--password-stdin", "--recovery-file", path];
    let ran = alice.run_with(&register, PASSWORD.as_bytes());
    assert_eq!((ran.code, ran.reason(), ran.stdout.len()), (7, "EMAIL_TAKEN".to_owned(), 0));
    assert!(!kit.exists(), "its code opens nothing");
}

/// A request body of this many bytes is the last step of a registration or recovery, never the first.
const LAST_STEP_LEN_MIN: usize = 300;
/// What an HTTP/2 client says before its first frame.
const PREFACE_LEN: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// An endpoint before the server whose connections end when the answer to a long request is on its way.
fn losing_long_requests(endpoint: &str) -> String {
    let target = endpoint.strip_prefix("http://").expect("without TLS").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a connection");
            let server = TcpStream::connect(&target).expect("the server listens");
            let silent = Arc::new(AtomicBool::new(false));
            let (asked, from, to) = (Arc::clone(&silent), share(&client), share(&server));
            thread::spawn(move || {
                forward(from, to, PREFACE_LEN, |kind, len| {
                    if kind == DATA && len >= LAST_STEP_LEN_MIN {
                        asked.store(true, Ordering::SeqCst);
                    }
                    true
                });
            });
            thread::spawn(move || {
                forward(server, client, 0, |kind, _| kind != HEADERS || !silent.load(Ordering::SeqCst));
            });
        }
    });
    format!("http://{address}")
}

fn share(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("another handle")
}

/// Passes bytes on, and each frame before its bytes to `look`, until that says no or an end closes.
fn forward(mut from: TcpStream, mut to: TcpStream, skip: usize, mut look: impl FnMut(u8, usize) -> bool) {
    let (mut skip, mut head, mut piece) = (skip, Vec::new(), [0; 16 * 1024]);
    'bytes: while let Ok(len @ 1..) = from.read(&mut piece) {
        for byte in &piece[..len] {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            head.push(*byte);
            if head.len() == 9 {
                let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if !look(head[3], len) {
                    break 'bytes;
                }
                skip = len;
                head.clear();
            }
        }
        if to.write_all(&piece[..len]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
