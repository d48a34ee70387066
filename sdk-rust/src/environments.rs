//! Environments: one blob with its versions each, and the keys it is sealed to.

use time::OffsetDateTime;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};
use veilvault::token_trust::TokenTrust;

use crate::access::Home;
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::projects::{PAGE_SIZE, PAGES_MAX};
use crate::times;
use crate::transport::rpc::{self, Rpc};

/// A place for one blob and its versions. Its name is visible to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Environment {
    /// Environment id, chosen by the client that created it and bound into every seal.
    pub id: EnvironmentId,
    /// Project it belongs to.
    pub project_id: ProjectId,
    /// Name, unique in its project.
    pub name: String,
    /// Current epoch of its key, from 1.
    pub epoch: u32,
    /// Newest version; 0 while there is none.
    pub version: u64,
    /// Entity tag of the newest version; None while there is none.
    pub etag: Option<String>,
    /// Ciphertext length of the newest version, in bytes.
    pub ciphertext_bytes: u64,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When the newest version was written, or the environment changed otherwise.
    pub updated_at: OffsetDateTime,
    /// Environment and version it was cloned from.
    pub cloned_from: Option<(EnvironmentId, u64)>,
    /// Somebody who could open the current key was removed: the next write begins with a new one.
    pub rotation_due: bool,
}

/// The environments of a project; see [`Client::environments`].
#[derive(Clone)]
pub struct Environments {
    pub(crate) client: Client,
    pub(crate) project: ProjectId,
    pub(crate) home: Home,
}

impl Environments {
    pub(crate) fn new(client: Client, home: Home) -> Self {
        Self { client, project: home.project, home }
    }

    /// Creates an empty environment with a key of its own. Names match `[a-z0-9][a-z0-9._-]{0,62}` without `..`.
    ///
    /// # Errors
    /// [`Error::Api`] with `ENVIRONMENT_EXISTS`, `ENVIRONMENT_LIMIT` or `FIELD_INVALID`.
    pub async fn create(&self, name: &str) -> Result<Environment> {
        let session = self.client.fresh_session().await?;
        let id = EnvironmentId::from_bytes(times::random_uuid().into_bytes());
        let (key, keyring) = self.client.new_keyring(self.home, id, 1, &session.identity).await?;
        let request = pb::CreateEnvironmentRequest {
            project_id: self.project.to_string(),
            name: name.to_owned(),
            environment_id: id.to_string(),
            keyring: Some(keyring.clone()),
            request_id: times::request_id(),
        };
        let answer: pb::CreateEnvironmentResponse =
            self.client.call(&rpc::CREATE_ENVIRONMENT, &request).await?;
        let made = self.read(answer.environment, &rpc::CREATE_ENVIRONMENT)?;
        self.welcome(made, name, id, &key, (session.account(), keyring.access_list)).await
    }

    /// All environments, by name.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list(&self) -> Result<Vec<Environment>> {
        let token = self.client.own_token().await?;
        match (self.pages().await, token) {
            // It is kept to environments: those that it was made for.
            (Err(e), Some(token)) if e.is("PERMISSION_DENIED") => self.of_token(&token.trust).await,
            (listed, _) => listed,
        }
    }

    async fn of_token(&self, trust: &TokenTrust) -> Result<Vec<Environment>> {
        let mut environments = Vec::new();
        for (_, name) in &trust.environments {
            match self.get(name).await {
                Err(e) if e.is("ENVIRONMENT_NOT_FOUND") => {}
                found => environments.push(found?),
            }
        }
        environments.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(environments)
    }

    async fn pages(&self) -> Result<Vec<Environment>> {
        let mut environments = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let request = pb::ListEnvironmentsRequest {
                project_id: self.project.to_string(),
                page_size: PAGE_SIZE,
                page_token,
            };
            let answer: pb::ListEnvironmentsResponse =
                self.client.call(&rpc::LIST_ENVIRONMENTS, &request).await?;
            for environment in answer.environments {
                environments.push(self.read(Some(environment), &rpc::LIST_ENVIRONMENTS)?);
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(environments);
            }
        }
        Err(Error::BadAnswer { rpc: rpc::LIST_ENVIRONMENTS.path })
    }

    /// An environment by its name. What this machine has seen of it before is compared: a name that leads to another
    /// environment than before is refused.
    ///
    /// # Errors
    /// [`Error::Api`] with `ENVIRONMENT_NOT_FOUND`; [`Error::Integrity`] with
    /// [`IntegrityReason::WrongEnvironment`], [`IntegrityReason::RolledBack`] or
    /// [`IntegrityReason::EpochRolledBack`].
    pub async fn get(&self, name: &str) -> Result<Environment> {
        self.client.own_token().await?;
        // Read before the server is asked: another process may move the pin on meanwhile.
        let pins = self.client.pins().await?;
        let request =
            pb::GetEnvironmentRequest { project_id: self.project.to_string(), name: name.to_owned() };
        let answer: pb::GetEnvironmentResponse = self.client.call(&rpc::GET_ENVIRONMENT, &request).await?;
        let environment = self.read(answer.environment, &rpc::GET_ENVIRONMENT)?;
        let judged = if environment.name == name {
            pins.judge_environment(&environment)
        } else {
            Err(IntegrityReason::WrongEnvironment)
        };
        judged.map_err(|reason| Error::integrity(reason, format!("environment {name}")))?;
        self.client.pin_name(self.project, name, environment.id).await?;
        Ok(environment)
    }

    /// Deletes an environment with all its versions and keys. Cannot be undone.
    ///
    /// # Errors
    /// What the server says.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let request = pb::DeleteEnvironmentRequest {
            project_id: self.project.to_string(),
            name: name.to_owned(),
            request_id: times::request_id(),
        };
        let _: pb::DeleteEnvironmentResponse = self.client.call(&rpc::DELETE_ENVIRONMENT, &request).await?;
        self.forget(name).await
    }

    /// Forgets what this machine has seen of an environment, so that another one of its name is accepted. Right
    /// after somebody deleted it elsewhere and made it anew; wrong in every other case.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub async fn forget(&self, name: &str) -> Result<()> {
        self.client.forget_name(self.project, name).await
    }

    pub(crate) fn read(
        &self,
        environment: Option<pb::Environment>,
        rpc: &'static Rpc,
    ) -> Result<Environment> {
        let found = times::present(environment, rpc)?;
        let name = times::name(found.name, rpc)?;
        let project_id: ProjectId = times::id(&found.project_id, rpc)?;
        if project_id != self.project {
            let subject = format!("environment {name}");
            return Err(Error::integrity(IntegrityReason::WrongProject, subject));
        }
        let cloned_from = match found.cloned_from_id.as_str() {
            "" => None,
            id => Some((times::id(id, rpc)?, found.cloned_from_version)),
        };
        Ok(Environment {
            id: times::id(&found.environment_id, rpc)?,
            project_id,
            name,
            epoch: found.epoch,
            version: found.version,
            etag: Some(found.etag).filter(|etag| !etag.is_empty()),
            ciphertext_bytes: found.ciphertext_bytes,
            created_at: times::required(found.created_at, rpc)?,
            // Nothing was written yet: it has not changed since it was made.
            updated_at: times::required(found.updated_at.or(found.created_at), rpc)?,
            cloned_from,
            rotation_due: found.rotation_due,
        })
    }

    /// Takes note of the environment that this client has just made under this name and id. What the server answers is
    /// compared with them and otherwise not used: it must not be able to move the pin of another name.
    pub(crate) async fn welcome(
        &self,
        made: Environment,
        name: &str,
        id: EnvironmentId,
        key: &veilvault::epoch::EpochKey,
        made_for: (AccountId, u64),
    ) -> Result<Environment> {
        if made.id != id || made.name != name || made.epoch != 1 {
            return Err(Error::integrity(IntegrityReason::WrongEnvironment, format!("environment {name}")));
        }
        self.client.keep_key((self.project, id, 1), key, made_for);
        self.client.repin_name(self.project, name, id).await?;
        self.client.give_to_tokens(self.home, &made, key).await;
        Ok(made)
    }
}
