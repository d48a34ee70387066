use serde_json::Value;

use crate::{run, veilcloud};

#[test]
fn a_refused_connection_ends_with_six_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["login", "alice@example.com", "--password-stdin"];
    let ran = run(veilcloud(dir.path()).args(args).input("long enough to try\n"));
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("try:") && ran.stderr.contains("veilcloud doctor"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("long enough"), "the password was repeated");
    assert_eq!(ran.stdout, "");
}

#[test]
fn doctor_stops_at_the_step_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).args(["doctor", "--json"]));
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let status = |name: &str| {
        let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no check {name}")).clone()
    };
    for name in ["folder", "address", "dns"] {
        assert_eq!(status(name)["status"], "ok", "{name}");
    }
    assert_eq!(status("tcp")["status"], "fail");
    assert!(status("tcp")["remedy"].is_string());
    for name in ["tls", "http/2", "server", "clock", "session"] {
        assert_eq!(status(name)["status"], "skipped", "{name}");
    }
}

#[test]
fn doctor_for_people_names_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).arg("doctor"));
    assert_eq!(ran.code, Some(6));
    assert!(
        ran.stdout.lines().any(|line| line.starts_with("fail") && line.contains("tcp")),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("try: "), "{}", ran.stdout);
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    for endpoint in ["vault.example.com", "ftp://vault.example.com", "http://vault.example.com"] {
        let args = ["login", "alice@example.com", "--password-stdin", "--endpoint", endpoint];
        let ran = run(veilcloud(dir.path()).args(args).input("long enough to try\n"));
        assert_eq!(ran.code, Some(2), "{endpoint}: {}", ran.stderr);
    }
    let ran = run(veilcloud(dir.path()).args(["doctor", "--endpoint", "vault.example.com"]));
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
}

#[test]
fn a_flag_wins_over_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).args(["doctor", "--json", "--endpoint", "http://127.0.0.1:2"]));
    assert!(ran.stdout.contains("http://127.0.0.1:2 (from --endpoint)"), "{}", ran.stdout);
    let ran = run(veilcloud(dir.path()).args(["doctor", "--json"]));
    assert!(ran.stdout.contains("http://127.0.0.1:1 (from VEILCLOUD_ENDPOINT)"), "{}", ran.stdout);
    let ran = run(veilcloud(dir.path()).env_remove("VEILCLOUD_ENDPOINT").args(["doctor", "--json"]));
    assert!(ran.stdout.contains("http://127.0.0.1:8443 (from default)"), "{}", ran.stdout);
}

#[test]
fn a_ca_file_that_is_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), "no certificate").unwrap();
    for file in ["absent.pem", "ca.pem"] {
        let args = ["projects", "list", "--endpoint", "https://127.0.0.1:1", "--ca-cert", file];
        let ran = run(veilcloud(dir.path()).args(args));
        assert!(matches!(ran.code, Some(1 | 2)), "{file}: {:?} {}", ran.code, ran.stderr);
    }
}
