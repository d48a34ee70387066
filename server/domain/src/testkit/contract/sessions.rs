//! Sessions, their standing and their refresh tokens.

use tokio::task::JoinSet;
use veilcore::{
    hash::sha256,
    id::{AccountId, SessionId},
};

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    auth::model::{Ending, NewCredentials, Rotation, SESSIONS_MAX, Session, Standing},
    testkit::Ports,
};

async fn standing(ports: &Ports, account: AccountId, session: SessionId) -> Option<Standing> {
    ports.directory.standing(account, session).await.expect("the store works")
}

async fn is_live(ports: &Ports, session: &Session) -> bool {
    standing(ports, session.account, session.id).await.is_some_and(|s| s.live)
}

async fn end(ports: &Ports, account: AccountId, ending: Ending) {
    let line = line(Trail::Account(account), Kind::SessionEnd);
    ports.directory.end_sessions(account, ending, line).await.expect("the store works");
}

async fn rotate(ports: &Ports, old: [u8; 32], new: [u8; 32], now_ms: u64) -> Rotation {
    // The store knows whose session it is, not the caller.
    let line = line(Trail::Account(AccountId::from_bytes([0; 16])), Kind::SessionRefresh);
    ports.directory.rotate_refresh(old, new, now_ms, line).await.expect("the store works")
}

pub async fn a_session_is_opened_only_for_the_record_it_was_proven_against(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let open = async |session: &Session, record: &[u8]| {
        let line = line(Trail::Account(session.account), Kind::SessionOpen);
        let opened = ports.directory.open_session(session.clone(), sha256(record), SESSIONS_MAX, line);
        opened.await.expect("the store works")
    };
    let (first, late, current) = (session(alice.id), session(alice.id), session(alice.id));
    assert!(open(&first, &alice.record).await);
    let new = NewCredentials { record: vec![8; 192], password_wrap: vec![9; 74], recovery: None };
    let change = line(Trail::Account(alice.id), Kind::PasswordChange);
    let ending = Ending::AllBut(first.id);
    let hash = sha256(&alice.record);
    let replaced = ports.directory.replace_credentials(alice.id, hash, new, ending, vec![change]).await;
    assert!(replaced.expect("the store works"));
    let lines = kinds(&ports, Trail::Account(alice.id)).await;

    assert!(!open(&late, &alice.record).await);
    assert_eq!(standing(&ports, alice.id, late.id).await, None);
    assert_eq!(ports.directory.holder_of(late.refresh_hash).await.expect("the store works"), None);
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, lines);
    assert!(open(&current, &[8; 192]).await && is_live(&ports, &current).await);
    assert!(!open(&session(AccountId::from_bytes(bytes16())), &[8; 192]).await);
}

pub async fn one_session_more_than_the_limit_ends_the_oldest(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let others = new_session(&ports, bob.id).await;
    let at = |logged_in_at_ms| Session { logged_in_at_ms, ..session(alice.id) };
    let (young, old, middle) = (at(NOW_MS + 3), at(NOW_MS + 1), at(NOW_MS + 2));
    for session in [&young, &old, &middle] {
        assert!(open_session(&ports, session.clone(), 3).await);
    }
    for session in [&young, &old, &middle] {
        assert!(is_live(&ports, session).await);
    }
    // One that ended by itself makes room.
    end(&ports, alice.id, Ending::One(young.id)).await;
    let fourth = at(NOW_MS + 4);
    assert!(open_session(&ports, fourth.clone(), 3).await);
    assert!(is_live(&ports, &old).await && is_live(&ports, &middle).await);
    let fifth = at(NOW_MS + 5);
    assert!(open_session(&ports, fifth.clone(), 3).await);
    assert!(!is_live(&ports, &old).await && is_live(&ports, &middle).await);
    assert_eq!(rotate(&ports, old.refresh_hash, bytes32(), NOW_MS).await, Rotation::Unknown);
    let lines = kinds(&ports, Trail::Account(alice.id)).await;
    assert_eq!(lines[lines.len() - 2..], [Kind::SessionEnd, Kind::SessionOpen]);
    // The new one stays, and other accounts are not concerned.
    let last = at(NOW_MS);
    assert!(open_session(&ports, last.clone(), 1).await);
    assert!(is_live(&ports, &last).await && is_live(&ports, &others).await);
    for session in [&middle, &fourth, &fifth] {
        assert!(!is_live(&ports, session).await);
    }
}

pub async fn an_ended_session_stands_no_more_at_once(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let (one, two) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    let expected = Standing { live: true, revocation_epoch: 0, tier: alice.tier, logged_in_at_ms: NOW_MS };
    // Asked before, so that an answer from memory would be found out.
    assert_eq!(standing(&ports, alice.id, one.id).await, Some(expected));
    assert_eq!(standing(&ports, alice.id, two.id).await, Some(expected));
    end(&ports, alice.id, Ending::One(one.id)).await;
    assert!(!is_live(&ports, &one).await);
    assert_eq!(standing(&ports, alice.id, two.id).await, Some(expected));
    let expected = [Kind::AccountCreate, Kind::SessionOpen, Kind::SessionOpen, Kind::SessionEnd];
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, expected);
}

pub async fn ending_all_sessions_raises_the_epoch(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let (one, two) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    let others = new_session(&ports, bob.id).await;
    assert!(is_live(&ports, &one).await && is_live(&ports, &two).await && is_live(&ports, &others).await);
    end(&ports, alice.id, Ending::All).await;
    assert!(!is_live(&ports, &one).await && !is_live(&ports, &two).await);
    assert!(is_live(&ports, &others).await);
    let account = ports.directory.account(alice.id).await.expect("the store works");
    assert_eq!(account.map(|a| a.revocation_epoch), Some(1));
    let next = new_session(&ports, alice.id).await;
    let now = standing(&ports, alice.id, next.id).await.expect("just opened");
    assert!(now.live && now.revocation_epoch == 1);
    let untouched = standing(&ports, bob.id, others.id).await.expect("still open");
    assert_eq!(untouched.revocation_epoch, 0);
}

pub async fn ending_the_others_spares_one_and_keeps_the_epoch(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let (kept, ended) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    assert!(is_live(&ports, &kept).await && is_live(&ports, &ended).await);
    end(&ports, alice.id, Ending::AllBut(kept.id)).await;
    assert!(!is_live(&ports, &ended).await);
    let now = standing(&ports, alice.id, kept.id).await.expect("still open");
    assert!(now.live && now.revocation_epoch == 0);
}

pub async fn a_session_is_not_another_accounts(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let session = new_session(&ports, alice.id).await;
    assert_eq!(standing(&ports, bob.id, session.id).await, None);
    assert_eq!(standing(&ports, alice.id, SessionId::from_bytes(bytes16())).await, None);
    end(&ports, bob.id, Ending::One(session.id)).await;
    assert!(is_live(&ports, &session).await);
}

pub async fn a_refresh_token_is_traded_for_the_next(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let mut current = session.refresh_hash;
    for _ in 0..3 {
        let next = bytes32();
        let expected = Session { refresh_hash: next, ..session.clone() };
        assert_eq!(rotate(&ports, current, next, NOW_MS).await, Rotation::Rotated(expected));
        current = next;
    }
    assert!(is_live(&ports, &session).await);
    let events = events(&ports, Trail::Account(alice.id)).await;
    let renewals: Vec<_> = events.iter().filter(|e| e.line.kind == Kind::SessionRefresh).collect();
    assert_eq!(renewals.len(), 3);
    assert!(renewals.iter().all(|event| event.line.actor == alice.id));
}

pub async fn the_same_trade_again_gives_the_same_and_changes_nothing(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let (next, later) = (bytes32(), bytes32());
    let first = rotate(&ports, session.refresh_hash, next, NOW_MS).await;
    assert_eq!(first, Rotation::Rotated(Session { refresh_hash: next, ..session.clone() }));
    assert_eq!(rotate(&ports, session.refresh_hash, next, NOW_MS).await, first);
    let lines = kinds(&ports, Trail::Account(alice.id)).await;
    assert_eq!(lines.iter().filter(|kind| **kind == Kind::SessionRefresh).count(), 1);
    // Not after the session's time, and no more once the session went on.
    let late = rotate(&ports, session.refresh_hash, next, session.expires_at_ms).await;
    assert_eq!(late, Rotation::Unknown);
    rotate(&ports, next, later, NOW_MS).await;
    let reused = rotate(&ports, session.refresh_hash, next, NOW_MS).await;
    assert_eq!(reused, Rotation::Reused { session: session.id, account: alice.id });
    assert!(!is_live(&ports, &session).await);
    assert_eq!(rotate(&ports, next, later, NOW_MS).await, Rotation::Unknown);
}

pub async fn a_token_that_is_not_new_is_not_traded_for(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let (session, other) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    let next = bytes32();
    rotate(&ports, session.refresh_hash, next, NOW_MS).await;
    for known in [next, session.refresh_hash, other.refresh_hash] {
        assert_eq!(rotate(&ports, next, known, NOW_MS).await, Rotation::Unknown);
    }
    assert!(is_live(&ports, &session).await && is_live(&ports, &other).await);
    let again = rotate(&ports, next, bytes32(), NOW_MS).await;
    assert!(matches!(again, Rotation::Rotated(_)));
}

pub async fn a_token_used_twice_revokes_its_session_only(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let (stolen, other) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    assert!(is_live(&ports, &stolen).await && is_live(&ports, &other).await);
    let next = bytes32();
    rotate(&ports, stolen.refresh_hash, next, NOW_MS).await;
    let again = rotate(&ports, stolen.refresh_hash, bytes32(), NOW_MS).await;
    assert_eq!(again, Rotation::Reused { session: stolen.id, account: alice.id });
    assert!(!is_live(&ports, &stolen).await);
    assert!(is_live(&ports, &other).await);
    // The token that came from the first trade is worth nothing now.
    assert_eq!(rotate(&ports, next, bytes32(), NOW_MS).await, Rotation::Unknown);
    let events = events(&ports, Trail::Account(alice.id)).await;
    let last = events.last().expect("lines were written");
    assert_eq!((last.line.kind, last.line.actor), (Kind::SessionReuse, alice.id));
}

pub async fn an_unknown_expired_or_ended_token_trades_for_nothing(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    assert_eq!(rotate(&ports, bytes32(), bytes32(), NOW_MS).await, Rotation::Unknown);
    let expired = new_session(&ports, alice.id).await;
    let late = rotate(&ports, expired.refresh_hash, bytes32(), expired.expires_at_ms).await;
    assert_eq!(late, Rotation::Unknown);
    let ended = new_session(&ports, alice.id).await;
    end(&ports, alice.id, Ending::One(ended.id)).await;
    assert_eq!(rotate(&ports, ended.refresh_hash, bytes32(), NOW_MS).await, Rotation::Unknown);
    let lines = kinds(&ports, Trail::Account(alice.id)).await;
    assert!(!lines.contains(&Kind::SessionRefresh) && !lines.contains(&Kind::SessionReuse));
}

pub async fn the_holder_of_an_old_token_is_still_known(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let next = bytes32();
    rotate(&ports, session.refresh_hash, next, NOW_MS).await;
    for hash in [session.refresh_hash, next] {
        let holder = ports.directory.holder_of(hash).await.expect("the store works");
        assert_eq!(holder, Some(session.holder_pk));
    }
    assert_eq!(ports.directory.holder_of(bytes32()).await.expect("the store works"), None);
}

pub async fn of_many_trades_of_one_token_one_wins(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let (ports, old) = (ports.clone(), session.refresh_hash);
        race.spawn(async move { rotate(&ports, old, bytes32(), NOW_MS).await });
    }
    let outcomes = race.join_all().await;
    let won = outcomes.iter().filter(|o| matches!(o, Rotation::Rotated(_))).count();
    let reused = outcomes.iter().filter(|o| matches!(o, Rotation::Reused { .. })).count();
    assert_eq!((won, reused), (1, 1));
    assert!(!is_live(&ports, &session).await);
}

pub async fn of_many_times_the_same_trade_every_one_wins(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let next = bytes32();
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let (ports, old) = (ports.clone(), session.refresh_hash);
        race.spawn(async move { rotate(&ports, old, next, NOW_MS).await });
    }
    let outcomes = race.join_all().await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Rotation::Rotated(_))));
    assert!(is_live(&ports, &session).await);
}
