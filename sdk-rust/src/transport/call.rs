//! One call from message to message: encode once, prove, send, and try again where that is right.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message;
use rand_core::OsRng;

use super::retry::Retry;
use super::rpc::Rpc;
use super::{Call, Failure, Messages, Transport};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::session::proof;

type Answer<'t, T> = BoxFuture<'t, Result<T, Failure>>;

impl Client {
    /// Calls a method with one answer.
    pub(crate) async fn call<A: Message + Default>(
        &self,
        rpc: &'static Rpc,
        request: &impl Message,
    ) -> Result<A> {
        let body = Bytes::from(request.encode_to_vec());
        let answer = self.tries(rpc, &body, Retry::new(), |transport, call| transport.unary(call)).await?;
        A::decode(answer).map_err(|_| Error::BadAnswer { rpc: rpc.path })
    }

    /// Calls a method with one answer at most once: for what a second try would find done, and call a conflict.
    pub(crate) async fn call_once<A: Message + Default>(
        &self,
        rpc: &'static Rpc,
        request: &impl Message,
    ) -> Result<A> {
        let body = Bytes::from(request.encode_to_vec());
        let answer = self.tries(rpc, &body, Retry::never(), |transport, call| transport.unary(call)).await?;
        A::decode(answer).map_err(|_| Error::BadAnswer { rpc: rpc.path })
    }

    /// Calls a method with a stream of answers. Tries end when the stream begins.
    pub(crate) async fn call_stream(&self, rpc: &'static Rpc, request: &impl Message) -> Result<Messages> {
        let body = Bytes::from(request.encode_to_vec());
        self.tries(rpc, &body, Retry::new(), |transport, call| transport.stream(call)).await
    }

    async fn tries<T>(
        &self,
        rpc: &'static Rpc,
        body: &Bytes,
        mut retry: Retry,
        send: impl for<'t> Fn(&'t dyn Transport, Call) -> Answer<'t, T>,
    ) -> Result<T> {
        let inner = self.inner();
        let transport = inner.transport.as_ref();
        let started_ms = transport.now_ms();
        let mut renewed = false;
        loop {
            let bearer = inner.token.as_ref().filter(|_| rpc.session).map(|token| token.bearer());
            let by_session = rpc.session && inner.held.is_none() && bearer.is_none();
            let session = if by_session { Some(self.fresh_session().await?) } else { None };
            let credentials = match (&session, &inner.held) {
                (Some(session), _) => Some(proof::credentials(session, rpc.path, body, transport.now_ms())?),
                (None, Some(held)) if rpc.session && bearer.is_none() => {
                    Some(held.credentials(rpc.path, body, transport.now_ms())?)
                }
                _ => None,
            };
            let left = time_left(rpc.timeout, started_ms, transport.now_ms());
            let call = Call { path: rpc.path, body: body.clone(), credentials, bearer, timeout: left };
            let failure = match send(transport, call).await {
                Ok(answer) => {
                    inner.budget.succeed();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            // Invalid it is also when the key that signed it was revoked: under another one the session goes on.
            let renewable = ["CREDENTIAL_EXPIRED", "CREDENTIAL_INVALID"].contains(&failure.reason());
            if let Some(session) = session.filter(|_| !renewed && renewable) {
                renewed = true;
                self.renew_session(&session).await?;
                continue;
            }
            let left = time_left(rpc.timeout, started_ms, transport.now_ms());
            match retry.next(&failure, left, &inner.budget, &mut OsRng) {
                Some(wait) => {
                    tracing::debug!(rpc = rpc.path, wait_ms = wait.as_millis() as u64, "trying again");
                    transport.sleep(wait).await;
                }
                None => return Err(failure.into_error(&inner.endpoint)),
            }
        }
    }
}

fn time_left(timeout: Duration, started_ms: u64, now_ms: u64) -> Duration {
    timeout.saturating_sub(Duration::from_millis(now_ms.saturating_sub(started_ms)))
}

#[cfg(test)]
mod tests;
