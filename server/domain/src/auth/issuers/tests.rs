use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use proptest::prelude::*;
use veilcore::id::{AccountId, KeyId, SessionId};
use veilsign::capability::{Actions, Body, CapabilityError, Grant, LIFETIME_MS_MAX, NEXT_NOBODY, Resource};

use super::{
    ANNOUNCED_MS, DAY_MS, Issuer, IssuerKeeper, Issuers, Keyset, KeysetError, PERIOD_DAYS_MIN,
    port::IssuerStore,
};
use crate::{
    audit::model::{Kind, Trail},
    auth::error::AuthError,
    clock::Clock,
    store::StoreError,
    testkit::{SeededEntropy, World},
};

const PERIOD_MS: u64 = 30 * DAY_MS;
const NOW_MS: u64 = 1_767_225_600_000;

fn entropy() -> SeededEntropy {
    SeededEntropy::new(77)
}

fn live(keyset: &Keyset) -> Vec<u64> {
    keyset.iter().filter(|issuer| !issuer.is_revoked()).map(|issuer| issuer.public.not_before_ms).collect()
}

fn body(expires_at_ms: u64, holder: &Issuer) -> Body {
    Body {
        kid: KeyId::from_bytes([0; 8]),
        session: SessionId::from_bytes([1; 16]),
        account: AccountId::from_bytes([2; 16]),
        tenant: AccountId::from_bytes([2; 16]),
        tier: 0,
        revocation_epoch: 0,
        issued_at_ms: NOW_MS,
        not_before_ms: NOW_MS,
        expires_at_ms,
        holder_pk: *holder.public.key.as_bytes(),
        next_pk: NEXT_NOBODY,
        grants: vec![Grant::new(Resource::account(), Actions::PROJECT_READ)],
        audience: "here".to_owned(),
    }
}

#[test]
fn the_next_key_is_announced_a_day_before_it_signs_and_the_old_one_is_believed_on() {
    let source = entropy();
    let mut keyset = Keyset::first(NOW_MS, PERIOD_MS, &source);
    let first = keyset.signing(NOW_MS).unwrap().kid();
    let due_ms = NOW_MS + PERIOD_MS;
    assert!(!keyset.turn(due_ms - ANNOUNCED_MS - 1, PERIOD_MS, &source));
    assert!(keyset.turn(due_ms - ANNOUNCED_MS, PERIOD_MS, &source));
    assert!(!keyset.turn(due_ms - 1, PERIOD_MS, &source), "it is announced once");
    assert_eq!(live(&keyset), [NOW_MS, due_ms]);
    assert_eq!(keyset.signing(due_ms - 1).unwrap().kid(), first);
    let second = keyset.signing(due_ms).unwrap().kid();
    assert_ne!(second, first);
    let trusted = keyset.trusted().unwrap();
    // The last one that the first key can have signed: a moment before the second began, for 90 days.
    assert!(trusted.trusts(first, due_ms - 1 + LIFETIME_MS_MAX));
    assert!(!trusted.trusts(second, due_ms - 10_000) && trusted.trusts(second, due_ms - 5_000));
    // A server that slept announces late rather than not at all.
    let late_ms = due_ms + 3 * PERIOD_MS + 2 * DAY_MS;
    assert!(keyset.turn(late_ms, PERIOD_MS, &source));
    assert_eq!(live(&keyset).last(), Some(&(late_ms + ANNOUNCED_MS)));
    assert!(!keyset.iter().any(|issuer| issuer.kid() == first), "what is over is forgotten");
}

#[test]
fn the_shortest_period_never_needs_more_keys_than_a_verifier_may_know() {
    let (source, period_ms) = (entropy(), PERIOD_DAYS_MIN * DAY_MS);
    let mut keyset = Keyset::first(NOW_MS, period_ms, &source);
    for hour in 0..24 * 365 {
        let now_ms = NOW_MS + hour * 3_600_000;
        keyset.turn(now_ms, period_ms, &source);
        let signing = keyset.signing(now_ms).unwrap();
        assert!(keyset.trusted().unwrap().trusts(signing.kid(), now_ms), "hour {hour}");
        // Each is rotated in time, though there are keys of 14 weeks.
        assert!(now_ms < signing.public.not_before_ms + period_ms, "hour {hour}");
        assert!(signing.public.not_after_ms - now_ms >= LIFETIME_MS_MAX, "hour {hour}");
    }
}

#[test]
fn a_key_added_by_hand_signs_in_a_day_or_at_once_and_there_is_an_end_of_it() {
    let source = entropy();
    let mut keyset = Keyset::first(NOW_MS, PERIOD_MS, &source);
    let later = keyset.rotate(NOW_MS, PERIOD_MS, false, &source).unwrap();
    assert_ne!(keyset.signing(NOW_MS).unwrap().kid(), later);
    assert_eq!(keyset.signing(NOW_MS + ANNOUNCED_MS).unwrap().kid(), later);
    let now = keyset.rotate(NOW_MS + 1, PERIOD_MS, true, &source).unwrap();
    assert_eq!(keyset.signing(NOW_MS + 1).unwrap().kid(), now);
    while keyset.rotate(NOW_MS, PERIOD_MS, false, &source).is_ok() {}
    assert_eq!(keyset.rotate(NOW_MS, PERIOD_MS, true, &source), Err(KeysetError::Full { count: 14 }));
    assert!(keyset.trusted().is_some());
}

#[test]
fn a_key_that_the_log_has_signs_before_one_that_it_does_not_have_yet() {
    let source = entropy();
    let mut keyset = Keyset::first(NOW_MS, PERIOD_MS, &source);
    let old = keyset.signing(NOW_MS).unwrap().clone();
    assert!(keyset.logged(&old.public, 3));
    let new = keyset.rotate(NOW_MS + 1, PERIOD_MS, true, &source).unwrap();
    assert_eq!(keyset.signing(NOW_MS + 1).unwrap().kid(), old.kid());
    let found = keyset.iter().find(|issuer| issuer.kid() == new).unwrap().public;
    assert!(keyset.logged(&found, 4));
    assert_eq!(keyset.signing(NOW_MS + 1).unwrap().kid(), new);
}

#[test]
fn a_revoked_key_is_believed_no_more_and_another_one_signs_in_its_place() {
    let source = entropy();
    let mut keyset = Keyset::first(NOW_MS, PERIOD_MS, &source);
    let first = keyset.signing(NOW_MS).unwrap().clone();
    keyset.logged(&first.public, 0);
    keyset.revoke(first.kid(), NOW_MS + 7, PERIOD_MS, &source).unwrap();
    let again = keyset.revoke(first.kid(), NOW_MS + 7, PERIOD_MS, &source);
    assert_eq!(again, Err(KeysetError::Unknown { kid: first.kid() }));
    assert!(!keyset.trusted().unwrap().trusts(first.kid(), NOW_MS + 7));
    assert_ne!(keyset.signing(NOW_MS + 7).unwrap().kid(), first.kid());
    let gone = keyset.iter().find(|issuer| issuer.kid() == first.kid()).unwrap().clone();
    assert!(gone.is_revoked() && gone.signer().is_none() && gone.leaf.is_none());
    assert_eq!(gone.public.not_after_ms, NOW_MS + 7);
    // It stays until the log was told, and goes then.
    assert!(!keyset.turn(NOW_MS + 8, PERIOD_MS, &source));
    assert!(!keyset.logged(&first.public, 5), "that was another record");
    assert!(keyset.logged(&gone.public, 5));
    assert!(keyset.turn(NOW_MS + 9, PERIOD_MS, &source));
    assert_eq!(keyset.iter().count(), 1);
}

#[test]
fn revocations_that_no_log_was_told_of_have_an_end() {
    let source = entropy();
    let mut keyset = Keyset::first(NOW_MS, PERIOD_MS, &source);
    let refused = loop {
        let kid = keyset.signing(NOW_MS).unwrap().kid();
        if let Err(refused) = keyset.revoke(kid, NOW_MS, PERIOD_MS, &source) {
            break refused;
        }
    };
    assert_eq!(refused, KeysetError::Full { count: 254 });
    let read = Keyset::from_bytes(&keyset.to_bytes()).unwrap();
    assert_eq!(read.iter().count(), 254);
    // Nor does a key by hand take the place of the one that time brings, and none is lost in writing.
    assert_eq!(keyset.rotate(NOW_MS, PERIOD_MS, true, &source), Err(KeysetError::Full { count: 254 }));
    for turn in 1..=3 {
        keyset.turn(NOW_MS + turn * PERIOD_MS, PERIOD_MS, &source);
    }
    let read = Keyset::from_bytes(&keyset.to_bytes()).unwrap();
    assert_eq!(read.iter().count(), 255);
    let newest = |keyset: &Keyset| keyset.iter().last().unwrap().kid();
    assert_eq!(newest(&read), newest(&keyset));
}

#[test]
fn keys_come_back_as_they_were_written_and_nothing_else_does() {
    let source = entropy();
    let mut keyset = Keyset::first(NOW_MS, PERIOD_MS, &source);
    let second = keyset.rotate(NOW_MS, PERIOD_MS, true, &source).unwrap();
    let first = keyset.iter().next().unwrap().clone();
    keyset.logged(&first.public, 9);
    keyset.revoke(second, NOW_MS + 1, PERIOD_MS, &source).unwrap();
    let bytes = keyset.to_bytes();
    let read = Keyset::from_bytes(&bytes).unwrap();
    assert_eq!(*read.to_bytes(), *bytes);
    let facts = |keyset: &Keyset| -> Vec<_> {
        keyset.iter().map(|i| (i.kid(), i.public, i.leaf, i.is_revoked())).collect()
    };
    assert_eq!(facts(&read), facts(&keyset));
    let mut version = bytes.to_vec();
    version[0] = 2;
    let none_live = [&[1, 1, 0][..], first.public.key.as_bytes(), &[0; 24]].concat();
    for wrong in
        [&[][..], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &version, &none_live, &[1, 0]]
    {
        assert!(Keyset::from_bytes(wrong).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_and_what_it_takes_it_writes(bytes: Vec<u8>, at in 0usize..200, to: u8) {
        let _ = Keyset::from_bytes(&bytes);
        let mut good = Keyset::first(NOW_MS, PERIOD_MS, &entropy()).to_bytes().to_vec();
        let at = at % good.len();
        good[at] = to;
        if let Ok(read) = Keyset::from_bytes(&good) {
            prop_assert_eq!(&*read.to_bytes(), &good[..]);
        }
    }
}

#[test]
fn what_a_key_signs_ends_with_the_trust_in_it() {
    let source = entropy();
    let keyset = Keyset::first(NOW_MS, PERIOD_MS, &source);
    let key = keyset.signing(NOW_MS).unwrap().clone();
    let issuers = Issuers::new(keyset).unwrap();
    let (signed, expires_at_ms) = issuers.sign(body(NOW_MS + 1000, &key), NOW_MS).unwrap();
    assert_eq!((expires_at_ms, signed.body_unverified().unwrap().kid), (NOW_MS + 1000, key.kid()));
    let late_ms = key.public.not_after_ms - 500;
    let late = Body { issued_at_ms: late_ms, not_before_ms: late_ms, ..body(late_ms + 1000, &key) };
    let (signed, expires_at_ms) = issuers.sign(late, late_ms).unwrap();
    assert_eq!(expires_at_ms, key.public.not_after_ms);
    assert!(issuers.verify(&signed.encode(), late_ms, "here").is_ok());
    let over = issuers.verify(&signed.encode(), key.public.not_after_ms, "here");
    assert!(matches!(over, Err(CapabilityError::UnknownIssuer { .. })));
}

#[tokio::test]
async fn what_was_seen_a_moment_ago_dies_with_its_key_and_the_session_goes_on_under_another() {
    let world = World::default();
    let mut alice = world.person("alice@example.org").await;
    alice.try_caller(&world).await.unwrap();
    let now_ms = world.clock.now_ms();
    let old = world.issuers.list()[0].clone();
    // Rotated: both are believed, and the next capability is the new key's.
    let source = entropy();
    let mut keyset = Keyset::default();
    keyset.turn(now_ms, PERIOD_MS, &source);
    world.issuers.replace(keyset).unwrap();
    assert!(matches!(alice.try_caller(&world).await, Err(AuthError::Invalid)), "its key is gone");
    alice.refresh(&world.auth).await.unwrap();
    let caller = alice.try_caller(&world).await.unwrap();
    assert!(caller.session().is_some());
    assert_ne!(world.issuers.list()[0].kid(), old.kid());
    assert!(world.issuers.replace(Keyset::default()).is_err(), "there is always a key");
    alice.try_caller(&world).await.unwrap();
}

/// Keys at rest that a test changes.
#[derive(Default)]
struct Rest(Mutex<Keyset>, AtomicBool);

#[async_trait]
impl IssuerStore for Rest {
    async fn keyset(&self) -> Result<Keyset, StoreError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn turn(&self, now_ms: u64) -> Result<Keyset, StoreError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError::Full { store: "issuer keys" });
        }
        let mut keyset = self.0.lock().unwrap();
        keyset.turn(now_ms, PERIOD_MS, &entropy());
        Ok(keyset.clone())
    }

    async fn logged(&self, issuer: &Issuer, leaf: u64) -> Result<Keyset, StoreError> {
        let mut keyset = self.0.lock().unwrap();
        keyset.logged(&issuer.public, leaf);
        Ok(keyset.clone())
    }
}

#[tokio::test]
async fn every_change_of_the_keys_is_told_to_the_log_once_and_taken_over() {
    let world = World::default();
    let rest = Arc::new(Rest::default());
    let keeper = IssuerKeeper::new(
        world.issuers.clone(),
        rest.clone(),
        world.ports.outbox.clone(),
        world.clock.clone(),
    );
    let told = async || {
        let events = world.trail(Trail::Directory).await;
        let of_keys = events.into_iter().filter(|event| event.line.kind == Kind::IssuerKey);
        of_keys.map(|event| (event.index, event.line.digest.unwrap())).collect::<Vec<_>>()
    };
    keeper.keep().await.unwrap();
    keeper.keep().await.unwrap();
    let first = world.issuers.list()[0].clone();
    assert_eq!(told().await, [(first.leaf.unwrap(), first.public.digest())]);
    // While the log cannot be told, a revocation counts all the same.
    let now_ms = world.clock.now_ms();
    rest.0.lock().unwrap().revoke(first.kid(), now_ms, PERIOD_MS, &SeededEntropy::new(5)).unwrap();
    world.store.fail_next("record");
    assert!(keeper.keep().await.is_err());
    assert!(!world.issuers.trusts(first.kid(), now_ms));
    keeper.keep().await.unwrap();
    keeper.keep().await.unwrap();
    let told = told().await;
    let second = world.issuers.list()[0].clone();
    assert_eq!(told.len(), 3, "one for the key that went and one for the key that came");
    assert_eq!(told[2], (second.leaf.unwrap(), second.public.digest()));
    assert_eq!(rest.0.lock().unwrap().iter().count(), 1);
    // Nor does it wait for room on the disk.
    rest.0.lock().unwrap().revoke(second.kid(), now_ms, PERIOD_MS, &SeededEntropy::new(7)).unwrap();
    rest.1.store(true, Ordering::SeqCst);
    assert!(keeper.keep().await.is_err());
    assert!(!world.issuers.trusts(second.kid(), now_ms));
    rest.1.store(false, Ordering::SeqCst);
    keeper.keep().await.unwrap();
    let second = world.issuers.list()[0].clone();
    // Another process only reads.
    let other = Arc::new(Issuers::new(Keyset::first(now_ms, PERIOD_MS, &SeededEntropy::new(6))).unwrap());
    let reader = IssuerKeeper::new(other.clone(), rest, world.ports.outbox.clone(), world.clock.clone());
    reader.reread().await.unwrap();
    assert!(other.trusts(second.kid(), now_ms));
}
