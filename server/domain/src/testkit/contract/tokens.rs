//! API keys in access lists, and the parts of keyrings that are theirs.

use veilcore::{
    hash::sha256,
    id::{AccountId, ApiKeyId, EnvironmentId, TeamId},
};
use veilsign::capability::Actions;
use veilvault::access::{AccessEntry, Principal};

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    auth::{
        api_keys::{
            model::{
                ApiKey, NextSecret, Overlap, Record, SEALED_SHARE_LEN, Scope, SealedShare, TokenHalf,
                Verifier,
            },
            port::Created,
        },
        model::Account,
    },
    projects::{
        access::{AccessChange, AccessRefusal, EntryFault, KeyringPart, KeyringRefusal, Share, ShareChange},
        model::{Environment, Project},
    },
    teams::{
        model::{MEMBERS_MAX, Role, Seat, TEAMS_MAX, Team},
        port::{By, Changed},
    },
    testkit::Ports,
};

const READ: Actions = Actions::PROJECT_READ;
const WRITE: Actions = Actions::PROJECT_WRITE;
const LIFE_MS: u64 = 1_000_000;

/// Alice's project, shared with a team that bob is in.
struct Scene {
    ports: Ports,
    alice: Account,
    bob: Account,
    app: Project,
    production: Environment,
    team: TeamId,
}

async fn scene(ports: Ports) -> Scene {
    let (alice, app, production) = place(&ports).await;
    let bob = new_account(&ports, "bob@example.org").await;
    let team = TeamId::from_bytes(bytes16());
    let made = Team {
        id: team,
        name: name("ops"),
        owner: alice.id,
        threshold: 0,
        created_at_ms: NOW_MS,
        member_count: 1,
    };
    let line = |kind| super::sample::line(Trail::Account(alice.id), kind);
    let created = ports.roster.create_team(made, TEAMS_MAX, line(Kind::TeamCreate)).await;
    assert_eq!(created.expect("the store works"), Changed::Done);
    let seat = Seat { account: bob.id, role: Role::Member, added_at_ms: NOW_MS };
    let by = By { account: alice.id, least: Role::Admin };
    let added = ports.roster.add_member(team, by, seat, MEMBERS_MAX, vec![line(Kind::MemberAdd)]).await;
    assert_eq!(added.expect("the store works"), Changed::Done);
    Scene { ports, alice, bob, app, production, team }
}

fn half(generation: u32) -> TokenHalf {
    let record = Record { bytes: bytes32().to_vec(), digest: bytes32() };
    TokenHalf { generation, record, trust: vec![1], share: SealedShare([2; SEALED_SHARE_LEN]) }
}

impl Scene {
    fn scope(&self, actions: Actions, environments: &[&str]) -> Scope {
        let environments = environments.iter().map(|text| name(text)).collect();
        Scope { actions, project: Some(self.app.id), environments, networks: Vec::new() }
    }

    /// A token of this account, with its digest.
    async fn token(&self, account: AccountId, scope: Scope) -> (ApiKeyId, [u8; 32]) {
        let half = half(1);
        let digest = half.record.digest;
        (self.key(account, scope, Some(half)).await, digest)
    }

    async fn key(&self, account: AccountId, scope: Scope, half: Option<TokenHalf>) -> ApiKeyId {
        let key = ApiKey {
            id: ApiKeyId::from_bytes(bytes16()),
            account,
            name: name("ci"),
            scope,
            record: half.as_ref().map(|half| half.record.clone()),
            generation: 1,
            verifier: Verifier(bytes32()),
            overlap: None,
            created_at_ms: NOW_MS,
            expires_at_ms: NOW_MS + LIFE_MS,
            revoked_at_ms: None,
            last_used_at_ms: None,
        };
        let (id, line) = (key.id, line(Trail::Account(account), Kind::ApiKeyCreate));
        let created = self.ports.api_keys.create_key(key, half, 100, 100, line).await;
        assert_eq!(created.expect("the store works"), Created::Done);
        id
    }

    fn bobs(&self, actions: Actions) -> AccessEntry {
        AccessEntry {
            principal: Principal::Account(self.bob.id),
            key: sha256(&self.bob.bundle),
            actions: actions.bits(),
            team: Some(self.team),
            environments: Vec::new(),
        }
    }

    /// What making the first list of these entries meets at this moment; it shares the project with bob's team.
    fn change(&self, entries: &[AccessEntry], at_ms: u64) -> AccessChange {
        AccessChange {
            project: self.app.id,
            author: self.alice.id,
            number: 1,
            list: bytes32().to_vec(),
            entries: entries.to_vec(),
            share: ShareChange::Set(Share {
                team: self.team,
                actions: READ | WRITE,
                by: self.alice.id,
                at_ms,
            }),
            gives: Actions::NONE,
            takes: false,
            at_ms,
        }
    }

    async fn make(&self, change: AccessChange) -> Result<(), AccessRefusal> {
        let lines = vec![line(Trail::Project(self.app.id), Kind::AccessList)];
        self.ports.grants.change_access(change, lines).await.expect("the store works")
    }

    async fn fault(&self, entries: &[AccessEntry]) -> EntryFault {
        match self.make(self.change(entries, NOW_MS)).await {
            Err(AccessRefusal::Entry(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }

    async fn revoke(&self, account: AccountId, id: ApiKeyId) {
        let line = line(Trail::Account(account), Kind::ApiKeyRevoke);
        let revoked = self.ports.api_keys.revoke_key(account, id, NOW_MS, line).await;
        assert!(revoked.expect("the store works"));
    }
}

fn entry((id, key): (ApiKeyId, [u8; 32]), actions: Actions, environments: &[EnvironmentId]) -> AccessEntry {
    AccessEntry {
        principal: Principal::ApiKey(id),
        key,
        actions: actions.bits(),
        team: None,
        environments: environments.to_vec(),
    }
}

pub async fn an_api_key_is_listed_with_what_it_is_and_no_more(ports: Ports) {
    let scene = scene(ports).await;
    let production = scene.production.id;
    let staging = environment(scene.app.id, "staging");
    let line = line(Trail::Project(scene.app.id), Kind::EnvironmentCreate);
    let created = scene.ports.catalog.create_environment(staging.clone(), keyring(1), 10, line).await;
    assert_eq!(created.expect("the store works"), crate::projects::port::Written::Done);
    let token = scene.token(scene.alice.id, scene.scope(READ, &["production"])).await;
    let whole = scene.token(scene.alice.id, scene.scope(READ, &[])).await;
    let bearer = scene.key(scene.alice.id, scene.scope(READ, &[]), None).await;
    let revoked = scene.token(scene.alice.id, scene.scope(READ, &[])).await;
    scene.revoke(scene.alice.id, revoked.0).await;
    let elsewhere =
        Scope { project: Some(veilcore::id::ProjectId::from_bytes(bytes16())), ..scene.scope(READ, &[]) };
    let elsewhere = scene.token(scene.alice.id, elsewhere).await;
    let absent = (ApiKeyId::from_bytes(bytes16()), bytes32());
    let gone = EnvironmentId::from_bytes(bytes16());
    for (entry, expected) in [
        (entry(absent, READ, &[]), EntryFault::ApiKey),
        (entry(revoked, READ, &[]), EntryFault::ApiKey),
        (entry((bearer, bytes32()), READ, &[]), EntryFault::ApiKey),
        (entry((whole.0, bytes32()), READ, &[]), EntryFault::Key),
        (entry((whole.0, token.1), READ, &[]), EntryFault::Key),
        (AccessEntry { team: Some(scene.team), ..entry(whole, READ, &[]) }, EntryFault::Team),
        (entry(elsewhere, READ, &[]), EntryFault::Scope),
        (entry(whole, READ | WRITE, &[]), EntryFault::Scope),
        (entry(token, READ, &[]), EntryFault::Environments),
        (entry(token, READ, &[staging.id]), EntryFault::Environments),
        (entry(token, READ, &[production, staging.id]), EntryFault::Environments),
    ] {
        assert_eq!(scene.fault(std::slice::from_ref(&entry)).await, expected, "{entry:?}");
    }
    let late = scene.make(scene.change(&[entry(whole, READ, &[])], NOW_MS + LIFE_MS)).await;
    assert_eq!(late, Err(AccessRefusal::Entry(EntryFault::ApiKey)));
    // An environment that is gone opens nothing and keeps no list from being made.
    let good = [entry(token, READ, &[production, gone]), entry(whole, READ, &[staging.id])];
    assert_eq!(scene.make(scene.change(&good, NOW_MS)).await, Ok(()));
}

pub async fn an_api_key_is_listed_with_no_more_than_its_account_has_in_the_same_list(ports: Ports) {
    let scene = scene(ports).await;
    let token = scene.token(scene.bob.id, scene.scope(READ | WRITE, &[])).await;
    let stranger = new_account(&scene.ports, "mallory@example.org").await;
    let strangers = scene.token(stranger.id, scene.scope(READ, &[])).await;
    for (entries, expected) in [
        (vec![entry(token, READ, &[])], EntryFault::Member),
        (vec![scene.bobs(WRITE), entry(token, WRITE, &[])], EntryFault::Member),
        (vec![scene.bobs(READ), entry(token, READ | WRITE, &[])], EntryFault::Actions),
        (vec![scene.bobs(READ), entry(strangers, READ, &[])], EntryFault::Member),
    ] {
        assert_eq!(scene.fault(&entries).await, expected, "{entries:?}");
    }
    let good = [scene.bobs(READ | WRITE), entry(token, READ | WRITE, &[])];
    assert_eq!(scene.make(scene.change(&good, NOW_MS)).await, Ok(()));
    // Who loses the project takes their keys with them.
    let next = AccessChange {
        number: 2,
        share: ShareChange::Keep,
        ..scene.change(&[entry(token, READ, &[])], NOW_MS)
    };
    assert_eq!(scene.make(next).await, Err(AccessRefusal::Entry(EntryFault::Member)));
}

pub async fn both_records_of_an_overlap_can_be_listed_until_it_ends(ports: Ports) {
    let scene = scene(ports).await;
    let (id, first) = scene.token(scene.alice.id, scene.scope(READ, &[])).await;
    let second = half(2);
    let next = NextSecret {
        generation: 1,
        verifier: Verifier(bytes32()),
        half: Some(second.clone()),
        overlap: Some(Overlap {
            verifier: Verifier(bytes32()),
            expires_at_ms: NOW_MS + LIFE_MS,
            until_ms: NOW_MS + 50,
            record: Some(first),
        }),
        expires_at_ms: NOW_MS + LIFE_MS,
    };
    let rotated = line(Trail::Account(scene.alice.id), Kind::ApiKeyRotate);
    let rotated = scene.ports.api_keys.rotate_key(scene.alice.id, id, next, rotated).await;
    assert!(rotated.expect("the store works"));
    let of = |digest, number, at_ms| AccessChange {
        number,
        share: ShareChange::Keep,
        ..scene.change(&[entry((id, digest), READ, &[])], at_ms)
    };
    assert_eq!(scene.make(of(first, 1, NOW_MS + 49)).await, Ok(()));
    let over = scene.make(of(first, 2, NOW_MS + 50)).await;
    assert_eq!(over, Err(AccessRefusal::Entry(EntryFault::Key)));
    assert_eq!(scene.make(of(second.record.digest, 2, NOW_MS + 50)).await, Ok(()));
}

pub async fn a_key_has_a_part_for_each_record_that_is_good(ports: Ports) {
    let scene = scene(ports).await;
    let key = Principal::ApiKey(ApiKeyId::from_bytes(bytes16()));
    let (first, second, third) = (bytes32(), bytes32(), bytes32());
    let part = |key_digest, beside, replaces| KeyringPart {
        environment: scene.production.id,
        principal: key,
        key: key_digest,
        beside,
        keyring: keyring(1),
        replaces,
    };
    let add = async |part: &KeyringPart| {
        let line = line(Trail::Project(scene.app.id), Kind::KeyringAdd);
        scene.ports.keyrings.add_part(part.clone(), line).await.expect("the store works")
    };
    let found = async |digest| {
        let found = scene.ports.keyrings.part(scene.production.id, 1, key, Some(digest)).await;
        found.expect("the store works")
    };
    let old = part(first, None, false);
    assert_eq!(add(&old).await, Ok(()));
    let new = part(second, Some(first), false);
    assert_eq!(add(&new).await, Ok(()));
    assert_eq!(found(first).await.as_ref(), Some(&old.keyring));
    assert_eq!(found(second).await.as_ref(), Some(&new.keyring));
    // A part that its author spoilt is replaced by whoever asks for that, and by nobody else.
    assert_eq!(add(&part(second, Some(first), false)).await, Err(KeyringRefusal::Exists));
    let repaired = part(second, Some(first), true);
    assert_eq!(add(&repaired).await, Ok(()));
    assert_eq!(found(first).await.as_ref(), Some(&old.keyring));
    assert_eq!(found(second).await, Some(repaired.keyring));
    // The next rotation leaves only the two that are good.
    assert_eq!(add(&part(third, Some(second), false)).await, Ok(()));
    assert_eq!(found(first).await, None);
    assert!(found(second).await.is_some() && found(third).await.is_some());
    let logged = kinds(&scene.ports, Trail::Project(scene.app.id)).await;
    assert_eq!(logged.iter().filter(|kind| **kind == Kind::KeyringAdd).count(), 4);
}
