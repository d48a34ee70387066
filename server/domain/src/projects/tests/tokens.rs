//! Service tokens: whom the server helps to open what, and when it no longer does.

use std::sync::Arc;

use async_trait::async_trait;
use veilcore::id::ApiKeyId;
use veilsign::capability::Actions;
use veilvault::{
    access::Principal,
    epoch::EpochKey,
    seal::{ExpectedKeyring, KeyringSeal},
    token_keyring::TokenKeyringError,
};

use super::name;
use crate::{
    audit::{
        Reads,
        model::{Event, Kind, Line, Trail},
        port::Outbox,
    },
    auth::{
        Caller,
        api_keys::{ApiKeys, NewSecret, error::ApiKeyError, model::Scope},
        error::AuthError,
    },
    clock::Rng,
    projects::{
        ProjectAccess,
        access::KeyringPart,
        error::ProjectsError,
        model::{Environment, Keyring},
        unlock::{UnlockError, Unlocked, Unlocking},
    },
    store::StoreError,
    testkit::{Person, SeededEntropy, Token, World},
};

const READ: Actions = Actions::PROJECT_READ;
const NONCE: [u8; 32] = [5; 32];

/// Alice's project with two environments, and a token for one of them whose keyring was added.
struct Scene {
    world: World,
    alice: Person,
    app: ProjectAccess,
    production: Environment,
    key: EpochKey,
    staging: Environment,
    token: Token,
}

fn scope(app: &ProjectAccess, environments: &[&str]) -> Scope {
    let environments = environments.iter().map(|text| name(text)).collect();
    Scope { actions: READ, project: Some(app.project()), environments, networks: Vec::new() }
}

async fn scene() -> Scene {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let app = world.project(&alice.caller(&world).await, "app").await;
    let (production, key) = world.environment(&alice, &app, "production").await;
    let (staging, _) = world.environment(&alice, &app, "staging").await;
    let token = world.token(&alice, [9; 16], scope(&app, &["production"])).await;
    let scene = Scene { world, alice, app, production, key, staging, token };
    scene.list(&[&scene.token]).await;
    scene.add(&scene.token, 1).await.unwrap();
    scene
}

impl Scene {
    async fn list(&self, tokens: &[&Token]) {
        let entries: Vec<_> = tokens.iter().map(|token| token.entry(READ, &[self.production.id])).collect();
        self.world.put_list(&self.alice, &self.app, &entries).await.unwrap();
    }

    async fn add(&self, token: &Token, list: u64) -> Result<(), ProjectsError> {
        let part = self.alice.token_keyring(&self.key, &self.production, 1, list, token);
        self.add_for(token.id(), part).await
    }

    async fn add_for(&self, id: ApiKeyId, part: Keyring) -> Result<(), ProjectsError> {
        let principal = Principal::ApiKey(id);
        self.world.projects.add_keyring(&self.app, &self.production.name, principal, part, false).await
    }

    async fn access(&self, caller: &Caller) -> Result<ProjectAccess, ProjectsError> {
        self.world.projects.authorize(caller, self.app.project(), READ).await
    }

    async fn unlock_at(&self, caller: &Caller, environment: &Environment) -> Result<Unlocked, UnlockError> {
        let access = self.access(caller).await?;
        self.world.unlocking.unlock(caller, &access, &environment.name, 0, &NONCE).await
    }

    async fn unlock(&self, token: &Token) -> Result<Unlocked, UnlockError> {
        let caller = self.world.by_token(token).await.unwrap();
        self.unlock_at(&caller, &self.production).await
    }

    /// What the token makes of the server's help.
    async fn open(&self, token: &Token, unlocked: &Unlocked) -> Result<EpochKey, TokenKeyringError> {
        let author_key = self.world.projects.author_key(self.alice.account).await.unwrap();
        let expected = ExpectedKeyring {
            project: self.app.project(),
            environment: self.production.id,
            epoch: 1,
            author: self.alice.account,
            author_key: &author_key,
        };
        token.open(&unlocked.given.keyring, &expected, &NONCE, &*unlocked.partial)
    }

    async fn rotate(&self, generation: u32, overlap_ms: u64) -> Token {
        let next = Token::draw(self.token.id(), generation + 1);
        let new = NewSecret {
            generation,
            secret_hash: next.bearer.hash(),
            token: Some(next.brought()),
            overlap_ms,
            lifetime_ms: None,
        };
        let caller = self.alice.caller(&self.world).await;
        self.world.api_keys.rotate(&caller, next.id(), new).await.unwrap();
        next
    }
}

fn check<T>(result: Result<T, ProjectsError>) -> String {
    match result {
        Err(ProjectsError::Keyring { check }) => check,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test]
async fn a_token_and_the_server_open_a_keyring_together_and_the_log_says_so() {
    let scene = scene().await;
    let unlocked = scene.unlock(&scene.token).await.unwrap();
    assert_eq!(scene.open(&scene.token, &unlocked).await.unwrap().recipient(), scene.key.recipient());
    assert!(unlocked.given.added && unlocked.given.seal.author == scene.alice.account);
    let epochs_own = KeyringSeal::peek(&unlocked.given.epoch_seal).unwrap();
    assert_eq!((&epochs_own.recipient, epochs_own.epoch), (scene.key.recipient(), 1));
    let events = scene.world.trail(Trail::Project(scene.app.project())).await;
    let line = &events.last().unwrap().line;
    assert_eq!((line.kind, line.environment, line.version), (Kind::KeyUnlock, Some(scene.production.id), 1));
    assert_eq!((line.actor, line.key), (scene.alice.account, Some(scene.token.id())));
    assert_eq!(line.digest, Some(unlocked.given.seal.digest));
    // The answer is good for this question only.
    let caller = scene.world.by_token(&scene.token).await.unwrap();
    let access = scene.access(&caller).await.unwrap();
    let other = scene.world.unlocking.unlock(&caller, &access, &scene.production.name, 1, &[6; 32]).await;
    let swapped = scene.open(&scene.token, &other.unwrap()).await;
    assert!(matches!(swapped, Err(TokenKeyringError::Answer(_))), "{:?}", swapped.err());
    // The keyring alone is given as well, and opens nothing without the server.
    let given = scene.world.projects.keyring(&access, &scene.production.name, 1).await.unwrap();
    assert!(given.added && given.keyring == unlocked.given.keyring);
}

#[tokio::test]
async fn only_a_token_with_a_keyring_in_its_scope_is_helped() {
    let scene = scene().await;
    let session = scene.alice.caller(&scene.world).await;
    let told = scene.unlock_at(&session, &scene.production).await;
    assert!(matches!(told, Err(UnlockError::Key(ApiKeyError::NoKey))));
    let caller = scene.world.by_token(&scene.token).await.unwrap();
    let denied = scene.unlock_at(&caller, &scene.staging).await;
    assert!(matches!(denied, Err(UnlockError::Projects(ProjectsError::Denied))));
    // A token of the whole project, which nothing was wrapped for; and one that is in no list.
    let whole = scene.world.token(&scene.alice, [8; 16], scope(&scene.app, &[])).await;
    for listed in [false, true] {
        if listed {
            scene.list(&[&scene.token, &whole]).await;
        }
        let missing = scene.unlock(&whole).await;
        let missing = matches!(missing, Err(UnlockError::Projects(ProjectsError::KeyringNotAdded)));
        assert!(missing, "{listed}");
    }
    // Out of the list, the keyring that is still there is not helped with.
    scene.list(&[&whole]).await;
    let unlisted = scene.unlock(&scene.token).await;
    assert!(matches!(unlisted, Err(UnlockError::Projects(ProjectsError::KeyringNotAdded))));
    let stale = scene.world.by_token(&whole).await.unwrap();
    let access = scene.access(&stale).await.unwrap();
    let later = scene.world.unlocking.unlock(&stale, &access, &scene.production.name, 2, &NONCE).await;
    assert!(matches!(later, Err(UnlockError::Projects(ProjectsError::EpochStale { current: 1 }))));
    let logged = scene.world.trail(Trail::Project(scene.app.project())).await;
    assert!(logged.iter().all(|event| event.line.kind != Kind::KeyUnlock));
}

#[tokio::test]
async fn a_revoked_or_expired_token_is_not_helped_even_by_a_caller_from_before() {
    let scene = scene().await;
    let caller = scene.world.by_token(&scene.token).await.unwrap();
    let session = scene.alice.caller(&scene.world).await;
    scene.world.api_keys.revoke(&session, scene.token.id()).await.unwrap();
    assert!(matches!(scene.world.by_token(&scene.token).await, Err(AuthError::Revoked)));
    let late = scene.unlock_at(&caller, &scene.production).await;
    assert!(matches!(late, Err(UnlockError::Key(ApiKeyError::OpensNothing))));
    // A list that still names it is refused, and one without it is made.
    let entry = scene.token.entry(READ, &[scene.production.id]);
    let listed = scene.world.put_list(&scene.alice, &scene.app, &[entry]).await;
    assert!(matches!(listed, Err(ProjectsError::AccessList { check }) if check == "entry_api_key"));
    assert_eq!(check(scene.add(&scene.token, 1).await), "principal");
    let state = scene.world.access_state(scene.app.project()).await;
    let records = scene.world.projects.api_key_records(&scene.app, &state.list).await.unwrap();
    assert_eq!(records, []);
    scene.list(&[]).await;
}

/// Ends a token at the moment when an unlock is written down.
struct EndsIt {
    outbox: Arc<dyn Outbox>,
    api_keys: Arc<ApiKeys>,
    session: Caller,
    token: ApiKeyId,
}

#[async_trait]
impl Outbox for EndsIt {
    async fn record(&self, line: Line) -> Result<u64, StoreError> {
        self.api_keys.revoke(&self.session, self.token).await.expect("it is revoked");
        self.outbox.record(line).await
    }

    async fn record_all(&self, lines: Vec<Line>) -> Result<Vec<u64>, StoreError> {
        self.outbox.record_all(lines).await
    }

    async fn pending(&self, trail: Trail, first: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.outbox.pending(trail, first, limit).await
    }

    async fn waiting(&self, after: Option<Trail>, limit: usize) -> Result<Vec<Trail>, StoreError> {
        self.outbox.waiting(after, limit).await
    }
}

#[tokio::test]
async fn a_token_that_ends_while_its_unlock_is_written_down_is_not_helped() {
    let scene = scene().await;
    let world = &scene.world;
    let outbox = Arc::new(EndsIt {
        outbox: world.ports.outbox.clone(),
        api_keys: world.api_keys.clone(),
        session: scene.alice.caller(world).await,
        token: scene.token.id(),
    });
    let reads = Reads::new(outbox, world.log.clone());
    let unlocking =
        Unlocking::new(world.projects.clone(), world.api_keys.clone(), reads, world.entropy.clone());
    let caller = world.by_token(&scene.token).await.unwrap();
    let access = scene.access(&caller).await.unwrap();
    let late = unlocking.unlock(&caller, &access, &scene.production.name, 0, &NONCE).await;
    assert!(matches!(late, Err(UnlockError::Key(ApiKeyError::OpensNothing))));
}

#[tokio::test]
async fn in_an_overlap_each_generation_opens_its_own_part() {
    let scene = scene().await;
    let second = scene.rotate(1, 5000).await;
    // The old one goes on; the new one has no part yet.
    assert!(scene.unlock(&scene.token).await.is_ok());
    assert!(matches!(
        scene.unlock(&second).await,
        Err(UnlockError::Projects(ProjectsError::KeyringNotAdded))
    ));
    scene.list(&[&second]).await;
    // The old record is in no list any more, so nothing new is wrapped for it.
    assert_eq!(check(scene.add(&scene.token, 2).await), "stanza");
    scene.add(&second, 2).await.unwrap();
    for token in [&scene.token, &second] {
        let unlocked = scene.unlock(token).await.unwrap();
        assert_eq!(scene.open(token, &unlocked).await.unwrap().recipient(), scene.key.recipient());
    }
    let own = scene.world.by_token(&scene.token).await.unwrap();
    let (key, generation, half) = scene.world.api_keys.own_key(&own).await.unwrap();
    let half = half.unwrap();
    assert_eq!((key.generation, generation, half.generation), (2, 1, 1));
    assert_eq!(half.trust, scene.token.brought().trust);
    // After it, the old half is swept away, and the new one stays.
    scene.world.clock.advance(5000);
    assert!(matches!(scene.world.by_token(&scene.token).await, Err(AuthError::Invalid)));
    assert_eq!(scene.world.api_keys.destroy_halves(10).await.unwrap(), 1);
    let late = scene.unlock_at(&own, &scene.production).await;
    assert!(matches!(late, Err(UnlockError::Key(ApiKeyError::OpensNothing))));
    assert!(scene.unlock(&second).await.is_ok());
    // Without an overlap the old half goes at once.
    let third = scene.rotate(2, 0).await;
    assert!(matches!(scene.world.by_token(&second).await, Err(AuthError::Invalid)));
    assert_eq!(scene.world.api_keys.destroy_halves(10).await.unwrap(), 0);
    assert!(scene.world.by_token(&third).await.is_ok());
}

#[tokio::test]
async fn a_part_for_a_token_is_one_that_the_server_can_help_with() {
    let scene = scene().await;
    let other = scene.world.token(&scene.alice, [8; 16], scope(&scene.app, &["production"])).await;
    scene.list(&[&scene.token, &other]).await;
    let of = |environment: &Environment, epoch, token: &Token| {
        scene.alice.token_keyring(&scene.key, environment, epoch, 2, token)
    };
    let good = || of(&scene.production, 1, &other);
    let add = async |part: Keyring| check(scene.add_for(other.id(), part).await);
    assert_eq!(add(of(&scene.production, 1, &scene.token)).await, "stanza");
    assert_eq!(add(of(&scene.staging, 1, &other)).await, "environment");
    let people = scene.alice.keyring_for(&scene.key, &scene.production, 1, 2, &[&scene.alice]);
    assert_eq!(add(people).await, "x25519_stanza_count");
    let mut file = good().file;
    *file.last_mut().unwrap() ^= 1;
    assert_eq!(add(Keyring { file, ..good() }).await, "digest");
    let lying =
        Keyring { access_list: 2, ..scene.alice.token_keyring(&scene.key, &scene.production, 1, 1, &other) };
    assert_eq!(add(lying).await, "access_list");
    let nobody = ApiKeyId::from_bytes([7; 16]);
    assert_eq!(check(scene.add_for(nobody, good()).await), "principal");
    // A keyring for a token is none for people.
    let principal = Principal::Account(scene.alice.account);
    let for_alice =
        scene.world.projects.add_keyring(&scene.app, &scene.production.name, principal, good(), false).await;
    assert!(check(for_alice).contains("stanza"));
    scene.add_for(other.id(), good()).await.unwrap();
    // Whoever wraps for the tokens of a list is given their records.
    let state = scene.world.access_state(scene.app.project()).await;
    let records = scene.world.projects.api_key_records(&scene.app, &state.list).await.unwrap();
    let expected = [&other, &scene.token].map(|token| (token.id(), token.key.record.encode()));
    assert_eq!(records, expected);
    assert_eq!(scene.world.projects.api_key_records(&scene.app, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_part_that_the_store_swapped_is_not_helped_with() {
    let scene = scene().await;
    let other = Token::draw(ApiKeyId::from_bytes([8; 16]), 1);
    let another_key = EpochKey::generate(&mut Rng(&SeededEntropy::new(78)));
    let made = |key, environment: &Environment, epoch, token: &Token| {
        scene.alice.token_keyring(key, environment, epoch, 1, token)
    };
    for keyring in [
        made(&scene.key, &scene.production, 1, &other),
        made(&scene.key, &scene.staging, 1, &scene.token),
        made(&another_key, &scene.production, 1, &scene.token),
        Keyring { epoch: 1, ..made(&scene.key, &scene.production, 2, &scene.token) },
    ] {
        let part = KeyringPart {
            environment: scene.production.id,
            principal: Principal::ApiKey(scene.token.id()),
            key: scene.token.key.record.fingerprint(),
            beside: None,
            keyring,
            replaces: true,
        };
        let line = Line {
            trail: Trail::Project(scene.app.project()),
            kind: Kind::KeyringAdd,
            actor: scene.alice.account,
            key: None,
            at_ms: 0,
            environment: Some(scene.production.id),
            version: 1,
            digest: None,
            by_number: false,
        };
        scene.world.ports.keyrings.add_part(part, line).await.unwrap().unwrap();
        let swapped = scene.unlock(&scene.token).await;
        let told = swapped.err();
        let damaged =
            matches!(told, Some(UnlockError::Projects(ProjectsError::Store(StoreError::Damaged { .. }))));
        assert!(damaged, "{told:?}");
    }
    let events = scene.world.trail(Trail::Project(scene.app.project())).await;
    assert!(events.iter().all(|event| event.line.kind != Kind::KeyUnlock));
}

#[tokio::test]
async fn a_token_listed_for_one_environment_gets_no_part_of_another() {
    let scene = scene().await;
    let wide = scene.world.token(&scene.alice, [8; 16], scope(&scene.app, &[])).await;
    let entries = [wide.entry(READ, &[scene.staging.id]), scene.token.entry(READ, &[scene.production.id])];
    scene.world.put_list(&scene.alice, &scene.app, &entries).await.unwrap();
    assert_eq!(check(scene.add(&wide, 2).await), "principal");
}

#[tokio::test]
async fn a_key_without_a_share_opens_nothing() {
    use crate::auth::api_keys::NewApiKey;
    let scene = scene().await;
    let bare = Token::draw(ApiKeyId::from_bytes([8; 16]), 1);
    let new = NewApiKey {
        id: bare.id(),
        name: name("plain"),
        secret_hash: bare.bearer.hash(),
        scope: scope(&scene.app, &[]),
        lifetime_ms: 1_000_000,
        token: None,
    };
    let session = scene.alice.caller(&scene.world).await;
    scene.world.api_keys.create(&session, new).await.unwrap();
    let refused = scene.unlock(&bare).await;
    assert!(matches!(refused, Err(UnlockError::Key(ApiKeyError::OpensNothing))));
    let caller = scene.world.by_token(&bare).await.unwrap();
    let access = scene.access(&caller).await.unwrap();
    let given = scene.world.projects.keyring(&access, &scene.production.name, 0).await.unwrap();
    assert!(!given.added);
    let (key, _, half) = scene.world.api_keys.own_key(&caller).await.unwrap();
    assert_eq!((key.record, half), (None, None));
    assert!(matches!(scene.world.api_keys.own_key(&session).await, Err(ApiKeyError::NoKey)));
}
