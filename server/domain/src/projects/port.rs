//! What projects and environments need from outside.

use async_trait::async_trait;
use veilcore::id::{AccountId, EnvironmentId, ProjectId, TeamId};
use veilsign::capability::Actions;
use veilvault::access::Principal;

use super::{
    access::{AccessChange, AccessRefusal, AccessState, KeyringPart, KeyringRefusal, Rights, Share},
    model::{Environment, Keyring, Project},
};
use crate::{
    audit::model::Line,
    name::Name,
    page::{Page, PageArgs},
    store::StoreError,
};

/// What a create or rename met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// The name, or the id, is taken.
    Taken,
    /// The account or project has as many as it may.
    Limit,
    /// What it belongs to is gone.
    Gone,
    /// Whoever does it may not (any more).
    Denied,
    /// The keyring is made for another access list than the newest, which is this one.
    Stale(u64),
}

/// Projects and environments. Every change is made only if [`stands`](super::stands::stands) allows its line, judged in the
/// same transaction.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Creates a project with its audit line, unless the owner has one of this name or has `limit` of them.
    async fn create_project(&self, project: Project, limit: u32, line: Line) -> Result<Written, StoreError>;
    /// A project.
    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError>;
    /// Projects of an owner by name; with `only`, the one of this name.
    async fn projects(
        &self,
        owner: AccountId,
        only: Option<&Name>,
        page: PageArgs<Name>,
    ) -> Result<Page<Project, Name>, StoreError>;
    /// Renames a project.
    async fn rename_project(&self, id: ProjectId, name: Name, line: Line) -> Result<Written, StoreError>;
    /// Deletes a project with everything in it. Bytes go with the next sweep. `false` when there is none,
    /// and when the line's actor may not. It is remembered whose it was, until that account is gone, too.
    async fn delete_project(&self, id: ProjectId, line: Line) -> Result<bool, StoreError>;
    /// Whose a deleted project was; `None` when it is there, never was, or the account is gone.
    async fn last_owner(&self, id: ProjectId) -> Result<Option<AccountId>, StoreError>;
    /// Creates an environment with its first keyring, unless name or id is taken, the project has `limit` of them, or the
    /// keyring is made for another access list than the newest.
    async fn create_environment(
        &self,
        environment: Environment,
        keyring: Keyring,
        limit: u32,
        line: Line,
    ) -> Result<Written, StoreError>;
    /// An environment by name.
    async fn environment(&self, project: ProjectId, name: &Name) -> Result<Option<Environment>, StoreError>;
    /// Environments of a project by name.
    async fn environments(
        &self,
        project: ProjectId,
        page: PageArgs<Name>,
    ) -> Result<Page<Environment, Name>, StoreError>;
    /// Deletes an environment with its versions and keyrings.
    async fn delete_environment(&self, id: EnvironmentId, line: Line) -> Result<Written, StoreError>;
}

/// Who may do what in projects: shares, access lists and the rights that follow from them.
///
/// An account may do in a project: everything, if it owns it; otherwise what its entries of the newest list give, each as
/// far as the share with the entry's team gives it now, and only while it is a member of that team.
#[async_trait]
pub trait Grants: Send + Sync {
    /// What the account may do in the project now. `None` when that is nothing, and when there is no such project.
    async fn rights(&self, project: ProjectId, account: AccountId) -> Result<Option<Rights>, StoreError>;
    /// Projects of others that the account may read, by id, with what it may do there; with `only`, those of this name.
    async fn shared_with(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<ProjectId>,
    ) -> Result<Page<(Project, Actions), ProjectId>, StoreError>;
    /// Shares of a project by team.
    async fn shares(
        &self,
        project: ProjectId,
        page: PageArgs<TeamId>,
    ) -> Result<Page<Share, TeamId>, StoreError>;
    /// The share of a project with a team.
    async fn share(&self, project: ProjectId, team: TeamId) -> Result<Option<Share>, StoreError>;
    /// Where the project's access lists stand; `None` when there is no such project.
    async fn access(&self, project: ProjectId) -> Result<Option<AccessState>, StoreError>;
    /// An access list by number.
    async fn access_list(&self, project: ProjectId, number: u64) -> Result<Option<Vec<u8>>, StoreError>;
    /// Puts the next list in force with what happens to the shares and the audit lines, in one transaction, if
    /// [`AccessChange::judge`] and [`stands`](super::stands::stands) allow it. When it takes something from somebody, its number becomes the floor.
    async fn change_access(
        &self,
        change: AccessChange,
        lines: Vec<Line>,
    ) -> Result<Result<(), AccessRefusal>, StoreError>;
}

/// Keyrings, one per environment and epoch, never changed; and parts, each for one principal. Every change is made only if
/// [`stands`](super::stands::stands) allows its line, judged in the same transaction.
#[async_trait]
pub trait Keyrings: Send + Sync {
    /// The keyring of an epoch.
    async fn keyring(&self, environment: EnvironmentId, epoch: u32) -> Result<Option<Keyring>, StoreError>;
    /// Adds the keyring of epoch `keyring.epoch` and makes that the current epoch, if the current one is the one before
    /// and `keyring.access_list` is the newest list.
    async fn rotate(
        &self,
        environment: EnvironmentId,
        keyring: Keyring,
        line: Line,
    ) -> Result<Result<(), KeyringRefusal>, StoreError>;
    /// The part of an epoch that was added for a principal; with `key`, the one for these keys of theirs.
    async fn part(
        &self,
        environment: EnvironmentId,
        epoch: u32,
        principal: Principal,
        key: Option<[u8; 32]>,
    ) -> Result<Option<Keyring>, StoreError>;
    /// Adds a part to an epoch that there is, if `keyring.access_list` is the newest list. It takes the place of the
    /// principal's part only when that was made for other keys, or when it replaces; the part for the keys `beside` stays.
    async fn add_part(&self, part: KeyringPart, line: Line)
    -> Result<Result<(), KeyringRefusal>, StoreError>;
}
