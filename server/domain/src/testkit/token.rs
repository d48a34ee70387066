//! Service tokens, made and used as their clients do.

use std::net::{IpAddr, Ipv4Addr};

use veilcore::{
    id::{ApiKeyId, EnvironmentId},
    secret::Secret,
};
use veilsign::{api_key, capability::Actions};
use veilvault::{
    access::{AccessEntry, Principal},
    epoch::EpochKey,
    keyring::KeyringSubject,
    seal::ExpectedKeyring,
    token::{TokenKey, split, token_share},
    token_keyring::{TokenKeyringError, Unlock, open_token_keyring, seal_token_keyring},
};
use zeroize::Zeroizing;

use super::{Person, SeededEntropy, World};
use crate::{
    auth::{
        Caller,
        api_keys::{NewApiKey, NewToken, model::Scope},
        error::AuthError,
    },
    clock::Rng,
    projects::model::{Environment, Keyring},
};

/// A service token in the hands of its holder, with the server's share before it was given away.
pub struct Token {
    /// What is sent as a bearer.
    pub bearer: api_key::ApiKey,
    /// The split key.
    pub key: TokenKey,
}

impl Token {
    /// The token of this generation of a key. The same in, the same out.
    pub fn draw(id: ApiKeyId, generation: u32) -> Self {
        let seed = u64::from(id.as_bytes()[0]) * 100 + u64::from(generation);
        let secret = Secret::new([u8::try_from(seed % 251).unwrap_or(0); 32]);
        let key = split(id, generation, &mut Rng(&SeededEntropy::new(seed)));
        Self { bearer: api_key::ApiKey::from_secret(id, secret), key }
    }

    /// Its id.
    pub fn id(&self) -> ApiKeyId {
        self.bearer.id()
    }

    /// What its client brings to the server.
    pub fn brought(&self) -> NewToken {
        NewToken {
            record: self.key.record.encode(),
            share: Zeroizing::new(self.key.server.export().expose().to_vec()),
            trust: b"what only the holder reads".to_vec(),
        }
    }

    /// Its entry of an access list; no environments are all of them.
    pub fn entry(&self, actions: Actions, environments: &[EnvironmentId]) -> AccessEntry {
        let mut environments = environments.to_vec();
        environments.sort_unstable();
        AccessEntry {
            principal: Principal::ApiKey(self.id()),
            key: self.key.record.fingerprint(),
            actions: actions.bits(),
            team: None,
            environments,
        }
    }

    /// Opens a keyring with the server's part of it.
    pub fn open(
        &self,
        keyring: &Keyring,
        expected: &ExpectedKeyring<'_>,
        nonce: &[u8; 32],
        answer: &[u8],
    ) -> Result<EpochKey, TokenKeyringError> {
        let share = token_share(&self.key.token, &self.key.record).expect("its own share");
        let unlock = Unlock { share: &share, nonce, answer };
        let rng = &mut Rng(&SeededEntropy::new(7));
        open_token_keyring(&keyring.file, &keyring.seal, expected, &self.key.record, &unlock, rng)
    }
}

impl Person {
    /// A keyring of an epoch of this environment, by this person for a token, made for an access list.
    pub fn token_keyring(
        &self,
        key: &EpochKey,
        environment: &Environment,
        epoch: u32,
        access_list: u64,
        token: &Token,
    ) -> Keyring {
        let (project, environment) = (environment.project, environment.id);
        let subject = KeyringSubject { project, environment, epoch, access_list, created_at_ms: 1 };
        let rng = &mut Rng(&SeededEntropy::new(9));
        let sealed = seal_token_keyring(key, &subject, &token.key.record, &self.identity, rng);
        let sealed = sealed.expect("the record of a token");
        Keyring { epoch, file: sealed.file, seal: sealed.seal.to_vec(), access_list }
    }
}

impl World {
    /// A service token of this person.
    pub async fn token(&self, owner: &Person, id: [u8; 16], scope: Scope) -> Token {
        let token = Token::draw(ApiKeyId::from_bytes(id), 1);
        let new = NewApiKey {
            id: token.id(),
            name: "ci".parse().expect("a word is a name"),
            secret_hash: token.bearer.hash(),
            scope,
            lifetime_ms: 1_000_000,
            token: Some(token.brought()),
        };
        let caller = owner.caller(self).await;
        self.api_keys.create(&caller, new).await.expect("a token is made");
        token
    }

    /// Who shows this token's bearer.
    pub async fn by_token(&self, token: &Token) -> Result<Caller, AuthError> {
        let here = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        self.api_keys.authenticate(&token.bearer.to_text(), here).await
    }
}
