//! Projects: named groups of environments.

use time::OffsetDateTime;
use veilcloud_proto::projects::v1 as pb;
use veilcore::id::{AccountId, ProjectId};

use crate::access::Home;
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::times;
use crate::transport::rpc::{self, Rpc};

/// Items asked for at once; the server's limit.
pub(crate) const PAGE_SIZE: u32 = 1000;
/// Most pages of one list. The server's own limits on what an account has are far below.
pub(crate) const PAGES_MAX: usize = 100;

/// A named group of environments. Its name is visible to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Project {
    /// Project id.
    pub id: ProjectId,
    /// Name, unique among its owner's projects.
    pub name: String,
    /// Account that owns it.
    pub owner_id: AccountId,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// Number of environments.
    pub environment_count: u32,
    /// What this account may do in it, as the server says: everything to its owner, else what shares give.
    pub permissions: Vec<String>,
}

/// The account's projects; see [`Client::projects`].
#[derive(Clone)]
pub struct Projects {
    pub(crate) client: Client,
}

impl Projects {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates an empty project. Names match `[a-z0-9][a-z0-9._-]{0,62}` without `..`.
    ///
    /// # Errors
    /// [`Error::Api`] with `PROJECT_NAME_TAKEN`, `PROJECT_LIMIT` or `FIELD_INVALID`; [`Error::Integrity`] with
    /// [`IntegrityReason::OwnerChanged`] when the server says that it is somebody else's.
    pub async fn create(&self, name: &str) -> Result<Project> {
        let request = pb::CreateProjectRequest { name: name.to_owned(), request_id: times::request_id() };
        let answer: pb::CreateProjectResponse = self.client.call(&rpc::CREATE_PROJECT, &request).await?;
        let made = read(answer.project, &rpc::CREATE_PROJECT)?;
        let owner = self.client.session_in_use().await?.account();
        self.named(made, name, owner, false).await
    }

    /// The account's own projects, by name; with a service token the one that it reads.
    ///
    /// # Errors
    /// [`Error::Integrity`] with [`IntegrityReason::WrongProject`] as in [`Projects::by_name`], or what the server says.
    pub async fn list(&self) -> Result<Vec<Project>> {
        if let Some(token) = self.client.own_token().await? {
            return Ok(vec![token.project()]);
        }
        self.pages("", false).await
    }

    /// Projects of others that are shared with this account through its teams, oldest first. Their names are their
    /// owners' choice and may be alike: what leads to one is its id. None with a service token.
    ///
    /// # Errors
    /// [`Error::Integrity`] with [`IntegrityReason::OwnerChanged`]; what the server says.
    pub async fn list_shared(&self) -> Result<Vec<Project>> {
        if self.client.own_token().await?.is_some() {
            return Ok(Vec::new());
        }
        self.pages("", true).await
    }

    /// A project by its id, own or shared. Whose it is is believed the first time; from then on another owner is refused.
    ///
    /// # Errors
    /// [`Error::Api`] with `PERMISSION_DENIED`, also when there is none: the server does not say which;
    /// [`Error::Integrity`] with [`IntegrityReason::OwnerChanged`].
    pub async fn get(&self, id: ProjectId) -> Result<Project> {
        // A token may be kept to environments: the server shows it no project.
        if let Some(project) = self.client.own_token().await?.map(|token| token.project()) {
            let missing = || Error::NotFound { what: "project", name: id.to_string() };
            return Some(project).filter(|project| project.id == id).ok_or_else(missing);
        }
        let request = pb::GetProjectRequest { project_id: id.to_string() };
        let answer: pb::GetProjectResponse = self.client.call(&rpc::GET_PROJECT, &request).await?;
        let project = read(answer.project, &rpc::GET_PROJECT)?;
        if project.id != id {
            return Err(Error::BadAnswer { rpc: rpc::GET_PROJECT.path });
        }
        self.client.pin_owner(Home::of(&project)).await?;
        Ok(project)
    }

    /// An own project by its name; with a service token the one that it reads. The first time the server is believed; from then on a name that leads to another project
    /// is refused.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Integrity`] with [`IntegrityReason::WrongProject`].
    pub async fn by_name(&self, name: &str) -> Result<Project> {
        if let Some(token) = self.client.own_token().await? {
            let project = token.project();
            let missing = || Error::NotFound { what: "project", name: name.to_owned() };
            return Some(project).filter(|project| project.name == name).ok_or_else(missing);
        }
        let found = self.pages(name, false).await?.into_iter().find(|project| project.name == name);
        let found = found.ok_or_else(|| Error::NotFound { what: "project", name: name.to_owned() })?;
        let account = self.client.session_in_use().await?.account();
        self.client.pin_project(account, name, found.id).await?;
        self.client.pin_owner(Home::of(&found)).await?;
        Ok(found)
    }

    /// Forgets where a name leads, so that another project of this name is accepted. Right after somebody deleted or
    /// renamed it elsewhere and made it anew; wrong in every other case. Asks no server.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`]; [`Error::Local`].
    pub async fn forget(&self, name: &str) -> Result<()> {
        let account = self.client.session_in_use().await?.account();
        self.client.forget_project_name(account, name).await
    }

    /// Renames a project.
    ///
    /// # Errors
    /// [`Error::Api`] with `PROJECT_NAME_TAKEN` or `FIELD_INVALID`; [`Error::Integrity`] when the server renamed another.
    pub async fn rename(&self, project: &Project, name: &str) -> Result<Project> {
        let request = pb::UpdateProjectRequest {
            project_id: project.id.to_string(),
            name: name.to_owned(),
            update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
            request_id: times::request_id(),
        };
        let answer: pb::UpdateProjectResponse = self.client.call(&rpc::UPDATE_PROJECT, &request).await?;
        let renamed = read(answer.project, &rpc::UPDATE_PROJECT)?;
        if renamed.id != project.id {
            return Err(Error::integrity(IntegrityReason::WrongProject, format!("project {name}")));
        }
        self.named(renamed, name, project.owner_id, true).await
    }

    /// Deletes a project with all its environments and their content. Cannot be undone.
    ///
    /// # Errors
    /// What the server says.
    pub async fn delete(&self, project: &Project) -> Result<()> {
        let request =
            pb::DeleteProjectRequest { project_id: project.id.to_string(), request_id: times::request_id() };
        let _: pb::DeleteProjectResponse = self.client.call(&rpc::DELETE_PROJECT, &request).await?;
        self.client.forget_project(project.id).await
    }

    /// Takes note of a project that this client has just given a name.
    async fn named(&self, project: Project, name: &str, owner: AccountId, renamed: bool) -> Result<Project> {
        // Before anything is noted: who owns a project decides whom keys are wrapped to.
        if project.owner_id != owner {
            return Err(Error::integrity(IntegrityReason::OwnerChanged, format!("project {name}")));
        }
        if project.name != name {
            return Err(Error::integrity(IntegrityReason::WrongProject, format!("project {name}")));
        }
        let account = self.client.session_in_use().await?.account();
        self.client.repin_project(account, name, project.id, renamed).await?;
        self.client.pin_owner(Home::of(&project)).await?;
        Ok(project)
    }

    /// Every own project, or those of a name, none whose name has led elsewhere before; or those of others.
    async fn pages(&self, name: &str, shared: bool) -> Result<Vec<Project>> {
        self.pages_each(name, shared).await?.into_iter().collect()
    }

    /// The same, each with the outcome of its check.
    pub(crate) async fn pages_each(&self, name: &str, shared: bool) -> Result<Vec<Result<Project>>> {
        // Read before the server is asked: another process may move a pin on meanwhile.
        let pins = self.client.pins().await?;
        let account = self.client.fresh_session().await?.account();
        let mut projects = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let name = name.to_owned();
            let request = pb::ListProjectsRequest { page_size: PAGE_SIZE, page_token, name, shared };
            let answer: pb::ListProjectsResponse = self.client.call(&rpc::LIST_PROJECTS, &request).await?;
            for project in answer.projects {
                let project = read(Some(project), &rpc::LIST_PROJECTS)?;
                // An own project is nobody else's: who owns one decides whom keys are wrapped to.
                let judged = match shared {
                    true => pins.judge_owner(project.id, project.owner_id),
                    false if project.owner_id != account => Err(IntegrityReason::OwnerChanged),
                    false => pins.judge_project(account, &project.name, project.id),
                };
                let refused = |reason| Error::integrity(reason, format!("project {}", project.name));
                projects.push(judged.map_err(refused).map(|()| project));
            }
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(projects);
            }
        }
        // A list without an end is a server that makes us work for nothing.
        Err(Error::BadAnswer { rpc: rpc::LIST_PROJECTS.path })
    }
}

fn read(project: Option<pb::Project>, rpc: &'static Rpc) -> Result<Project> {
    let project = times::present(project, rpc)?;
    Ok(Project {
        id: times::id(&project.project_id, rpc)?,
        name: times::name(project.name, rpc)?,
        owner_id: times::id(&project.owner_id, rpc)?,
        created_at: times::required(project.created_at, rpc)?,
        environment_count: project.environment_count,
        permissions: project.permissions,
    })
}

#[cfg(test)]
mod tests;
