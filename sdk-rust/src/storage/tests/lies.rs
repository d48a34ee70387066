//! A lying server: each lie has a name, and the client says it.

use super::server::{Row, Server};
use super::*;
use crate::IntegrityReason;
use crate::error::ErrorKind;

pub(super) fn reason<T>(result: Result<T>) -> Option<IntegrityReason> {
    match result.err().map(|e| e.kind()) {
        Some(ErrorKind::Integrity(reason)) => Some(reason),
        _ => None,
    }
}

/// What a client that has seen nothing yet says after this change.
async fn said_of(change: impl FnOnce(&mut Row)) -> Option<IntegrityReason> {
    let server = Server::default();
    put(&client(&server), b"one").await.expect("stored");
    put(&client(&server), b"two").await.expect("stored");
    server.change(ENV, change);
    reason(get(&client(&server), None).await)
}

#[tokio::test]
async fn an_honest_answer_is_no_lie() {
    assert_eq!(said_of(|_| {}).await, None);
}

#[tokio::test]
async fn every_changed_description_is_named() {
    use IntegrityReason::*;
    assert_eq!(said_of(|row| row.versions[1].0.version = 3).await, Some(WrongVersion));
    assert_eq!(said_of(|row| row.versions[1].0.epoch = 2).await, Some(WrongEpoch));
    assert_eq!(said_of(|row| row.versions[1].0.digest = vec![0; 32].into()).await, Some(DigestMismatch));
    assert_eq!(said_of(|row| row.versions[1].0.digest = vec![0; 31].into()).await, Some(DigestMismatch));
    assert_eq!(said_of(|row| row.versions[1].0.ciphertext_bytes += 1).await, Some(LengthMismatch));
    assert_eq!(said_of(|row| row.versions[1].0.seal = vec![0; 258].into()).await, Some(SignatureInvalid));
    let other = "b0b0b0b0-b0b0-b0b0-b0b0-b0b0b0b0b0b0".to_owned();
    assert_eq!(said_of(|row| row.versions[1].0.environment_id = other.clone()).await, Some(WrongEnvironment));
    assert_eq!(said_of(|row| row.versions[1].0.author_id = other.clone()).await, Some(AuthorUnknown));
    assert_eq!(said_of(|row| row.id = other.clone()).await, Some(WrongEnvironment));
}

#[tokio::test]
async fn every_changed_byte_of_the_content_is_found() {
    let flipped = said_of(|row| {
        let mut bytes = row.versions[1].1.to_vec();
        let at = bytes.len() - 1;
        bytes[at] ^= 1;
        row.versions[1].1 = bytes.into();
    });
    assert_eq!(flipped.await, Some(IntegrityReason::DigestMismatch));
    let longer = said_of(|row| row.versions[1].1 = [&row.versions[1].1[..], b"x"].concat().into());
    assert_eq!(longer.await, Some(IntegrityReason::LengthMismatch));
    let shorter = said_of(|row| row.versions[1].1 = row.versions[1].1.slice(..50));
    assert_eq!(shorter.await, Some(IntegrityReason::Truncated));
    let older = said_of(|row| row.versions[1].1 = row.versions[0].1.clone());
    // age adds a stanza of random length to each file, so the older one may also be longer or shorter.
    use IntegrityReason::{DigestMismatch, LengthMismatch, Truncated};
    assert!(matches!(older.await, Some(DigestMismatch | LengthMismatch | Truncated)));
}

#[tokio::test]
async fn a_keyring_of_the_server_s_own_making_is_refused() {
    let changed = said_of(|row| {
        let mut file = row.keyrings[0].file.clone();
        let at = file.len() - 1;
        file[at] ^= 1;
        row.keyrings[0].file = file;
    });
    assert_eq!(changed.await, Some(IntegrityReason::KeyringInvalid));
    let unsigned = said_of(|row| row.keyrings[0].seal[100] ^= 1);
    assert_eq!(unsigned.await, Some(IntegrityReason::SignatureInvalid));
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    client
        .storage()
        .put(&project(), "staging", b"two".to_vec(), PutOptions::default())
        .await
        .expect("stored");
    let other = server.row("staging").keyrings;
    server.change(ENV, |row| row.keyrings = other);
    let elsewhere = super::client(&server);
    assert_eq!(reason(get(&elsewhere, None).await), Some(IntegrityReason::WrongEnvironment));
}

#[tokio::test]
async fn an_older_version_as_the_newest_is_found_by_who_saw_the_newer() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    put(&client, b"two").await.expect("stored");
    server.change(ENV, |row| row.versions.truncate(1));
    assert_eq!(reason(get(&client, None).await), Some(IntegrityReason::RolledBack));
    assert_eq!(reason(put(&client, b"three").await), Some(IntegrityReason::RolledBack));
    assert_eq!(reason(client.storage().history(&project(), ENV).await), Some(IntegrityReason::RolledBack));
    server.change(ENV, |row| row.versions.clear());
    assert_eq!(reason(get(&client, None).await), Some(IntegrityReason::RolledBack));
}

#[tokio::test]
async fn what_was_read_as_the_newest_is_not_noted_below_a_newer_one() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    let id = server.row(ENV).id.parse().expect("an id");
    let one = client.pins().await.expect("read").pin(id).expect("seen");
    assert!(client.pin_newest(id, ENV, one).await.expect("noted"));
    // Written by another call after this one was judged, and before it is noted.
    put(&client, b"two").await.expect("stored");
    assert!(!client.pin_newest(id, ENV, one).await.expect("decided"));
    assert_eq!(client.pins().await.expect("read").pin(id).expect("seen").version, 2);
}

#[tokio::test]
async fn another_history_is_found_however_long_it_is() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    let before = server.row(ENV);
    put(&client, b"two").await.expect("stored");
    // The same account on another machine, which is shown a past without the second version.
    server.change(ENV, |row| *row = before);
    let elsewhere = super::client(&server);
    for content in [&b"other two"[..], b"other three", b"other four"] {
        put(&elsewhere, content).await.expect("stored");
        assert_eq!(reason(get(&client, None).await), Some(IntegrityReason::Forked));
        assert_eq!(reason(put(&client, b"on top").await), Some(IntegrityReason::Forked));
    }
    assert_eq!(reason(get(&client, Some(2)).await), Some(IntegrityReason::Forked));
}

#[tokio::test]
async fn a_version_that_lost_a_race_is_not_served_as_an_old_one() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    let before = server.row(ENV);
    put(&client, b"lost").await.expect("stored");
    let lost = server.row(ENV).versions[1].clone();
    server.change(ENV, |row| *row = before);
    let elsewhere = super::client(&server);
    put(&elsewhere, b"won").await.expect("stored");
    put(&elsewhere, b"three").await.expect("stored");
    assert_eq!(get(&elsewhere, Some(2)).await.expect("read"), b"won");
    server.change(ENV, |row| row.versions[1] = lost);
    assert_eq!(reason(get(&elsewhere, Some(2)).await), Some(IntegrityReason::WrongParent));
}

#[tokio::test]
async fn a_version_that_is_left_out_is_missed() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    let elsewhere = super::client(&server);
    put(&elsewhere, b"two").await.expect("stored");
    put(&elsewhere, b"three").await.expect("stored");
    server.change(ENV, |row| drop(row.versions.remove(1)));
    // Three does not follow one, whatever the server says in between.
    assert!(reason(get(&client, None).await).is_some());
}

#[tokio::test]
async fn an_older_epoch_is_found_by_who_saw_the_newer() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    client.environments(&project()).rotate(ENV).await.expect("rotated");
    server.change(ENV, |row| row.epoch = 1);
    assert_eq!(reason(put(&client, b"two").await), Some(IntegrityReason::EpochRolledBack));
}

#[tokio::test]
async fn a_name_that_leads_to_another_environment_is_refused_until_it_is_forgotten() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"production").await.expect("stored");
    client
        .storage()
        .put(&project(), "staging", b"staging".to_vec(), PutOptions::default())
        .await
        .expect("stored");
    let staging = server.row("staging");
    server.change(ENV, |row| *row = staging);
    assert_eq!(reason(get(&client, None).await), Some(IntegrityReason::WrongEnvironment));
    client.environments(&project()).forget(ENV).await.expect("forgotten");
    assert_eq!(get(&client, None).await.expect("believed anew"), b"staging");
}

#[tokio::test]
async fn a_receipt_for_something_else_than_was_sent_is_refused() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    let other = server.row(ENV).versions[0].0.clone();
    server.state().receipt = Some(other);
    assert_eq!(reason(put(&client, b"two").await), Some(IntegrityReason::WrongVersion));
}

#[tokio::test]
async fn a_name_that_is_none_goes_nowhere() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    for name in ["../../etc/cron.d", "/tmp/x", "a..b", "", "\u{1b}[2J"] {
        server.state().shown_name = Some(name.to_owned());
        let shown = client.environments(&project()).get(ENV).await;
        assert!(matches!(shown, Err(Error::BadAnswer { .. })), "{name:?}");
    }
}

#[tokio::test]
async fn an_environment_that_was_made_under_another_name_moves_no_pin() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    let environments = client.environments(&project());
    let before = client.pins().await.expect("read");
    server.state().shown_name = Some(ENV.to_owned());
    assert_eq!(reason(environments.create("staging").await), Some(IntegrityReason::WrongEnvironment));
    server.state().shown_name = None;
    let known = server.row(ENV).id;
    server.state().shown_id = Some(known);
    assert_eq!(reason(environments.create("testing").await), Some(IntegrityReason::WrongEnvironment));
    assert_eq!(reason(environments.clone(ENV, "copy").await), Some(IntegrityReason::WrongEnvironment));
    assert_eq!(client.pins().await.expect("read"), before);
}

#[tokio::test]
async fn an_environment_that_was_seen_and_is_said_to_be_missing_is_not_made_anew() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"one").await.expect("stored");
    server.state().rows.clear();
    assert_eq!(reason(put(&client, b"two").await), Some(IntegrityReason::RolledBack));
    assert!(server.state().rows.is_empty(), "nothing was made");
    client.environments(&project()).forget(ENV).await.expect("forgotten");
    assert_eq!(put(&client, b"two").await.expect("made anew").number, 1);
}

#[tokio::test]
async fn an_older_epoch_of_an_environment_without_a_version_is_found() {
    let server = Server::default();
    let client = client(&server);
    let environments = client.environments(&project());
    environments.create(ENV).await.expect("made");
    assert_eq!(environments.rotate(ENV).await.expect("rotated").environment.epoch, 2);
    assert_eq!(put(&client, b"one").await.expect("the first version").epoch, 2);
    server.change(ENV, |row| row.versions.clear());
    assert_eq!(reason(put(&client, b"two").await), Some(IntegrityReason::RolledBack));

    environments.create("staging").await.expect("made");
    environments.rotate("staging").await.expect("rotated");
    server.change("staging", |row| row.epoch = 1);
    assert_eq!(reason(environments.get("staging").await), Some(IntegrityReason::EpochRolledBack));
}

#[tokio::test]
async fn content_that_is_said_to_be_deleted_is_not_left_under_the_old_key_in_silence() {
    let server = Server::default();
    let client = client(&server);
    let environments = client.environments(&project());
    put(&client, b"one").await.expect("stored");
    server.change(ENV, |row| row.versions[0].0.deleted = true);
    assert_eq!(reason(environments.rotate(ENV).await), Some(IntegrityReason::Withheld));
    assert_eq!(server.row(ENV).epoch, 2, "the new key is in force");
    server.change(ENV, |row| row.versions[0].0.deleted = false);
    client.storage().delete(&project(), ENV).await.expect("deleted");
    assert_eq!(environments.rotate(ENV).await.expect("this machine knows").environment.epoch, 3);
}
