//! The way out: what we export opens with stock tools, and what they seal opens with ours.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;
use veilcloud_tests::{cli::Machine, files, server::Server};

fn tool(program: &str, args: &[&str], folder: &Path) -> Vec<u8> {
    let out = Command::new(program).args(args).current_dir(folder).output();
    let out = out.unwrap_or_else(|e| panic!("{program} is needed (cargo xtask services installs it): {e}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// Exports two environments and gives the folder with its contents as they went in.
fn exported() -> (TempDir, Vec<u8>, Vec<u8>) {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let folder = TempDir::new().expect("a folder");
    let text = files::dotenv();
    let binary = folder.path().join("big.bin");
    files::write_binary(&binary, 3_000_001);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], &text);
    alice.ok(&["storage", "put", "my-app", "assets", binary.to_str().expect("plain path")]);
    let escape = folder.path().join("escape");
    alice.ok(&["export", "my-app", escape.to_str().expect("plain path")]);
    let bytes = fs::read(&binary).expect("read");
    assert!(server.stop().success(), "no server is left");
    (folder, text, bytes)
}

#[test]
fn stock_age_opens_an_export_in_two_commands() {
    let (folder, text, binary) = exported();
    let escape = folder.path().join("escape");
    for (env, content, is_text) in [("production", &text, true), ("assets", &binary, false)] {
        let key = tool("age", &["-d", "-i", "me.key", &format!("{env}/keyring.age")], &escape);
        fs::write(escape.join("eek.key"), key).expect("write");
        let plain = tool("age", &["-d", "-i", "eek.key", &format!("{env}/{env}.age")], &escape);
        // A text has one comment line before it and blank lines after it; a binary file has zeros after it.
        let body =
            if is_text { plain.splitn(2, |b| *b == b'\n').nth(1).expect("a header line") } else { &plain };
        assert_eq!(&body[..content.len()], content.as_slice(), "{env}");
        let filler = if is_text { b'\n' } else { 0 };
        assert!(body[content.len()..].iter().all(|b| *b == filler), "{env}");
    }
    let mode = |p: &str| {
        std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(escape.join(p)).expect("it is there").permissions(),
        )
    };
    assert_eq!(mode("me.key") & 0o777, 0o600, "the key in clear is for its owner only");
}

#[test]
fn the_readme_of_an_export_says_the_commands_that_work() {
    let (folder, text, _) = exported();
    let escape = folder.path().join("escape");
    let readme = fs::read_to_string(escape.join("README.txt")).expect("a README");
    let commands: Vec<_> = readme
        .lines()
        .map(str::trim)
        .filter(|l| l.starts_with("age -d") && l.contains("production"))
        .collect();
    assert_eq!(commands.len(), 2, "two commands for production: {readme}");
    for command in commands {
        tool("sh", &["-c", command], &escape);
    }
    let found = files::below(&escape).iter().any(|f| files::contains(f, &text[..200]));
    assert!(found, "the commands left the plain text in the folder");
}

#[test]
fn pyrage_opens_an_export_too() {
    let (folder, text, _) = exported();
    let python = std::env::var("VEILCLOUD_TEST_PYTHON").expect("cargo xtask test sets VEILCLOUD_TEST_PYTHON");
    let script = r#"
import pathlib, sys
from pyrage import decrypt, x25519
key = [l for l in pathlib.Path("me.key").read_text().splitlines() if l.startswith("AGE-SECRET-KEY-")][0]
ring = decrypt(pathlib.Path("production/keyring.age").read_bytes(), [x25519.Identity.from_str(key)]).decode()
eek = [l for l in ring.splitlines() if l.startswith("AGE-SECRET-KEY-")][0]
sys.stdout.buffer.write(decrypt(pathlib.Path("production/production.age").read_bytes(), [x25519.Identity.from_str(eek)]))
"#;
    let plain = tool(&python, &["-c", script], &folder.path().join("escape"));
    let body = plain.splitn(2, |b| *b == b'\n').nth(1).expect("a header line");
    assert_eq!(&body[..text.len()], text.as_slice());
}

#[test]
fn we_open_what_pyrage_seals() {
    let python = std::env::var("VEILCLOUD_TEST_PYTHON").expect("cargo xtask test sets VEILCLOUD_TEST_PYTHON");
    let folder = TempDir::new().expect("a folder");
    let key = veilvault::epoch::EpochKey::generate(&mut rand_core::OsRng);
    let script = r#"
import pathlib, sys
from pyrage import encrypt, x25519
sealed = encrypt(b"sealed by pyrage" * 10000, [x25519.Recipient.from_str(sys.argv[1])])
pathlib.Path("sealed.age").write_bytes(sealed)
"#;
    tool(&python, &["-c", script, &key.recipient().to_string()], folder.path());
    let file = fs::read(folder.path().join("sealed.age")).expect("read");
    let plain =
        veilvault::agefile::open(&file, veilvault::lint::Policy::ANY, &key.secret_text()).expect("it opens");
    assert_eq!(plain.as_slice(), b"sealed by pyrage".repeat(10000));
}
