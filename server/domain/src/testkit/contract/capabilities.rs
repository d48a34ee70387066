//! Issued capabilities, which stand beside the sessions.

use veilcore::id::{AccountId, KeyId, ProjectId, SessionId};
use veilsign::capability::{Actions, Grant, Resource};

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    auth::{
        capabilities::{model::Issued, port::Issuing},
        model::{Ending, Session, Standing},
    },
    page::PageArgs,
    testkit::Ports,
};

const LIFE_MS: u64 = 1_000_000;

fn issued(account: AccountId) -> Issued {
    let project = ProjectId::from_bytes(bytes16());
    Issued {
        id: SessionId::from_bytes(bytes16()),
        account,
        name: name("deploy"),
        holder_pk: bytes32(),
        grants: vec![
            Grant::new(Resource::project(project), Actions::PROJECT_READ | Actions::AUDIT_READ),
            Grant::new(Resource::environment(project, "staging").expect("a name"), Actions::PROJECT_WRITE),
        ],
        kid: KeyId::from_bytes([7; 8]),
        issued_at_ms: NOW_MS,
        expires_at_ms: NOW_MS + LIFE_MS,
        is_revoked: false,
    }
}

async fn issue(ports: &Ports, new: &Issued, by: SessionId, limit: u32) -> Issuing {
    let line = line(Trail::Account(new.account), Kind::CapabilityIssue);
    ports.capabilities.issue(new.clone(), by, limit, line).await.expect("the store works")
}

async fn revoke(ports: &Ports, account: AccountId, id: SessionId) -> bool {
    let line = line(Trail::Account(account), Kind::CapabilityRevoke);
    ports.capabilities.revoke(account, id, line).await.expect("the store works")
}

async fn listed(ports: &Ports, account: AccountId) -> Vec<Issued> {
    let page = PageArgs { after: None, size: 100 };
    ports.capabilities.issued(account, page).await.expect("the store works").items
}

async fn standing(ports: &Ports, issued: &Issued) -> Option<Standing> {
    ports.directory.standing(issued.account, issued.id).await.expect("the store works")
}

async fn is_live(ports: &Ports, issued: &Issued) -> bool {
    standing(ports, issued).await.is_some_and(|standing| standing.live)
}

pub async fn a_capability_stands_beside_the_sessions_and_is_no_login(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let new = issued(alice.id);
    assert_eq!(standing(&ports, &new).await, None);
    assert_eq!(issue(&ports, &new, session.id, 10).await, Issuing::Done);
    let expected = Standing { live: true, revocation_epoch: 0, tier: alice.tier, logged_in_at_ms: 0 };
    assert_eq!(standing(&ports, &new).await, Some(expected));
    assert_eq!(listed(&ports, alice.id).await, std::slice::from_ref(&new));
    let zeros = ports.directory.holder_of([0; 32]).await.expect("the store works");
    assert_eq!(zeros, None, "it has no refresh token");
    let expected = [Kind::AccountCreate, Kind::SessionOpen, Kind::CapabilityIssue];
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, expected);
}

pub async fn a_capability_is_revoked_by_its_account_only_and_at_once(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let (one, two) = (issued(alice.id), issued(alice.id));
    assert_eq!(issue(&ports, &one, session.id, 10).await, Issuing::Done);
    assert_eq!(issue(&ports, &two, session.id, 10).await, Issuing::Done);
    assert!(is_live(&ports, &one).await && is_live(&ports, &two).await);
    assert!(!revoke(&ports, bob.id, one.id).await && is_live(&ports, &one).await);
    assert!(!revoke(&ports, alice.id, session.id).await, "a session is none");
    assert!(revoke(&ports, alice.id, one.id).await);
    assert!(!is_live(&ports, &one).await && is_live(&ports, &two).await);
    assert!(!revoke(&ports, alice.id, one.id).await);
    let list = listed(&ports, alice.id).await;
    assert_eq!(list.iter().filter(|issued| issued.is_revoked).map(|i| i.id).collect::<Vec<_>>(), [one.id]);
}

pub async fn what_ends_all_sessions_ends_capabilities_and_what_ends_one_does_not(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let end = async |ending| {
        let line = line(Trail::Account(alice.id), Kind::SessionEnd);
        ports.directory.end_sessions(alice.id, ending, line).await.expect("the store works");
    };
    let (one, two) = (issued(alice.id), issued(alice.id));
    assert_eq!(issue(&ports, &one, session.id, 10).await, Issuing::Done);
    assert_eq!(issue(&ports, &two, session.id, 10).await, Issuing::Done);
    assert!(is_live(&ports, &one).await && is_live(&ports, &two).await);
    end(Ending::One(one.id)).await;
    assert!(!is_live(&ports, &one).await && is_live(&ports, &two).await);
    end(Ending::One(session.id)).await;
    assert!(is_live(&ports, &two).await, "it outlives the session that asked for it");
    assert_eq!(issue(&ports, &issued(alice.id), session.id, 10).await, Issuing::Gone);
    let next = new_session(&ports, alice.id).await;
    let three = issued(alice.id);
    assert_eq!(issue(&ports, &three, next.id, 10).await, Issuing::Done);
    end(Ending::AllBut(next.id)).await;
    assert!(!is_live(&ports, &two).await && !is_live(&ports, &three).await);
    let four = issued(alice.id);
    assert_eq!(issue(&ports, &four, next.id, 10).await, Issuing::Done);
    end(Ending::All).await;
    assert!(!is_live(&ports, &four).await);
}

pub async fn an_account_has_a_limit_of_capabilities_apart_from_its_sessions(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let (one, two) = (issued(alice.id), issued(alice.id));
    assert_eq!(issue(&ports, &one, session.id, 2).await, Issuing::Done);
    assert_eq!(issue(&ports, &two, session.id, 2).await, Issuing::Done);
    assert_eq!(issue(&ports, &issued(alice.id), session.id, 2).await, Issuing::Limit);
    // One that is over or revoked makes room.
    let later =
        Issued { issued_at_ms: NOW_MS + LIFE_MS, expires_at_ms: NOW_MS + 2 * LIFE_MS, ..issued(alice.id) };
    assert_eq!(issue(&ports, &later, session.id, 1).await, Issuing::Done);
    assert!(revoke(&ports, alice.id, later.id).await);
    assert_eq!(
        issue(&ports, &Issued { id: SessionId::from_bytes(bytes16()), ..later }, session.id, 1).await,
        Issuing::Done
    );
    // They take no place from sessions, and sessions end none of them.
    let young =
        Session { logged_in_at_ms: NOW_MS + 1, ..crate::testkit::contract::sample::session(alice.id) };
    assert!(open_session(&ports, young.clone(), 1).await);
    assert!(is_live(&ports, &one).await && is_live(&ports, &two).await);
    let young = ports.directory.standing(alice.id, young.id).await.expect("the store works");
    assert!(young.is_some_and(|standing| standing.live));
    let refused = issued(AccountId::from_bytes(bytes16()));
    assert_eq!(issue(&ports, &refused, session.id, 2).await, Issuing::Gone);
}

pub async fn capabilities_are_paged_by_id_and_go_with_their_account(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let sessions = (new_session(&ports, alice.id).await, new_session(&ports, bob.id).await);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let own = issued(alice.id);
        ids.push(own.id);
        assert_eq!(issue(&ports, &own, sessions.0.id, 10).await, Issuing::Done);
        assert_eq!(issue(&ports, &issued(bob.id), sessions.1.id, 10).await, Issuing::Done);
    }
    ids.sort_unstable();
    for size in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = PageArgs { after, size };
            let page = ports.capabilities.issued(alice.id, page).await.expect("the store works");
            assert!(page.items.len() <= size);
            seen.extend(page.items.iter().map(|issued| issued.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ids, "size {size}");
    }
    ports.directory.delete_account(alice.id, Vec::new()).await.expect("the store works");
    assert_eq!(listed(&ports, alice.id).await, []);
    assert_eq!(ports.directory.standing(alice.id, ids[0]).await.expect("the store works"), None);
    assert_eq!(listed(&ports, bob.id).await.len(), 5);
}

pub async fn of_many_who_issue_at_the_limit_as_many_succeed(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (ports, new) = (ports.clone(), issued(alice.id));
            tokio::spawn(async move { issue(&ports, &new, session.id, 3).await })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += u32::from(task.await.expect("no writer panics") == Issuing::Done);
    }
    assert_eq!((done, listed(&ports, alice.id).await.len()), (3, 3));
}
