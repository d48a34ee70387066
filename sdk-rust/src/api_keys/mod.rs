//! Keys of programs. An API key is a bearer that fetches what its account may; a service token has a share of a key besides,
//! with which it opens the environments it was made for while the server helps. Both are drawn here and shown once.

mod token;

use std::sync::Arc;
use std::time::Duration;

use rand_core::OsRng;
use time::OffsetDateTime;
use veilcloud_proto::auth::v1 as pb;
use veilcore::hash::sha256;
use veilcore::id::{ApiKeyId, EnvironmentId, ProjectId};
use veilsign::api_key::ApiKey;
use veilsign::capability::Actions;
use veilsign::service_token::ServiceToken;
use veilvault::access::{AccessEntry, GRANTABLE, Principal};
use veilvault::token::{TokenKey, split};
use veilvault::token_trust::{TRUST_ENVIRONMENTS_MAX, TRUST_LOG_KEYS_MAX, TokenTrust};
use zeroize::Zeroizing;

pub(crate) use self::token::TokenAccess;
use crate::access::{Home, ShareOutcome, Unfinished};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::projects::{PAGE_SIZE, PAGES_MAX, Project};
use crate::storage::Progress;
use crate::times;
use crate::transport::rpc;

/// Longest time that a rotated key's secret before stays good.
pub const OVERLAP_MAX: Duration = Duration::from_secs(7 * 86_400);

/// What a key is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Name to tell it by: `[a-z0-9][a-z0-9._-]{0,62}`; visible to the server.
    pub name: String,
    /// Any of `project:read`, `project:write`, `project:delete`, `project:share`, `audit:read`, `team:read`.
    pub permissions: Vec<String>,
    /// Only this project.
    pub project: Option<Project>,
    /// Only environments of these names in that project, at most 32; none means all of it.
    pub environments: Vec<String>,
    /// Only from these networks, e.g. `192.0.2.0/24`, at most 16; none means from anywhere.
    pub networks: Vec<String>,
    /// How long it is good, at most 365 days.
    pub lifetime: Duration,
}

/// A key as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiKeyInfo {
    /// Its id.
    pub id: ApiKeyId,
    /// Its name.
    pub name: String,
    /// What it may do, wherever its account may.
    pub permissions: Vec<String>,
    /// Only this project.
    pub project_id: Option<ProjectId>,
    /// Only environments of these names.
    pub environments: Vec<String>,
    /// Only from these networks.
    pub networks: Vec<String>,
    /// Whether it is a service token, which opens content.
    pub opens: bool,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// How many secrets it has had, from 1.
    pub generation: u32,
    /// Until when the secret before is good too.
    pub overlap_until: Option<OffsetDateTime>,
    /// When it was last used, to a minute or so.
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
}

/// A key that was made or rotated. The text is nowhere else.
pub struct NewSecret {
    /// The key.
    pub key: ApiKeyInfo,
    /// `vck_...` for an API key, `vst_...` for a service token: to be kept where only the program reads.
    pub text: Zeroizing<String>,
    /// What giving a token the keys of its environments did; None for an API key. What is unfinished is finished by
    /// [`crate::Projects::sync`].
    pub shared: Option<ShareOutcome>,
    /// Why a rotated token, which is good already, was not seen into the list or given its keys. Without the list it opens
    /// nothing: rotate it again, unless [`crate::Projects::sync`] gives it what it needs.
    pub not_shared: Option<Error>,
}

/// What became of a rotated key: the same.
pub type Rotated = NewSecret;

/// What a revoked token could open and has not changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CouldOpen {
    /// Name of the environment.
    pub environment: String,
    /// Its newest version when the token was revoked.
    pub version: u64,
}

/// What revoking a key did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Revoked {
    /// The key.
    pub key: ApiKeyInfo,
    /// What taking a token out of the list did; None for an API key.
    pub shared: Option<ShareOutcome>,
    /// Why the token could not be taken out of the list. It opens nothing all the same.
    pub not_shared: Option<Error>,
    /// What the token could open: change it where it was used.
    pub could_open: Vec<CouldOpen>,
}

impl Revoked {
    /// What is still to be done; [`crate::Projects::sync`] does it.
    pub fn unfinished(&self) -> &[Unfinished] {
        self.shared.as_ref().map_or(&[], |shared| &shared.unfinished)
    }
}

/// Keys of programs; see [`Client::api_keys`].
#[derive(Clone)]
pub struct ApiKeys {
    client: Client,
}

/// What a token needs besides its API key.
struct Half {
    key: TokenKey,
    trust: Vec<u8>,
    entry: AccessEntry,
}

impl ApiKeys {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes an API key that opens nothing: for names, metadata, audit and ciphertext.
    ///
    /// # Errors
    /// [`Error::Api`] with `API_KEY_LIMIT` or `FIELD_INVALID`.
    pub async fn create(&self, new: &NewApiKey) -> Result<NewSecret> {
        let bearer = ApiKey::generate(new_id(), &mut OsRng);
        let key = self.register(new, &bearer, None).await?;
        Ok(NewSecret { key, text: bearer.to_text(), shared: None, not_shared: None })
    }

    /// Makes a service token: an API key, and a share of a key that is split with the server. The token is let into the
    /// project's access list, and the keys of its environments are wrapped for it. It reads; it writes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a project or `project:read`; [`Error::Api`] with `PERMISSION_DENIED` for who may not
    /// share the project; [`Error::Integrity`]. When the list cannot be signed, the key is revoked again.
    pub async fn create_token(
        &self,
        new: &NewApiKey,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<NewSecret> {
        let project =
            new.project.as_ref().ok_or_else(|| Error::invalid("service token", "it needs a project"))?;
        let bearer = ApiKey::generate(new_id(), &mut OsRng);
        let half = self.half(project, new, (bearer.id(), 1)).await?;
        let key = self.register(new, &bearer, Some(&half)).await?;
        let text = ServiceToken::new(bearer, half.key.token).to_text();
        let listed =
            self.client.projects().change_keys(project, vec![half.entry], Vec::new(), progress).await;
        match listed {
            Ok(shared) => Ok(NewSecret { key, text, shared: Some(shared), not_shared: None }),
            Err(e) => {
                if let Err(left) = self.end(key.id).await {
                    tracing::warn!(error = %left, "API key {} could not be revoked again", key.id);
                }
                Err(e)
            }
        }
    }

    /// The account's keys, those that are over too.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list(&self) -> Result<Vec<ApiKeyInfo>> {
        let mut keys = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let request = pb::ListApiKeysRequest { page_size: PAGE_SIZE, page_token };
            let answer: pb::ListApiKeysResponse = self.client.call(&rpc::LIST_API_KEYS, &request).await?;
            for key in answer.api_keys {
                keys.push(read(Some(key), &rpc::LIST_API_KEYS)?);
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(keys);
            }
        }
        Err(Error::BadAnswer { rpc: rpc::LIST_API_KEYS.path })
    }

    /// Gives a key its next secret; the one before stays good for `overlap`, at most [`OVERLAP_MAX`]. A token gets a new
    /// share with it, and what it opens is wrapped anew; the one before goes on opening what it could, and is given no key
    /// that is begun meanwhile. `lifetime`: from now; None leaves the end where it is.
    ///
    /// # Errors
    /// As [`ApiKeys::create_token`]; [`Error::NotFound`]. What fails after the server has the new secret is in
    /// [`NewSecret::not_shared`], beside the secret.
    pub async fn rotate(
        &self,
        id: ApiKeyId,
        overlap: Duration,
        lifetime: Option<Duration>,
        progress: Option<Arc<dyn Progress>>,
    ) -> Result<Rotated> {
        let known = self.known(id).await?;
        let bearer = ApiKey::generate(id, &mut OsRng);
        let project = self.project_of(&known).await?;
        let half = match &project {
            Some(project) => Some(self.next_half(project, &known).await?),
            None => None,
        };
        let (key_record, server_share, trust) = parts(half.as_ref());
        let request = pb::RotateApiKeyRequest {
            api_key_id: id.to_string(),
            generation: known.generation,
            secret_hash: bearer.hash().to_vec(),
            key_record,
            server_share,
            trust,
            overlap_seconds: seconds(overlap)?,
            ttl_seconds: lifetime.map_or(Ok(0), seconds)?,
            request_id: times::request_id(),
        };
        let answer: pb::RotateApiKeyResponse = self.client.call(&rpc::ROTATE_API_KEY, &request).await?;
        let key = read(answer.api_key, &rpc::ROTATE_API_KEY)?;
        let Some((half, project)) = half.zip(project) else {
            return Ok(NewSecret { key, text: bearer.to_text(), shared: None, not_shared: None });
        };
        let text = ServiceToken::new(bearer, half.key.token).to_text();
        let listed =
            self.client.projects().change_keys(&project, vec![half.entry], Vec::new(), progress).await;
        // The server has rotated: whatever fails now, the text is nowhere else.
        Ok(match listed {
            Ok(shared) => NewSecret { key, text, shared: Some(shared), not_shared: None },
            Err(e) => NewSecret { key, text, shared: None, not_shared: Some(e) },
        })
    }

    /// Ends a key at once. Of a token the server destroys its half: nothing that was wrapped for it opens any more. Then the
    /// token is taken out of the list, and every environment gets a new key. Repeating it finishes what was interrupted.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what the server says.
    pub async fn revoke(&self, id: ApiKeyId, progress: Option<Arc<dyn Progress>>) -> Result<Revoked> {
        let known = self.known(id).await?;
        self.end(id).await?;
        let key = self.known(id).await?;
        let mut revoked = Revoked { key, shared: None, not_shared: None, could_open: Vec::new() };
        let Some(project_id) = known.project_id else { return Ok(revoked) };
        let done = self.take_out(&known, project_id, progress, &mut revoked).await;
        revoked.not_shared = done.err();
        Ok(revoked)
    }

    async fn take_out(
        &self,
        known: &ApiKeyInfo,
        project: ProjectId,
        progress: Option<Arc<dyn Progress>>,
        revoked: &mut Revoked,
    ) -> Result<()> {
        let project = self.client.projects().get(project).await?;
        let chain = self.client.access(Home::of(&project)).await?;
        let principal = Principal::ApiKey(known.id);
        let entry = chain.newest().and_then(|list| list.entries.iter().find(|e| e.principal == principal));
        if !known.opens && entry.is_none() {
            return Ok(());
        }
        for environment in self.client.environments(&project).list().await? {
            let read = entry.map_or_else(
                || known.environments.is_empty() || known.environments.contains(&environment.name),
                |entry| entry.reads(environment.id),
            );
            if read && environment.version > 0 {
                let (name, version) = (environment.name, environment.version);
                revoked.could_open.push(CouldOpen { environment: name, version });
            }
        }
        let out = vec![known.id];
        revoked.shared = Some(self.client.projects().change_keys(&project, Vec::new(), out, progress).await?);
        Ok(())
    }

    async fn end(&self, id: ApiKeyId) -> Result<()> {
        let request = pb::RevokeApiKeyRequest { api_key_id: id.to_string(), request_id: times::request_id() };
        let _: pb::RevokeApiKeyResponse = self.client.call(&rpc::REVOKE_API_KEY, &request).await?;
        Ok(())
    }

    async fn known(&self, id: ApiKeyId) -> Result<ApiKeyInfo> {
        let found = self.list().await?.into_iter().find(|key| key.id == id);
        found.ok_or_else(|| Error::NotFound { what: "API key", name: id.to_string() })
    }

    async fn project_of(&self, key: &ApiKeyInfo) -> Result<Option<Project>> {
        match key.project_id.filter(|_| key.opens) {
            Some(project) => self.client.projects().get(project).await.map(Some),
            None => Ok(None),
        }
    }

    /// The half of a token's next generation. What it may do and where is what the newest list says of it, under the owner's
    /// or a sharer's signature: the server's word for it would let a token into whatever the server likes.
    async fn next_half(&self, project: &Project, known: &ApiKeyInfo) -> Result<Half> {
        let chain = self.client.access(Home::of(project)).await?;
        let principal = Principal::ApiKey(known.id);
        let listed = chain.newest().and_then(|list| list.entries.iter().find(|e| e.principal == principal));
        let listed = listed.ok_or_else(|| {
            Error::invalid("service token", "the project's access list does not name it: make another one")
        })?;
        let mut named: Vec<(EnvironmentId, String)> = Vec::new();
        for found in self.client.environments(project).list().await? {
            if listed.reads(found.id) {
                named.push((found.id, found.name));
            }
        }
        named.sort();
        let place = (listed.actions, listed.environments.clone(), named);
        self.half_of(project, place, (known.id, known.generation.saturating_add(1))).await
    }

    /// Splits a key for a token, and seals what its holder is to believe first.
    async fn half(&self, project: &Project, new: &NewApiKey, generation: (ApiKeyId, u32)) -> Result<Half> {
        let mut named: Vec<(EnvironmentId, String)> = Vec::new();
        for name in &new.environments {
            named.push((self.client.environments(project).get(name).await?.id, name.clone()));
        }
        named.sort();
        named.dedup();
        let environments: Vec<EnvironmentId> = named.iter().map(|(id, _)| *id).collect();
        if new.environments.is_empty() {
            let all = self.client.environments(project).list().await?;
            named = all.into_iter().map(|found| (found.id, found.name)).collect();
            named.sort();
        }
        let actions = actions(&new.permissions)? & GRANTABLE;
        self.half_of(project, (actions, environments, named), generation).await
    }

    async fn half_of(
        &self,
        project: &Project,
        (actions, environments, mut named): (u64, Vec<EnvironmentId>, Vec<(EnvironmentId, String)>),
        (id, generation): (ApiKeyId, u32),
    ) -> Result<Half> {
        if actions & Actions::PROJECT_READ.bits() == 0 {
            return Err(Error::invalid("permissions", "a service token needs project:read"));
        }
        named.truncate(TRUST_ENVIRONMENTS_MAX);
        let home = Home::of(project);
        let chain = self.client.access(home).await?;
        let (owner, owner_key) = self.client.owner_of(home).await?;
        let logs = self.client.trust().await?;
        let trust = TokenTrust {
            project: home.project,
            project_name: project.name.clone(),
            project_created_at_ms: times::to_ms(project.created_at),
            owner,
            owner_key,
            list: chain.number(),
            list_digest: chain.digest(),
            log_name: logs.name().to_owned(),
            log_keys: logs.keys().iter().take(TRUST_LOG_KEYS_MAX).copied().collect(),
            witnesses: sha256(logs.witness_text().as_bytes()),
            environments: named,
        };
        let key = split(id, generation, &mut OsRng);
        let trust = trust.seal((id, generation), &key.token, &mut OsRng);
        let trust = trust.map_err(|e| Error::invalid("service token", e))?;
        let principal = Principal::ApiKey(id);
        let entry =
            AccessEntry { principal, key: key.record.fingerprint(), actions, team: None, environments };
        Ok(Half { key, trust, entry })
    }

    async fn register(&self, new: &NewApiKey, bearer: &ApiKey, half: Option<&Half>) -> Result<ApiKeyInfo> {
        let (key_record, server_share, trust) = parts(half);
        let scope = pb::ApiKeyScope {
            permissions: new.permissions.clone(),
            project_id: new.project.as_ref().map(|project| project.id.to_string()).unwrap_or_default(),
            env_names: new.environments.clone(),
            networks: new.networks.clone(),
        };
        let request = pb::CreateApiKeyRequest {
            api_key_id: bearer.id().to_string(),
            name: new.name.clone(),
            secret_hash: bearer.hash().to_vec(),
            scope: Some(scope),
            ttl_seconds: seconds(new.lifetime)?,
            key_record,
            server_share,
            trust,
            request_id: times::request_id(),
        };
        let answer: pb::CreateApiKeyResponse = self.client.call(&rpc::CREATE_API_KEY, &request).await?;
        read(answer.api_key, &rpc::CREATE_API_KEY)
    }
}

/// What the server keeps of a token's half.
fn parts(half: Option<&Half>) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    half.map_or_else(Default::default, |half| {
        let share = half.key.server.export().expose().to_vec();
        (half.key.record.encode(), share, half.trust.clone())
    })
}

fn new_id() -> ApiKeyId {
    ApiKeyId::from_bytes(times::random_uuid().into_bytes())
}

fn actions(permissions: &[String]) -> Result<u64> {
    let mut bits = 0;
    for permission in permissions {
        let action: Actions = permission.parse().map_err(|e| Error::invalid("permission", e))?;
        bits |= action.bits();
    }
    Ok(bits)
}

fn seconds(time: Duration) -> Result<u32> {
    u32::try_from(time.as_secs()).map_err(|_| Error::invalid("time", "too long"))
}

fn read(key: Option<pb::ApiKey>, rpc: &'static crate::transport::rpc::Rpc) -> Result<ApiKeyInfo> {
    let key = times::present(key, rpc)?;
    let scope = key.scope.unwrap_or_default();
    let at = |stamp: Option<prost_types::Timestamp>| match stamp {
        None => Ok(None),
        stamp => times::required(stamp, rpc).map(Some),
    };
    Ok(ApiKeyInfo {
        id: times::id(&key.api_key_id, rpc)?,
        name: times::name(key.name, rpc)?,
        permissions: scope.permissions,
        project_id: match scope.project_id.as_str() {
            "" => None,
            id => Some(times::id(id, rpc)?),
        },
        environments: scope.env_names,
        networks: scope.networks,
        opens: !key.key_record.is_empty(),
        created_at: times::required(key.created_at, rpc)?,
        expires_at: times::required(key.expires_at, rpc)?,
        generation: key.generation,
        overlap_until: at(key.overlap_until)?,
        last_used_at: at(key.last_used_at)?,
        revoked_at: at(key.revoked_at)?,
    })
}
