//! API keys.

use veilcore::id::{AccountId, ApiKeyId, ProjectId};
use veilsign::capability::Actions;

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    auth::{
        api_keys::{
            model::{
                ApiKey, NextSecret, Overlap, Record, SEALED_SHARE_LEN, Scope, SealedShare, TokenHalf,
                Verifier, line_about,
            },
            port::Created,
        },
        model::{Account, Ending, NewCredentials, NewRecovery},
    },
    page::PageArgs,
    testkit::Ports,
};

const LIFE_MS: u64 = 1_000_000;

pub(super) fn key(account: AccountId) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_bytes(bytes16()),
        account,
        name: name("deploy"),
        scope: Scope {
            actions: Actions::PROJECT_READ | Actions::AUDIT_READ,
            project: None,
            environments: Vec::new(),
            networks: Vec::new(),
        },
        record: None,
        generation: 1,
        verifier: Verifier(bytes32()),
        overlap: None,
        created_at_ms: NOW_MS,
        expires_at_ms: NOW_MS + LIFE_MS,
        revoked_at_ms: None,
        last_used_at_ms: None,
    }
}

pub(super) async fn create(ports: &Ports, key: &ApiKey, limit: u32, over: u32) -> Created {
    let line = line(Trail::Account(key.account), Kind::ApiKeyCreate);
    ports.api_keys.create_key(key.clone(), None, limit, over, line).await.expect("the store works")
}

fn half(generation: u32) -> TokenHalf {
    let record = Record { bytes: [bytes32(), bytes32()].concat(), digest: bytes32() };
    let mut share = [0; SEALED_SHARE_LEN];
    share[..32].copy_from_slice(&bytes32());
    TokenHalf { generation, record, trust: bytes32().to_vec(), share: SealedShare(share) }
}

/// A new key of this account that opens keyrings.
async fn create_token(ports: &Ports, account: AccountId) -> (ApiKey, TokenHalf) {
    let half = half(1);
    let key = ApiKey { record: Some(half.record.clone()), ..key(account) };
    let line = line(Trail::Account(account), Kind::ApiKeyCreate);
    let created = ports.api_keys.create_key(key.clone(), Some(half.clone()), 10, 10, line).await;
    assert_eq!(created.expect("the store works"), Created::Done);
    (key, half)
}

async fn half_of(ports: &Ports, id: ApiKeyId, generation: u32) -> Option<TokenHalf> {
    ports.api_keys.half(id, generation).await.expect("the store works")
}

async fn record_of(ports: &Ports, id: ApiKeyId, half: &TokenHalf, now_ms: u64) -> Option<Vec<u8>> {
    let absent = ApiKeyId::from_bytes(bytes16());
    let keys = vec![(absent, half.record.digest), (id, bytes32()), (id, half.record.digest)];
    let mut found = ports.api_keys.records(keys, now_ms).await.expect("the store works");
    assert!(found.len() <= 1 && found.iter().all(|(of, _)| *of == id));
    found.pop().map(|(_, record)| record)
}

async fn destroy(ports: &Ports, now_ms: u64, limit: usize) -> usize {
    ports.api_keys.destroy_halves(now_ms, limit).await.expect("the store works")
}

async fn somebody(ports: &Ports, email: &str) -> Account {
    let account = account(email);
    let created = ports.directory.create_account(account.clone(), Vec::new()).await;
    assert!(created.expect("the store works"));
    account
}

async fn rotate(ports: &Ports, key: &ApiKey, next: &NextSecret) -> bool {
    let line = line(Trail::Account(key.account), Kind::ApiKeyRotate);
    ports.api_keys.rotate_key(key.account, key.id, next.clone(), line).await.expect("the store works")
}

pub(super) async fn revoke(ports: &Ports, account: AccountId, id: ApiKeyId, at_ms: u64) -> bool {
    let line = line(Trail::Account(account), Kind::ApiKeyRevoke);
    ports.api_keys.revoke_key(account, id, at_ms, line).await.expect("the store works")
}

async fn found(ports: &Ports, id: ApiKeyId) -> Option<ApiKey> {
    let now = ports.api_keys.key(id).await.expect("the store works");
    let standing = ports.api_keys.key_standing(id).await.expect("the store works");
    if let (Some(key), Some(standing)) = (&now, &standing) {
        // What is in memory may miss only when the key was used.
        let known = ApiKey { last_used_at_ms: key.last_used_at_ms, ..standing.key.clone() };
        assert_eq!(*key, known);
    }
    assert_eq!(now.is_some(), standing.is_some());
    now
}

pub async fn a_key_comes_back_as_it_was_created(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let plain = key(alice.id);
    let full = ApiKey {
        scope: Scope {
            actions: Actions::PROJECT_WRITE,
            project: Some(ProjectId::from_bytes(bytes16())),
            environments: vec![name("production"), name("staging")],
            networks: ["192.0.2.0/24", "2001:db8::/32"].map(|text| text.parse().expect("a network")).to_vec(),
        },
        ..key(alice.id)
    };
    for key in [plain, full] {
        assert_eq!(found(&ports, key.id).await, None);
        assert_eq!(create(&ports, &key, 10, 10).await, Created::Done);
        assert_eq!(found(&ports, key.id).await, Some(key.clone()));
        let standing = ports.api_keys.key_standing(key.id).await.expect("the store works");
        assert_eq!(standing.expect("the key stands").tier, alice.tier);
    }
    let lines = ports.events(Trail::Account(alice.id)).await.expect("the trail is readable");
    assert_eq!(lines.len(), 2);
}

pub async fn an_id_is_taken_once_and_an_account_has_a_limit(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let bob = somebody(&ports, "bob@example.org").await;
    let first = key(alice.id);
    assert_eq!(create(&ports, &first, 2, 10).await, Created::Done);
    assert_eq!(create(&ports, &ApiKey { id: first.id, ..key(bob.id) }, 2, 10).await, Created::Taken);
    assert_eq!(create(&ports, &key(alice.id), 2, 10).await, Created::Done);
    assert_eq!(create(&ports, &key(alice.id), 2, 10).await, Created::Limit);
    assert_eq!(create(&ports, &key(bob.id), 2, 10).await, Created::Done);
    assert_eq!(create(&ports, &key(AccountId::from_bytes(bytes16())), 2, 10).await, Created::Gone);
    let lines = ports.events(Trail::Account(alice.id)).await.expect("the trail is readable");
    assert_eq!(lines.len(), 2, "what was refused leaves no line");
}

pub async fn keys_that_are_over_make_room_and_the_oldest_are_forgotten(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let at =
        |ms: u64| ApiKey { created_at_ms: NOW_MS + ms, expires_at_ms: NOW_MS + ms + 10, ..key(alice.id) };
    let (expired, revoked, third, fourth) = (at(0), at(20), at(21), at(40));
    assert_eq!(create(&ports, &expired, 1, 2).await, Created::Done);
    assert_eq!(create(&ports, &revoked, 1, 2).await, Created::Done);
    assert!(revoke(&ports, alice.id, revoked.id, NOW_MS + 21).await);
    assert_eq!(create(&ports, &third, 1, 2).await, Created::Done);
    assert!(found(&ports, expired.id).await.is_some() && found(&ports, revoked.id).await.is_some());
    assert_eq!(create(&ports, &fourth, 1, 2).await, Created::Done);
    assert_eq!(found(&ports, expired.id).await, None);
    assert!(found(&ports, revoked.id).await.is_some() && found(&ports, third.id).await.is_some());
}

pub async fn keys_are_paged_by_id_at_every_size(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let bob = somebody(&ports, "bob@example.org").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let own = key(alice.id);
        ids.push(own.id);
        create(&ports, &own, 10, 10).await;
        create(&ports, &key(bob.id), 10, 10).await;
    }
    ids.sort_unstable();
    for size in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page =
                ports.api_keys.keys(alice.id, PageArgs { after, size }).await.expect("the store works");
            assert!(page.items.len() <= size);
            seen.extend(page.items.iter().map(|key| key.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, ids, "size {size}");
    }
}

pub async fn a_rotation_replaces_the_secret_of_its_generation_only(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let bob = somebody(&ports, "bob@example.org").await;
    let own = key(alice.id);
    create(&ports, &own, 10, 10).await;
    let overlap = Overlap {
        verifier: own.verifier,
        expires_at_ms: own.expires_at_ms,
        until_ms: NOW_MS + 50,
        record: None,
    };
    let next = NextSecret {
        generation: 1,
        verifier: Verifier(bytes32()),
        half: None,
        overlap: Some(overlap),
        expires_at_ms: own.expires_at_ms + 7,
    };
    assert!(!rotate(&ports, &ApiKey { account: bob.id, ..own.clone() }, &next).await);
    assert!(!rotate(&ports, &own, &NextSecret { generation: 2, ..next.clone() }).await);
    assert_eq!(found(&ports, own.id).await, Some(own.clone()));
    assert!(rotate(&ports, &own, &next).await);
    let rotated = ApiKey {
        generation: 2,
        verifier: next.verifier,
        overlap: next.overlap,
        expires_at_ms: next.expires_at_ms,
        ..own.clone()
    };
    assert_eq!(found(&ports, own.id).await, Some(rotated));
    assert!(!rotate(&ports, &own, &next).await);
    assert!(revoke(&ports, alice.id, own.id, NOW_MS).await);
    assert!(!rotate(&ports, &own, &NextSecret { generation: 2, ..next }).await);
}

pub async fn a_revoked_key_is_seen_as_revoked_at_once(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let bob = somebody(&ports, "bob@example.org").await;
    let own = key(alice.id);
    create(&ports, &own, 10, 10).await;
    assert_eq!(found(&ports, own.id).await, Some(own.clone()));
    assert!(!revoke(&ports, bob.id, own.id, NOW_MS + 1).await);
    assert!(revoke(&ports, alice.id, own.id, NOW_MS + 2).await);
    let revoked = ApiKey { revoked_at_ms: Some(NOW_MS + 2), ..own.clone() };
    assert_eq!(found(&ports, own.id).await, Some(revoked.clone()));
    assert!(!revoke(&ports, alice.id, own.id, NOW_MS + 3).await);
    assert_eq!(found(&ports, own.id).await, Some(revoked));
    assert_eq!(create(&ports, &own, 10, 10).await, Created::Taken);
}

pub async fn when_a_key_was_used_only_goes_forward(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let (one, two) = (key(alice.id), key(alice.id));
    create(&ports, &one, 10, 10).await;
    create(&ports, &two, 10, 10).await;
    let absent = ApiKeyId::from_bytes(bytes16());
    let note =
        async |used: Vec<(ApiKeyId, u64)>| ports.api_keys.note_used(used).await.expect("the store works");
    note(vec![(one.id, NOW_MS + 5), (absent, NOW_MS), (two.id, NOW_MS + 6)]).await;
    note(vec![(one.id, NOW_MS + 4)]).await;
    note(Vec::new()).await;
    assert_eq!(found(&ports, one.id).await.and_then(|key| key.last_used_at_ms), Some(NOW_MS + 5));
    assert_eq!(found(&ports, two.id).await.and_then(|key| key.last_used_at_ms), Some(NOW_MS + 6));
}

pub async fn keys_go_with_their_account(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let own = key(alice.id);
    create(&ports, &own, 10, 10).await;
    assert!(found(&ports, own.id).await.is_some());
    ports.directory.delete_account(alice.id, Vec::new()).await.expect("the store works");
    assert_eq!(ports.api_keys.key_standing(own.id).await.expect("the store works"), None);
    assert_eq!(ports.api_keys.key(own.id).await.expect("the store works"), None);
}

pub async fn of_many_rotations_of_one_generation_one_wins(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let own = key(alice.id);
    create(&ports, &own, 10, 10).await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (ports, own) = (ports.clone(), own.clone());
            let next = NextSecret {
                generation: 1,
                verifier: Verifier(bytes32()),
                half: None,
                overlap: None,
                expires_at_ms: own.expires_at_ms,
            };
            tokio::spawn(async move { rotate(&ports, &own, &next).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += u32::from(task.await.expect("no writer panics"));
    }
    assert_eq!(won, 1);
    assert_eq!(found(&ports, own.id).await.map(|key| key.generation), Some(2));
}

pub async fn a_half_comes_with_its_generation_and_goes_with_it(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let (own, first) = create_token(&ports, alice.id).await;
    assert_eq!(found(&ports, own.id).await, Some(own.clone()));
    assert_eq!(half_of(&ports, own.id, 1).await, Some(first.clone()));
    assert_eq!(half_of(&ports, own.id, 2).await, None);
    assert_eq!(record_of(&ports, own.id, &first, NOW_MS).await, Some(first.record.bytes.clone()));
    let next = |generation: u32, half: Option<TokenHalf>, overlap: Option<Overlap>| NextSecret {
        generation,
        verifier: Verifier(bytes32()),
        half,
        overlap,
        expires_at_ms: own.expires_at_ms,
    };
    let overlap = Overlap {
        verifier: own.verifier,
        expires_at_ms: own.expires_at_ms,
        until_ms: NOW_MS + 50,
        record: Some(first.record.digest),
    };
    let second = half(2);
    let lost = NextSecret { generation: 7, ..next(1, Some(half(8)), None) };
    assert!(!rotate(&ports, &own, &lost).await);
    assert!(rotate(&ports, &own, &next(1, Some(second.clone()), Some(overlap))).await);
    let now = found(&ports, own.id).await.expect("it is there");
    assert_eq!((now.record, now.overlap), (Some(second.record.clone()), Some(overlap)));
    for (generation, half) in [(1, &first), (2, &second)] {
        assert_eq!(half_of(&ports, own.id, generation).await.as_ref(), Some(half), "{generation}");
        let record = record_of(&ports, own.id, half, NOW_MS).await;
        assert_eq!(record.as_ref(), Some(&half.record.bytes), "{generation}");
    }
    // The overlap ends: the half of before is destroyed, and no other.
    assert_eq!(destroy(&ports, NOW_MS + 49, 10).await, 0);
    assert_eq!(record_of(&ports, own.id, &first, NOW_MS + 50).await, None);
    assert_eq!(destroy(&ports, NOW_MS + 50, 10).await, 1);
    assert_eq!(half_of(&ports, own.id, 1).await, None);
    assert_eq!(half_of(&ports, own.id, 2).await, Some(second));
    let now = found(&ports, own.id).await.expect("it is there");
    assert_eq!(now.overlap.map(|overlap| overlap.record), Some(None));
    // The next one has no overlap, and is no token's.
    assert!(rotate(&ports, &own, &next(2, None, None)).await);
    assert_eq!((half_of(&ports, own.id, 2).await, half_of(&ports, own.id, 3).await), (None, None));
    assert_eq!(found(&ports, own.id).await.map(|key| key.record), Some(None));
}

pub async fn halves_are_destroyed_when_their_key_is_over(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let (revoked, revoked_half) = create_token(&ports, alice.id).await;
    let (expired, expired_half) = create_token(&ports, alice.id).await;
    let (other, other_half) = create_token(&ports, alice.id).await;
    assert!(revoke(&ports, alice.id, revoked.id, NOW_MS + 1).await);
    assert_eq!(half_of(&ports, revoked.id, 1).await, None);
    assert_eq!(record_of(&ports, revoked.id, &revoked_half, NOW_MS).await, None);
    assert_eq!(found(&ports, revoked.id).await.map(|key| key.record), Some(None));
    // Nothing was left for the sweep, and nobody else's went.
    assert_eq!(destroy(&ports, NOW_MS + 1, 10).await, 0);
    assert_eq!(half_of(&ports, expired.id, 1).await, Some(expired_half.clone()));
    let over_ms = NOW_MS + LIFE_MS;
    assert_eq!(record_of(&ports, expired.id, &expired_half, over_ms - 1).await.map(|r| r.len()), Some(64));
    assert_eq!(record_of(&ports, expired.id, &expired_half, over_ms).await, None);
    // A few at a time.
    assert_eq!(destroy(&ports, over_ms, 1).await, 1);
    assert_eq!(destroy(&ports, over_ms, 1).await, 1);
    assert_eq!(destroy(&ports, over_ms, 1).await, 0);
    for (key, half) in [(&expired, &expired_half), (&other, &other_half)] {
        assert_eq!(half_of(&ports, key.id, 1).await, None);
        assert_eq!(record_of(&ports, key.id, half, NOW_MS).await, None);
        assert_eq!(found(&ports, key.id).await.map(|key| key.record), Some(None));
    }
    let (last, _) = create_token(&ports, alice.id).await;
    ports.directory.delete_account(alice.id, Vec::new()).await.expect("the store works");
    assert_eq!(half_of(&ports, last.id, 1).await, None);
}

pub async fn an_id_is_never_given_out_again(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let bob = somebody(&ports, "bob@example.org").await;
    let swept = ApiKey { expires_at_ms: NOW_MS + 1, ..key(alice.id) };
    assert_eq!(create(&ports, &swept, 10, 0).await, Created::Done);
    let next = ApiKey { created_at_ms: NOW_MS + 2, ..key(alice.id) };
    assert_eq!(create(&ports, &next, 10, 0).await, Created::Done);
    assert_eq!(ports.api_keys.key(swept.id).await.expect("the store works"), None);
    for account in [alice.id, bob.id] {
        let again = ApiKey { id: swept.id, ..key(account) };
        assert_eq!(create(&ports, &again, 10, 10).await, Created::Taken);
    }
    ports.directory.delete_account(alice.id, Vec::new()).await.expect("the store works");
    for id in [swept.id, next.id] {
        assert_eq!(create(&ports, &ApiKey { id, ..key(bob.id) }, 10, 10).await, Created::Taken);
    }
    // A refused creation gives no id out.
    let refused = key(bob.id);
    assert_eq!(create(&ports, &refused, 0, 10).await, Created::Limit);
    assert_eq!(create(&ports, &refused, 10, 10).await, Created::Done);
}

pub async fn a_recovery_revokes_every_key_and_a_new_password_none(ports: Ports) {
    let alice = somebody(&ports, "alice@example.org").await;
    let bob = somebody(&ports, "bob@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let (first, second) = (key(alice.id), ApiKey { generation: 3, ..key(alice.id) });
    let ended = ApiKey { expires_at_ms: NOW_MS, created_at_ms: NOW_MS - 1, ..key(alice.id) };
    let others = key(bob.id);
    for key in [&first, &second, &ended, &others] {
        assert_eq!(create(&ports, key, 10, 10).await, Created::Done);
        assert!(found(&ports, key.id).await.is_some_and(|key| key.revoked_at_ms.is_none()));
    }
    let replace = async |recovery, ending, kind| {
        let now = ports.directory.account(alice.id).await.expect("the store works").expect("she is there");
        let new = NewCredentials { record: bytes32().repeat(6), password_wrap: vec![1; 74], recovery };
        let lines = vec![line(Trail::Account(alice.id), kind)];
        let hash = veilcore::hash::sha256(&now.record);
        let replaced = ports.directory.replace_credentials(alice.id, hash, new, ending, lines).await;
        assert!(replaced.expect("the store works"));
    };
    replace(None, Ending::AllBut(session.id), Kind::PasswordChange).await;
    for key in [&first, &second] {
        assert!(found(&ports, key.id).await.is_some_and(|key| key.revoked_at_ms.is_none()));
    }
    let before = events(&ports, Trail::Account(alice.id)).await.len();
    let recovery = NewRecovery { bundle: vec![3; 185], wrap: vec![4; 74] };
    replace(Some(recovery), Ending::All, Kind::AccountRecover).await;
    for key in [&first, &second] {
        assert!(found(&ports, key.id).await.is_some_and(|key| key.revoked_at_ms == Some(NOW_MS)));
    }
    for key in [&ended, &others] {
        assert!(found(&ports, key.id).await.is_some_and(|key| key.revoked_at_ms.is_none()));
    }
    let told: Vec<_> = events(&ports, Trail::Account(alice.id)).await.split_off(before);
    assert_eq!(told[0].line.kind, Kind::AccountRecover);
    let mut revoked: Vec<_> = told[1..].iter().map(|event| event.line.clone()).collect();
    revoked.sort_by_key(|line| line.version);
    let expected =
        [&first, &second].map(|key| line_about(Kind::ApiKeyRevoke, alice.id, key.id, key.generation, NOW_MS));
    assert_eq!(revoked, expected);
    assert!(!revoke(&ports, alice.id, first.id, NOW_MS).await);
}
