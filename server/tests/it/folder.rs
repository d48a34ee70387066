use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::server::{Server, binary, finish};

/// A folder that a server used and left.
fn used() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (status, log) = Server::start(dir.path()).stop();
    assert_eq!(status.code(), Some(0), "{log}");
    dir
}

fn refused(data: &Path, words: &[&str]) {
    let (output, said) = finish(&mut binary(data));
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in words.iter().chain(&["what to do:"]) {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    assert!(!data.join("server.addr").exists());
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = Server::start(dir.path());
    let (output, said) = finish(&mut binary(dir.path()));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("in use by another veilcloud-server") && said.contains("VEILCLOUD_DATA_DIR"),
        "{said}"
    );
    // The first one's file is untouched.
    assert!(dir.path().join("server.addr").exists());
    drop(first);
    drop(Server::start(dir.path()));
}

#[test]
fn a_port_in_use_is_refused_before_the_folder_gets_keys() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in ["VEILCLOUD_LISTEN", "VEILCLOUD_ADMIN_LISTEN"] {
        let (output, said) = finish(binary(dir.path()).env(name, &address));
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&address) && said.contains(name) && said.contains("stop the program"),
            "{said}"
        );
    }
    assert!(!dir.path().join("keys").exists());
}

#[test]
fn keys_that_others_may_read_are_refused() {
    let dir = used();
    let file = dir.path().join("keys/server.keys");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    refused(dir.path(), &["server.keys", "mode 640", "chmod 600"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    drop(Server::start(dir.path()));
}

#[test]
fn keys_that_were_cut_or_altered_are_refused() {
    let dir = used();
    let file = dir.path().join("keys/server.keys");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    refused(dir.path(), &["server.keys", "cut off or altered", "backup"]);
    let mut altered = whole.clone();
    altered[40] ^= 1;
    fs::write(&file, altered).unwrap();
    refused(dir.path(), &["cut off or altered"]);
    fs::write(&file, b"").unwrap();
    refused(dir.path(), &["too short"]);
    fs::write(&file, whole).unwrap();
    drop(Server::start(dir.path()));
}

#[test]
fn a_database_without_its_keys_gets_no_new_ones() {
    let dir = used();
    let file = dir.path().join("keys/server.keys");
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    refused(dir.path(), &["server.keys is missing", "lock every account out"]);
    assert!(!file.exists());
    fs::write(&file, kept).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    drop(Server::start(dir.path()));
}

#[test]
fn a_damaged_database_is_refused() {
    let dir = used();
    let database = dir.path().join("veilcloud.db");
    fs::write(&database, vec![0x5a; 65_536]).unwrap();
    refused(dir.path(), &["cannot open the store", "restore"]);
}

#[test]
fn a_data_folder_that_is_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    fs::write(&file, "x").unwrap();
    refused(&file, &["data folder"]);
}
