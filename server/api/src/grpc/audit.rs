//! `AuditService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_proto::audit::v1::{self as pb, audit_service_server::AuditService};

use super::{Api, access, caller};
use crate::{convert::audit as convert, status::Fault};

#[async_trait]
impl AuditService for Api {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let (caller, access) = (caller(&request)?, access(&request)?);
        let request = request.into_inner();
        let arguments = [request.project_id.as_str()];
        let list = self.list(&caller, "ListEvents", &arguments);
        let page = list.page::<u64>(&request.page_token, request.page_size)?;
        let page = self.services.audit.events(&access, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListEventsResponse {
            events: page.items.iter().map(convert::event).collect(),
            next_page_token: list.token(page.next),
        }))
    }
}
