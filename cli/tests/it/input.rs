use serde_json::Value;

use crate::{run, veilcloud};

#[test]
fn a_prompt_that_cannot_be_shown_names_the_flag() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["register", "alice@example.com"], "--password-stdin"),
        (&["login"], "EMAIL"),
        (&["login", "alice@example.com"], "--password-stdin"),
        (&["recover", "alice@example.com"], "--recovery-code-stdin"),
        (&["projects", "delete", "my-app"], "--yes"),
        (&["envs", "delete", "my-app", "staging"], "--yes"),
        (&["envs", "forget", "my-app", "staging"], "--yes"),
        (&["storage", "delete", "my-app", "staging"], "--yes"),
    ];
    for (args, flag) in cases {
        let ran = run(veilcloud(dir.path()).args(args));
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(ran.stderr.contains("INPUT_NEEDED"), "{args:?}: {}", ran.stderr);
        let try_line = ran.stderr.lines().find(|line| line.trim().starts_with("try:")).unwrap();
        assert!(try_line.contains(flag), "{args:?}: {try_line}");
    }
}

#[test]
fn the_same_as_json_is_one_object_on_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).args(["login", "alice@example.com", "--output", "json"]));
    assert_eq!(ran.code, Some(2));
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["reason"], "INPUT_NEEDED");
    assert_eq!(error["error"]["exit_code"], 2);
    assert_eq!(error["error"]["remedy"], "give --password-stdin");
    assert!(error["error"]["trace_id"].is_null());
}

#[test]
fn wrong_usage_ends_with_two_also_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 7] = [
        &[],
        &["frobnicate"],
        &["storage", "put", "my-app"],
        &["storage", "rollback", "my-app", "production"],
        &["run", "my-app", "production"],
        &["export", "my-app"],
        &["export", "my-app", "dir", "--env", "production"],
    ];
    for args in cases {
        let ran = run(veilcloud(dir.path()).args(args));
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    let ran = run(veilcloud(dir.path()).args(["frobnicate", "--json"]));
    assert_eq!(ran.code, Some(2));
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["reason"], "USAGE");
}

#[test]
fn a_misspelt_command_gets_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).args(["projetcs", "list"]));
    assert!(ran.stderr.contains("'projects'"), "{}", ran.stderr);
}

#[test]
fn a_password_on_standard_input_has_a_floor_and_a_ceiling() {
    let dir = tempfile::tempdir().unwrap();
    let register = |input: &str| {
        let args = ["register", "alice@example.com", "--password-stdin"];
        run(veilcloud(dir.path()).args(args).input(input))
    };
    for input in ["", "\n", "short\n", &"x".repeat(5000)] {
        let ran = register(input);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(!ran.stderr.contains("short"), "a password was repeated");
    }
    // One that will do gets as far as the network.
    assert_eq!(register("long enough to try\n").code, Some(6));
}

#[test]
fn an_existing_recovery_file_is_refused_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("kit.txt"), "mine").unwrap();
    let args = ["register", "alice@example.com", "--password-stdin", "--recovery-file", "kit.txt"];
    let ran = run(veilcloud(dir.path()).args(args).input("long enough to try\n"));
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stderr.contains("FILE_EXISTS"));
    assert_eq!(std::fs::read(dir.path().join("kit.txt")).unwrap(), b"mine");
}

#[test]
fn a_registration_that_fails_leaves_no_recovery_file() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["register", "alice@example.com", "--password-stdin", "--recovery-file", "kit.txt"];
    let ran = run(veilcloud(dir.path()).args(args).input("long enough to try\n"));
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(!dir.path().join("kit.txt").exists());
}

#[test]
fn a_broken_import_is_refused_by_line_and_says_nothing_of_the_value() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.env"), "A=1\nB='hunter2\n").unwrap();
    std::fs::write(dir.path().join("bad.json"), r#"{"A":{"B":"hunter2"}}"#).unwrap();
    std::fs::write(dir.path().join("bad.yaml"), "A: 1\nB: [hunter2]\n").unwrap();
    for (file, word) in [("bad.env", "line 2"), ("bad.json", "A"), ("bad.yaml", "line 2")] {
        let ran = run(veilcloud(dir.path()).args(["import", "my-app", "production", file]));
        assert_eq!(ran.code, Some(2), "{file}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{file}: {}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{file}: {}", ran.stderr);
    }
}

#[test]
fn a_file_that_is_not_there_is_told_before_the_network_is_tried() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).args(["storage", "put", "my-app", "production", "absent.env"]));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("absent.env"));
    let ran = run(veilcloud(dir.path()).args(["storage", "put", "my-app", "production", "."]));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn commands_that_need_a_session_say_so_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [&[&str]; 13] = [
        &["whoami"],
        &["projects", "list"],
        &["storage", "get", "my-app", "production"],
        &["run", "my-app", "production", "--", "true"],
        &["api", "headers", "GET", "/v1/projects"],
        &["api", "seal", "my-app", "production", "-", "--file", "next.age"],
        &["account", "delete", "--yes", "--password-stdin"],
        &["account", "trust-key", "--yes"],
        &["audit", "list", "my-app"],
        &["audit", "proof", "my-app", "17"],
        &["audit", "export", "my-app", "--format", "bundle", "--output", "log"],
        &["audit", "monitor", "my-app", "--once"],
        &["audit", "token", "my-app", "--ttl", "10m"],
    ];
    for args in cases {
        let ran = run(veilcloud(dir.path()).args(args).input("long enough to try\n"));
        assert_eq!(ran.code, Some(4), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("NOT_LOGGED_IN"), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("veilcloud login"), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    for name in ["next.age", "log"] {
        assert!(!dir.path().join(name).exists(), "a command that failed left {name}");
    }
}

#[test]
fn sealing_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("next.age");
    std::fs::write(&out, "precious").unwrap();
    let args = ["--json", "api", "seal", "my-app", "production", "-", "--file", "next.age"];
    let ran = run(veilcloud(dir.path()).args(args).input("A=1\n"));
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stderr.contains("FILE_EXISTS"), "{}", ran.stderr);
    assert_eq!(std::fs::read(&out).unwrap(), b"precious");
}

#[test]
fn logging_out_without_a_session_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).args(["logout", "--json"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["logged_out"], false);
}

#[test]
fn signing_refuses_what_cannot_be_a_request() {
    let dir = tempfile::tempdir().unwrap();
    for (method, path) in
        [("GET", "v1/projects"), ("GET", "/a b"), ("GET", "/a\nb"), ("G T", "/a"), ("GET", "/a#b")]
    {
        let ran = run(veilcloud(dir.path()).args(["api", "headers", method, path]));
        assert_eq!(ran.code, Some(2), "{method} {path}: {}", ran.stderr);
    }
}
