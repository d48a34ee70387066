//! `ProjectService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::{auth::Caller, name::Name, projects::error::ProjectsError};
use veilcloud_proto::projects::v1::{self as pb, project_service_server::ProjectService};
use veilcore::id::ProjectId;
use veilsign::capability::Actions;

use super::{Api, access, caller, check_mask};
use crate::{
    convert::{name, projects as convert},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ProjectService for Api {
    async fn create_project(
        &self,
        request: Request<pb::CreateProjectRequest>,
    ) -> Answer<pb::CreateProjectResponse> {
        let caller = caller(&request)?;
        let name = name(&request.into_inner().name)?;
        let project = self.services.projects.create(&caller, name).await.map_err(Fault::from)?;
        Ok(Response::new(pb::CreateProjectResponse {
            project: Some(convert::project(project, Actions::ALL)),
        }))
    }

    async fn list_projects(
        &self,
        request: Request<pb::ListProjectsRequest>,
    ) -> Answer<pb::ListProjectsResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let only = if request.name.is_empty() { None } else { Some(name(&request.name)?) };
        if request.shared {
            return self.list_shared(&caller, &request, only.as_ref()).await;
        }
        let arguments = [request.name.as_str()];
        let list = self.list(&caller, "ListProjects", &arguments);
        let page = list.page::<Name>(&request.page_token, request.page_size)?;
        let page = self.services.projects.list(&caller, only.as_ref(), page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListProjectsResponse {
            projects: page.items.into_iter().map(|p| convert::project(p, Actions::ALL)).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn get_project(&self, request: Request<pb::GetProjectRequest>) -> Answer<pb::GetProjectResponse> {
        let access = access(&request)?;
        let project = self.services.projects.get(&access).await.map_err(Fault::from)?;
        let project = Some(convert::project(project, access.held()));
        Ok(Response::new(pb::GetProjectResponse { project }))
    }

    async fn update_project(
        &self,
        request: Request<pb::UpdateProjectRequest>,
    ) -> Answer<pb::UpdateProjectResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        check_mask(request.update_mask.as_ref(), "name")
            .map_err(|field| Fault::from(ProjectsError::Mask { field }))?;
        let project =
            self.services.projects.rename(&access, name(&request.name)?).await.map_err(Fault::from)?;
        let project = Some(convert::project(project, access.held()));
        Ok(Response::new(pb::UpdateProjectResponse { project }))
    }

    async fn delete_project(
        &self,
        request: Request<pb::DeleteProjectRequest>,
    ) -> Answer<pb::DeleteProjectResponse> {
        let access = access(&request)?;
        self.services.projects.delete(&access).await.map_err(Fault::from)?;
        Ok(Response::new(pb::DeleteProjectResponse {}))
    }
}

impl Api {
    async fn list_shared(
        &self,
        caller: &Caller,
        request: &pb::ListProjectsRequest,
        only: Option<&Name>,
    ) -> Answer<pb::ListProjectsResponse> {
        let arguments = [request.name.as_str(), "shared"];
        let list = self.list(caller, "ListProjects", &arguments);
        let page = list.page::<ProjectId>(&request.page_token, request.page_size)?;
        let page = self.services.projects.list_shared(caller, only, page).await.map_err(Fault::from)?;
        let projects = page.items.into_iter().map(|(project, held)| convert::project(project, held));
        Ok(Response::new(pb::ListProjectsResponse {
            projects: projects.collect(),
            next_page_token: list.token(page.next),
        }))
    }
}
