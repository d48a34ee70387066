//! Keys that were handed on, by somebody who may write and would like to lock others out, or to read what they write.

use rand_core::OsRng;
use veilcloud_proto::projects::v1 as pb;
use veilvault::epoch::EpochKey;
use veilvault::keyring::{KeyringSubject, seal_keyring};

use super::lies::reason;
use super::server::Server;
use super::shared::{READ, TEAM, WRITE, calls, entry, machine, opens, person, publish, push, scene};
use super::*;
use crate::IntegrityReason::*;
use crate::access::ShareOutcome;
use crate::session::Session;

/// What `giver` adds for `reader`: this key, wrapped for `member`.
fn add_part(server: &Server, giver: &Session, reader: &Session, key: &EpochKey, member: &Session) {
    let subject = KeyringSubject {
        project: project().id,
        environment: server.row(ENV).id.parse().expect("an id"),
        epoch: 1,
        access_list: server.state().lists.len() as u64,
        created_at_ms: 1,
    };
    let members = [member.identity.recipient().clone()];
    let made = seal_keyring(key, &subject, &members, &giver.identity).expect("one member");
    let access_list = subject.access_list;
    let keyring = pb::Keyring { epoch: 1, file: made.file, seal: made.seal.to_vec(), access_list };
    let place = (ENV.to_owned(), 1, reader.account().to_string());
    server.state().parts.insert(place, (keyring, giver.account().to_string()));
}

/// A client of somebody, with the truth about who made the keyrings.
fn turn(server: &Server, who: &Session) -> Client {
    let client = machine(server, who);
    calls(server, who, who);
    server.state().keyring_author = None;
    client
}

async fn sync(client: &Client, replaces_keys: bool) -> ShareOutcome {
    let mut plan = client.projects().plan_sync(&project()).await.expect("planned");
    plan.replaces_keys = replaces_keys;
    let outcome = client.projects().sync(&project(), &plan, None).await.expect("in step");
    assert!(outcome.is_complete(), "{outcome:?}");
    outcome
}

#[tokio::test]
async fn a_part_that_opens_nothing_locks_nobody_out_who_was_there_and_a_sync_replaces_it() {
    // Wrapped for himself; and another key, wrapped for her.
    for for_himself in [true, false] {
        let (server, alice, bob, _) = scene().await;
        server.state().shared_with = vec![TEAM.to_string()];
        let member = if for_himself { &bob } else { &alice };
        add_part(&server, &bob, &alice, &EpochKey::generate(&mut OsRng), member);
        let hers = turn(&server, &alice);
        assert_eq!(get(&hers, None).await.expect("by the epoch's own"), b"by alice");
        put(&hers, b"more").await.expect("stored");
        let outcome = sync(&hers, false).await;
        assert_eq!(outcome.keys_added, 1);
        let (_, giver) = server.state().parts[&(ENV.to_owned(), 1, alice.account().to_string())].clone();
        assert_eq!(giver, alice.account().to_string());
        // Nothing is left to replace.
        assert_eq!(sync(&turn(&server, &alice), false).await.keys_added, 0);
    }
}

#[tokio::test]
async fn another_key_that_is_handed_on_is_not_taken_and_the_true_one_is_given_again() {
    let (server, alice, bob, key) = scene().await;
    server.state().shared_with = vec![TEAM.to_string()];
    let carol = person(4);
    let hers = publish(&server, &carol);
    push(&server, &alice, &[entry(&bob, key, READ | WRITE), entry(&carol, hers, READ | WRITE)]);
    let other = EpochKey::generate(&mut OsRng);
    add_part(&server, &bob, &carol, &other, &carol);
    let client = turn(&server, &carol);
    assert_eq!(reason(get(&client, None).await), Some(KeyringInvalid));
    assert_eq!(reason(put(&client, b"to bob's key").await), Some(KeyringInvalid));
    // She was not there when the key was made. Who shares sees nothing of it, and gives it again when told to.
    let alices = turn(&server, &alice);
    assert_eq!(sync(&alices, false).await.keys_added, 0);
    let client = turn(&server, &carol);
    assert_eq!(reason(get(&client, None).await), Some(KeyringInvalid));
    let alices = turn(&server, &alice);
    assert_eq!(sync(&alices, true).await.keys_added, 2);
    let client = turn(&server, &carol);
    assert_eq!(get(&client, None).await.expect("read"), b"by alice");
    put(&client, b"by carol").await.expect("stored");
    assert!(!opens(&server, ENV, &alice, &carol), "in the epoch's own she is not");
}

#[tokio::test]
async fn a_key_from_before_a_removal_is_not_sealed_to_also_by_who_was_handed_it() {
    let (server, alice, bob, key) = scene().await;
    server.state().shared_with = vec![TEAM.to_string()];
    let carol = person(4);
    let hers = publish(&server, &carol);
    push(&server, &alice, &[entry(&bob, key, READ | WRITE), entry(&carol, hers, READ | WRITE)]);
    sync(&turn(&server, &alice), false).await;
    // Bob is taken out; the server hides that a new key is due.
    push(&server, &alice, &[entry(&carol, hers, READ | WRITE)]);
    let client = turn(&server, &carol);
    client.projects().access(&project()).await.expect("checked");
    put(&client, b"not for bob").await.expect("stored");
    assert_eq!(server.row(ENV).epoch, 2);
    assert!(!opens(&server, ENV, &carol, &bob) && opens(&server, ENV, &carol, &alice));
}
