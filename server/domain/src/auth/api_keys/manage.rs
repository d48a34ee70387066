//! Creating, listing, rotating and revoking keys: by a session of their account, never by a key.

use veilcore::id::{AccountId, ApiKeyId};
use veilsign::capability::Actions;

use super::{
    ApiKeys, NewToken,
    error::ApiKeyError,
    model::{
        API_KEY_ACTIONS, API_KEY_LIFETIME_MS_MAX, API_KEYS_MAX, API_KEYS_OVER_MAX, ApiKey, NETWORKS_MAX,
        NextSecret, OVERLAP_MS_MAX, Overlap, SCOPE_ENVIRONMENTS_MAX, Scope, TokenHalf, Verifier, line_about,
    },
    port::Created,
};
use crate::{
    audit::model::{Kind, Line},
    auth::Caller,
    name::Name,
    page::{Page, PageArgs},
    store::StoreError,
};

/// Generation of a new key.
const FIRST_GENERATION: u32 = 1;

/// A key as its client asks for it.
#[derive(Clone)]
pub struct NewApiKey {
    /// Random id.
    pub id: ApiKeyId,
    /// Name to tell it by.
    pub name: Name,
    /// Hash of its secret.
    pub secret_hash: [u8; 32],
    /// What it may do.
    pub scope: Scope,
    /// How long it lives.
    pub lifetime_ms: u64,
    /// What makes it a key that opens keyrings.
    pub token: Option<NewToken>,
}

/// The next secret of a key.
#[derive(Clone)]
pub struct NewSecret {
    /// Generation that the key has now.
    pub generation: u32,
    /// Hash of the new secret.
    pub secret_hash: [u8; 32],
    /// What makes the new secret one that opens keyrings.
    pub token: Option<NewToken>,
    /// How long the old secret stays good.
    pub overlap_ms: u64,
    /// How long the key lives from now on; `None` leaves its end where it is.
    pub lifetime_ms: Option<u64>,
}

impl ApiKeys {
    /// Registers a key that the client drew.
    pub async fn create(&self, caller: &Caller, new: NewApiKey) -> Result<ApiKey, ApiKeyError> {
        check_scope(&new)?;
        check_reach(caller, &new.scope)?;
        let half = self.keep(new.id, FIRST_GENERATION, &new.scope, new.token.as_ref())?;
        let now_ms = self.clock.now_ms();
        check_end(caller, now_ms.saturating_add(new.lifetime_ms))?;
        let key = ApiKey {
            id: new.id,
            account: caller.account,
            name: new.name,
            scope: new.scope,
            record: half.as_ref().map(|half| half.record.clone()),
            generation: FIRST_GENERATION,
            verifier: Verifier([0; 32]),
            overlap: None,
            created_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(new.lifetime_ms),
            revoked_at_ms: None,
            last_used_at_ms: None,
        };
        let key = ApiKey { verifier: self.pepper.seal(&key, &new.secret_hash), ..key };
        let line = self.line(Kind::ApiKeyCreate, &key);
        match self.store.create_key(key.clone(), half, API_KEYS_MAX, API_KEYS_OVER_MAX, line).await? {
            Created::Done => Ok(key),
            Created::Taken => Err(ApiKeyError::Taken),
            Created::Limit => Err(ApiKeyError::Limit { limit: API_KEYS_MAX }),
            Created::Gone => Err(ApiKeyError::Unknown),
        }
    }

    /// The account's keys by id; the uses that were not written yet are not missing.
    pub async fn list(
        &self,
        caller: &Caller,
        page: PageArgs<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, ApiKeyError> {
        self.flush_used().await?;
        Ok(self.store.keys(caller.account, page).await?)
    }

    /// Gives a key its next secret.
    pub async fn rotate(&self, caller: &Caller, id: ApiKeyId, new: NewSecret) -> Result<ApiKey, ApiKeyError> {
        if new.overlap_ms > OVERLAP_MS_MAX {
            return Err(ApiKeyError::Scope { field: "overlap_seconds", rule: "is at most 7 days" });
        }
        check_lifetime(new.lifetime_ms.unwrap_or(API_KEY_LIFETIME_MS_MAX))?;
        let now_ms = self.clock.now_ms();
        let key = self.own(caller.account, id).await?;
        check_reach(caller, &key.scope)?;
        if key.expires_at_ms <= now_ms {
            return Err(ApiKeyError::Unknown);
        }
        let next_generation = new.generation.saturating_add(1);
        let half = self.keep(id, next_generation, &key.scope, new.token.as_ref())?;
        let until_ms = now_ms.saturating_add(new.overlap_ms).min(key.expires_at_ms);
        let overlap = (until_ms > now_ms).then_some(Overlap {
            verifier: self.pepper.ending(&key.verifier, until_ms),
            expires_at_ms: key.expires_at_ms,
            until_ms,
            record: key.record.as_ref().map(|record| record.digest),
        });
        let expires_at_ms = new.lifetime_ms.map_or(key.expires_at_ms, |ms| now_ms.saturating_add(ms));
        check_end(caller, expires_at_ms)?;
        let key = ApiKey { expires_at_ms, ..key };
        let next = NextSecret {
            generation: new.generation,
            verifier: self.pepper.seal(&key, &new.secret_hash),
            half,
            overlap,
            expires_at_ms,
        };
        let line = Line { version: u64::from(next_generation), ..self.line(Kind::ApiKeyRotate, &key) };
        if !self.store.rotate_key(caller.account, id, next, line).await? {
            let generation = self.own(caller.account, id).await?.generation;
            return Err(ApiKeyError::Rotated { generation });
        }
        self.own(caller.account, id).await
    }

    /// Revokes a key, at once.
    pub async fn revoke(&self, caller: &Caller, id: ApiKeyId) -> Result<(), ApiKeyError> {
        let key = self.own(caller.account, id).await?;
        let line = self.line(Kind::ApiKeyRevoke, &key);
        let revoked = self.store.revoke_key(caller.account, id, self.clock.now_ms(), line).await?;
        if revoked { Ok(()) } else { Err(ApiKeyError::Unknown) }
    }

    /// The calling key as it is, with the half of the secret that was shown.
    pub async fn own_key(&self, caller: &Caller) -> Result<(ApiKey, u32, Option<TokenHalf>), ApiKeyError> {
        let (id, generation) = caller.key_generation().ok_or(ApiKeyError::NoKey)?;
        let key = self.store.key(id).await?.ok_or(ApiKeyError::Unknown)?;
        Ok((key, generation, self.store.half(id, generation).await?))
    }

    /// Destroys the halves of keys and generations that are over, a few; gives how many.
    pub async fn destroy_halves(&self, limit: usize) -> Result<usize, StoreError> {
        self.store.destroy_halves(self.clock.now_ms(), limit).await
    }

    /// The half that is kept of a key that opens keyrings. Such a key is for one project.
    fn keep(
        &self,
        id: ApiKeyId,
        generation: u32,
        scope: &Scope,
        token: Option<&NewToken>,
    ) -> Result<Option<TokenHalf>, ApiKeyError> {
        let Some(token) = token else { return Ok(None) };
        if scope.project.is_none() {
            let rule = "is needed for a key that opens keyrings";
            return Err(ApiKeyError::Scope { field: "scope.project_id", rule });
        }
        if !scope.actions.contains(Actions::PROJECT_READ) {
            let rule = "has project:read for a key that opens keyrings";
            return Err(ApiKeyError::Scope { field: "scope.permissions", rule });
        }
        token.keep(id, generation, &self.pepper).map(Some)
    }

    // A key of somebody else and one that is not there are refused alike.
    async fn own(&self, account: AccountId, id: ApiKeyId) -> Result<ApiKey, ApiKeyError> {
        let found = self.store.key(id).await?;
        found.filter(|key| key.account == account && key.revoked_at_ms.is_none()).ok_or(ApiKeyError::Unknown)
    }

    fn line(&self, kind: Kind, key: &ApiKey) -> Line {
        line_about(kind, key.account, key.id, key.generation, self.clock.now_ms())
    }
}

fn check_lifetime(lifetime_ms: u64) -> Result<(), ApiKeyError> {
    if lifetime_ms == 0 || lifetime_ms > API_KEY_LIFETIME_MS_MAX {
        return Err(ApiKeyError::Scope { field: "ttl_seconds", rule: "is at least 1 and at most 365 days" });
    }
    Ok(())
}

/// Nobody gets a key, or a secret of one, that does what their own capability does not allow.
fn check_reach(caller: &Caller, scope: &Scope) -> Result<(), ApiKeyError> {
    let reaches = scope.places().iter().all(|place| caller.allows(scope.actions, place));
    if reaches { Ok(()) } else { Err(ApiKeyError::Denied) }
}

/// A capability that was narrowed ends when it says so, and so does every secret that it gives.
fn check_end(caller: &Caller, expires_at_ms: u64) -> Result<(), ApiKeyError> {
    match caller.ends_at_ms() {
        Some(end_ms) if expires_at_ms > end_ms => Err(ApiKeyError::Denied),
        _ => Ok(()),
    }
}

fn check_scope(new: &NewApiKey) -> Result<(), ApiKeyError> {
    let refuse = |field, rule| Err(ApiKeyError::Scope { field, rule });
    check_lifetime(new.lifetime_ms)?;
    let scope = &new.scope;
    if new.id.as_bytes() == &[0; 16] {
        return refuse("api_key_id", "is a random UUID");
    }
    if scope.actions.is_empty() || !scope.actions.is_subset_of(API_KEY_ACTIONS) {
        return refuse(
            "scope.permissions",
            "names at least one permission, and only those that a key may hold",
        );
    }
    if scope.project.is_none() && !scope.environments.is_empty() {
        return refuse("scope.env_names", "needs the project that the environments are in");
    }
    if scope.environments.len() > SCOPE_ENVIRONMENTS_MAX {
        return refuse("scope.env_names", "has at most 32 names");
    }
    if scope.networks.len() > NETWORKS_MAX {
        return refuse("scope.networks", "has at most 16 networks");
    }
    Ok(())
}
