//! Old versions given out as the newest, to a machine that has read in the log that there are newer ones.

use super::lies::reason;
use super::server::Server;
use super::*;
use crate::IntegrityReason;

/// A machine that has read the first of two versions, and a server that goes on showing that one.
async fn stale() -> (Server, Client) {
    let server = Server::default();
    let (reader, writer) = (client(&server), client(&server));
    put(&writer, b"one").await.expect("stored");
    assert_eq!(get(&reader, None).await.expect("read"), b"one");
    put(&writer, b"two").await.expect("stored");
    server.change(ENV, |row| row.versions.truncate(1));
    (server, reader)
}

#[tokio::test]
async fn an_older_version_as_the_newest_is_found_by_who_read_of_the_newer_in_the_log() {
    let (_server, reader) = stale().await;
    // Nothing that this machine has seen says that there is more.
    assert_eq!(get(&reader, None).await.expect("read"), b"one");
    reader.audit(&project()).events().await.expect("listed");
    assert_eq!(reason(get(&reader, None).await), Some(IntegrityReason::RolledBack));
    assert_eq!(reason(put(&reader, b"three").await), Some(IntegrityReason::RolledBack));
}

#[tokio::test]
async fn a_watch_makes_reads_of_its_machine_fresh_too() {
    let (_server, reader) = stale().await;
    let mut monitor = reader.audit(&project()).monitor();
    monitor.step().await.expect("looked");
    assert_eq!(reason(get(&reader, None).await), Some(IntegrityReason::RolledBack));
}

#[tokio::test]
async fn what_the_log_tells_is_no_hindrance_on_an_honest_server() {
    let server = Server::default();
    let (reader, writer) = (client(&server), client(&server));
    put(&writer, b"one").await.expect("stored");
    get(&reader, None).await.expect("read");
    for content in [b"two", b"six", b"ten"] {
        put(&writer, content).await.expect("stored");
        reader.audit(&project()).events().await.expect("listed");
        assert_eq!(get(&reader, None).await.expect("read"), content);
    }
    put(&writer, b"and").await.expect("stored");
    reader.audit(&project()).events().await.expect("listed");
    put(&reader, b"end").await.expect("stored on top of what the log tells of");
    assert_eq!(get(&writer, None).await.expect("read"), b"end");
}

#[tokio::test]
async fn a_log_that_tells_of_other_content_than_was_read_is_a_fork() {
    let server = Server::default();
    let reader = client(&server);
    put(&reader, b"one").await.expect("stored");
    let put = server.state().log.entries.len() - 1;
    let mut entry = veilchain::entry::Entry::decode(&server.state().log.entries[put]).expect("an entry");
    entry.digest = Some([9; 32]);
    server.state().log.push(entry);
    assert_eq!(reason(reader.audit(&project()).events().await), Some(IntegrityReason::Forked));
}
