//! Step 2, bounds: one message of limited size, every field within its rule, a deadline. Nothing here asks who calls.

use std::{net::IpAddr, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use prost_reflect::DynamicMessage;
use tonic::Code;
use veilcloud_proto::common::v1::ErrorReason;

use super::{Call, Gate, address, caller, frame, room::Unread};
use crate::{
    contract::{MethodInfo, Scan},
    status::Fault,
};

/// Most digits of a `grpc-timeout` (gRPC over HTTP/2: TimeoutValue).
const TIMEOUT_DIGITS_MAX: usize = 8;
/// gRPC's name for no compression.
const IDENTITY: &str = "identity";
/// When to try again after there was no room for a body.
const ROOM_RETRY: Duration = Duration::from_secs(1);

impl Gate {
    /// Reads and validates the request's one message.
    pub(super) async fn read(
        &self,
        method: &'static MethodInfo,
        request: Request<Body>,
        address: IpAddr,
    ) -> Result<Call, Fault> {
        if request.method() != Method::POST {
            return Err(Fault::new(ErrorReason::MethodUnknown, "gRPC requests are POST"));
        }
        content_type(request.headers())?;
        encoding(request.headers())?;
        if method.access.mutation && self.draining.is_draining() {
            let fault = Fault::new(ErrorReason::Draining, "the server is shutting down; try again");
            return Err(fault.retry_after(Duration::from_secs(1)));
        }
        caller::check_credentials(method, request.headers())?;
        let (parts, body) = request.into_parts();
        let limit = self.settings.limits.message_bytes;
        let most = limit.saturating_add(frame::HEADER_LEN as u64);
        let bytes = self.collect(address, body, most, frame::too_large(limit)).await?;
        let payload = frame::single(&bytes)?;
        let malformed =
            || Fault::new(ErrorReason::MessageMalformed, "the body is not a message of this method");
        method.shape.scan(&payload).map_err(|found| match found {
            Scan::Malformed => malformed(),
            Scan::Unknown(violation) => Fault::violations(method, vec![violation]).unwrap_or_else(malformed),
        })?;
        let message = DynamicMessage::decode(method.input.clone(), payload).map_err(|_| malformed())?;
        if let Some(fault) = Fault::violations(method, method.shape.check(&message)) {
            return Err(fault);
        }
        Ok(Call {
            method,
            parts,
            frame: bytes,
            message,
            address,
            caller: None,
            access: None,
            allowance: None,
        })
    }

    /// A request's whole body, at most `most` bytes: more is answered with `too_large`.
    pub async fn collect(
        &self,
        from: IpAddr,
        body: Body,
        most: u64,
        too_large: Fault,
    ) -> Result<Bytes, Fault> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.room.collect(address::meter_key(from), body, most).await.map_err(|why| match why {
            Unread::TooLarge => too_large,
            Unread::Broken => Fault::new(ErrorReason::MessageMalformed, "the body ended early"),
            Unread::NoRoom => {
                Fault::new(ErrorReason::RateLimited, "the server holds as many request bodies as it may")
                    .with("tier", "bodies")
                    .with("limit", self.settings.body_bytes_in_flight)
                    .with("window", format!("{}s", ROOM_RETRY.as_secs()))
                    .retry_after(ROOM_RETRY)
            }
        })
    }
}

fn content_type(headers: &HeaderMap) -> Result<(), Fault> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    if matches!(kind, "application/grpc" | "application/grpc+proto") {
        return Ok(());
    }
    let fault = Fault::new(ErrorReason::ContentTypeUnsupported, "gRPC messages are application/grpc");
    Err(fault.with("expected", "application/grpc"))
}

/// Messages are taken as they are: gRPC has a code for a compression that a server does not know, and a header that says
/// which it does.
fn encoding(headers: &HeaderMap) -> Result<(), Fault> {
    if headers.get("grpc-encoding").is_none_or(|named| named == IDENTITY) {
        return Ok(());
    }
    let known = [(HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static(IDENTITY))];
    let fault = Fault::new(ErrorReason::MessageMalformed, "compressed messages are not taken");
    Err(fault.code(Code::Unimplemented).headers(known.into_iter().collect()))
}

/// The shorter of what the caller asks for (`grpc-timeout`) and what the server allows.
pub(super) fn deadline(headers: &HeaderMap, most: Duration) -> Result<Duration, Fault> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(most) };
    let asked = value.to_str().ok().and_then(timeout).ok_or_else(|| {
        Fault::field("grpc-timeout", "format", "must be up to eight digits and a unit of H, M, S, m, u, n")
    })?;
    // A deadline that is over is over, however quick the answer would be.
    if asked.is_zero() { Err(super::out_of_time(asked)) } else { Ok(asked.min(most)) }
}

fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let good = !digits.is_empty()
        && digits.len() <= TIMEOUT_DIGITS_MAX
        && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| good)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_and_capped() {
        let most = Duration::from_secs(30);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            deadline(&headers, most).ok()
        };
        assert_eq!(deadline(&HeaderMap::new(), most).ok(), Some(most));
        assert_eq!(read("0n"), None);
        assert_eq!(read("5S"), Some(Duration::from_secs(5)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999H"), Some(most));
        for bad in ["", "S", "5", "5s", "-5S", "5 S", "+5S", "123456789S", "5.0S"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_grpc_with_protobuf_passes() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            content_type(&headers).is_ok()
        };
        assert!(read("application/grpc") && read("application/grpc+proto") && read("application/grpc; x=y"));
        for bad in ["", "application/grpc+json", "application/grpcx", "text/plain", "application/json"] {
            assert!(!read(bad), "{bad:?}");
        }
    }
}
