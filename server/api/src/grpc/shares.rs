//! `ShareService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_proto::projects::v1::{self as pb, share_service_server::ShareService};
use veilcore::id::TeamId;

use super::{Api, access, caller};
use crate::{
    convert::{id, projects as convert},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ShareService for Api {
    async fn share_project(
        &self,
        request: Request<pb::ShareProjectRequest>,
    ) -> Answer<pb::ShareProjectResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let (team, actions) = (id("team_id", &request.team_id)?, convert::actions(&request.permissions)?);
        let shared = self.services.projects.share(&access, team, actions, request.access_list).await;
        let (share, access_list_number) = shared.map_err(Fault::from)?;
        let share = Some(convert::share(share));
        Ok(Response::new(pb::ShareProjectResponse { share, access_list_number }))
    }

    async fn unshare_project(
        &self,
        request: Request<pb::UnshareProjectRequest>,
    ) -> Answer<pb::UnshareProjectResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let team = id("team_id", &request.team_id)?;
        let unshared = self.services.projects.unshare(&access, team, request.access_list).await;
        let access_list_number = unshared.map_err(Fault::from)?;
        Ok(Response::new(pb::UnshareProjectResponse { access_list_number }))
    }

    async fn list_shares(&self, request: Request<pb::ListSharesRequest>) -> Answer<pb::ListSharesResponse> {
        let (caller, access) = (caller(&request)?, access(&request)?);
        let request = request.into_inner();
        let arguments = [request.project_id.as_str()];
        let list = self.list(&caller, "ListShares", &arguments);
        let page = list.page::<TeamId>(&request.page_token, request.page_size)?;
        let page = self.services.projects.shares(&access, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListSharesResponse {
            shares: page.items.into_iter().map(convert::share).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn put_access_list(
        &self,
        request: Request<pb::PutAccessListRequest>,
    ) -> Answer<pb::PutAccessListResponse> {
        let access = access(&request)?;
        let put = self.services.projects.put_access_list(&access, request.into_inner().access_list).await;
        let access_list_number = put.map_err(Fault::from)?;
        Ok(Response::new(pb::PutAccessListResponse { access_list_number }))
    }

    async fn get_access_list(
        &self,
        request: Request<pb::GetAccessListRequest>,
    ) -> Answer<pb::GetAccessListResponse> {
        let access = access(&request)?;
        let wanted = request.into_inner().number;
        let found = self.services.projects.access_list(&access, wanted).await;
        let (state, access_list) = found.map_err(Fault::from)?;
        let records = self.services.projects.api_key_records(&access, &access_list).await;
        let api_keys = records.map_err(Fault::from)?.into_iter().map(convert::api_key_record).collect();
        Ok(Response::new(pb::GetAccessListResponse {
            access_list,
            number: if wanted == 0 { state.number } else { wanted },
            newest_number: state.number,
            floor: state.floor,
            owner_id: state.owner.to_string(),
            api_keys,
        }))
    }
}
