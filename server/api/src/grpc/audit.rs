//! `AuditService`.

use std::sync::Arc;

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tonic::{Request, Response, Status, async_trait};
use veilcloud_domain::{
    audit::{
        Audit, MayRead, Published,
        error::AuditError,
        model::{Event, Line, Trail},
        verify,
    },
    page::{Page, PageArgs},
};
use veilcloud_proto::audit::v1::{self as pb, audit_service_server::AuditService};
use veilcore::id::AccountId;

use super::{Api, access, caller};
use crate::{
    convert::{audit as convert, id, timestamp},
    rest::MediaType,
    status::Fault,
};

/// Events in one piece of an export: at most 600 bytes each.
const EXPORT_PAGE: usize = 400;

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl AuditService for Api {
    type ExportEventsStream = BoxStream<'static, Result<pb::ExportEventsResponse, Status>>;
    type ExportAccountEventsStream = BoxStream<'static, Result<pb::ExportAccountEventsResponse, Status>>;

    async fn list_events(&self, request: Request<pb::ListEventsRequest>) -> Answer<pb::ListEventsResponse> {
        let (caller, access) = (caller(&request)?, access(&request)?);
        let request = request.into_inner();
        let arguments = [request.project_id.as_str()];
        let list = self.list(&caller, "ListEvents", &arguments);
        let page = list.page::<u64>(&request.page_token, request.page_size)?;
        let page = self.services.audit.events(&*access, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListEventsResponse {
            events: page.items.iter().map(convert::event).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn get_proof(&self, request: Request<pb::GetProofRequest>) -> Answer<pb::GetProofResponse> {
        let access = access(&request)?;
        let request = request.into_inner();
        let proof = self.services.audit.proof(&*access, request.index, request.log_size).await;
        let proof = proof.map_err(Fault::from)?;
        let file = convert::proof_file(&proof);
        Ok(Response::new(pb::GetProofResponse { proof: Some(convert::proof(proof)), file }))
    }

    async fn list_account_events(
        &self,
        request: Request<pb::ListAccountEventsRequest>,
    ) -> Answer<pb::ListAccountEventsResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let list = self.list(&caller, "ListAccountEvents", &[]);
        let page = list.page::<u64>(&request.page_token, request.page_size)?;
        let page = self.services.audit.events(&*caller, page).await.map_err(Fault::from)?;
        Ok(Response::new(pb::ListAccountEventsResponse {
            events: page.items.iter().map(convert::event).collect(),
            next_page_token: list.token(page.next),
        }))
    }

    async fn get_account_proof(
        &self,
        request: Request<pb::GetAccountProofRequest>,
    ) -> Answer<pb::GetAccountProofResponse> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let proof = self.services.audit.proof(&*caller, request.index, request.log_size).await;
        let proof = proof.map_err(Fault::from)?;
        let file = convert::proof_file(&proof);
        Ok(Response::new(pb::GetAccountProofResponse { proof: Some(convert::proof(proof)), file }))
    }

    async fn verify_proof(
        &self,
        request: Request<pb::VerifyProofRequest>,
    ) -> Answer<pb::VerifyProofResponse> {
        let request = request.into_inner();
        let verified = verify(&request.file, &request.policy, &request.entry).map_err(Fault::from)?;
        let event = event_of(&verified.origin, verified.index, &verified.entry);
        Ok(Response::new(pb::VerifyProofResponse {
            origin: verified.origin,
            log_size: verified.size,
            index: verified.index,
            witnesses: verified.witnesses,
            event,
        }))
    }

    async fn export_events(
        &self,
        request: Request<pb::ExportEventsRequest>,
    ) -> Answer<Self::ExportEventsStream> {
        let access = access(&request)?;
        let request = request.into_inner();
        let data = |data| pb::ExportEventsResponse { data };
        export(self.services.audit.clone(), access, &request.format, request.first, data)
    }

    async fn export_account_events(
        &self,
        request: Request<pb::ExportAccountEventsRequest>,
    ) -> Answer<Self::ExportAccountEventsStream> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let data = |data| pb::ExportAccountEventsResponse { data };
        export(self.services.audit.clone(), caller, &request.format, request.first, data)
    }

    async fn get_log(&self, request: Request<pb::GetLogRequest>) -> Answer<pb::GetLogResponse> {
        let access = access(&request)?;
        let log = self.services.audit.describe(&*access).await.map_err(Fault::from)?;
        let (log_size, checkpoint) = shown(log.published);
        let (origin, keys, policy) = (log.origin, log.keys, log.policy);
        Ok(Response::new(pb::GetLogResponse { origin, keys, policy, checkpoint, log_size }))
    }

    async fn get_account_log(
        &self,
        request: Request<pb::GetAccountLogRequest>,
    ) -> Answer<pb::GetAccountLogResponse> {
        let caller = caller(&request)?;
        let log = self.services.audit.describe(&*caller).await.map_err(Fault::from)?;
        let (log_size, checkpoint) = shown(log.published);
        let (origin, keys, policy) = (log.origin, log.keys, log.policy);
        Ok(Response::new(pb::GetAccountLogResponse { origin, keys, policy, checkpoint, log_size }))
    }

    async fn get_log_file(&self, request: Request<pb::GetLogFileRequest>) -> Answer<pb::GetLogFileResponse> {
        let access = access(&request)?;
        let path = request.into_inner().path;
        let file = self.services.audit.log_file(&*access, &path).await.map_err(Fault::from)?;
        Ok(Response::new(pb::GetLogFileResponse { data: file.bytes.to_vec() }))
    }

    async fn get_account_log_file(
        &self,
        request: Request<pb::GetAccountLogFileRequest>,
    ) -> Answer<pb::GetAccountLogFileResponse> {
        let caller = caller(&request)?;
        let path = request.into_inner().path;
        let file = self.services.audit.log_file(&*caller, &path).await.map_err(Fault::from)?;
        Ok(Response::new(pb::GetAccountLogFileResponse { data: file.bytes.to_vec() }))
    }

    async fn get_directory_file(
        &self,
        request: Request<pb::GetDirectoryFileRequest>,
    ) -> Answer<pb::GetDirectoryFileResponse> {
        let path = request.into_inner().path;
        let file = self.services.audit.directory_file(&path).await.map_err(Fault::from)?;
        Ok(Response::new(pb::GetDirectoryFileResponse { data: file.bytes.to_vec() }))
    }

    async fn get_account_key(
        &self,
        request: Request<pb::GetAccountKeyRequest>,
    ) -> Answer<pb::GetAccountKeyResponse> {
        let request = request.into_inner();
        let account: AccountId = id("account_id", &request.account_id)?;
        let found = self.services.audit.account_key(account, request.log_size).await;
        let (bundle, proof) = found.map_err(Fault::from)?;
        Ok(Response::new(pb::GetAccountKeyResponse { bundle, proof: Some(convert::proof(proof)) }))
    }

    async fn create_log_token(
        &self,
        request: Request<pb::CreateLogTokenRequest>,
    ) -> Answer<pb::CreateLogTokenResponse> {
        let access = access(&request)?;
        let ttl_s = request.into_inner().ttl_seconds;
        let (token, path, expires_at_ms) = self.services.audit.token(&access, ttl_s).map_err(Fault::from)?;
        Ok(Response::new(pb::CreateLogTokenResponse { token, path, expires_at: timestamp(expires_at_ms) }))
    }
}

/// What the entry says, when it is one of ours and of this log.
fn event_of(origin: &str, index: u64, entry: &[u8]) -> Option<pb::Event> {
    let line = Line::parse(Trail::of_origin(origin)?, entry).ok()?;
    Some(convert::event(&Event { index, line }))
}

/// Size and checkpoint that are shown; nothing before the first.
fn shown(published: Option<Published>) -> (u64, Vec<u8>) {
    published.map_or((0, Vec::new()), |p| (p.size, p.checkpoint.to_vec()))
}

/// The answer that gives all events of a log from `first` on.
fn export<T: Send + 'static>(
    audit: Arc<Audit>,
    reader: Arc<dyn MayRead>,
    format: &str,
    first: u64,
    data: impl Fn(Vec<u8>) -> T + Send + 'static,
) -> Answer<BoxStream<'static, Result<T, Status>>> {
    let array = match format {
        "" | "ndjson" => false,
        "json" => true,
        _ => return Err(Fault::field("format", "format", "must be ndjson or json").into()),
    };
    let export = Export { audit, reader, array, next: Next::First(first) };
    let pieces = stream::unfold(export, Export::step).map(move |piece| piece.map(&data));
    let mut response = Response::new(pieces.boxed());
    let kind = if array { "application/json" } else { "application/x-ndjson" };
    response.extensions_mut().insert(MediaType(kind));
    Ok(response)
}

/// An export under way: page after page, so that memory stays flat however long the log is.
struct Export {
    audit: Arc<Audit>,
    reader: Arc<dyn MayRead>,
    array: bool,
    next: Next,
}

enum Next {
    First(u64),
    After(u64),
    Over,
}

impl Export {
    /// The next events. The gate judged who asks for the first; whoever may not read the log any more gets no others.
    async fn page(&self, after: Option<u64>, begins: bool) -> Result<Page<Event, u64>, AuditError> {
        if !begins {
            self.audit.check_still(&*self.reader).await?;
        }
        self.audit.events(&*self.reader, PageArgs { after, size: EXPORT_PAGE }).await
    }

    async fn step(mut self) -> Option<(Result<Vec<u8>, Status>, Self)> {
        let after = match self.next {
            Next::First(first) => first.checked_sub(1),
            Next::After(index) => Some(index),
            Next::Over => return None,
        };
        let begins = matches!(self.next, Next::First(_));
        let page = match self.page(after, begins).await {
            Ok(page) => page,
            Err(error) => {
                self.next = Next::Over;
                return Some((Err(Fault::from(error).into()), self));
            }
        };
        let mut text = String::new();
        if begins && self.array {
            text.push('[');
        }
        for (at, event) in page.items.iter().enumerate() {
            if self.array && !(begins && at == 0) {
                text.push(',');
            }
            if self.array {
                text.push('\n');
            }
            text.push_str(&convert::json(event));
            if !self.array {
                text.push('\n');
            }
        }
        self.next = page.next.map_or(Next::Over, Next::After);
        if self.array && matches!(self.next, Next::Over) {
            text.push_str("\n]\n");
        }
        Some((Ok(text.into_bytes()), self))
    }
}
