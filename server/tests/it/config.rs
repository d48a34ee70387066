use std::process::Command;

use crate::server::{binary, finish};

#[test]
fn a_wrong_configuration_leaves_with_78_and_names_everything() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value, words) in [
        ("VEILCLOUD_MODE", "central", "mode central is not built in this version: use standalone"),
        ("VEILCLOUD_MODE", "edge", "mode edge is not built in this version: use standalone"),
        ("VEILCLOUD_ROLES", "tally", "role tally is not built in this version: use all, api, publish, sweep"),
        ("VEILCLOUD_ROLES", "cook", "\"cook\" is no role"),
        ("STORAGE_TYPE", "s3", "storage s3 is not built in this version"),
        ("VEILCLOUD_TLS_CERT", "cert.pem", "a certificate without its key"),
        ("VEILCLOUD_TLS_KEY", "key.pem", "a key without its certificate"),
        ("VEILCLOUD_LISTEN", "0.0.0.0:0", "there is no certificate"),
        ("VEILCLOUD_LISTEN", "here", "is not an address with a port"),
        ("VEILCLOUD_ADMIN_LISTEN", "0.0.0.0:0", "the admin port has no login"),
        ("VEILCLOUD_MAX_CONNECTIONS", "0", "0 is not in 1 to"),
        ("VEILCLOUD_BLOB_MAX_BYTES", "0", "0 is not in 1024 to"),
        ("VEILCLOUD_DEFAULT_TIER", "gold", "unknown tier"),
        ("VEILCLOUD_CONFIG", "/nowhere/veilcloud.toml", "cannot read /nowhere/veilcloud.toml"),
    ] {
        for task in ["serve", "check-config"] {
            let (output, said) = finish(binary(&dir.path().join("data")).env(name, value).arg(task));
            assert_eq!(output.status.code(), Some(78), "{name}={value}: {said}");
            assert!(
                said.contains(words) && said.contains(name.trim_end_matches("_CONFIG"))
                    || name == "VEILCLOUD_CONFIG",
                "{said}"
            );
            assert!(said.contains("what to do:"), "{said}");
        }
    }
    assert!(!dir.path().join("data").exists(), "a refused server leaves nothing behind");
}

#[test]
fn a_good_file_passes_and_one_with_a_stranger_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("veilcloud.toml");
    std::fs::write(&file, "[sweep]\nbatch = 7\n").unwrap();
    let (output, said) = finish(binary(dir.path()).args(["check-config", "--config"]).arg(&file));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(output.stdout, b"the configuration is good\n");
    std::fs::write(&file, "[sweep]\nbath = 7\n").unwrap();
    let (output, said) = finish(binary(dir.path()).args(["check-config", "--config"]).arg(&file));
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("sweep.bath") && said.contains("there is no such setting"), "{said}");
}

#[test]
fn a_wrong_command_line_leaves_with_2() {
    let dir = tempfile::tempdir().unwrap();
    for words in [&["--no-such-setting", "x"][..], &["frobnicate"], &["--listen"]] {
        assert_eq!(finish(binary(dir.path()).args(words)).0.status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn documents_and_version_go_to_standard_output() {
    let run = |words: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_veilcloud-server")).env_clear().args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["config-docs"]).contains("| `server.listen` | `VEILCLOUD_LISTEN` | `--listen` |"));
    assert!(run(&["config-docs", "--example"]).contains("#listen = \"127.0.0.1:8443\""));
    assert_eq!(run(&["version"]), format!("veilcloud-server {}\n", env!("CARGO_PKG_VERSION")));
    assert!(run(&["--help"]).contains("VEILCLOUD_DATA_DIR"));
}
