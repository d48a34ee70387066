//! `AccessService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::auth::permissions::permissions;
use veilcloud_proto::auth::v1::{self as pb, access_service_server::AccessService};
use veilcore::id::SessionId;

use super::{Api, access, caller};
use crate::{
    convert::{capabilities as convert, id},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl AccessService for Api {
    async fn list_permissions(
        &self,
        _: Request<pb::ListPermissionsRequest>,
    ) -> Result<Response<pb::ListPermissionsResponse>, Status> {
        let permissions = permissions().map(|permission| pb::Permission {
            name: permission.name.to_owned(),
            description: permission.description.to_owned(),
            bit: permission.action.bits().trailing_zeros(),
            api_key: permission.for_api_keys,
        });
        Ok(Response::new(pb::ListPermissionsResponse { permissions: permissions.collect() }))
    }

    async fn issue_capability(
        &self,
        request: Request<pb::IssueCapabilityRequest>,
    ) -> Answer<pb::IssueCapabilityResponse> {
        let caller = caller(&request)?;
        let new = convert::new(request.into_inner())?;
        let issued = self.services.capabilities.issue(&caller, new).await;
        let (issued, capability) = issued.map_err(Fault::from)?;
        let issued = Some(convert::issued(issued));
        Ok(Response::new(pb::IssueCapabilityResponse { capability, issued }))
    }

    async fn verify_capability(
        &self,
        request: Request<pb::VerifyCapabilityRequest>,
    ) -> Answer<pb::VerifyCapabilityResponse> {
        let caller = caller(&request)?;
        let question = convert::question(request.into_inner())?;
        let judged = self.services.capabilities.verify(&caller, question).await.map_err(Fault::from)?;
        Ok(Response::new(convert::judged(judged)))
    }

    async fn revoke_capability(
        &self,
        request: Request<pb::RevokeCapabilityRequest>,
    ) -> Answer<pb::RevokeCapabilityResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let capabilities = &self.services.capabilities;
        match (request.token_id.as_str(), request.all) {
            ("", true) => capabilities.revoke_all(&caller).await.map_err(Fault::from)?,
            ("", false) => {
                let text = "names the capability to revoke, or all is true";
                return Err(Fault::field("token_id", "required", text).into());
            }
            (_, true) => {
                return Err(Fault::field("all", "exclusive", "is true and token_id names one").into());
            }
            (token, false) => {
                let token: SessionId = id("token_id", token)?;
                capabilities.revoke(&caller, token).await.map_err(Fault::from)?;
            }
        }
        Ok(Response::new(pb::RevokeCapabilityResponse {}))
    }

    async fn list_capabilities(
        &self,
        request: Request<pb::ListCapabilitiesRequest>,
    ) -> Answer<pb::ListCapabilitiesResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let list = self.list(&caller, "ListCapabilities", &[]);
        let page = list.page::<SessionId>(&request.page_token, request.page_size)?;
        let page = self.services.capabilities.list(&caller, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListCapabilitiesResponse {
            capabilities: page.items.into_iter().map(convert::issued).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn list_issuers(&self, _: Request<pb::ListIssuersRequest>) -> Answer<pb::ListIssuersResponse> {
        let keys = self.services.issuers.list().iter().map(convert::issuer).collect();
        Ok(Response::new(pb::ListIssuersResponse { keys }))
    }

    async fn explain_access(
        &self,
        request: Request<pb::ExplainAccessRequest>,
    ) -> Answer<pb::ExplainAccessResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let account = match request.account_id.as_str() {
            "" => access.actor(),
            text => id("account_id", text)?,
        };
        let explained = self.services.explainer.explain(&access, account).await.map_err(Fault::from)?;
        Ok(Response::new(convert::explanation(explained)))
    }
}
