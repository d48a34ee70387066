//! A client with a service token in the place of a login: calls carry the API key, content is opened with the share and the
//! server's help (docs/spec/vault.md, section 13). What must never happen: the share in a message, or a server telling a
//! machine without a past whose project it reads.

use std::sync::Arc;

use rand_core::{OsRng, RngCore};
use veilcloud_proto::{auth::v1 as auth, projects::v1 as pb};
use veilcore::id::{AccountId, ApiKeyId};
use veilkey::key::KeyRecord;
use veilkey::share::SecretShare;
use veilsign::service_token::ServiceToken;
use veilvault::seal::{ExpectedKeyring, KeyringSeal, SealError};
use veilvault::token;
use veilvault::token_keyring::{TokenKeyringError, UNLOCK_NONCE_LEN, Unlock, open_token_keyring};
use veilvault::token_trust::TokenTrust;
use zeroize::Zeroizing;

use crate::access::{HANDS_ON, Home, WRITES};
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::keys::{KnownKey, Place};
use crate::projects::Project;
use crate::times;
use crate::transport::{blocking, rpc};

/// A service token, and what the server keeps for it once that was asked for and checked.
pub(crate) struct TokenAccess {
    token: ServiceToken,
    own: futures_util::lock::Mutex<Option<Arc<OwnToken>>>,
}

/// What a token is good for, checked with its share.
pub(crate) struct OwnToken {
    record: KeyRecord,
    share: SecretShare,
    pub(crate) trust: TokenTrust,
}

impl OwnToken {
    /// The project that it reads, as its maker saw it.
    pub(crate) fn project(&self) -> Project {
        Project {
            id: self.trust.project,
            name: self.trust.project_name.clone(),
            owner_id: self.trust.owner,
            created_at: times::from_ms(self.trust.project_created_at_ms),
            environment_count: u32::try_from(self.trust.environments.len()).unwrap_or(u32::MAX),
            permissions: vec!["project:read".to_owned()],
        }
    }
}

impl TokenAccess {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let token = ServiceToken::parse(text.trim()).map_err(|e| Error::invalid("service token", e))?;
        Ok(Self { token, own: futures_util::lock::Mutex::default() })
    }

    /// What is sent.
    pub(crate) fn bearer(&self) -> Zeroizing<String> {
        self.token.bearer().to_text()
    }
}

impl Client {
    /// What this client's token is good for; None when it has none. The first time the server is asked, what it says is
    /// checked with the share, and what the token's maker trusted is pinned.
    pub(crate) async fn own_token(&self) -> Result<Option<Arc<OwnToken>>> {
        let Some(access) = &self.inner().token else { return Ok(None) };
        let mut own = access.own.lock().await;
        if let Some(known) = &*own {
            return Ok(Some(Arc::clone(known)));
        }
        let answer: auth::GetOwnApiKeyResponse =
            self.call(&rpc::GET_OWN_API_KEY, &auth::GetOwnApiKeyRequest {}).await?;
        let found = Arc::new(read(&access.token, &answer)?);
        self.believe(&found.trust).await?;
        *own = Some(Arc::clone(&found));
        Ok(Some(found))
    }

    /// Pins what the token's maker trusted. What this machine has seen before must not contradict it.
    async fn believe(&self, trust: &TokenTrust) -> Result<()> {
        self.seed_trust(&trust.log_name, trust.log_keys.clone(), trust.witnesses).await?;
        let (project, owner) = (trust.project, trust.owner);
        let (owner_key, list) = (trust.owner_key, (trust.list, trust.list_digest));
        self.change_pins(move |pins| {
            let known = pins.access.know_owner(project, owner, owner_key);
            let noted = known.and_then(|known| {
                // What was seen since is newer than the token.
                let is_newer = pins.access.get(project).is_some_and(|pin| pin.number > list.0);
                let advanced =
                    if is_newer { Ok(false) } else { pins.access.advance(project, owner, list, 0) };
                advanced.map(|advanced| known || advanced)
            });
            noted.map_err(|reason| Error::integrity(reason, format!("the token's project {project}")))
        })
        .await?;
        for (id, name) in &trust.environments {
            self.pin_name(project, name, *id).await?;
        }
        Ok(())
    }

    /// The key of an epoch, opened with the token's share and the server's.
    pub(crate) async fn token_key(&self, home: Home, place: Place, name: &str) -> Result<KnownKey> {
        let own = self.own_token().await?.ok_or(Error::NotLoggedIn)?;
        let (project, environment, epoch) = place;
        let mut nonce = [0; UNLOCK_NONCE_LEN];
        OsRng.fill_bytes(&mut nonce);
        let request = pb::UnlockKeyringRequest {
            project_id: project.to_string(),
            name: name.to_owned(),
            epoch,
            nonce: nonce.to_vec(),
        };
        let answer: pb::UnlockKeyringResponse = self.call(&rpc::UNLOCK_KEYRING, &request).await?;
        let keyring = times::present(answer.keyring, &rpc::UNLOCK_KEYRING)?;
        let author: AccountId = times::id(&answer.author_id, &rpc::UNLOCK_KEYRING)?;
        let author_key = self.author_key(home, author, HANDS_ON, None).await?;
        let partial = Zeroizing::new(answer.partial);
        let opened = blocking(move || {
            let expected = ExpectedKeyring { project, environment, epoch, author, author_key: &author_key };
            let unlock = Unlock { share: &own.share, nonce: &nonce, answer: &partial };
            let (file, seal) = (&keyring.file, &keyring.seal);
            let key = open_token_keyring(file, seal, &expected, &own.record, &unlock, &mut OsRng)?;
            // Checked with the rest of the keyring.
            Ok((key, KeyringSeal::peek(seal)?))
        });
        let refused = |reason| Error::integrity(reason, format!("the keyring of {name}"));
        let (key, seal) = opened.await.map_err(|e: TokenKeyringError| refused(reason(&e)))?;
        // The key has to be the one that the epoch's own seal names.
        let maker: AccountId = times::id(&answer.epoch_author_id, &rpc::UNLOCK_KEYRING)?;
        let mut known = KnownKey { key, author, list: None, has_bad_part: false };
        match self.author_key(home, maker, WRITES, None).await {
            // His keys are gone with his account.
            Err(Error::Integrity { reason: IntegrityReason::AuthorUnknown, .. }) => {}
            maker_key => {
                let maker_key = maker_key?;
                let expected =
                    ExpectedKeyring { project, environment, epoch, author: maker, author_key: &maker_key };
                let whole = KeyringSeal::check_alone(&answer.epoch_seal, &expected);
                let whole = whole.map_err(|e| refused(e.into()))?;
                if whole.recipient != seal.recipient {
                    return Err(refused(IntegrityReason::KeyringInvalid));
                }
                (known.author, known.list) = (maker, Some(whole.access_list));
            }
        }
        Ok(known)
    }
}

/// What the server says of the token, checked with its share.
fn read(token: &ServiceToken, answer: &auth::GetOwnApiKeyResponse) -> Result<OwnToken> {
    let refused = |why: &dyn std::fmt::Display| {
        Error::integrity(IntegrityReason::KeyringInvalid, format!("the server's half of the token ({why})"))
    };
    let id: ApiKeyId = token.id();
    if answer.key_record.is_empty() {
        return Err(Error::invalid("service token", "its server half is gone: it opens nothing any more"));
    }
    let record = token::parse_record(&answer.key_record, id, answer.generation).map_err(|e| refused(&e))?;
    let share = token::token_share(token.share(), &record).map_err(|e| refused(&e))?;
    let trust = TokenTrust::open(&answer.trust, (id, answer.generation), token.share());
    Ok(OwnToken { record, share, trust: trust.map_err(|e| refused(&e))? })
}

fn reason(e: &TokenKeyringError) -> IntegrityReason {
    match e {
        TokenKeyringError::Seal(SealError::Digest) => IntegrityReason::KeyringInvalid,
        TokenKeyringError::Seal(e) => (*e).into(),
        TokenKeyringError::Lint(_) => IntegrityReason::StanzaRefused,
        TokenKeyringError::Header(_) => IntegrityReason::HeaderMismatch,
        _ => IntegrityReason::KeyringInvalid,
    }
}
