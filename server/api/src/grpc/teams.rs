//! `TeamService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::teams::{error::TeamsError, model::TeamKey};
use veilcloud_proto::teams::v1::{self as pb, team_service_server::TeamService};
use veilcore::id::AccountId;

use super::{Api, caller, check_mask};
use crate::{
    convert::{id, name, teams as convert},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl TeamService for Api {
    async fn create_team(&self, request: Request<pb::CreateTeamRequest>) -> Answer<pb::CreateTeamResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let created = self.services.teams.create(&caller, name(&request.name)?, request.threshold).await;
        let team = convert::team(created.map_err(Fault::from)?);
        Ok(Response::new(pb::CreateTeamResponse { team: Some(team) }))
    }

    async fn list_teams(&self, request: Request<pb::ListTeamsRequest>) -> Answer<pb::ListTeamsResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let only = if request.name.is_empty() { None } else { Some(name(&request.name)?) };
        let arguments = [request.name.as_str()];
        let list = self.list(&caller, "ListTeams", &arguments);
        let page = list.page::<TeamKey>(&request.page_token, request.page_size)?;
        let page = self.services.teams.list(&caller, only.as_ref(), page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListTeamsResponse {
            teams: page.items.into_iter().map(convert::team).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn get_team(&self, request: Request<pb::GetTeamRequest>) -> Answer<pb::GetTeamResponse> {
        let caller = caller(&request)?;
        let team = id("team_id", &request.into_inner().team_id)?;
        let team = self.services.teams.get(&caller, team).await.map_err(Fault::from)?;
        Ok(Response::new(pb::GetTeamResponse { team: Some(convert::team(team)) }))
    }

    async fn update_team(&self, request: Request<pb::UpdateTeamRequest>) -> Answer<pb::UpdateTeamResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let (team, change) = (id("team_id", &request.team_id)?, convert::change(&request)?);
        let team = self.services.teams.update(&caller, team, change).await.map_err(Fault::from)?;
        Ok(Response::new(pb::UpdateTeamResponse { team: Some(convert::team(team)) }))
    }

    async fn delete_team(&self, request: Request<pb::DeleteTeamRequest>) -> Answer<pb::DeleteTeamResponse> {
        let caller = caller(&request)?;
        let team = id("team_id", &request.into_inner().team_id)?;
        self.services.teams.delete(&caller, team).await.map_err(Fault::from)?;
        Ok(Response::new(pb::DeleteTeamResponse {}))
    }

    async fn add_member(&self, request: Request<pb::AddMemberRequest>) -> Answer<pb::AddMemberResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let (team, account) = (id("team_id", &request.team_id)?, id("account_id", &request.account_id)?);
        let role = convert::role(&request.role)?;
        let member = self.services.teams.add_member(&caller, team, account, role).await;
        let member = convert::member(member.map_err(Fault::from)?);
        Ok(Response::new(pb::AddMemberResponse { member: Some(member) }))
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Answer<pb::ListMembersResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let team = id("team_id", &request.team_id)?;
        let arguments = [request.team_id.as_str()];
        let list = self.list(&caller, "ListMembers", &arguments);
        let page = list.page::<AccountId>(&request.page_token, request.page_size)?;
        let page = self.services.teams.members(&caller, team, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListMembersResponse {
            members: page.items.into_iter().map(convert::member).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Answer<pb::UpdateMemberResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        check_mask(request.update_mask.as_ref(), "role")
            .map_err(|field| Fault::from(TeamsError::Mask { field }))?;
        let (team, account) = (id("team_id", &request.team_id)?, id("account_id", &request.account_id)?);
        let role = convert::role(&request.role)?;
        let member = self.services.teams.set_role(&caller, team, account, role).await;
        let member = convert::member(member.map_err(Fault::from)?);
        Ok(Response::new(pb::UpdateMemberResponse { member: Some(member) }))
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Answer<pb::RemoveMemberResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let (team, account) = (id("team_id", &request.team_id)?, id("account_id", &request.account_id)?);
        self.services.teams.remove_member(&caller, team, account).await.map_err(Fault::from)?;
        Ok(Response::new(pb::RemoveMemberResponse {}))
    }
}
