//! Canaries through a whole session: what is personal or secret is in no log, no tile, no answer to outsiders.

use std::{fs, path::Path};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    files,
    log::{self, Export, Witnessed},
    rest,
};

const PERSON: &str = "zqcanaryperson";
const EMAIL: &str = "zqcanaryperson@example.com";
const DISPLAY: &str = "Zqcanary Displayname";
const PROJECT: &str = "zqcanary-project";
const ENV: &str = "zqcanary-env";
const FILE: &str = "zqcanary-file.bin";
const NAME: &str = "ZQCANARY_NAME";
const VALUE: &str = "zqcanary-value-w8r3mz1p";
const WRONG_PASSWORD: &str = "zqcanary-wrong-password";
const AGENT: &str = "zqcanary-agent/1.0";
const ADDRESS: &str = "203.0.113.77";

/// A text in the forms that somebody might write it in: as it is, in hexadecimal, and in base64 at each of the three
/// alignments, without the letters that also depend on what stands beside it.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut forms =
        vec![bytes.to_vec(), HEXLOWER.encode(bytes).into_bytes(), HEXUPPER.encode(bytes).into_bytes()];
    for shift in 0..3 {
        let shifted = [&vec![0; shift], bytes].concat();
        for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
            let encoded = encoding.encode(&shifted).into_bytes();
            // 8 bits of padding touch two letters, 16 touch three.
            let from = [0, 2, 3][shift];
            let to = encoded.len() - usize::from(shifted.len() % 3 != 0);
            forms.push(encoded[from..to].to_vec());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Which of these texts stand in the bytes.
fn found<'a>(bytes: &[u8], texts: &[&'a str]) -> Vec<&'a str> {
    let is_in = |form: &Vec<u8>| bytes.windows(form.len()).any(|w| w == form.as_slice());
    texts.iter().copied().filter(|text| forms(text).iter().any(is_in)).collect()
}

fn found_below<'a>(folder: &Path, texts: &[&'a str]) -> Vec<(String, Vec<&'a str>)> {
    let look = |file: std::path::PathBuf| {
        (file.display().to_string(), found(&fs::read(&file).expect("read the file"), texts))
    };
    files::below(folder).into_iter().map(look).filter(|(_, texts)| !texts.is_empty()).collect()
}

/// Everything that the command and a browser do, and some of it wrongly. The recovery codes that were shown.
fn session(endpoint: &str) -> (Machine, Vec<String>) {
    let alice = Machine::new(endpoint);
    let kit = alice.register(EMAIL);
    alice.login(EMAIL);
    alice.ok(&["projects", "create", PROJECT]);
    let file = alice.config().join(FILE);
    files::write_binary(&file, 2 << 20);
    alice.ok(&["storage", "put", PROJECT, "assets", file.to_str().expect("plain path")]);
    alice.ok_with(&["storage", "put", PROJECT, ENV, "-"], format!("{NAME}={VALUE}\n").as_bytes());
    alice.ok(&["storage", "get", PROJECT, ENV]);
    alice.ok(&["envs", "clone", PROJECT, ENV, "zqcanary-clone"]);
    alice.ok(&["envs", "rotate", PROJECT, ENV]);
    let body = alice.config().join("body.json");
    fs::write(&body, format!(r#"{{"displayName":"{DISPLAY}","updateMask":"displayName"}}"#)).expect("write");
    let forwarded = format!("x-forwarded-for: {ADDRESS}");
    let agent = format!("user-agent: {AGENT}");
    let json = "content-type: application/json";
    let headers = ["--header", &forwarded, "--header", &agent];
    let changed =
        alice.rest("PATCH", "/v1/users/me", Some(&body), &[&headers[..], &["--header", json]].concat());
    assert_eq!(changed.status, 200, "{}", String::from_utf8_lossy(&changed.body));
    for path in ["/v1/users/me", "/v1/projects", "/v1/nothing", "/v1/audit/x"] {
        alice.rest("GET", path, None, &headers);
    }
    // Known, unknown, and in a URL, where it does not belong.
    for (path, email, status) in [
        ("/v1/users/find", EMAIL, 200),
        ("/v1/users/find", "zqcanary-nobody@example.com", 404),
        ("/v1/users?email=zqcanaryperson%40example.com", EMAIL, 404),
    ] {
        fs::write(&body, format!(r#"{{"email":"{email}"}}"#)).expect("write");
        let answer = alice.rest("POST", path, Some(&body), &[&headers[..], &["--header", json]].concat());
        assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    let stranger = Machine::new(endpoint);
    stranger.run_with(&["login", EMAIL, "--password-stdin"], WRONG_PASSWORD.as_bytes());
    alice.run(&["storage", "get", PROJECT, "zqcanary-nowhere"]);
    let recovered = Machine::new(endpoint);
    fs::create_dir_all(recovered.config()).expect("a folder");
    let next = recovered.config().join("next-kit.txt");
    let (old, new) = (kit.to_str().expect("plain path"), next.to_str().expect("plain path"));
    let args = ["recover", EMAIL, "--recovery-code-file", old, "--password-stdin", "--recovery-file", new];
    recovered.ok_with(&args, PASSWORD.as_bytes());
    alice.login(EMAIL);
    (alice, [&kit, &next].iter().flat_map(|kit| codes(kit)).collect())
}

/// The code of a kit, with its dashes and without.
fn codes(kit: &Path) -> [String; 2] {
    let text = fs::read_to_string(kit).expect("the kit");
    let is_code = |word: &&str| word.matches('-').count() >= 3 && word.len() > 20;
    let code = text.split_whitespace().find(is_code).expect("a code").to_owned();
    let bare = code.replace('-', "");
    [code, bare]
}

#[test]
fn nothing_personal_and_no_secret_is_in_a_log_or_told_to_an_outsider() {
    let settings = [("VEILCLOUD_LOG", "trace"), ("VEILCLOUD_TRUSTED_PROXIES", "127.0.0.1")];
    let mut all = Witnessed::start_with(&settings);
    let (alice, codes) = session(all.server.endpoint());
    // Everything that the logs may not have.
    let mut texts = vec![
        PERSON,
        EMAIL,
        DISPLAY,
        PROJECT,
        ENV,
        FILE,
        NAME,
        VALUE,
        WRONG_PASSWORD,
        AGENT,
        ADDRESS,
        PASSWORD,
    ];
    texts.extend(codes.iter().map(String::as_str));
    texts.push("zqcanary");

    let (token, origin) = log::token(&all.server, &alice, PROJECT);
    let name = origin.split_once("/project/").expect("an origin").0.to_owned();
    for (origin, token) in [(origin, Some(token.as_str())), (format!("{name}/directory"), None)] {
        let checkpoint = log::file(&all.server, &origin, "checkpoint", token);
        let size = log::size(&checkpoint.body);
        assert!(size > 1, "the session is in {origin}");
        for path in [format!("tile/entries/000.p/{size}"), format!("tile/0/000.p/{size}")] {
            let answer = log::file(&all.server, &origin, &path, token);
            assert_eq!(answer.status, 200, "{origin} {path}");
            assert_eq!(found(&answer.body, &texts), [""; 0], "{origin} {path}");
            let heads: String = answer.headers.iter().map(|(n, v)| format!("{n}: {v}\n")).collect();
            assert_eq!(found(heads.as_bytes(), &texts), [""; 0], "{origin} {path}");
        }
        assert_eq!(found(&checkpoint.body, &texts), [""; 0], "{origin}");
    }
    let export = Export::of(&alice, PROJECT);
    assert_eq!(found_below(&export.log(), &texts), []);
    for (what, admin) in [("server", all.server.admin()), ("witness", all.witnesses[0].admin())] {
        let metrics = rest::get(&format!("{admin}/metrics")).expect("metrics").body;
        assert!(!metrics.is_empty());
        assert_eq!(found(&metrics, &texts), [""; 0], "metrics of the {what}");
    }
    assert_eq!(found(all.server.log().as_bytes(), &texts), [""; 0], "what the server says");

    all.server.pause();
    let segments = all.server.data().join("log");
    assert!(fs::read_dir(&segments).expect("the folder").count() >= 2, "segments and head are there");
    assert_eq!(found_below(&segments, &texts), []);
    for witness in &mut all.witnesses {
        witness.pause();
        assert!(witness.data().join("witness.db").is_file());
        assert_eq!(found_below(witness.data(), &texts), []);
        assert_eq!(found(witness.log().as_bytes(), &texts), [""; 0], "what a witness says");
    }
    // The database has what docs/security-model.md says: e-mail and names. Nothing else.
    let open = [PERSON, EMAIL, DISPLAY, PROJECT, ENV, "zqcanary"];
    let closed: Vec<_> = texts.iter().copied().filter(|text| !open.contains(text)).collect();
    assert_eq!(found_below(all.server.data(), &closed), []);
    assert!(files::contains(&all.server.data().join("veilcloud.db"), PROJECT.as_bytes()), "the search finds");
}

#[test]
fn the_search_finds_every_form() {
    let text = "zqcanary-value-w8r3mz1p";
    for before in ["", "x", "xy", "xyz"] {
        for after in ["", "a", "ab"] {
            let around = format!("{before}{text}{after}");
            for bytes in [
                around.clone().into_bytes(),
                HEXLOWER.encode(around.as_bytes()).into_bytes(),
                BASE64URL_NOPAD.encode(around.as_bytes()).into_bytes(),
                data_encoding::BASE64.encode(around.as_bytes()).into_bytes(),
            ] {
                assert_eq!(found(&bytes, &[text]), [text], "{before}|{after}");
            }
        }
    }
}
