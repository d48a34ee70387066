//! `StorageService`.

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::{
    name::Name,
    projects::ProjectAccess,
    storage::{
        Opened, Put,
        error::StorageError,
        model::{Etag, PIECE_LEN, Version},
        precondition,
    },
};
use veilcloud_proto::{
    audit::v1::LogProof,
    storage::v1::{self as pb, storage_service_server::StorageService},
};

use super::{Api, access, caller};
use crate::{
    convert::{audit, name, storage as convert},
    rest::{RangeWish, Served},
    status::Fault,
};

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl StorageService for Api {
    type GetBlobStream = BoxStream<'static, Result<pb::GetBlobResponse, Status>>;

    async fn put_blob(&self, request: Request<pb::PutBlobRequest>) -> Answer<pb::PutBlobResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let name = name(&request.env_name)?;
        let precondition = precondition(&request.if_match, &request.if_none_match).map_err(Fault::from)?;
        let put = Put { ciphertext: request.ciphertext, seal: request.seal.to_vec(), precondition };
        let (_, version) = self.services.storage.put(&access, &name, put).await.map_err(Fault::from)?;
        let log_proof = self.written(&access, version.log_index, request.log_size).await?;
        Ok(Response::new(pb::PutBlobResponse { blob: Some(convert::blob(&name, version)), log_proof }))
    }

    async fn get_blob(&self, request: Request<pb::GetBlobRequest>) -> Answer<Self::GetBlobStream> {
        let access = access(&request)?;
        let wish = request.extensions().get::<RangeWish>().cloned();
        let request = request.into_inner();
        let name = name(&request.env_name)?;
        let (opened, partial) = match wish {
            Some(wish) => self.open_wished(&access, &name, &request, &wish).await?,
            None => {
                let opened = self.services.storage.open(
                    &access,
                    &name,
                    number(request.version),
                    held(&request.if_none_match),
                    request.offset,
                    request.length,
                );
                (opened.await.map_err(Fault::from)?, false)
            }
        };
        let served = Served { offset: opened.offset, len: opened.len, total: opened.version.len, partial };
        let log_proof = self.shown(&access, &opened.version, request.log_size).await?;
        let mut response = Response::new(pieces(&name, opened, log_proof));
        response.extensions_mut().insert(served);
        Ok(response)
    }

    async fn read_blob(&self, request: Request<pb::ReadBlobRequest>) -> Answer<pb::ReadBlobResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let name = name(&request.env_name)?;
        let tag = held(&request.if_none_match);
        let read = self.services.storage.read(&access, &name, number(request.version), tag).await;
        let read = read.map_err(Fault::from)?;
        let log_proof = self.shown(&access, &read.version, request.log_size).await?;
        Ok(Response::new(pb::ReadBlobResponse {
            blob: Some(convert::blob(&name, read.version)),
            not_modified: read.body.is_none(),
            ciphertext: read.body.unwrap_or_default(),
            log_proof,
        }))
    }

    async fn stat_blob(&self, request: Request<pb::StatBlobRequest>) -> Answer<pb::StatBlobResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let name = name(&request.env_name)?;
        let stat = self.services.storage.stat(&access, &name, number(request.version)).await;
        let (_, version) = stat.map_err(Fault::from)?;
        let log_proof = self.shown(&access, &version, request.log_size).await?;
        Ok(Response::new(pb::StatBlobResponse { blob: Some(convert::blob(&name, version)), log_proof }))
    }

    async fn delete_blob(&self, request: Request<pb::DeleteBlobRequest>) -> Answer<pb::DeleteBlobResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let name = name(&request.env_name)?;
        if request.if_match.is_empty() {
            return Err(Fault::from(StorageError::PreconditionRequired).into());
        }
        let invalid = |_| StorageError::PreconditionInvalid { text: request.if_match.clone() };
        let etag: Etag = request.if_match.parse().map_err(invalid).map_err(Fault::from)?;
        let index = self.services.storage.delete(&access, &name, etag).await.map_err(Fault::from)?;
        let log_proof = self.written(&access, Some(index), request.log_size).await?;
        Ok(Response::new(pb::DeleteBlobResponse { log_proof }))
    }

    async fn list_blobs(&self, request: Request<pb::ListBlobsRequest>) -> Answer<pb::ListBlobsResponse> {
        let (caller, access) = (caller(&request)?, access(&request)?);
        let request = request.into_inner();
        let arguments = [request.project_id.as_str()];
        let list = self.list(&caller, "ListBlobs", &arguments);
        let page = list.page::<Name>(&request.page_token, request.page_size)?;
        let page = self.services.projects.environments(&access, page).await.map_err(Fault::from)?;
        let heads = page.items.into_iter().filter_map(|e| e.head.map(|head| convert::blob(&e.name, head)));
        Ok(Response::new(pb::ListBlobsResponse {
            blobs: heads.collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn list_versions(
        &self,
        request: Request<pb::ListVersionsRequest>,
    ) -> Answer<pb::ListVersionsResponse> {
        let (caller, access) = (caller(&request)?, access(&request)?);
        let request = request.into_inner();
        let name = name(&request.env_name)?;
        let arguments = [request.project_id.as_str(), request.env_name.as_str()];
        let list = self.list(&caller, "ListVersions", &arguments);
        let page = list.page::<u64>(&request.page_token, request.page_size)?;
        let versions = self.services.storage.versions(&access, &name, page).await;
        let (_, page) = versions.map_err(Fault::from)?;
        Ok(Response::new(pb::ListVersionsResponse {
            versions: page.items.into_iter().map(|version| convert::blob(&name, version)).collect(),
            next_page_token: list.token(page.next),
        }))
    }
}

impl Api {
    /// Opens the part that a Range header names. The length has to be known first, so the version is looked up and then
    /// opened by its number: nobody's write comes between.
    async fn open_wished(
        &self,
        access: &ProjectAccess,
        name: &Name,
        request: &pb::GetBlobRequest,
        wish: &RangeWish,
    ) -> Result<(Opened, bool), Fault> {
        let storage = &self.services.storage;
        let (environment, version) = storage.stat(access, name, number(request.version)).await?;
        let tag = held(&request.if_none_match);
        // RFC 9110, 13.2.2: a version the caller has is said so before its range is looked at.
        let range = match tag == Some(version.etag()) {
            true => None,
            false => wish.resolve(version.len, &version.etag().to_string())?,
        };
        let (offset, length) = range.unwrap_or((0, 0));
        let (stated, by_number) = ((environment, version), request.version != 0);
        let opened = storage.open_stated(access, stated, by_number, tag, offset, length).await?;
        let partial = range.is_some() && opened.stream.is_some();
        Ok((opened, partial))
    }
}

impl Api {
    /// Proof of a version that is shown; none for one that is older than the log.
    async fn shown(
        &self,
        access: &ProjectAccess,
        version: &Version,
        seen: u64,
    ) -> Result<Option<LogProof>, Fault> {
        let Some(index) = version.log_index else { return Ok(None) };
        let proof = self.services.audit.prove_version(access, index, seen).await?;
        Ok(Some(audit::proof(proof)))
    }

    /// Proof of a change that was just made. The change stands whatever becomes of its proof: while the witnesses are
    /// away there is none, and the next read has to show it.
    pub(super) async fn written(
        &self,
        access: &ProjectAccess,
        index: Option<u64>,
        seen: u64,
    ) -> Result<Option<LogProof>, Fault> {
        let Some(index) = index else { return Ok(None) };
        match self.services.audit.prove_version(access, index, seen).await {
            Ok(proof) => Ok(Some(audit::proof(proof))),
            Err(error) => {
                tracing::warn!(%error, "a change was made whose proof cannot be given yet");
                Ok(None)
            }
        }
    }
}

fn number(version: u64) -> Option<u64> {
    (version != 0).then_some(version)
}

/// The version the caller has. A tag that is none of ours names nothing we have, so everything is sent.
fn held(if_none_match: &str) -> Option<Etag> {
    if_none_match.parse().ok()
}

/// The description first, then the bytes.
fn pieces(
    name: &Name,
    opened: Opened,
    log_proof: Option<LogProof>,
) -> BoxStream<'static, Result<pb::GetBlobResponse, Status>> {
    let first = pb::GetBlobResponse {
        blob: Some(convert::blob(name, opened.version)),
        not_modified: opened.stream.is_none(),
        offset: opened.offset,
        data: Bytes::new(),
        log_proof,
    };
    let Some(bytes) = opened.stream else { return stream::iter([Ok(first)]).boxed() };
    let mut offset = opened.offset;
    let rest = bytes.flat_map(|piece| stream::iter(cut(piece))).map(move |piece| {
        let data = piece.map_err(Fault::from)?;
        let at = offset;
        offset += data.len() as u64;
        Ok(pb::GetBlobResponse { blob: None, not_modified: false, offset: at, data, log_proof: None })
    });
    stream::iter([Ok(first)]).chain(rest).boxed()
}

/// No message carries more than a piece, whatever the store gives.
fn cut<E>(piece: Result<Bytes, E>) -> Vec<Result<Bytes, E>> {
    match piece {
        Ok(mut bytes) => {
            let mut parts = Vec::with_capacity(bytes.len().div_ceil(PIECE_LEN));
            while !bytes.is_empty() {
                parts.push(Ok(bytes.split_to(bytes.len().min(PIECE_LEN))));
            }
            parts
        }
        Err(error) => vec![Err(error)],
    }
}
