//! Several people in a project, and a server that would like to be one of them.

use veilcore::id::{AccountId, TeamId};
use veilcore::secret::Secret;
use veilsign::capability::Actions;
use veilvault::access::{AccessEntry, AccessList, Principal, seal_access};
use veilvault::account::AccountRootKey;
use veilvault::identity::Identity;
use veilvault::keyring::open_keyring;
use veilvault::seal::{ExpectedKeyring, NO_DIGEST};

use super::lies::reason;
use super::server::Server;
use super::*;
use crate::IntegrityReason::*;
use crate::log::kinds;
use crate::log::tests::served::{bundle_of, key_line};
use crate::session::Session;

pub(super) const READ: u64 = Actions::PROJECT_READ.bits();
pub(super) const WRITE: u64 = Actions::PROJECT_WRITE.bits();
pub(super) const TEAM: TeamId = TeamId::from_bytes([0x7e; 16]);

/// Somebody else than the owner, whose session is the one of all tests.
pub(super) fn person(number: u8) -> Session {
    let account = AccountId::from_bytes([number; 16]);
    let ark = AccountRootKey::from_secret(Secret::new([number; 32]));
    Session { identity: Identity::derive(&ark, account, 1), ..session(number, 10) }
}

/// The directory gets to know them.
pub(super) fn publish(server: &Server, person: &Session) -> [u8; 32] {
    let bundle = bundle_of(&person.identity);
    let mut state = server.state();
    state.directory.push(key_line(kinds::KEY_PUBLISH, person.account(), &bundle));
    state.bundles.insert(person.account().to_string(), bundle.clone());
    AccessList::digest(&bundle)
}

pub(super) fn entry(person: &Session, key: [u8; 32], actions: u64) -> AccessEntry {
    AccessEntry {
        principal: Principal::Account(person.account()),
        key,
        actions,
        team: Some(TEAM),
        environments: Vec::new(),
    }
}

/// The next list of the server's chain, signed by this person.
fn list(server: &Server, author: &Session, entries: &[AccessEntry]) -> Vec<u8> {
    let lists = server.state().lists.clone();
    let list = AccessList {
        project: project().id,
        number: lists.len() as u64 + 1,
        parent: lists.last().map_or(NO_DIGEST, |list| AccessList::digest(list)),
        entries: entries.to_vec(),
        author: author.account(),
        author_key: author.identity.key_id(),
        created_at_ms: 1,
    };
    seal_access(&list, &author.identity).expect("sealed")
}

pub(super) fn push(server: &Server, author: &Session, entries: &[AccessEntry]) {
    let list = list(server, author, entries);
    server.state().lists.push(list);
}

/// From here on this person calls, and the keyrings are said to be that one's.
pub(super) fn calls(server: &Server, caller: &Session, keyrings: &Session) {
    let mut state = server.state();
    state.author = caller.account().to_string();
    state.keyring_author = Some(keyrings.account().to_string());
}

pub(super) fn machine(server: &Server, person: &Session) -> Client {
    client_of(server, Arc::new(MemoryState::new()), person.clone())
}

/// The owner has written a version that Bob, who is listed, can open.
pub(super) async fn scene() -> (Server, Session, Session, [u8; 32]) {
    let (server, alice, bob) = (Server::default(), session(1, 10), person(2));
    let key = publish(&server, &bob);
    push(&server, &alice, &[entry(&bob, key, READ | WRITE)]);
    put(&machine(&server, &alice), b"by alice").await.expect("stored");
    (server, alice, bob, key)
}

#[tokio::test]
async fn what_one_person_of_the_list_writes_the_other_reads() {
    let (server, alice, bob, _) = scene().await;
    calls(&server, &bob, &alice);
    let his = machine(&server, &bob);
    calls(&server, &bob, &alice);
    assert_eq!(get(&his, None).await.expect("read"), b"by alice");
    put(&his, b"by bob").await.expect("stored");
    let hers = machine(&server, &alice);
    calls(&server, &alice, &alice);
    assert_eq!(get(&hers, None).await.expect("read"), b"by bob");
    assert_eq!(get(&hers, Some(1)).await.expect("read"), b"by alice");
    let history = hers.storage().history(&project(), ENV).await.expect("listed");
    let authors: Vec<_> = history.iter().map(|v| (v.author_id, v.verified)).collect();
    assert_eq!(authors, [(bob.account(), true), (alice.account(), true)]);
}

#[tokio::test]
async fn a_version_by_somebody_in_no_list_is_refused() {
    let (server, alice, bob, key) = scene().await;
    let mallory = person(3);
    let hers = publish(&server, &mallory);
    // Listed where it is made, so that the client of the test makes it; the owner's list says otherwise.
    let honest = server.state().lists.clone();
    server.state().lists.clear();
    push(&server, &alice, &[entry(&bob, key, READ | WRITE), entry(&mallory, hers, READ | WRITE)]);
    calls(&server, &alice, &alice);
    machine(&server, &alice).environments(&project()).rotate(ENV).await.expect("rotated");
    let client = machine(&server, &mallory);
    calls(&server, &mallory, &alice);
    put(&client, b"by mallory").await.expect("stored");
    server.state().lists = honest;
    let fresh = machine(&server, &alice);
    calls(&server, &alice, &alice);
    assert_eq!(reason(get(&fresh, None).await), Some(AuthorUnknown));
    // Reading is not writing.
    server.state().lists.clear();
    push(&server, &alice, &[entry(&bob, key, READ | WRITE), entry(&mallory, hers, READ)]);
    assert_eq!(reason(get(&machine(&server, &alice), None).await), Some(AuthorUnknown));
}

#[tokio::test]
async fn a_list_that_nobody_entitled_has_signed_is_refused() {
    let (server, alice, bob, key) = scene().await;
    let mallory = person(3);
    let hers = publish(&server, &mallory);
    let entries = [entry(&bob, key, READ | WRITE), entry(&mallory, hers, READ)];
    let forged = [
        // By herself, and by one who may not share.
        list(&server, &mallory, &entries),
        list(&server, &bob, &entries),
        {
            // In the owner's name.
            let mut bytes = list(&server, &alice, &entries);
            let at = bytes.len() - 1;
            bytes[at] ^= 1;
            bytes
        },
        // Not the next one.
        server.state().lists[0].clone(),
    ];
    for list in forged {
        server.state().lists.push(list);
        calls(&server, &alice, &alice);
        let client = machine(&server, &alice);
        calls(&server, &alice, &alice);
        let said = client.projects().access(&project()).await;
        assert_eq!(reason(said), Some(AccessListInvalid));
        let said = client.environments(&project()).rotate(ENV).await;
        assert_eq!(reason(said), Some(AccessListInvalid), "nor is a key wrapped by it");
        server.state().lists.pop();
    }
}

#[tokio::test]
async fn an_older_list_or_another_is_refused_by_who_saw_the_newer() {
    let (server, alice, bob, key) = scene().await;
    let state = Arc::new(MemoryState::new());
    let entries = [entry(&bob, key, READ)];
    push(&server, &alice, &entries);
    let client = client_of(&server, state.clone(), alice.clone());
    assert_eq!(client.projects().access(&project()).await.expect("checked").number, 2);
    let shown = server.state().lists.clone();
    server.state().lists.truncate(1);
    // Also in another process of the machine.
    for client in [client, client_of(&server, state.clone(), alice.clone())] {
        assert_eq!(reason(client.projects().access(&project()).await), Some(RolledBack));
    }
    push(&server, &alice, &[]);
    let client = client_of(&server, state.clone(), alice.clone());
    assert_eq!(reason(client.projects().access(&project()).await), Some(Forked));
    // One that goes on from another than the one that was seen: also where only the digest of that is kept.
    push(&server, &alice, &entries);
    assert_eq!(reason(client.projects().access(&project()).await), Some(Forked));
    server.state().lists = shown;
    push(&server, &alice, &[]);
    let access = client.projects().access(&project()).await.expect("the continuation");
    assert_eq!((access.number, access.entries.len()), (3, 0));
}

#[tokio::test]
async fn a_project_does_not_change_hands() {
    let (server, alice, bob, _) = scene().await;
    let client = machine(&server, &alice);
    client.projects().access(&project()).await.expect("checked");
    server.state().owner = bob.account().to_string();
    assert_eq!(reason(client.projects().access(&project()).await), Some(OwnerChanged));
    let his = Project { owner_id: bob.account(), ..project() };
    assert_eq!(reason(client.projects().access(&his).await), Some(OwnerChanged));
}

/// Who opens the newest keyring.
pub(super) fn opens(server: &Server, name: &str, author: &Session, member: &Session) -> bool {
    let row = server.row(name);
    let keyring = row.keyrings.last().expect("one");
    let expected = ExpectedKeyring {
        project: project().id,
        environment: row.id.parse().expect("an id"),
        epoch: row.epoch,
        author: author.account(),
        author_key: &author.identity.public_key(),
    };
    open_keyring(&keyring.file, &keyring.seal, &expected, &member.identity).is_ok()
}

#[tokio::test]
async fn a_new_key_is_for_everybody_who_may_read_under_the_keys_that_the_list_names() {
    let (server, alice, bob, key) = scene().await;
    let (carol, dave) = (person(4), person(5));
    let (hers, his) = (publish(&server, &carol), publish(&server, &dave));
    // Carol may not read; of Dave the list names other keys than the directory.
    let other = AccessList::digest(&his);
    push(&server, &alice, &[entry(&bob, key, READ), entry(&carol, hers, WRITE), entry(&dave, other, READ)]);
    let client = machine(&server, &alice);
    client.environments(&project()).rotate(ENV).await.expect("rotated");
    let opened = [&alice, &bob, &carol, &dave].map(|member| opens(&server, ENV, &alice, member));
    assert_eq!(opened, [true, true, false, false]);
    assert_eq!(server.row(ENV).keyrings.last().map(|keyring| keyring.access_list), Some(2));
}

#[tokio::test]
async fn nothing_is_sealed_to_the_key_of_somebody_who_left() {
    let (server, alice, bob, _) = scene().await;
    let his = machine(&server, &bob);
    calls(&server, &bob, &alice);
    his.environments(&project()).rotate(ENV).await.expect("his key");
    assert!(opens(&server, ENV, &bob, &bob));
    // Bob is taken out, and the server does not say that a new key is due.
    push(&server, &alice, &[]);
    let hers = machine(&server, &alice);
    calls(&server, &alice, &bob);
    let before = server.row(ENV).epoch;
    // What he wrote while he was in it is still read.
    server.state().keyring_author = Some(bob.account().to_string());
    get(&hers, None).await.expect("read");
    assert_eq!(server.row(ENV).epoch, before);
    put(&hers, b"not for bob").await.expect("stored under a new key");
    assert_eq!(server.row(ENV).epoch, before + 1);
    assert!(opens(&server, ENV, &alice, &alice) && !opens(&server, ENV, &alice, &bob));
    assert_eq!(server.row(ENV).versions.last().map(|(info, _)| info.epoch), Some(before + 1));
}

#[tokio::test]
async fn a_sharer_s_list_counts_and_after_new_keys_once_the_owner_goes_on_from_it() {
    let (server, alice, bob, key) = scene().await;
    let carol = person(4);
    let hers = publish(&server, &carol);
    let shares = entry(&bob, key, READ | Actions::PROJECT_SHARE.bits());
    push(&server, &alice, std::slice::from_ref(&shares));
    push(&server, &bob, &[shares.clone(), entry(&carol, hers, READ)]);
    let access = machine(&server, &alice).projects().access(&project()).await.expect("checked");
    assert_eq!((access.number, access.actions_of(carol.account())), (3, vec!["project:read"]));
    // He gives no more than he holds.
    push(&server, &bob, &[shares, entry(&carol, hers, READ | WRITE)]);
    let said = machine(&server, &alice).projects().access(&project()).await;
    assert_eq!(reason(said), Some(AccessListInvalid));
    server.state().lists.pop();
    // He recovers his account: a machine that never saw his old keys cannot check what he signed.
    publish(&server, &bob);
    let fresh = machine(&server, &alice);
    assert_eq!(reason(fresh.projects().access(&project()).await), Some(AccessListInvalid));
    push(&server, &alice, &[entry(&carol, hers, READ)]);
    assert_eq!(fresh.projects().access(&project()).await.expect("vouched for").number, 4);
}

#[tokio::test]
async fn a_write_begins_with_a_new_key_when_one_is_due_whenever_that_is_said() {
    for hides_due in [false, true] {
        let (server, alice, _, _) = scene().await;
        let client = machine(&server, &alice);
        calls(&server, &alice, &alice);
        let first = client.storage().history(&project(), ENV).await.expect("listed").remove(0);
        server.state().is_due = true;
        server.state().hides_due = hides_due;
        // Also a write that replaces exactly what was read: a new key is no new version.
        let options = PutOptions { expect: Expect::Etag(first.etag), progress: None };
        let written = client.storage().put(&project(), ENV, b"two".to_vec(), options).await.expect("stored");
        assert_eq!((written.number, written.epoch), (2, 2), "said late: {hides_due}");
        assert_eq!(get(&client, Some(1)).await.expect("read"), b"by alice");
    }
}

#[tokio::test]
async fn that_a_list_was_taken_is_seen_and_not_believed() {
    let (server, alice, bob, key) = scene().await;
    let client = machine(&server, &alice);
    calls(&server, &alice, &alice);
    let (projects, shop) = (client.projects(), project());
    let unshare = || projects.unshare(&shop, TEAM, None);
    // Nothing is stored, and "ok" said.
    server.state().swaps_list = Some(Vec::new());
    assert_eq!(reason(unshare().await), Some(RolledBack));
    // Another list of hers, which still names him; also with one more above it.
    let other = list(&server, &alice, &[entry(&bob, key, READ)]);
    server.state().swaps_list = Some(vec![other.clone()]);
    assert_eq!(reason(unshare().await), Some(Forked));
    server.state().lists.truncate(1);
    server.state().lists.push(other.clone());
    push(&server, &alice, &[entry(&bob, key, READ)]);
    let both = server.state().lists.split_off(1);
    let fresh = machine(&server, &alice);
    calls(&server, &alice, &alice);
    server.state().swaps_list = Some(both);
    assert_eq!(reason(fresh.projects().unshare(&project(), TEAM, None).await), Some(Forked));
}
