//! Sessions, their standing and their refresh tokens.

use tokio::task::JoinSet;
use veilcore::id::{AccountId, SessionId};

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    auth::model::{Ending, Rotation, Session, Standing},
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

pub async fn a_token_used_twice_revokes_its_session_only(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let (stolen, other) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    assert!(is_live(&ports, &stolen).await && is_live(&ports, &other).await);
    let next = bytes32();
    rotate(&ports, stolen.refresh_hash, next, NOW_MS).await;
    let again = rotate(&ports, stolen.refresh_hash, bytes32(), NOW_MS).await;
    assert_eq!(again, Rotation::Reused(stolen.id));
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
    let reused = outcomes.iter().filter(|o| matches!(o, Rotation::Reused(_))).count();
    assert_eq!((won, reused), (1, 1));
    assert!(!is_live(&ports, &session).await);
}
