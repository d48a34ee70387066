//! Storage against a server in memory: an honest one, and one that lies.

mod files;
mod fresh;
mod leaving;
mod lies;
mod log;
mod parts;
mod sealing;
mod server;
mod shared;
mod tokens;

use std::sync::Arc;

use self::server::Server;
use super::*;
use crate::error::Error;
use crate::session::tests::{session, store};
use crate::state::{MemoryState, StateStore};
use crate::transport::fake::Fake;
use crate::{Client, ProjectId};

const ENV: &str = "production";

fn project() -> Project {
    let id = ProjectId::from_bytes([4; 16]);
    let owner_id = session(1, 10).account();
    Project {
        id,
        name: "shop".into(),
        owner_id,
        created_at: OffsetDateTime::UNIX_EPOCH,
        environment_count: 0,
        permissions: Vec::new(),
    }
}

/// A client with a state of its own: another machine of the same account.
fn client(server: &Server) -> Client {
    client_with(server, Arc::new(MemoryState::new()))
}

fn client_with(server: &Server, state: Arc<dyn StateStore>) -> Client {
    client_of(server, state, session(1, 10))
}

/// A client of any account.
fn client_of(server: &Server, state: Arc<dyn StateStore>, login: crate::session::Session) -> Client {
    server.state().author = login.account().to_string();
    store(&*state, &login);
    let server = server.clone();
    let fake = Fake::answering(move |call| server.answer(call));
    let builder = Client::builder().endpoint("https://host.example").state(state);
    builder.build_with(fake).expect("a client")
}

async fn put(client: &Client, content: &[u8]) -> Result<Version> {
    client.storage().put(&project(), ENV, content.to_vec(), PutOptions::default()).await
}

async fn get(client: &Client, version: Option<u64>) -> Result<Vec<u8>> {
    let options = GetOptions { version, progress: None };
    client.storage().get(&project(), ENV, options).await.map(|blob| blob.bytes.to_vec())
}

#[tokio::test]
async fn content_comes_back_byte_for_byte() {
    let server = Server::default();
    let client = client(&server);
    let contents: [&[u8]; 4] = [b"KEY=value\n", b"", b"no newline at the end", b"\0binary\xff\n\n\0"];
    for (number, content) in (1..).zip(contents) {
        let version = put(&client, content).await.expect("stored");
        assert_eq!((version.number, version.plain_bytes), (number, Some(content.len() as u64)));
        assert_eq!(version.kind, if content.contains(&0) { Kind::Binary } else { Kind::Text });
        assert_eq!(get(&client, None).await.expect("read"), content);
        assert_eq!(get(&client, Some(number)).await.expect("read"), content);
    }
    let stored = server.row(ENV);
    assert!(stored.versions.iter().all(|(_, bytes)| !bytes.windows(5).any(|w| w == b"value")));
}

#[tokio::test]
async fn the_same_bytes_again_make_a_new_version() {
    let client = client(&Server::default());
    let one = put(&client, b"same").await.expect("stored");
    let two = put(&client, b"same").await.expect("stored");
    assert_eq!((one.number, two.number), (1, 2));
    assert_ne!(one.digest, two.digest);
}

#[tokio::test]
async fn a_write_replaces_only_what_it_expects() {
    let client = client(&Server::default());
    let storage = client.storage();
    let expecting = |expect| PutOptions { expect, progress: None };
    let first =
        storage.put(&project(), ENV, b"1".to_vec(), expecting(Expect::First)).await.expect("the first");
    let again = storage.put(&project(), ENV, b"1".to_vec(), expecting(Expect::First)).await;
    assert!(matches!(again, Err(Error::Conflict { current: Some(tag) }) if tag == first.etag));
    let etag = Expect::Etag(first.etag.clone());
    storage.put(&project(), ENV, b"2".to_vec(), expecting(etag.clone())).await.expect("nobody wrote");
    let late = storage.put(&project(), ENV, b"3".to_vec(), expecting(etag)).await;
    assert!(matches!(late, Err(Error::Conflict { .. })));
    assert_eq!(get(&client, None).await.expect("read"), b"2");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_done_once_and_succeeds() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"1").await.expect("stored");
    server.state().lose_answers = 1;
    let version = put(&client, b"2").await.expect("found again");
    assert_eq!(version.number, 2);
    assert_eq!(server.row(ENV).versions.len(), 2);
}

#[tokio::test]
async fn history_names_every_version_and_its_check() {
    let server = Server::default();
    let client = client(&server);
    for content in [&b"1"[..], b"22", b"333"] {
        put(&client, content).await.expect("stored");
    }
    let history = client.storage().history(&project(), ENV).await.expect("listed");
    let seen: Vec<_> = history.iter().map(|v| (v.number, v.plain_bytes, v.verified)).collect();
    assert_eq!(seen, [(3, Some(3), true), (2, Some(2), true), (1, Some(1), true)]);
    server.change(ENV, |row| row.versions[0].0.ciphertext_bytes += 1);
    let history = client.storage().history(&project(), ENV).await.expect("listed");
    assert_eq!(history.iter().map(|v| v.verified).collect::<Vec<_>>(), [true, true, false]);
}

#[tokio::test]
async fn a_history_with_a_gap_or_another_beginning_or_end_is_refused() {
    use crate::IntegrityReason::{Truncated, WrongVersion};
    for (missing, expected) in
        [(vec![0], Truncated), (vec![1], WrongVersion), (vec![2], WrongVersion), (vec![0, 1], Truncated)]
    {
        let server = Server::default();
        for content in [&b"1"[..], b"22", b"333"] {
            put(&client(&server), content).await.expect("stored");
        }
        server.state().unlisted = missing.clone();
        // Also to a machine that has seen nothing.
        let said = client(&server).storage().history(&project(), ENV).await;
        assert_eq!(lies::reason(said), Some(expected), "{missing:?}");
    }
    // The list is empty, and a version is proved.
    let server = Server::default();
    put(&client(&server), b"1").await.expect("stored");
    server.state().unlisted = vec![0];
    assert_eq!(lies::reason(client(&server).storage().history(&project(), ENV).await), Some(Truncated));
}

#[tokio::test]
async fn rollback_is_a_new_version_with_the_old_content() {
    let client = client(&Server::default());
    put(&client, b"old").await.expect("stored");
    put(&client, b"new").await.expect("stored");
    let version = client.storage().rollback(&project(), ENV, 1).await.expect("rolled back");
    assert_eq!(version.number, 3);
    assert_eq!(get(&client, None).await.expect("read"), b"old");
    assert_eq!(get(&client, Some(2)).await.expect("read"), b"new");
    let missing = client.storage().rollback(&project(), ENV, 9).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_rotated_key_seals_the_content_anew_and_old_versions_stay_readable() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"content").await.expect("stored");
    let Rotation { environment, vouched } =
        client.environments(&project()).rotate(ENV).await.expect("rotated");
    assert_eq!(vouched, None);
    assert_eq!((environment.epoch, environment.version), (2, 2));
    let elsewhere = super::tests::client(&server);
    for version in [None, Some(1), Some(2)] {
        assert_eq!(get(&elsewhere, version).await.expect("read"), b"content");
    }
    assert!(server.row(ENV).versions[1].0.epoch == 2);
}

#[tokio::test]
async fn a_clone_has_the_content_and_a_key_of_its_own() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"content").await.expect("stored");
    let made = client.environments(&project()).clone(ENV, "staging").await.expect("cloned");
    assert_eq!((made.version, made.epoch), (1, 1));
    let blob = client.storage().get(&project(), "staging", GetOptions::default()).await.expect("read");
    assert_eq!(blob.bytes.as_slice(), b"content");
    assert_ne!(server.row(ENV).keyrings, server.row("staging").keyrings);
}

#[tokio::test]
async fn numbering_goes_on_after_the_bytes_were_deleted() {
    let client = client(&Server::default());
    put(&client, b"1").await.expect("stored");
    client.storage().delete(&project(), ENV).await.expect("deleted");
    assert!(get(&client, None).await.is_err_and(|e| e.reason() == Some("BLOB_NOT_FOUND")));
    assert_eq!(put(&client, b"2").await.expect("stored").number, 2);
    assert_eq!(get(&client, None).await.expect("read"), b"2");
    let history = client.storage().history(&project(), ENV).await.expect("listed");
    assert_eq!(
        history.iter().map(|v| (v.deleted, v.verified)).collect::<Vec<_>>(),
        [(false, true), (true, true)]
    );
}
