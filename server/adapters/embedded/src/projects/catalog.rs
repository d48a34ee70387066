//! The catalog: `rows` (projects) and `environments` behind one port, with what every request reads in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use veilcloud_domain::{
    audit::model::Line,
    name::Name,
    page::{Page, PageArgs},
    projects::{
        access::Rights,
        model::{Environment, Keyring, Project},
        port::{Catalog, Written},
    },
    store::StoreError,
};
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use super::{environments, grants, rows};
use crate::{cache::Cache, db::Db};

/// Projects, and environments with their heads, kept in memory, each; below 1 KiB for one.
pub(crate) const ROWS_MAX: usize = 16_384;

/// Rights kept in memory; about 100 bytes for one.
pub(crate) const RIGHTS_MAX: usize = 65_536;
/// How long they are believed without a look at the rows.
const RIGHTS_LIFE: Duration = Duration::from_secs(30);

/// What every request reads.
pub(crate) struct ProjectCaches {
    pub projects: Cache<ProjectId, Project>,
    pub environments: Cache<(ProjectId, Name), Environment>,
    pub rights: Cache<(ProjectId, AccountId), Rights>,
}

impl ProjectCaches {
    /// Empty.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            projects: Cache::new(ROWS_MAX),
            environments: Cache::new(ROWS_MAX),
            rights: Cache::new(RIGHTS_MAX).living(RIGHTS_LIFE),
        })
    }

    /// After a change to rows that were not counted: a project or account went with all that was in it.
    pub fn forget_all(&self) {
        self.projects.forget_all();
        self.environments.forget_all();
        self.rights.forget_all();
    }
}

/// The catalog.
pub(crate) struct SqliteCatalog {
    pub db: Db,
    pub caches: Arc<ProjectCaches>,
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn create_project(&self, project: Project, limit: u32, line: Line) -> Result<Written, StoreError> {
        self.db
            .write(move |tx| {
                if !grants::stands(tx.conn, &line)? {
                    return Ok(Written::Denied);
                }
                let written = rows::insert(tx.conn, &project, limit)?;
                if written == Written::Done {
                    tx.log(&line)?;
                }
                Ok(written)
            })
            .await
    }

    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        self.caches.projects.get(&id, self.db.read(move |conn| rows::by_id(conn, id))).await
    }

    async fn projects(
        &self,
        owner: AccountId,
        only: Option<&Name>,
        page: PageArgs<Name>,
    ) -> Result<Page<Project, Name>, StoreError> {
        let only = only.cloned();
        self.db.read(move |conn| rows::page(conn, owner, only.as_ref(), &page)).await
    }

    async fn rename_project(&self, id: ProjectId, name: Name, line: Line) -> Result<Written, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                if !grants::stands(tx.conn, &line)? {
                    return Ok(Written::Denied);
                }
                let written = rows::rename(tx.conn, id, &name)?;
                if written == Written::Done {
                    tx.log(&line)?;
                    tx.after(move || caches.projects.forget(&id));
                }
                Ok(written)
            })
            .await
    }

    async fn delete_project(&self, id: ProjectId, line: Line) -> Result<bool, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                let found = grants::stands(tx.conn, &line)? && rows::delete(tx.conn, id)?;
                if found {
                    tx.log(&line)?;
                    tx.after(move || caches.forget_all());
                }
                Ok(found)
            })
            .await
    }

    async fn last_owner(&self, id: ProjectId) -> Result<Option<AccountId>, StoreError> {
        self.db.read(move |conn| rows::last_owner(conn, id)).await
    }

    async fn create_environment(
        &self,
        environment: Environment,
        keyring: Keyring,
        limit: u32,
        line: Line,
    ) -> Result<Written, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                if !grants::stands(tx.conn, &line)? {
                    return Ok(Written::Denied);
                }
                let written = environments::insert(tx.conn, &environment, &keyring, limit)?;
                if written == Written::Done {
                    tx.log(&line)?;
                    // The project's count went up.
                    tx.after(move || caches.projects.forget(&environment.project));
                }
                Ok(written)
            })
            .await
    }

    async fn environment(&self, project: ProjectId, name: &Name) -> Result<Option<Environment>, StoreError> {
        let key = (project, name.clone());
        let wanted = name.clone();
        let read = self.db.read(move |conn| environments::by_name(conn, project, &wanted));
        self.caches.environments.get(&key, read).await
    }

    async fn environments(
        &self,
        project: ProjectId,
        page: PageArgs<Name>,
    ) -> Result<Page<Environment, Name>, StoreError> {
        self.db.read(move |conn| environments::page(conn, project, &page)).await
    }

    async fn delete_environment(&self, id: EnvironmentId, line: Line) -> Result<Written, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                if !grants::stands(tx.conn, &line)? {
                    return Ok(Written::Denied);
                }
                let Some(place) = environments::place(tx.conn, id)? else { return Ok(Written::Gone) };
                environments::delete(tx.conn, id)?;
                tx.log(&line)?;
                tx.after(move || {
                    caches.projects.forget(&place.0);
                    caches.environments.forget(&place);
                });
                Ok(Written::Done)
            })
            .await
    }
}
