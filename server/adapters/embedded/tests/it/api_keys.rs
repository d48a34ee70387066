//! Whoever can write the database widens and prolongs nothing of an API key.

use std::sync::Arc;

use rusqlite::Connection;
use veilcloud_domain::{
    audit::model::{Kind, Line, Trail},
    auth::{
        api_keys::{
            ApiKeys, Pepper,
            model::{ApiKey, NextSecret, Overlap, Scope, Verifier},
            port::Created,
        },
        error::AuthError,
    },
    testkit::ScriptedClock,
};
use veilcloud_embedded::Embedded;
use veilcore::{id::ApiKeyId, secret::Secret};
use veilsign::{api_key, capability::Actions};

use crate::support::{ACCOUNT, furnished, line, name, reopen};

const CREATED_MS: u64 = 1_000_000;
const EXPIRES_MS: u64 = 9_000_000;
const UNTIL_MS: u64 = 5_000_000;
const HERE: &str = "192.0.2.1";

fn pepper() -> Pepper {
    Pepper::new([6; 32])
}

fn secret(n: u8) -> api_key::ApiKey {
    api_key::ApiKey::from_secret(ApiKeyId::from_bytes([7; 16]), Secret::new([n; 32]))
}

fn about(kind: Kind) -> Line {
    Line { trail: Trail::Account(ACCOUNT), environment: None, ..line(kind) }
}

/// Keeps a key whose first secret is good until [`UNTIL_MS`] beside its second.
async fn keep(stores: &Embedded) {
    let unsealed = ApiKey {
        id: secret(1).id(),
        account: ACCOUNT,
        name: name("deploy"),
        scope: Scope {
            actions: Actions::PROJECT_READ,
            project: Some(crate::support::PROJECT),
            environments: vec![name("staging")],
            networks: vec!["192.0.2.0/24".parse().unwrap()],
        },
        record: None,
        generation: 1,
        verifier: Verifier([0; 32]),
        overlap: None,
        created_at_ms: CREATED_MS,
        expires_at_ms: EXPIRES_MS,
        revoked_at_ms: None,
        last_used_at_ms: None,
    };
    let verifier = pepper().seal(&unsealed, &secret(1).hash());
    let key = ApiKey { verifier, ..unsealed };
    let created = stores.api_keys().create_key(key.clone(), None, 9, 9, about(Kind::ApiKeyCreate)).await;
    assert_eq!(created.unwrap(), Created::Done);
    let next = NextSecret {
        generation: 1,
        verifier: pepper().seal(&key, &secret(2).hash()),
        half: None,
        overlap: Some(Overlap {
            verifier: pepper().ending(&verifier, UNTIL_MS),
            expires_at_ms: EXPIRES_MS,
            until_ms: UNTIL_MS,
            record: None,
        }),
        expires_at_ms: EXPIRES_MS,
    };
    let line = about(Kind::ApiKeyRotate);
    assert!(stores.api_keys().rotate_key(ACCOUNT, key.id, next, line).await.unwrap());
}

/// Whether each of the two secrets is good at this time.
async fn good(stores: &Embedded, at_ms: u64) -> [bool; 2] {
    let keys = ApiKeys::new(stores.api_keys(), Arc::new(ScriptedClock::at(at_ms)), pepper());
    let mut good = [false; 2];
    for (n, good) in (1..).zip(&mut good) {
        *good = match keys.authenticate(&secret(n).to_text(), HERE.parse().unwrap()).await {
            Ok(_) => true,
            Err(AuthError::Invalid | AuthError::Expired) => false,
            Err(other) => panic!("{other}"),
        };
    }
    good
}

#[tokio::test]
async fn an_edited_row_prolongs_neither_an_overlap_nor_a_key_and_widens_no_scope() {
    let (folder, stores) = furnished().await;
    keep(&stores).await;
    assert_eq!(good(&stores, CREATED_MS).await, [true, true]);
    assert_eq!(good(&stores, UNTIL_MS - 1).await, [true, true]);
    assert_eq!(good(&stores, UNTIL_MS).await, [false, true]);
    assert_eq!(good(&stores, EXPIRES_MS).await, [false, false]);
    stores.close().await;
    let file = folder.path().join("veilcloud.db");
    let columns =
        "expires_at_ms, actions, environments, networks, project, before_until_ms, before_expires_at_ms";
    for (edit, at_ms, expected) in [
        ("before_until_ms = before_until_ms + 1", UNTIL_MS - 1, [false, true]),
        ("before_until_ms = 8000000", UNTIL_MS, [false, true]),
        ("before_expires_at_ms = 99000000, before_until_ms = 8000000", UNTIL_MS, [false, true]),
        // The secret before is no current one, and a current one is none before.
        ("verifier = before_verifier", CREATED_MS, [true, false]),
        ("before_verifier = verifier", CREATED_MS, [false, true]),
        ("expires_at_ms = 99000000", EXPIRES_MS, [false, false]),
        ("expires_at_ms = 99000000", CREATED_MS, [true, false]),
        ("actions = actions * 2 + 1", CREATED_MS, [false, false]),
        ("environments = ''", CREATED_MS, [false, false]),
        ("environments = 'production'", CREATED_MS, [false, false]),
        ("networks = ''", CREATED_MS, [false, false]),
        ("project = NULL, environments = ''", CREATED_MS, [false, false]),
    ] {
        let conn = Connection::open(&file).unwrap();
        conn.execute_batch(&format!(
            "CREATE TABLE kept AS SELECT verifier, before_verifier, {columns} FROM api_keys;
             UPDATE api_keys SET {edit};"
        ))
        .unwrap();
        drop(conn);
        let stores = reopen(folder.path());
        assert_eq!(good(&stores, at_ms).await, expected, "{edit} at {at_ms}");
        stores.close().await;
        let conn = Connection::open(&file).unwrap();
        conn.execute_batch(&format!(
            "UPDATE api_keys SET (verifier, before_verifier, {columns}) =
                 (SELECT verifier, before_verifier, {columns} FROM kept);
             DROP TABLE kept;"
        ))
        .unwrap();
    }
    let stores = reopen(folder.path());
    assert_eq!(good(&stores, UNTIL_MS - 1).await, [true, true]);
    stores.close().await;
}
