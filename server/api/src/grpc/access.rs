//! `AccessService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::auth::permissions::permissions;
use veilcloud_proto::auth::v1::{self as pb, access_service_server::AccessService};

use super::Api;

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
}
