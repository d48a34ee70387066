//! Rows that somebody edits behind the stores' back: what is in memory is believed for its life, and not a moment longer.

use std::time::Duration;

use tempfile::TempDir;
use veilcloud_domain::{
    audit::model::{Kind, Line, OutboxKey, Trail},
    auth::{
        api_keys::{
            model::{ApiKey, Scope, Verifier},
            port::Created,
        },
        model::{Account, Session, Tier},
    },
    projects::{model::Project, port::Written},
};
use veilcore::{
    hash::sha256,
    id::{AccountId, ApiKeyId, ProjectId, SessionId},
};
use veilsign::capability::Actions;

use crate::{Embedded, Options};

const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const SESSION: SessionId = SessionId::from_bytes([2; 16]);
const KEY: ApiKeyId = ApiKeyId::from_bytes([3; 16]);
const PROJECT: ProjectId = ProjectId::from_bytes([4; 16]);

fn line(trail: Trail, kind: Kind) -> Line {
    Line {
        trail,
        kind,
        actor: ACCOUNT,
        at_ms: 5,
        environment: None,
        version: 0,
        digest: None,
        key: None,
        by_number: false,
    }
}

/// An account with a session, an API key and a project.
async fn furnished() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let stores = Embedded::open(folder.path(), OutboxKey::new([9; 32]), Options::default()).unwrap();
    let own = |kind| line(Trail::Account(ACCOUNT), kind);
    let account = Account {
        id: ACCOUNT,
        email: "ada@example.org".parse().unwrap(),
        display_name: String::new(),
        tier: Tier::Pro,
        record: vec![1; 192],
        bundle: vec![2; 200],
        password_wrap: vec![3; 74],
        recovery_wrap: vec![4; 74],
        revocation_epoch: 0,
        quota_bytes: 1000,
        created_at_ms: 5,
        key_index: None,
    };
    assert!(stores.directory().create_account(account, vec![own(Kind::AccountCreate)]).await.unwrap());
    let session = Session {
        id: SESSION,
        account: ACCOUNT,
        holder_pk: [7; 32],
        refresh_hash: [8; 32],
        logged_in_at_ms: 5,
        expires_at_ms: 1_000_000,
    };
    let record = sha256(&[1; 192]);
    assert!(stores.directory().open_session(session, record, 10, own(Kind::SessionOpen)).await.unwrap());
    let key = ApiKey {
        id: KEY,
        account: ACCOUNT,
        name: "ci".parse().unwrap(),
        scope: Scope {
            actions: Actions::PROJECT_READ,
            project: None,
            environments: Vec::new(),
            networks: Vec::new(),
        },
        record: None,
        generation: 1,
        verifier: Verifier([5; 32]),
        overlap: None,
        created_at_ms: 5,
        expires_at_ms: 1_000_000,
        revoked_at_ms: None,
        last_used_at_ms: None,
    };
    let created = stores.api_keys().create_key(key, None, 10, 10, own(Kind::ApiKeyCreate)).await.unwrap();
    assert_eq!(created, Created::Done);
    let project = Project {
        id: PROJECT,
        name: "app".parse().unwrap(),
        owner: ACCOUNT,
        created_at_ms: 5,
        environment_count: 0,
    };
    let create = line(Trail::Project(PROJECT), Kind::ProjectCreate);
    assert_eq!(stores.catalog().create_project(project, 10, create).await.unwrap(), Written::Done);
    (folder, stores)
}

async fn edit(stores: &Embedded, sql: &'static str) {
    stores.db.write(move |tx| Ok(tx.conn.execute_batch(sql)?)).await.unwrap();
}

/// Reads, edits, and reads again around the end of the life.
async fn believed_for<T: PartialEq + std::fmt::Debug>(
    stores: &Embedded,
    seconds: u64,
    sql: &'static str,
    seen: impl AsyncFn() -> T,
    after: T,
) {
    let before = seen().await;
    assert_ne!(before, after);
    edit(stores, sql).await;
    assert_eq!(seen().await, before, "{sql}");
    tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
    assert_eq!(seen().await, before, "{sql}");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(seen().await, after, "{sql}");
}

#[tokio::test(start_paused = true)]
async fn an_edited_tier_counts_after_a_minute_for_sessions_and_keys() {
    let (_folder, stores) = furnished().await;
    let tier = async || {
        let session = stores.directory().standing(ACCOUNT, SESSION).await.unwrap().map(|s| s.tier);
        let key = stores.api_keys().key_standing(KEY).await.unwrap().map(|s| s.tier);
        (session, key)
    };
    let sql = "UPDATE accounts SET tier = 'enterprise'";
    believed_for(&stores, 60, sql, tier, (Some(Tier::Enterprise), Some(Tier::Enterprise))).await;
    stores.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_edited_session_counts_after_a_minute() {
    let (_folder, stores) = furnished().await;
    let stands = async || stores.directory().standing(ACCOUNT, SESSION).await.unwrap().is_some();
    believed_for(&stores, 60, "DELETE FROM sessions", stands, false).await;
    stores.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_edited_key_counts_after_five_minutes() {
    let (_folder, stores) = furnished().await;
    let revoked = async || {
        let standing = stores.api_keys().key_standing(KEY).await.unwrap();
        standing.and_then(|standing| standing.key.revoked_at_ms)
    };
    believed_for(&stores, 300, "UPDATE api_keys SET revoked_at_ms = 6", revoked, Some(6)).await;
    stores.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_edited_right_counts_after_half_a_minute() {
    let (_folder, stores) = furnished().await;
    let held = async || stores.grants().rights(PROJECT, ACCOUNT).await.unwrap().is_some();
    believed_for(&stores, 30, "DELETE FROM projects", held, false).await;
    stores.close().await;
}
