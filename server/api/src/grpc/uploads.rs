//! `UploadService`.

use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::storage::{NewUpload, model::Digest, precondition};
use veilcloud_proto::storage::v1::{self as pb, upload_service_server::UploadService};

use super::{Api, access};
use crate::{
    convert::{array, id, name, storage as convert},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl UploadService for Api {
    async fn start_upload(
        &self,
        request: Request<pb::StartUploadRequest>,
    ) -> Answer<pb::StartUploadResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let name = name(&request.env_name)?;
        let new = NewUpload {
            len: request.ciphertext_bytes,
            digest: Digest(array("digest", &request.digest)?),
            seal: request.seal.to_vec(),
            precondition: precondition(&request.if_match, &request.if_none_match).map_err(Fault::from)?,
        };
        let upload = self.services.storage.start_upload(&access, &name, new).await.map_err(Fault::from)?;
        Ok(Response::new(pb::StartUploadResponse { upload: Some(convert::upload(&upload)) }))
    }

    async fn put_chunk(&self, request: Request<pb::PutChunkRequest>) -> Answer<pb::PutChunkResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let (name, upload) = (name(&request.env_name)?, id("upload_id", &request.upload_id)?);
        let digest = array("digest", &request.digest)?;
        let put =
            self.services.storage.put_chunk(&access, &name, upload, request.index, request.data, digest);
        let received_count = put.await.map_err(Fault::from)?;
        Ok(Response::new(pb::PutChunkResponse { received_count }))
    }

    async fn get_upload(&self, request: Request<pb::GetUploadRequest>) -> Answer<pb::GetUploadResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let (name, upload) = (name(&request.env_name)?, id("upload_id", &request.upload_id)?);
        let upload = self.services.storage.upload(&access, &name, upload).await.map_err(Fault::from)?;
        Ok(Response::new(pb::GetUploadResponse { upload: Some(convert::upload(&upload)) }))
    }

    async fn commit_upload(
        &self,
        request: Request<pb::CommitUploadRequest>,
    ) -> Answer<pb::CommitUploadResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let (name, upload) = (name(&request.env_name)?, id("upload_id", &request.upload_id)?);
        let committed = self.services.storage.commit_upload(&access, &name, upload).await;
        let (_, version) = committed.map_err(Fault::from)?;
        let log_proof = self.written(&access, version.log_index, request.log_size).await?;
        Ok(Response::new(pb::CommitUploadResponse { blob: Some(convert::blob(&name, version)), log_proof }))
    }

    async fn abort_upload(
        &self,
        request: Request<pb::AbortUploadRequest>,
    ) -> Answer<pb::AbortUploadResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let (name, upload) = (name(&request.env_name)?, id("upload_id", &request.upload_id)?);
        self.services.storage.abort_upload(&access, &name, upload).await.map_err(Fault::from)?;
        Ok(Response::new(pb::AbortUploadResponse {}))
    }
}
