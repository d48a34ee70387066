//! A client with real keys. [`Person::register`] and [`Person::login`] (in `protocols.rs`) run the whole protocol,
//! password stretching included; [`Person::enroll`] is the short way for tests of other things.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use veilcore::{
    hash::{hb, sha256},
    id::{AccountId, EnvironmentId, ProjectId, SessionId},
    tag,
};
use veilsign::{
    capability::{Block, Capability, Grant, NEXT_NOBODY, attenuate},
    key::SigningKey,
    login::RECORD_LEN,
    proof::{body_hash, prove},
};
use veilvault::{
    account::{AccountRootKey, Factor, wrap},
    envelope::{self, Subject},
    epoch::EpochKey,
    identity::Identity,
    keyring::{KeyringSubject, seal_keyring},
    recovery::RecoveryCode,
};
use zeroize::Zeroizing;

use super::{SeededEntropy, World};
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::{
        Auth, Caller, SessionGrant,
        error::AuthError,
        model::{Account, Email, SESSIONS_MAX, Session, Tier},
    },
    clock::{Clock, Rng},
    projects::model::{Environment, Keyring},
    storage::{
        Put,
        model::{Digest, Precondition},
    },
};

/// Bytes that a person of [`Person::enroll`] may store.
const QUOTA_BYTES: u64 = 64 << 20;
/// The request that [`Person::caller`] proves.
const TARGET: &str = "/veilcloud.test.v1.TestService/Test";

/// A person and everything their client holds.
pub struct Person {
    /// Address.
    pub email: Email,
    /// Account id, drawn here.
    pub account: AccountId,
    /// Password in force.
    pub password: String,
    /// Recovery code in force.
    pub code: RecoveryCode,
    /// Identity keys.
    pub identity: Identity,
    /// Holder key of the session.
    pub holder: SigningKey,
    /// The session, once there is one.
    pub grant: Option<SessionGrant>,
    pub(super) ark: AccountRootKey,
    pub(super) entropy: SeededEntropy,
}

/// A version, sealed and ready to be put.
#[derive(Debug, Clone)]
pub struct SealedBlob {
    /// The age file.
    pub ciphertext: Bytes,
    /// The author's seal.
    pub seal: Vec<u8>,
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// What must be the current version for it to follow.
    pub precondition: Precondition,
}

impl SealedBlob {
    /// The put of this version.
    pub fn put(&self) -> Put {
        let (ciphertext, seal) = (self.ciphertext.clone(), self.seal.clone());
        Put { ciphertext, seal, precondition: self.precondition }
    }
}

impl Person {
    /// The root key, to compare with.
    pub fn ark(&self) -> &AccountRootKey {
        &self.ark
    }

    /// Draws the keys of a person. No two persons of one test run have the same, even with one address.
    pub fn new(email: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1000);
        let entropy = SeededEntropy::new(COUNT.fetch_add(1, Ordering::Relaxed));
        let mut rng = Rng(&entropy);
        let account = AccountId::from_bytes(crate::mint::random(&entropy));
        let ark = AccountRootKey::generate(&mut rng);
        Self {
            email: email.parse().expect("an address in a test is an address"),
            account,
            password: "correct horse battery staple".to_owned(),
            code: RecoveryCode::generate(&mut rng),
            identity: Identity::derive(&ark, account, 1),
            holder: SigningKey::generate(&mut rng),
            grant: None,
            ark,
            entropy,
        }
    }

    /// Puts account and session into the directory directly.
    pub async fn enroll(&mut self, world: &World) {
        let now_ms = world.clock.now_ms();
        let account = Account {
            id: self.account,
            email: self.email.clone(),
            display_name: String::new(),
            tier: Tier::Free,
            record: vec![0; RECORD_LEN],
            bundle: self.bundle(),
            password_wrap: self.wrapped(Factor::Password(&[7; 64])),
            recovery_wrap: self.wrapped(Factor::Recovery(&self.code)),
            revocation_epoch: 0,
            quota_bytes: QUOTA_BYTES,
            created_at_ms: now_ms,
            key_index: None,
        };
        let line = |kind| Line {
            trail: Trail::Account(self.account),
            kind,
            actor: self.account,
            at_ms: now_ms,
            environment: None,
            version: 0,
            digest: None,
            key: None,
            by_number: false,
        };
        let keys = Line {
            trail: Trail::Directory,
            version: 1,
            digest: Some(sha256(&account.bundle)),
            ..line(Kind::KeyPublish)
        };
        let directory = &world.ports.directory;
        let created = directory.create_account(account.clone(), vec![line(Kind::AccountCreate), keys]).await;
        assert!(created.expect("the store works"), "the address is free");
        let refresh_token = Zeroizing::new(self.random());
        let session = Session {
            id: SessionId::from_bytes(crate::mint::random(&self.entropy)),
            account: self.account,
            holder_pk: *self.holder.verifying_key().as_bytes(),
            refresh_hash: sha256(&refresh_token[..]),
            logged_in_at_ms: now_ms,
            expires_at_ms: now_ms + 30 * 24 * 3_600_000,
        };
        let record_hash = sha256(&account.record);
        let line = line(Kind::SessionOpen);
        let opened = directory.open_session(session.clone(), record_hash, SESSIONS_MAX, line).await;
        assert!(opened.expect("the store works"), "the account is there");
        let grant = world.auth.grant(&account, &session, Some(refresh_token));
        self.grant = Some(grant.expect("a session gets a capability"));
    }

    /// The session; panics when there is none.
    pub fn session(&self) -> &SessionGrant {
        self.grant.as_ref().expect("logged in before")
    }

    /// The proof of one request with this body.
    pub fn proof(&self, target: &str, body: &[u8], now_ms: u64) -> Vec<u8> {
        let proof = prove(&self.holder, &self.session().capability, target, body, now_ms, self.random());
        proof.expect("a target of a test fits")
    }

    /// Authenticates one request now.
    pub async fn try_caller(&self, world: &World) -> Result<Caller, AuthError> {
        let proof = self.proof(TARGET, b"", world.clock.now_ms());
        world.auth.authenticate(&self.session().capability, &proof, TARGET, body_hash(b"")).await
    }

    /// The caller of one request now.
    pub async fn caller(&self, world: &World) -> Caller {
        self.try_caller(world).await.expect("the session is good")
    }

    /// The session's capability, narrowed by its holder to these grants.
    pub fn narrowed(&self, grants: Vec<Grant>) -> Vec<u8> {
        let capability = Capability::decode(&self.session().capability).expect("the server's capability");
        let holder_pk = *self.holder.verifying_key().as_bytes();
        let expires_at_ms = self.session().expires_at_ms;
        let block = Block { expires_at_ms, holder_pk, next_pk: NEXT_NOBODY, grants };
        attenuate(&capability, &self.holder, &block).expect("narrower than the session's").encode()
    }

    /// The caller of one request now, with a capability narrowed to these grants.
    pub async fn narrowed_caller(&self, world: &World, grants: Vec<Grant>) -> Caller {
        let capability = self.narrowed(grants);
        let now_ms = world.clock.now_ms();
        let proof = prove(&self.holder, &capability, TARGET, b"", now_ms, self.random());
        let proof = proof.expect("a target of a test fits");
        let caller = world.auth.authenticate(&capability, &proof, TARGET, body_hash(b"")).await;
        caller.expect("the session is good")
    }

    /// The refresh token that is good now.
    pub fn refresh_token(&self) -> [u8; 32] {
        **self.session().refresh_token.as_ref().expect("a person keeps its token")
    }

    /// The holder key's signature over a refresh token and the hash of the next one.
    pub fn refresh_signature(&self, token: &[u8; 32], next_hash: &[u8; 32]) -> [u8; 64] {
        self.holder.sign(&hb(tag::REFRESH, &[("token", token), ("next", next_hash)]))
    }

    /// Renews the session with a next token drawn here.
    pub async fn refresh(&mut self, auth: &Auth) -> Result<(), AuthError> {
        let (token, next) = (self.refresh_token(), self.random());
        let next_hash = sha256(&next);
        let grant = auth.refresh(token, next_hash, self.refresh_signature(&token, &next_hash)).await?;
        self.grant = Some(SessionGrant { refresh_token: Some(Zeroizing::new(next)), ..grant });
        Ok(())
    }

    /// The signed account bundle.
    pub fn bundle(&self) -> Vec<u8> {
        self.identity.account_bundle(&self.code.verifier())
    }

    /// A new epoch key of an environment and the keyring that gives it to this person.
    pub fn keyring(&self, project: ProjectId, environment: EnvironmentId, epoch: u32) -> (EpochKey, Keyring) {
        let key = EpochKey::generate(&mut Rng(&self.entropy));
        let subject = KeyringSubject { project, environment, epoch, access_list: 0, created_at_ms: 1 };
        let members = [self.identity.recipient().clone()];
        let sealed = seal_keyring(&key, &subject, &members, &self.identity).expect("one member");
        (key, Keyring { epoch, file: sealed.file, seal: sealed.seal.to_vec(), access_list: 0 })
    }

    /// Seals content as the version after the environment's current one.
    pub fn seal(&self, environment: &Environment, key: &EpochKey, content: &[u8]) -> SealedBlob {
        let head = environment.head.as_ref();
        let subject = Subject {
            project: environment.project,
            environment: environment.id,
            version: head.map_or(1, |v| v.number + 1),
            parent: head.map(|v| v.digest.0),
            epoch: environment.epoch,
            created_at_ms: 1,
        };
        let sealed = envelope::seal_bytes(content, &subject, key, &self.identity);
        let sealed = sealed.expect("content of a test can be sealed");
        SealedBlob {
            ciphertext: sealed.ciphertext.into(),
            seal: sealed.sealed.seal.to_vec(),
            digest: Digest(sealed.sealed.digest),
            precondition: head.map_or(Precondition::First, |v| Precondition::Match(v.etag())),
        }
    }

    pub(super) fn wrapped(&self, factor: Factor<'_>) -> Vec<u8> {
        wrap(&self.ark, factor, &self.account, &mut Rng(&self.entropy)).as_bytes().to_vec()
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        crate::clock::Entropy::fill(&self.entropy, &mut bytes);
        bytes
    }
}
