//! `EnvironmentService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::name::Name;
use veilcloud_proto::projects::v1::{self as pb, environment_service_server::EnvironmentService};

use super::{Api, access, caller};
use crate::{
    convert::{array, name, projects as convert},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl EnvironmentService for Api {
    async fn create_environment(
        &self,
        request: Request<pb::CreateEnvironmentRequest>,
    ) -> Answer<pb::CreateEnvironmentResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let new = convert::new_environment(&request.environment_id, &request.name, request.keyring)?;
        let environment =
            self.services.projects.create_environment(&access, new).await.map_err(Fault::from)?;
        Ok(Response::new(pb::CreateEnvironmentResponse {
            environment: Some(convert::environment(environment)),
        }))
    }

    async fn list_environments(
        &self,
        request: Request<pb::ListEnvironmentsRequest>,
    ) -> Answer<pb::ListEnvironmentsResponse> {
        let (caller, access) = (caller(&request)?, access(&request)?);
        let request = request.into_inner();
        let arguments = [request.project_id.as_str()];
        let list = self.list(&caller, "ListEnvironments", &arguments);
        let page = list.page::<Name>(&request.page_token, request.page_size)?;
        let page = self.services.projects.environments(&access, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListEnvironmentsResponse {
            environments: page.items.into_iter().map(convert::environment).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn get_environment(
        &self,
        request: Request<pb::GetEnvironmentRequest>,
    ) -> Answer<pb::GetEnvironmentResponse> {
        let access = access(&request)?;
        let name = name(&request.into_inner().name)?;
        let environment = self.services.projects.environment(&access, &name).await.map_err(Fault::from)?;
        Ok(Response::new(pb::GetEnvironmentResponse { environment: Some(convert::environment(environment)) }))
    }

    async fn delete_environment(
        &self,
        request: Request<pb::DeleteEnvironmentRequest>,
    ) -> Answer<pb::DeleteEnvironmentResponse> {
        let access = access(&request)?;
        let name = name(&request.into_inner().name)?;
        self.services.projects.delete_environment(&access, &name).await.map_err(Fault::from)?;
        Ok(Response::new(pb::DeleteEnvironmentResponse {}))
    }

    async fn clone_environment(
        &self,
        request: Request<pb::CloneEnvironmentRequest>,
    ) -> Answer<pb::CloneEnvironmentResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let source = name(&request.name)?;
        let new = convert::new_environment(&request.environment_id, &request.target_name, request.keyring)?;
        let cloned =
            self.services.projects.clone_environment(&access, &source, request.source_version, new).await;
        let environment = cloned.map_err(Fault::from)?;
        Ok(Response::new(pb::CloneEnvironmentResponse {
            environment: Some(convert::environment(environment)),
        }))
    }

    async fn rotate_environment_key(
        &self,
        request: Request<pb::RotateEnvironmentKeyRequest>,
    ) -> Answer<pb::RotateEnvironmentKeyResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let (name, keyring) = (name(&request.name)?, convert::keyring(request.keyring)?);
        let environment =
            self.services.projects.rotate_key(&access, &name, keyring).await.map_err(Fault::from)?;
        Ok(Response::new(pb::RotateEnvironmentKeyResponse {
            environment: Some(convert::environment(environment)),
        }))
    }

    async fn get_keyring(&self, request: Request<pb::GetKeyringRequest>) -> Answer<pb::GetKeyringResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let name = name(&request.name)?;
        let projects = &self.services.projects;
        let given = if request.whole {
            projects.whole(&access, &name, request.epoch).await
        } else {
            projects.keyring(&access, &name, request.epoch).await
        };
        Ok(Response::new(convert::given_keyring(given.map_err(Fault::from)?)))
    }

    async fn unlock_keyring(
        &self,
        request: Request<pb::UnlockKeyringRequest>,
    ) -> Answer<pb::UnlockKeyringResponse> {
        let (caller, access) = (caller(&request)?, access(&request)?);
        let request = request.into_inner();
        let (name, nonce) = (name(&request.name)?, array("nonce", &request.nonce)?);
        let unlocked = self.services.unlocking.unlock(&caller, &access, &name, request.epoch, &nonce).await;
        Ok(Response::new(convert::unlocked(unlocked.map_err(Fault::from)?)))
    }

    async fn add_keyring(&self, request: Request<pb::AddKeyringRequest>) -> Answer<pb::AddKeyringResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let (name, keyring) = (name(&request.name)?, convert::keyring(request.keyring)?);
        let principal = convert::principal(&request.account_id, &request.api_key_id)?;
        let added =
            self.services.projects.add_keyring(&access, &name, principal, keyring, request.replace).await;
        added.map_err(Fault::from)?;
        Ok(Response::new(pb::AddKeyringResponse {}))
    }
}
