//! A service token that is over has no share in any file: whoever gets the folder later, and every ciphertext with it, opens
//! nothing with the token.

use std::{fs, path::Path};

use rusqlite::Connection;
use sha2::{Digest, Sha256};
use veilcloud_domain::{
    audit::model::{Kind, Line, Trail},
    auth::api_keys::{
        model::{
            ApiKey, NextSecret, Overlap, Record, SEALED_SHARE_LEN, Scope, SealedShare, TokenHalf, Verifier,
        },
        port::Created,
    },
};
use veilcloud_embedded::Embedded;
use veilcore::id::ApiKeyId;
use veilsign::capability::Actions;

use crate::support::{ACCOUNT, furnished, line, name, reopen};

const CREATED_MS: u64 = 1_000_000;
const EXPIRES_MS: u64 = 9_000_000;
/// Enough for the rows to fill many pages and to move between them.
const TOKENS: u16 = 400;

fn about(kind: Kind) -> Line {
    Line { trail: Trail::Account(ACCOUNT), environment: None, ..line(kind) }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Ids in no order, so that rows come in between others.
fn id(n: u16) -> ApiKeyId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash(&format!("id {n}"))[..16]);
    ApiKeyId::from_bytes(bytes)
}

fn half(n: u16, generation: u32) -> TokenHalf {
    let mut share = [0; SEALED_SHARE_LEN];
    for (part, room) in share.chunks_mut(32).enumerate() {
        room.copy_from_slice(&hash(&format!("share {n} {generation} {part}"))[..room.len()]);
    }
    TokenHalf {
        generation,
        record: Record {
            bytes: vec![n.to_be_bytes()[1]; 125],
            digest: hash(&format!("record {n} {generation}")),
        },
        trust: vec![7; usize::from(n % 50) * 80 + 1],
        share: SealedShare(share),
    }
}

async fn create(stores: &Embedded, n: u16) {
    let half = half(n, 1);
    let key = ApiKey {
        id: id(n),
        account: ACCOUNT,
        name: name("ci"),
        scope: Scope {
            actions: Actions::PROJECT_READ,
            project: None,
            environments: Vec::new(),
            networks: Vec::new(),
        },
        record: Some(half.record.clone()),
        generation: 1,
        verifier: Verifier([1; 32]),
        overlap: None,
        created_at_ms: CREATED_MS,
        expires_at_ms: EXPIRES_MS,
        revoked_at_ms: None,
        last_used_at_ms: None,
    };
    let created = stores.api_keys().create_key(key, Some(half), 9999, 9999, about(Kind::ApiKeyCreate)).await;
    assert_eq!(created.unwrap(), Created::Done);
}

async fn revoke(stores: &Embedded, n: u16) {
    let line = about(Kind::ApiKeyRevoke);
    assert!(stores.api_keys().revoke_key(ACCOUNT, id(n), CREATED_MS, line).await.unwrap());
}

/// All bytes of all files of the folder.
fn everything(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { everything(&path) } else { fs::read(&path).unwrap() });
    }
    all
}

/// The tokens of `wanted` of whose shares any third is somewhere.
fn found(folder: &Path, wanted: &[(u16, u32)]) -> Vec<(u16, u32)> {
    let all = everything(folder);
    // Windows of eight bytes are looked up by their first, so that the folder is read once.
    let mut needles = std::collections::HashMap::<[u8; 8], (u16, u32)>::new();
    for (n, generation) in wanted {
        let share = half(*n, *generation).share.0;
        for part in share.chunks_exact(8) {
            needles.insert(part.try_into().unwrap(), (*n, *generation));
        }
    }
    let mut found: Vec<_> = all
        .windows(8)
        .filter_map(|window| needles.get(<&[u8; 8]>::try_from(window).unwrap()))
        .copied()
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[tokio::test]
async fn the_share_of_a_token_that_is_over_is_in_no_file() {
    let (folder, stores) = furnished().await;
    let folder = folder.path();
    for n in 0..TOKENS {
        create(&stores, n).await;
        // Something else comes between the rows now and then.
        if n % 100 == 0 {
            let used = (0..n).map(|other| (id(other), CREATED_MS)).collect();
            stores.api_keys().note_used(used).await.unwrap();
        }
    }
    let every: Vec<_> = (0..TOKENS).map(|n| (n, 1)).collect();
    assert_eq!(found(folder, &every), every, "what is searched for is found while it is there");

    // Revoked, one by one: gone when the answer comes.
    let revoked: Vec<_> = (0..TOKENS).filter(|n| n % 3 == 0).map(|n| (n, 1)).collect();
    for (n, _) in &revoked {
        revoke(&stores, *n).await;
    }
    assert_eq!(found(folder, &revoked), []);
    let left: Vec<_> = every.iter().copied().filter(|token| !revoked.contains(token)).collect();
    assert_eq!(found(folder, &left), left);

    // Rotated, with an overlap that ends, and without one.
    let overlap = Overlap {
        verifier: Verifier([1; 32]),
        expires_at_ms: EXPIRES_MS,
        until_ms: CREATED_MS + 10,
        record: Some(half(1, 1).record.digest),
    };
    for (n, overlap) in [(1, Some(overlap)), (2, None)] {
        let half = Some(half(n, 2));
        let verifier = Verifier([2; 32]);
        let next = NextSecret { generation: 1, verifier, half, overlap, expires_at_ms: EXPIRES_MS };
        let line = about(Kind::ApiKeyRotate);
        assert!(stores.api_keys().rotate_key(ACCOUNT, id(n), next, line).await.unwrap());
    }
    assert_eq!(found(folder, &[(1, 1), (1, 2), (2, 1), (2, 2)]), [(1, 1), (1, 2), (2, 2)]);
    assert_eq!(stores.api_keys().destroy_halves(CREATED_MS + 10, 100).await.unwrap(), 1);
    assert_eq!(found(folder, &[(1, 1), (1, 2), (2, 1), (2, 2)]), [(1, 2), (2, 2)]);

    // Expired, found by the sweep.
    let swept = stores.api_keys().destroy_halves(EXPIRES_MS, 100).await.unwrap();
    assert_eq!(swept, 100);
    assert_eq!(found(folder, &left).len(), left.len() - 2 - 100);
    stores.directory().delete_account(ACCOUNT, Vec::new()).await.unwrap();
    assert_eq!(found(folder, &every), []);
    assert_eq!(found(folder, &[(1, 2), (2, 2)]), []);
}

#[tokio::test]
async fn while_somebody_reads_the_past_the_next_write_makes_good_for_it() {
    let (folder, stores) = furnished().await;
    create(&stores, 1).await;
    let reader = Connection::open(folder.path().join("veilcloud.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM token_halves;").unwrap();
    revoke(&stores, 1).await;
    // Over for the server at once, and in the log's file as long as somebody reads the past.
    assert_eq!(stores.api_keys().half(id(1), 1).await.unwrap(), None);
    assert_eq!(found(folder.path(), &[(1, 1)]), [(1, 1)]);
    reader.execute_batch("COMMIT").unwrap();
    stores.api_keys().note_used(vec![(id(1), CREATED_MS)]).await.unwrap();
    assert_eq!(found(folder.path(), &[(1, 1)]), []);
}

#[tokio::test]
async fn a_token_survives_a_restart_and_its_end_too() {
    let (folder, stores) = furnished().await;
    create(&stores, 1).await;
    create(&stores, 2).await;
    revoke(&stores, 2).await;
    stores.close().await;
    let stores = reopen(folder.path());
    assert_eq!(stores.api_keys().half(id(1), 1).await.unwrap(), Some(half(1, 1)));
    assert_eq!(stores.api_keys().half(id(2), 1).await.unwrap(), None);
    assert_eq!(found(folder.path(), &[(1, 1), (2, 1)]), [(1, 1)]);
}
