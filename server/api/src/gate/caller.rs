//! Step 3, caller: capability and proof, or no credential at all. An RPC for anyone does not even look for one.

use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use veilcloud_domain::auth::error::AuthError;
use veilsign::proof::body_hash;

use super::{Call, Gate, RestOrigin};
use crate::{contract::MethodInfo, status::Fault};

/// Header with the capability, base64url without padding.
pub const CAPABILITY: HeaderName = HeaderName::from_static("veil-cap");
/// Header with the proof of possession, base64url without padding.
pub const PROOF: HeaderName = HeaderName::from_static("veil-pop");
/// Greatest header value in bytes; capability and proof are at most 4 KiB and a target more.
const HEADER_LEN_MAX: usize = 8 * 1024;

impl Gate {
    /// Establishes the caller.
    pub(super) async fn identify(&self, call: &mut Call) -> Result<(), Fault> {
        if !call.method.access.session {
            return Ok(());
        }
        let capability = header(&call.parts.headers, CAPABILITY, || AuthError::Invalid)?;
        let proof = header(&call.parts.headers, PROOF, || AuthError::Proof)?;
        let (target, hash) = match call.parts.extensions.get::<RestOrigin>() {
            Some(rest) => (rest.target.clone(), rest.body_hash),
            None => (call.method.path.clone(), body_hash(&call.payload())),
        };
        let caller = self.services.auth.authenticate(&capability, &proof, &target, hash).await?;
        call.caller = Some(Arc::new(caller));
        Ok(())
    }
}

/// Refuses a request that cannot have a caller, before its body is read: without both credentials, or with one that is
/// too long.
pub fn check_credentials(method: &MethodInfo, headers: &HeaderMap) -> Result<(), Fault> {
    if method.access.session {
        single(headers, CAPABILITY, || AuthError::Invalid)?;
        single(headers, PROOF, || AuthError::Proof)?;
    }
    Ok(())
}

fn header(headers: &HeaderMap, name: HeaderName, malformed: fn() -> AuthError) -> Result<Vec<u8>, AuthError> {
    let value = single(headers, name, malformed)?;
    BASE64URL_NOPAD.decode(value.as_bytes()).map_err(|_| malformed())
}

fn single(
    headers: &HeaderMap,
    name: HeaderName,
    malformed: fn() -> AuthError,
) -> Result<&HeaderValue, AuthError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|value| !value.is_empty()).ok_or(AuthError::Missing)?;
    if values.next().is_some() || value.len() > HEADER_LEN_MAX {
        return Err(malformed());
    }
    Ok(value)
}
