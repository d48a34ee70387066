//! Protobuf <-> domain, one file per area. From the network everything may fail and names its field; towards it nothing
//! can.

pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod capabilities;
pub mod projects;
pub mod storage;
pub mod teams;

use std::str::FromStr;

use prost_types::Timestamp;
use veilcloud_domain::{auth::model::Email, name::Name};

use crate::status::Fault;

/// A moment on the wire.
pub fn timestamp(ms: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(ms % 1000).unwrap_or(0) * 1_000_000;
    Some(Timestamp { seconds, nanos })
}

/// An id in its one text form.
pub fn id<T: FromStr>(field: &str, text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::field(field, "format", "must be a lower-case hyphenated UUID"))
}

/// A name.
pub fn name(text: &str) -> Result<Name, Fault> {
    Ok(text.parse::<Name>()?)
}

/// An e-mail address.
pub fn email(field: &str, text: &str) -> Result<Email, Fault> {
    text.parse().map_err(|_| Fault::field(field, "format", "must be an e-mail address"))
}

/// Bytes of a fixed length.
pub fn array<const N: usize>(field: &str, bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| Fault::field(field, "exact_len", format!("must have exactly {N} bytes")))
}

#[cfg(test)]
mod tests;
