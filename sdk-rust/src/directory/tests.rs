//! A directory that names other keys than it should, and logs whose key changes.

use std::sync::Arc;

use rand_core::OsRng;
use veilcore::id::EnvironmentId;
use veilvault::account::AccountRootKey;

use super::*;
use crate::ErrorKind;
use crate::access::Home;
use crate::error::IntegrityReason::{self, *};
use crate::log::tests::served::{
    PROJECT, Served, ServedLog, bundle_of, key_line, line, log_key_line, public_key,
};
use crate::session::tests::session;
use crate::state::MemoryState;

fn reason<T>(result: Result<T>) -> Option<IntegrityReason> {
    match result.err().map(|e| e.kind()) {
        Some(ErrorKind::Integrity(reason)) => Some(reason),
        _ => None,
    }
}

fn identity() -> Identity {
    session(1, 10).identity
}

fn account() -> AccountId {
    identity().account()
}

/// Keys of the same account that its owner does not have.
fn other_bundle() -> Vec<u8> {
    bundle_of(&Identity::derive(&AccountRootKey::generate(&mut OsRng), account(), 1))
}

/// The server publishes this bundle for the account.
fn publish(served: &Served, kind: u8, bundle: &[u8]) {
    let mut state = served.state();
    state.directory.push(key_line(kind, account(), bundle));
    state.bundles.insert(account().to_string(), bundle.to_vec());
}

async fn wrap(client: &Client) -> Result<()> {
    let environment = EnvironmentId::from_bytes([5; 16]);
    let home = Home { project: PROJECT, owner: account() };
    client.new_keyring(home, environment, 1, &identity()).await.map(|_| ())
}

#[tokio::test]
async fn keys_that_are_in_the_directory_are_wrapped_to() {
    let served = Served::new();
    let client = served.new_client();
    let key = client.directory().key(account()).await.expect("there");
    assert_eq!((key.account_id(), key.generation(), key.index()), (account(), 1, 0));
    wrap(&client).await.expect("wrapped");
    let unknown = client.directory().key(AccountId::from_bytes([7; 16])).await;
    assert!(unknown.is_err_and(|e| e.is("ACCOUNT_KEY_UNKNOWN")));
}

#[tokio::test]
async fn a_key_that_was_swapped_before_the_first_wrap_is_refused() {
    let served = Served::new();
    publish(&served, kinds::KEY_REPLACE, &other_bundle());
    assert_eq!(reason(wrap(&served.new_client()).await), Some(KeyUnexpected));
}

#[tokio::test]
async fn a_key_without_a_leaf_is_refused() {
    let served = Served::new();
    served.state().directory.entries.clear();
    served.state().directory.push(line(kinds::LOG_KEY, AccountId::from_bytes([0; 16])));
    assert_eq!(reason(wrap(&served.new_client()).await), Some(KeyNotInDirectory));
    // The server gives out keys that no leaf names.
    let served = Served::new();
    served.state().bundles.insert(account().to_string(), other_bundle());
    assert_eq!(reason(wrap(&served.new_client()).await), Some(KeyNotInDirectory));
    served.state().bundles.insert(account().to_string(), vec![0; 185]);
    assert_eq!(reason(wrap(&served.new_client()).await), Some(KeyNotInDirectory));
    // The leaf of another account about the very same keys.
    let served = Served::new();
    let other = AccountId::from_bytes([7; 16]);
    let bundle = served.state().bundles[&account().to_string()].clone();
    served.state().directory.push(key_line(kinds::KEY_PUBLISH, other, &bundle));
    served.state().bundles.insert(other.to_string(), bundle);
    assert_eq!(reason(served.new_client().directory().key(other).await), Some(KeyNotInDirectory));
    let twisted = served.state().directory.proof(1, 0);
    served.state().twist = Some(Box::new(move |proof| *proof = twisted.clone()));
    assert_eq!(reason(served.new_client().directory().key(account()).await), Some(KeyNotInDirectory));
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let served = Served::new();
    let bundle = served.state().bundles[&account().to_string()].clone();
    publish(&served, kinds::KEY_REVOKE, &bundle);
    assert_eq!(reason(served.new_client().directory().key(account()).await), Some(KeyNotInDirectory));
    assert_eq!(reason(wrap(&served.new_client()).await), Some(KeyNotInDirectory));
    assert_eq!(reason(served.new_client().directory().follow().await), Some(KeyUnexpected));
}

#[tokio::test]
async fn keys_that_were_replaced_are_not_shown_again() {
    let served = Served::new();
    let (old, new) = (served.state().bundles[&account().to_string()].clone(), bundle_of(&identity()));
    publish(&served, kinds::KEY_REPLACE, &new);
    let client = served.new_client();
    assert_eq!(client.directory().key(account()).await.expect("there").index(), 1);
    // The older leaf is in the directory as well.
    served.state().bundles.insert(account().to_string(), old);
    let older = served.state().directory.proof(0, 2);
    served.state().twist = Some(Box::new(move |proof| *proof = older.clone()));
    assert_eq!(reason(client.directory().key(account()).await), Some(RolledBack));
    let never_saw = served.new_client().directory().key(account()).await.expect("proved");
    assert_eq!(never_saw.index(), 0, "which a machine that never saw the newer one cannot know");
}

#[tokio::test]
async fn what_the_directory_got_since_is_followed_before_anything_is_wrapped() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("history");
    // Swapped and swapped back, and nobody follows.
    let right = served.state().bundles[&account().to_string()].clone();
    publish(&served, kinds::KEY_REPLACE, &other_bundle());
    publish(&served, kinds::KEY_REPLACE, &right);
    assert_eq!(reason(wrap(&client).await), Some(KeyUnexpected));
}

#[tokio::test]
async fn a_login_waits_for_no_directory_and_the_next_wrap_makes_up_for_it() {
    let served = Served::new();
    let client = served.new_client();
    let (_, shown) = client.meet().await.expect("met");
    client.follow_at_login(&shown).await.expect("followed");
    let right = served.state().bundles[&account().to_string()].clone();
    publish(&served, kinds::KEY_REPLACE, &other_bundle());
    publish(&served, kinds::KEY_REPLACE, &right);
    for refusal in [("RESOURCE_EXHAUSTED", "RATE_LIMITED"), ("UNAVAILABLE", "DRAINING")] {
        served.state().directory_refusal = Some(refusal);
        client.follow_at_login(&shown).await.expect("not now");
        assert!(wrap(&client).await.is_err(), "nothing is wrapped meanwhile");
    }
    served.state().directory_refusal = None;
    assert_eq!(reason(wrap(&client).await), Some(KeyUnexpected));
    // What fails a check fails the login.
    assert_eq!(reason(client.follow_at_login(&shown).await), Some(KeyUnexpected));
}

#[tokio::test]
async fn junk_beside_the_signature_does_not_keep_a_client_from_the_next_key() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().key(account()).await.expect("there");
    // Nobody has announced this one.
    let (next, first) = ([0x22; 32], served.state().directory.seeds[0]);
    served.state().directory.seeds = vec![first, [0x77; 32]];
    client.directory().key(account()).await.expect("there");
    assert_eq!(pinned(&client).await.len(), 1);
    served.state().directory.push(log_key_line(&next));
    served.state().directory.seeds = vec![first, next];
    client.directory().key(account()).await.expect("there");
    assert_eq!(pinned(&client).await, [public_key(&next), public_key(&first)]);
}

#[tokio::test]
async fn a_directory_that_forks_or_shrinks_is_refused() {
    let served = Served::new();
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    let client = served.new_client();
    client.directory().key(account()).await.expect("there");
    let honest = served.state().directory.clone();
    served.state().directory.shown = Some(1);
    assert_eq!(reason(client.directory().follow().await), Some(LogRolledBack));
    served.state().directory = ServedLog { entries: honest.entries[1..].to_vec(), ..honest.clone() };
    let bundle = served.state().bundles[&account().to_string()].clone();
    publish(&served, kinds::KEY_REPLACE, &bundle);
    assert_eq!(reason(client.directory().key(account()).await), Some(LogForked));
    assert_eq!(reason(client.directory().follow().await), Some(LogForked));
}

#[tokio::test]
async fn the_directory_is_asked_once_while_it_does_not_grow() {
    let served = Served::new();
    let client = served.new_client();
    wrap(&client).await.expect("wrapped");
    // Were it asked again, this would be refused.
    served.state().bundles.clear();
    wrap(&client).await.expect("wrapped");
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    client.directory().follow().await.expect("followed");
    served.state().bundles.clear();
    assert_eq!(reason(wrap(&client).await), Some(KeyNotInDirectory), "it has grown");
}

#[tokio::test]
async fn following_reads_what_is_new_and_nothing_twice() {
    let served = Served::new();
    for number in 0..600u32 {
        let id = AccountId::from_bytes([(number % 100) as u8; 16]);
        served.state().directory.push(key_line(kinds::KEY_PUBLISH, id, &number.to_be_bytes()));
    }
    let state = Arc::new(MemoryState::new());
    let followed = served.client(state.clone()).directory().follow().await.expect("followed");
    assert_eq!((followed.size, followed.directory_size), (601, 601));
    served.state().directory.push(key_line(kinds::KEY_PUBLISH, AccountId::from_bytes([251; 16]), b"new"));
    let followed = served.client(state.clone()).directory().follow().await.expect("followed");
    assert_eq!(followed.size, 602, "from where the process before stopped");
    let pins = served.client(state).pins().await.expect("read");
    assert_eq!(pins.logs.followed.root(), served.state().directory.root(602));
}

#[tokio::test]
async fn keys_in_ones_own_name_are_noticed_and_block_until_their_owner_has_looked() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("history");
    // Swapped, and swapped back: what is in force is right again, and it was not in between.
    let right = served.state().bundles[&account().to_string()].clone();
    publish(&served, kinds::KEY_REPLACE, &other_bundle());
    publish(&served, kinds::KEY_REPLACE, &right);
    assert_eq!(reason(client.directory().follow().await), Some(KeyUnexpected));
    assert_eq!(reason(wrap(&client).await), Some(KeyUnexpected));
    assert_eq!(
        reason(client.directory().follow().await),
        Some(KeyUnexpected),
        "it does not go away by itself"
    );
    client.directory().trust_own_key().await.expect("the keys are right");
    client.directory().follow().await.expect("calm");
    wrap(&client).await.expect("wrapped");
}

#[tokio::test]
async fn keys_that_are_not_the_own_ones_cannot_be_acknowledged() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("history");
    publish(&served, kinds::KEY_REPLACE, &other_bundle());
    assert_eq!(reason(client.directory().follow().await), Some(KeyUnexpected));
    assert_eq!(reason(client.directory().trust_own_key().await), Some(KeyUnexpected));
    assert_eq!(reason(wrap(&client).await), Some(KeyUnexpected));
}

#[tokio::test]
async fn a_recovery_is_no_surprise_neither_here_nor_elsewhere() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("history");
    // Here: this machine made the bundle, and another after it.
    let (first, second) = (bundle_of(&identity()), bundle_of(&identity()));
    client.know_own_bundle(account(), &first).await.expect("noted");
    publish(&served, kinds::KEY_REPLACE, &first);
    publish(&served, kinds::KEY_REPLACE, &second);
    client.directory().follow().await.expect("both are known or in force");
    // Elsewhere: the bundle in force is signed by the own identity.
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    client.directory().follow().await.expect("in force");
}

#[tokio::test]
async fn a_recovery_on_a_new_machine_leaves_what_was_before_it_to_history() {
    let served = Served::new();
    let client = served.new_client();
    // Registered and recovered elsewhere, then recovered here, before this machine followed anything.
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    let made_here = bundle_of(&identity());
    client.know_own_bundle(account(), &made_here).await.expect("noted");
    publish(&served, kinds::KEY_REPLACE, &made_here);
    client.directory().follow().await.expect("nothing unexpected");
    // What comes after keys that were made here is no history, also when it is followed for the first time.
    let served = Served::new();
    let client = served.new_client();
    let made_here = served.state().bundles[&account().to_string()].clone();
    client.know_own_bundle(account(), &made_here).await.expect("registered here");
    publish(&served, kinds::KEY_REPLACE, &other_bundle());
    publish(&served, kinds::KEY_REPLACE, &made_here);
    assert_eq!(reason(client.directory().follow().await), Some(KeyUnexpected));
}

#[tokio::test]
async fn a_key_of_the_logs_that_the_directory_announces_is_adopted() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("followed");
    let next = [0x22; 32];
    // Both keys sign while the new one becomes known.
    served.state().directory.push(log_key_line(&next));
    served.state().directory.seeds.push(next);
    let followed = client.directory().follow().await.expect("followed");
    assert_eq!(followed.log_keys, 1);
    client.known_log_keys(&[public_key(&next)]).await.expect("known by now");
    // From then on the new one is enough.
    served.state().directory.seeds.remove(0);
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    client.directory().follow().await.expect("signed by the new key");
}

/// The keys that a client has pinned.
async fn pinned(client: &Client) -> Vec<[u8; 32]> {
    client.trust().await.expect("pinned").keys().to_vec()
}

#[tokio::test]
async fn a_key_that_was_replaced_is_trusted_no_more() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("followed");
    let (old, next) = (served.state().directory.seeds[0], [0x22; 32]);
    served.state().directory.push(log_key_line(&next));
    served.state().directory.seeds.push(next);
    client.directory().follow().await.expect("followed");
    assert_eq!(pinned(&client).await, [public_key(&next), public_key(&old)], "newest first");
    served.state().directory.seeds = vec![next];
    client.directory().follow().await.expect("nothing new, but one signature less");
    assert_eq!(pinned(&client).await, [public_key(&next)]);
    // Who has stolen the old one can do nothing with it.
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    served.state().directory.seeds = vec![old];
    assert_eq!(reason(client.directory().follow().await), Some(LogKeyChanged));
    assert_eq!(reason(client.directory().key(account()).await), Some(LogKeyChanged));
}

#[tokio::test]
async fn an_old_key_alone_does_not_retire_the_newer_one() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("followed");
    let (old, next) = (served.state().directory.seeds[0], [0x22; 32]);
    served.state().directory.push(log_key_line(&next));
    served.state().directory.seeds.push(next);
    client.directory().follow().await.expect("followed");
    served.state().directory.seeds = vec![old];
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    client.directory().follow().await.expect("the old one is still pinned");
    assert_eq!(pinned(&client).await.len(), 2);
}

#[tokio::test]
async fn any_number_of_keys_may_follow_each_other() {
    let served = Served::new();
    let client = served.new_client();
    let mut last = served.state().directory.seeds[0];
    for number in 0x20..0x34 {
        let next = [number; 32];
        served.state().directory.push(log_key_line(&next));
        served.state().directory.seeds = vec![next, last];
        client.directory().follow().await.expect("announced");
        assert_eq!(pinned(&client).await, [public_key(&next), public_key(&last)]);
        last = next;
    }
    // A new client reads of all of them, and keeps the one that signs. It met the server while it named another, too.
    let new = served.new_client();
    served.state().project.seeds = vec![last, [0x77; 32]];
    served.state().directory.seeds = vec![last];
    new.directory().follow().await.expect("followed");
    assert_eq!(pinned(&new).await, [public_key(&last)]);
}

#[tokio::test]
async fn announced_keys_that_sign_nothing_lock_nobody_out() {
    let served = Served::new();
    let client = served.new_client();
    let first = served.state().directory.seeds[0];
    for number in 0x20..0x40 {
        served.state().directory.push(log_key_line(&[number; 32]));
    }
    let followed = client.directory().follow().await.expect("followed");
    assert_eq!((followed.log_keys, pinned(&client).await), (0, vec![public_key(&first)]));
    // More than may sign at once: those beyond are passed over.
    served.state().directory.seeds.extend((0x40..0x60).map(|number| [number; 32]));
    for number in 0x40..0x60 {
        served.state().directory.push(log_key_line(&[number; 32]));
    }
    client.directory().follow().await.expect("followed");
    assert_eq!(pinned(&client).await.len(), 16);
    publish(&served, kinds::KEY_REPLACE, &bundle_of(&identity()));
    client.directory().follow().await.expect("and go on");
}

#[tokio::test]
async fn a_client_that_meets_a_new_key_follows_by_itself() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().key(account()).await.expect("there");
    let next = [0x22; 32];
    served.state().directory.push(log_key_line(&next));
    served.state().directory.seeds.push(next);
    client.directory().key(account()).await.expect("there");
    assert_eq!(client.trust().await.expect("pinned").keys().len(), 2);
}

#[tokio::test]
async fn a_key_that_nobody_announced_or_that_announces_itself_is_refused() {
    let served = Served::new();
    let client = served.new_client();
    client.directory().follow().await.expect("followed");
    let thief = [0x33; 32];
    assert_eq!(reason(client.known_log_keys(&[public_key(&thief)]).await), Some(LogKeyChanged));
    served.state().directory.push(log_key_line(&thief));
    served.state().directory.seeds = vec![thief];
    assert_eq!(reason(client.directory().follow().await), Some(LogKeyChanged));
    assert_eq!(reason(client.directory().key(account()).await), Some(LogKeyChanged));
    assert_eq!(client.trust().await.expect("pinned").keys().len(), 1);
    // Announced in the log of a project, where no key is looked for.
    let served = Served::new();
    let client = served.new_client();
    served.state().project.push(log_key_line(&thief));
    client.audit_of(PROJECT).events().await.expect("read");
    assert_eq!(client.trust().await.expect("pinned").keys().len(), 1);
}

#[tokio::test]
async fn another_name_is_refused_and_other_keys_do_not_replace_the_pinned_ones() {
    let served = Served::new();
    let client = served.new_client();
    client.meet().await.expect("the first contact");
    served.state().project.name = "other.example".to_owned();
    assert_eq!(reason(client.meet().await), Some(LogKeyChanged));
    served.state().project.name = "host.example".to_owned();
    served.state().project.seeds = vec![[0x33; 32]];
    let (trust, shown) = client.meet().await.expect("the name is right");
    assert_ne!(trust.keys(), shown);
    assert_eq!(reason(client.known_log_keys(&shown).await), Some(LogKeyChanged));
}

#[tokio::test]
async fn a_server_without_a_log_or_with_a_senseless_one_is_refused() {
    let served = Served::new();
    let info = served.state().project.clone();
    served.state().project = ServedLog { name: String::new(), seeds: Vec::new(), ..info.clone() };
    assert_eq!(reason(served.new_client().meet().await), Some(NotInLog));
    for bad in [
        ServedLog { name: "a b".to_owned(), ..info.clone() },
        ServedLog { name: "a+b".to_owned(), ..info.clone() },
        ServedLog { name: "a".repeat(201), ..info.clone() },
        ServedLog { seeds: Vec::new(), ..info.clone() },
        ServedLog { seeds: vec![[1; 32], [1; 32]], ..info.clone() },
        ServedLog { policy: "quorum nobody\n".to_owned(), ..info.clone() },
        ServedLog { policy: "log x\nquorum none\n".to_owned(), ..info.clone() },
    ] {
        served.state().project = bad;
        let met = served.new_client().meet().await;
        assert!(matches!(met, Err(Error::BadAnswer { .. })));
    }
}
