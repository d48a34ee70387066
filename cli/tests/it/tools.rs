use serde_json::Value;

use crate::{commands, run, veilcloud};

#[test]
fn there_is_a_manual_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let man = dir.path().join("share/man1");
    let ran = run(veilcloud(dir.path()).arg("man").arg(&man));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for command in commands(dir.path()) {
        let name =
            std::iter::once("veilcloud".to_owned()).chain(command.clone()).collect::<Vec<_>>().join("-");
        let page = std::fs::read_to_string(man.join(format!("{name}.1")))
            .unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(page.contains(".TH") && page.contains("SYNOPSIS") && page.contains("EXAMPLES"), "{name}");
    }
}

#[test]
fn there_are_completions_for_every_shell_and_command() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(veilcloud(dir.path()).args(["completions", shell]));
        assert_eq!(ran.code, Some(0), "{shell}: {}", ran.stderr);
        for command in commands(dir.path()) {
            let last = command.last().map_or("veilcloud", String::as_str);
            assert!(ran.stdout.contains(last), "{shell} does not know {last}");
        }
    }
}

#[test]
fn the_version_is_a_line_or_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(veilcloud(dir.path()).arg("version"));
    assert!(ran.stdout.starts_with(concat!("veilcloud ", env!("CARGO_PKG_VERSION"))), "{}", ran.stdout);
    let ran = run(veilcloud(dir.path()).args(["version", "--json"]));
    let version: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn tools_work_without_a_home() {
    let dir = tempfile::tempdir().unwrap();
    let ran =
        run(veilcloud(dir.path()).env_remove("VEILCLOUD_CONFIG_DIR").env("HOME", dir.path()).arg("version"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!dir.path().join(".config").exists(), "a folder was made for nothing");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = run(veilcloud(dir.path()).args(["completions", "bash"]).stdout(full));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("standard output"), "{}", ran.stderr);
}
