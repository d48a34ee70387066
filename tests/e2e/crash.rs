//! Power cuts: whatever moment the server dies at, a blob is the old version or the new one, never half.

use std::{thread, time::Duration};

use tempfile::TempDir;
use veilcloud_tests::{
    cli::Machine,
    files,
    server::{self, Server},
};

/// Moments after the start of a put at which the server is killed, in milliseconds.
const MOMENTS: u64 = 24;

#[test]
fn a_server_killed_during_a_put_has_the_old_version_or_the_new_one() {
    let mut server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let content = |n: u64| format!("VERSION={n}\nPADDING={}\n", "x".repeat(40_000)).into_bytes();
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], &content(0));
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("next.env");
    let mut current = 0;
    let mut kept_old = 0;
    for moment in 0..MOMENTS {
        std::fs::write(&file, content(current + 1)).expect("write");
        let mut put =
            alice.start(&["storage", "put", "my-app", "production", file.to_str().expect("plain path")]);
        thread::sleep(Duration::from_millis(moment * 6));
        server.kill();
        // The command goes on trying for a while; it must not be the one that writes after the server is back.
        server::signal(put.id(), "KILL");
        let answered = server::wait(&mut put).success();

        server.revive(&[]);
        let got = alice.ok(&["storage", "get", "my-app", "production"]).stdout;
        let new = got == content(current + 1);
        assert!(new || got == content(current), "moment {moment}: half a version");
        assert!(new || !answered, "moment {moment}: the put was acknowledged and lost");
        current += u64::from(new);
        kept_old += u64::from(!new);
    }
    let history = alice.ok(&["--output", "json", "storage", "history", "my-app", "production"]).json();
    let numbers: Vec<_> = history["versions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|v| v["version"].as_u64())
        .collect();
    let dense: Vec<_> = (1..=current + 1).rev().collect();
    assert_eq!(numbers, dense, "versions are dense");
    assert!(kept_old > 0, "at least one kill came before the commit");
}

#[test]
fn a_server_killed_during_a_large_upload_goes_on_with_it() {
    let folder = TempDir::new().expect("a folder");
    let big = folder.path().join("big.bin");
    files::write_binary(&big, 40 << 20);
    let mut server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let path = big.to_str().expect("plain path");
    for moment in [150, 300, 450, 600] {
        let mut put = alice.start(&["storage", "put", "my-app", "assets", path]);
        thread::sleep(Duration::from_millis(moment));
        server.kill();
        server::signal(put.id(), "KILL");
        server::wait(&mut put);
        server.revive(&[]);
    }
    alice.ok(&["storage", "put", "my-app", "assets", path]);
    let back = folder.path().join("back.bin");
    alice.ok(&["storage", "get", "my-app", "assets", "--file", back.to_str().expect("plain path")]);
    assert_eq!(files::sha256(&back), files::sha256(&big));
}
