//! A full disk: a clear refusal, nothing half done, and everything works again once there is room.

use std::process::Command;

use tempfile::TempDir;
use veilcloud_tests::{cli::Machine, files, server::Server};

/// A server whose data folder is a file system of its own with this much room, in a mount namespace of its own.
fn server_on_small_disk(data: &std::path::Path, mib: u32) -> Server {
    std::fs::create_dir_all(data).expect("the mount point");
    let inner = Server::command(data, &[]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c"]);
    let server = veilcloud_tests::binary("veilcloud-server");
    command.arg(format!(
        "mount -t tmpfs -o size={mib}m,mode=700 tmpfs {} && exec {}",
        data.display(),
        server.display()
    ));
    command.env_clear().envs(inner.get_envs().filter_map(|(k, v)| v.map(|v| (k, v))));
    Server::spawn(command, data)
        .unwrap_or_else(|log| panic!("a server in a mount namespace of its own:\n{log}"))
}

#[test]
fn a_full_disk_is_said_plainly_and_loses_nothing() {
    let folder = TempDir::new().expect("a folder");
    let server = server_on_small_disk(&folder.path().join("data"), 24);
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    let big = folder.path().join("big.bin");
    files::write_binary(&big, 40 << 20);
    alice.refused(
        &["storage", "put", "my-app", "assets", big.to_str().expect("plain path")],
        1,
        "STORE_FULL",
    );
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    files::write_binary(&big, 2 << 20);
    alice.ok(&["storage", "put", "my-app", "small", big.to_str().expect("plain path")]);
    let back = folder.path().join("back.bin");
    alice.ok(&["storage", "get", "my-app", "small", "--file", back.to_str().expect("plain path")]);
    assert_eq!(files::sha256(&back), files::sha256(&big));
}
