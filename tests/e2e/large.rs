//! Large files: streamed, resumable, and never held in memory.

use std::{fs, path::Path, thread, time::Duration};

use tempfile::TempDir;
use veilcloud_tests::{
    cli::Machine,
    files,
    server::{self, Server},
};

const MIB: u64 = 1 << 20;

fn text(path: &Path) -> &str {
    path.to_str().expect("plain path")
}

#[test]
fn an_interrupted_upload_goes_on_where_it_stopped() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let folder = TempDir::new().expect("a folder");
    let big = folder.path().join("big.bin");
    files::write_binary(&big, 300 * MIB);

    // Stopped once the server has a part of the chunks but not all: found by the size of its staging file.
    let mut child = alice.start(&["storage", "put", "my-app", "assets", text(&big)]);
    let staged = || -> u64 {
        let folder = server.data().join("uploads");
        let files = fs::read_dir(folder).map(|d| d.flatten().collect::<Vec<_>>()).unwrap_or_default();
        files
            .iter()
            .filter_map(|f| f.metadata().ok())
            .map(|m| std::os::unix::fs::MetadataExt::blocks(&m) * 512)
            .sum()
    };
    while staged() < 20 * MIB {
        assert!(
            child.try_wait().expect("ask for the upload").is_none(),
            "the upload ended before it could be stopped"
        );
        thread::sleep(Duration::from_millis(5));
    }
    server::signal(child.id(), "INT");
    let status = server::wait(&mut child);
    assert_eq!(status.code(), Some(130), "an interrupted upload says so");
    alice.refused(&["storage", "get", "my-app", "assets"], 3, "BLOB_NOT_FOUND");
    let before = staged();
    assert!((20 * MIB..300 * MIB).contains(&before), "a part is there: {before}");

    let metrics =
        |s: &Server| veilcloud_tests::rest::get(&format!("{}/metrics", s.admin())).expect("metrics").body;
    let chunks = |s: &Server| -> u64 {
        let text = String::from_utf8(metrics(s)).expect("text");
        let lines = text.lines().filter(|l| l.contains("PutChunk") && l.contains("requests_total"));
        lines.filter_map(|l| l.rsplit(' ').next()).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() as u64
    };
    let sent_before = chunks(&server);
    alice.ok(&["storage", "put", "my-app", "assets", text(&big)]);
    let total = (300 * MIB).div_ceil(983_280);
    let sent_after = chunks(&server) - sent_before;
    assert!(
        sent_before > 0 && sent_after < total,
        "{sent_after} of {total} chunks were sent again after {sent_before}"
    );

    let back = folder.path().join("back.bin");
    alice.ok(&["storage", "get", "my-app", "assets", "--file", text(&back)]);
    assert_eq!(files::sha256(&back), files::sha256(&big));
}

#[test]
fn a_gibibyte_goes_through_without_raising_the_servers_memory() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    let folder = TempDir::new().expect("a folder");
    let big = folder.path().join("big.bin");
    // One small round first, so that what the server keeps anyway (caches, pools, arenas) is not counted.
    files::write_binary(&big, 16 * MIB);
    let back = folder.path().join("back.bin");
    alice.ok(&["storage", "put", "my-app", "warm", text(&big)]);
    alice.ok(&["storage", "get", "my-app", "warm", "--file", text(&back)]);
    let before = server.rss_kib();

    fs::remove_file(&back).expect("remove");
    files::write_binary(&big, 1024 * MIB);
    alice.ok(&["storage", "put", "my-app", "assets", text(&big)]);
    alice.ok(&["storage", "get", "my-app", "assets", "--file", text(&back)]);
    let risen = server.peak_rss_kib().saturating_sub(before);
    assert!(risen < 64 * 1024, "the server's memory rose by {risen} KiB");
    assert_eq!(files::sha256(&back), files::sha256(&big));
}
