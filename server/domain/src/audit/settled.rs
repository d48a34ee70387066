//! Ports that answer a change only when its lines are in their logs. Each method is the port's own; after it, everybody
//! who would be told of a change waits for the log. What must never happen: an answer to an audited change before its
//! entry is in the log.
//!
//! A failure after the port's own success means that the change happened and its entry is still on the way. Whoever sends
//! the same again finds it done.

mod api_keys;
mod capabilities;
mod teams;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use veilcore::id::{AccountId, EnvironmentId, ProjectId, SessionId, TeamId};
use veilsign::capability::Actions;
use veilvault::access::Principal;

use super::{
    log::Log,
    model::{Line, Trail},
};
use crate::{
    auth::{
        model::{Account, Deletion, Email, Ending, NewCredentials, Rotation, Session, Standing},
        port::Directory,
    },
    name::Name,
    page::{Page, PageArgs},
    projects::{
        access::{AccessChange, AccessRefusal, AccessState, KeyringPart, KeyringRefusal, Rights, Share},
        model::{Environment, Keyring, Project},
        port::{Catalog, Grants, Keyrings, Written},
    },
    storage::{
        model::{Digest, Etag, Precondition, Version},
        port::{Refusal, Shelf},
    },
    store::StoreError,
};

/// A port, and the log that its changes wait for.
pub struct Settled<P: ?Sized> {
    port: Arc<P>,
    log: Arc<Log>,
}

impl<P: ?Sized> Settled<P> {
    /// The port with its changes waiting for the log.
    pub fn new(port: Arc<P>, log: Arc<Log>) -> Self {
        Self { port, log }
    }

    /// Waits for the trails that got a line, if the change was made.
    async fn settle(&self, done: bool, trails: BTreeSet<Trail>) -> Result<(), StoreError> {
        if done {
            let settled = try_join_all(trails.into_iter().map(|trail| self.log.settle(trail))).await;
            // The change stands, so it is not said that nothing was changed.
            settled.map_err(|error| StoreError::Unlogged { cause: error.to_string() })?;
        }
        Ok(())
    }
}

fn one(line: &Line) -> BTreeSet<Trail> {
    BTreeSet::from([line.trail])
}

fn all(lines: &[Line]) -> BTreeSet<Trail> {
    lines.iter().map(|line| line.trail).collect()
}

#[async_trait]
impl Directory for Settled<dyn Directory> {
    async fn create_account(&self, account: Account, lines: Vec<Line>) -> Result<bool, StoreError> {
        let trails = all(&lines);
        self.log.check()?;
        let created = self.port.create_account(account, lines).await?;
        self.settle(created, trails).await?;
        Ok(created)
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.port.account_by_email(email).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.port.account(id).await
    }

    async fn rename_account(
        &self,
        id: AccountId,
        display_name: String,
        line: Line,
    ) -> Result<bool, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let renamed = self.port.rename_account(id, display_name, line).await?;
        self.settle(renamed, trails).await?;
        Ok(renamed)
    }

    async fn replace_credentials(
        &self,
        id: AccountId,
        record_hash: [u8; 32],
        new: NewCredentials,
        ending: Ending,
        lines: Vec<Line>,
    ) -> Result<bool, StoreError> {
        let trails = all(&lines);
        self.log.check()?;
        let replaced = self.port.replace_credentials(id, record_hash, new, ending, lines).await?;
        self.settle(replaced, trails).await?;
        Ok(replaced)
    }

    async fn delete_account(&self, id: AccountId, lines: Vec<Line>) -> Result<Deletion, StoreError> {
        let mut trails = all(&lines);
        self.log.check()?;
        let deleted = self.port.delete_account(id, lines).await?;
        if let Deletion::Done { told } = &deleted {
            trails.extend(told.iter().copied().map(Trail::Account));
            self.settle(true, trails).await?;
        }
        Ok(deleted)
    }

    async fn open_session(
        &self,
        session: Session,
        record_hash: [u8; 32],
        limit: u32,
        line: Line,
    ) -> Result<bool, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let opened = self.port.open_session(session, record_hash, limit, line).await?;
        self.settle(opened, trails).await?;
        Ok(opened)
    }

    async fn rotate_refresh(
        &self,
        old: [u8; 32],
        new: [u8; 32],
        now_ms: u64,
        line: Line,
    ) -> Result<Rotation, StoreError> {
        self.log.check()?;
        let rotation = self.port.rotate_refresh(old, new, now_ms, line).await?;
        // Only the store knew whose session it is. The same trade again wrote no line, but the one before may still be on
        // its way.
        let account = match &rotation {
            Rotation::Rotated(session) => Some(session.account),
            Rotation::Reused { account, .. } => Some(*account),
            Rotation::Unknown => None,
        };
        if let Some(account) = account {
            self.settle(true, BTreeSet::from([Trail::Account(account)])).await?;
        }
        Ok(rotation)
    }

    async fn holder_of(&self, refresh_hash: [u8; 32]) -> Result<Option<[u8; 32]>, StoreError> {
        self.port.holder_of(refresh_hash).await
    }

    async fn standing(&self, account: AccountId, session: SessionId) -> Result<Option<Standing>, StoreError> {
        self.port.standing(account, session).await
    }

    async fn end_sessions(&self, account: AccountId, ending: Ending, line: Line) -> Result<(), StoreError> {
        let trails = one(&line);
        self.log.check()?;
        self.port.end_sessions(account, ending, line).await?;
        self.settle(true, trails).await
    }
}

#[async_trait]
impl Catalog for Settled<dyn Catalog> {
    async fn create_project(&self, project: Project, limit: u32, line: Line) -> Result<Written, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let written = self.port.create_project(project, limit, line).await?;
        self.settle(written == Written::Done, trails).await?;
        Ok(written)
    }

    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        self.port.project(id).await
    }

    async fn projects(
        &self,
        owner: AccountId,
        only: Option<&Name>,
        page: PageArgs<Name>,
    ) -> Result<Page<Project, Name>, StoreError> {
        self.port.projects(owner, only, page).await
    }

    async fn rename_project(&self, id: ProjectId, name: Name, line: Line) -> Result<Written, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let written = self.port.rename_project(id, name, line).await?;
        self.settle(written == Written::Done, trails).await?;
        Ok(written)
    }

    async fn delete_project(&self, id: ProjectId, line: Line) -> Result<bool, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let deleted = self.port.delete_project(id, line).await?;
        self.settle(deleted, trails).await?;
        Ok(deleted)
    }

    async fn last_owner(&self, id: ProjectId) -> Result<Option<AccountId>, StoreError> {
        self.port.last_owner(id).await
    }

    async fn create_environment(
        &self,
        environment: Environment,
        keyring: Keyring,
        limit: u32,
        line: Line,
    ) -> Result<Written, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let written = self.port.create_environment(environment, keyring, limit, line).await?;
        self.settle(written == Written::Done, trails).await?;
        Ok(written)
    }

    async fn environment(&self, project: ProjectId, name: &Name) -> Result<Option<Environment>, StoreError> {
        self.port.environment(project, name).await
    }

    async fn environments(
        &self,
        project: ProjectId,
        page: PageArgs<Name>,
    ) -> Result<Page<Environment, Name>, StoreError> {
        self.port.environments(project, page).await
    }

    async fn delete_environment(&self, id: EnvironmentId, line: Line) -> Result<Written, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let deleted = self.port.delete_environment(id, line).await?;
        self.settle(deleted == Written::Done, trails).await?;
        Ok(deleted)
    }
}

#[async_trait]
impl Grants for Settled<dyn Grants> {
    async fn rights(&self, project: ProjectId, account: AccountId) -> Result<Option<Rights>, StoreError> {
        self.port.rights(project, account).await
    }

    async fn shared_with(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<ProjectId>,
    ) -> Result<Page<(Project, Actions), ProjectId>, StoreError> {
        self.port.shared_with(account, only, page).await
    }

    async fn shares(
        &self,
        project: ProjectId,
        page: PageArgs<TeamId>,
    ) -> Result<Page<Share, TeamId>, StoreError> {
        self.port.shares(project, page).await
    }

    async fn share(&self, project: ProjectId, team: TeamId) -> Result<Option<Share>, StoreError> {
        self.port.share(project, team).await
    }

    async fn access(&self, project: ProjectId) -> Result<Option<AccessState>, StoreError> {
        self.port.access(project).await
    }

    async fn access_list(&self, project: ProjectId, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.port.access_list(project, number).await
    }

    async fn change_access(
        &self,
        change: AccessChange,
        lines: Vec<Line>,
    ) -> Result<Result<(), AccessRefusal>, StoreError> {
        let trails = all(&lines);
        self.log.check()?;
        let changed = self.port.change_access(change, lines).await?;
        self.settle(changed.is_ok(), trails).await?;
        Ok(changed)
    }
}

#[async_trait]
impl Keyrings for Settled<dyn Keyrings> {
    async fn keyring(&self, environment: EnvironmentId, epoch: u32) -> Result<Option<Keyring>, StoreError> {
        self.port.keyring(environment, epoch).await
    }

    async fn rotate(
        &self,
        environment: EnvironmentId,
        keyring: Keyring,
        line: Line,
    ) -> Result<Result<(), KeyringRefusal>, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let rotated = self.port.rotate(environment, keyring, line).await?;
        self.settle(rotated.is_ok(), trails).await?;
        Ok(rotated)
    }

    async fn part(
        &self,
        environment: EnvironmentId,
        epoch: u32,
        principal: Principal,
        key: Option<[u8; 32]>,
    ) -> Result<Option<Keyring>, StoreError> {
        self.port.part(environment, epoch, principal, key).await
    }

    async fn add_part(
        &self,
        part: KeyringPart,
        line: Line,
    ) -> Result<Result<(), KeyringRefusal>, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let added = self.port.add_part(part, line).await?;
        self.settle(added.is_ok(), trails).await?;
        Ok(added)
    }
}

#[async_trait]
impl Shelf for Settled<dyn Shelf> {
    async fn commit(
        &self,
        version: Version,
        precondition: Precondition,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let committed = self.port.commit(version, precondition, line).await?;
        self.settle(committed.is_ok(), trails).await?;
        Ok(committed)
    }

    async fn version(
        &self,
        environment: EnvironmentId,
        number: Option<u64>,
    ) -> Result<Option<Version>, StoreError> {
        self.port.version(environment, number).await
    }

    async fn versions(
        &self,
        environment: EnvironmentId,
        page: PageArgs<u64>,
    ) -> Result<Page<Version, u64>, StoreError> {
        self.port.versions(environment, page).await
    }

    async fn delete_content(
        &self,
        environment: EnvironmentId,
        etag: Etag,
        line: Line,
    ) -> Result<Result<u64, Refusal>, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let deleted = self.port.delete_content(environment, etag, line).await?;
        self.settle(deleted.is_ok(), trails).await?;
        Ok(deleted)
    }

    async fn used_bytes(&self, owner: AccountId) -> Result<u64, StoreError> {
        self.port.used_bytes(owner).await
    }

    async fn referenced(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        self.port.referenced(digests).await
    }
}
