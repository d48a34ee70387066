//! `ServerService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_proto::common::v1::{
    GetServerInfoRequest, GetServerInfoResponse, Limits, server_service_server::ServerService,
};

use super::Api;
use crate::convert::timestamp;

#[async_trait]
impl ServerService for Api {
    async fn get_server_info(
        &self,
        _: Request<GetServerInfoRequest>,
    ) -> Result<Response<GetServerInfoResponse>, Status> {
        let limits = self.settings.limits;
        let (name, keys, policy) = self.services.audit.trust();
        Ok(Response::new(GetServerInfoResponse {
            version: self.settings.version.to_owned(),
            now: timestamp(self.services.clock.now_ms()),
            limits: Some(Limits {
                message_bytes: limits.message_bytes,
                direct_blob_bytes: limits.direct_blob_bytes,
                blob_bytes: limits.blob_bytes,
                chunk_bytes: limits.chunk_bytes,
                proof_window_ms: limits.proof_window_ms,
                account_quota_bytes: limits.account_quota_bytes,
            }),
            log_name: name.to_owned(),
            log_keys: keys.iter().map(|key| key.to_vec()).collect(),
            witness_policy: policy.to_owned(),
        }))
    }
}
