//! Step 3, caller: a session's capability and proof, or an API key as a bearer, or no credential at all. Never two of them:
//! what a request may do would depend on which of them is looked at. An RPC for anyone does not even look for one.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use veilcloud_domain::auth::error::AuthError;
use veilsign::{api_key::API_KEY_PREFIX, proof::body_hash, service_token::SERVICE_TOKEN_PREFIX};

use super::{Call, Gate, RestOrigin};
use crate::{contract::MethodInfo, status::Fault};

/// Header with the capability, base64url without padding.
pub const CAPABILITY: HeaderName = HeaderName::from_static("veil-cap");
/// Header with the proof of possession, base64url without padding.
pub const PROOF: HeaderName = HeaderName::from_static("veil-pop");
/// Greatest header value in bytes; capability and proof are at most 4 KiB and a target more.
const HEADER_LEN_MAX: usize = 8 * 1024;
/// How a bearer begins (RFC 6750); the scheme in any case.
const BEARER: &str = "bearer ";

impl Gate {
    /// Establishes the caller.
    pub(super) async fn identify(&self, call: &mut Call) -> Result<(), Fault> {
        if !call.method.access.session {
            return Ok(());
        }
        let headers = &call.parts.headers;
        let caller = if let Some(key) = bearer(headers)? {
            if !self.services.api_keys.knows(key) {
                self.take_lookup(call.address).await?;
            }
            self.services.api_keys.authenticate(key, call.address).await?
        } else {
            let capability = header(headers, CAPABILITY, || AuthError::Invalid)?;
            let proof = header(headers, PROOF, || AuthError::Proof)?;
            let (target, hash) = match call.parts.extensions.get::<RestOrigin>() {
                Some(rest) => (rest.target.clone(), rest.body_hash),
                None => (call.method.path.clone(), body_hash(&call.payload())),
            };
            self.services.auth.authenticate(&capability, &proof, &target, hash).await?
        };
        call.caller = Some(Arc::new(caller));
        Ok(())
    }
}

/// Refuses a request that cannot have a caller, before its body is read: without a credential, with two, or with one that
/// is too long or no API key.
pub fn check_credentials(method: &MethodInfo, headers: &HeaderMap) -> Result<(), Fault> {
    if method.access.session && bearer(headers)?.is_none() {
        single(headers, CAPABILITY, || AuthError::Invalid)?;
        single(headers, PROOF, || AuthError::Proof)?;
    }
    Ok(())
}

/// The API key of a request that has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    if headers.contains_key(CAPABILITY) || headers.contains_key(PROOF) {
        return Err(AuthError::Two);
    }
    let value = single(headers, AUTHORIZATION, || AuthError::Invalid)?;
    let text = value.to_str().map_err(|_| AuthError::Invalid)?;
    let (scheme, key) = text.split_at_checked(BEARER.len()).ok_or(AuthError::Invalid)?;
    if key.trim_start().starts_with(SERVICE_TOKEN_PREFIX) {
        return Err(AuthError::ServiceToken);
    }
    if scheme.eq_ignore_ascii_case(BEARER) && key.starts_with(API_KEY_PREFIX) {
        Ok(Some(key))
    } else {
        Err(AuthError::Invalid)
    }
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
