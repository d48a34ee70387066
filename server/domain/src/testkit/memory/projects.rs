use async_trait::async_trait;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};

use super::{MemoryStore, State};
use crate::{
    audit::model::Line,
    name::Name,
    page::{Page, PageArgs},
    projects::{
        model::{Environment, Keyring, Project},
        port::{Catalog, Written},
    },
    store::StoreError,
};

#[async_trait]
impl Catalog for MemoryStore {
    async fn create_project(&self, project: Project, limit: u32, line: Line) -> Result<Written, StoreError> {
        let mut state = self.begin("create_project")?;
        if !state.accounts.contains_key(&project.owner) {
            return Ok(Written::Gone);
        }
        if !state.stands(&line) {
            return Ok(Written::Denied);
        }
        if state.projects.contains_key(&project.id) || state.named(project.owner, &project.name).is_some() {
            return Ok(Written::Taken);
        }
        if state.projects.values().filter(|p| p.owner == project.owner).count() >= limit as usize {
            return Ok(Written::Limit);
        }
        state.projects.insert(project.id, project);
        state.log(line);
        Ok(Written::Done)
    }

    async fn project(&self, id: ProjectId) -> Result<Option<Project>, StoreError> {
        let state = self.begin("project")?;
        Ok(state.projects.get(&id).map(|project| state.counted(project)))
    }

    async fn projects(
        &self,
        owner: AccountId,
        only: Option<&Name>,
        page: PageArgs<Name>,
    ) -> Result<Page<Project, Name>, StoreError> {
        let state = self.begin("projects")?;
        let wanted = |p: &&Project| {
            p.owner == owner
                && only.is_none_or(|only| p.name == *only)
                && page.after.as_ref().is_none_or(|after| p.name > *after)
        };
        let mut found: Vec<_> = state.projects.values().filter(wanted).map(|p| state.counted(p)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Page::cut(found, page.size, |p| p.name.clone()))
    }

    async fn rename_project(&self, id: ProjectId, name: Name, line: Line) -> Result<Written, StoreError> {
        let mut state = self.begin("rename_project")?;
        if !state.stands(&line) {
            return Ok(Written::Denied);
        }
        let Some(owner) = state.projects.get(&id).map(|p| p.owner) else { return Ok(Written::Gone) };
        if state.named(owner, &name).is_some_and(|other| other != id) {
            return Ok(Written::Taken);
        }
        if let Some(project) = state.projects.get_mut(&id) {
            project.name = name;
        }
        state.log(line);
        Ok(Written::Done)
    }

    async fn delete_project(&self, id: ProjectId, line: Line) -> Result<bool, StoreError> {
        let mut state = self.begin("delete_project")?;
        let removed = state.stands(&line) && state.remove_project(id);
        if removed {
            state.log(line);
        }
        Ok(removed)
    }

    async fn last_owner(&self, id: ProjectId) -> Result<Option<AccountId>, StoreError> {
        let state = self.begin("last_owner")?;
        Ok(state.last_owners.get(&id).copied().filter(|owner| state.accounts.contains_key(owner)))
    }

    async fn create_environment(
        &self,
        environment: Environment,
        keyring: Keyring,
        limit: u32,
        line: Line,
    ) -> Result<Written, StoreError> {
        let mut state = self.begin("create_environment")?;
        if !state.stands(&line) {
            return Ok(Written::Denied);
        }
        if !state.projects.contains_key(&environment.project) {
            return Ok(Written::Gone);
        }
        let inside = |e: &&Environment| e.project == environment.project;
        let name_taken = state.environments.values().filter(inside).any(|e| e.name == environment.name);
        if name_taken || state.environments.contains_key(&environment.id) {
            return Ok(Written::Taken);
        }
        if state.environments.values().filter(inside).count() >= limit as usize {
            return Ok(Written::Limit);
        }
        let newest = state.newest_list(environment.project);
        if keyring.access_list != newest {
            return Ok(Written::Stale(newest));
        }
        state.keyrings.insert((environment.id, keyring.epoch), keyring);
        state.environments.insert(environment.id, environment);
        state.log(line);
        Ok(Written::Done)
    }

    async fn environment(&self, project: ProjectId, name: &Name) -> Result<Option<Environment>, StoreError> {
        let state = self.begin("environment")?;
        let found = state.environments.values().find(|e| e.project == project && e.name == *name);
        Ok(found.map(|e| state.headed(e)))
    }

    async fn environments(
        &self,
        project: ProjectId,
        page: PageArgs<Name>,
    ) -> Result<Page<Environment, Name>, StoreError> {
        let state = self.begin("environments")?;
        let wanted = |e: &&Environment| {
            e.project == project && page.after.as_ref().is_none_or(|after| e.name > *after)
        };
        let mut found: Vec<_> = state.environments.values().filter(wanted).map(|e| state.headed(e)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Page::cut(found, page.size, |e| e.name.clone()))
    }

    async fn delete_environment(&self, id: EnvironmentId, line: Line) -> Result<Written, StoreError> {
        let mut state = self.begin("delete_environment")?;
        if !state.stands(&line) {
            return Ok(Written::Denied);
        }
        if !state.remove_environment(id) {
            return Ok(Written::Gone);
        }
        state.log(line);
        Ok(Written::Done)
    }
}

impl State {
    fn named(&self, owner: AccountId, name: &Name) -> Option<ProjectId> {
        self.projects.values().find(|p| p.owner == owner && p.name == *name).map(|p| p.id)
    }

    pub(super) fn counted(&self, project: &Project) -> Project {
        let count = self.environments.values().filter(|e| e.project == project.id).count();
        Project { environment_count: u32::try_from(count).unwrap_or(u32::MAX), ..project.clone() }
    }

    fn headed(&self, environment: &Environment) -> Environment {
        let rotation_due = self.rotation_due(environment);
        Environment { head: self.head(environment.id).cloned(), rotation_due, ..environment.clone() }
    }
}
