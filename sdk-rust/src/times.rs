//! Times and ids as they stand in messages.

use prost_types::Timestamp;
use rand_core::{OsRng, RngCore};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::transport::rpc::Rpc;

/// A time that the contract promises.
pub(crate) fn required(stamp: Option<Timestamp>, rpc: &'static Rpc) -> Result<OffsetDateTime> {
    stamp.and_then(convert).ok_or(Error::BadAnswer { rpc: rpc.path })
}

/// Milliseconds since 1970 that the contract promises.
pub(crate) fn required_ms(stamp: Option<Timestamp>, rpc: &'static Rpc) -> Result<u64> {
    let ms = required(stamp, rpc)?.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(ms).map_err(|_| Error::BadAnswer { rpc: rpc.path })
}

/// A time from milliseconds since 1970; times past the year 9999 are cut to it.
pub(crate) fn from_ms(ms: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(time::PrimitiveDateTime::MAX.assume_utc())
}

fn convert(stamp: Timestamp) -> Option<OffsetDateTime> {
    let nanos = i128::from(stamp.seconds) * 1_000_000_000 + i128::from(stamp.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}

/// An id of the contract.
pub(crate) fn id<T: std::str::FromStr>(text: &str, rpc: &'static Rpc) -> Result<T> {
    text.parse().map_err(|_| Error::BadAnswer { rpc: rpc.path })
}

/// A field of the contract that is always there.
pub(crate) fn present<T>(field: Option<T>, rpc: &'static Rpc) -> Result<T> {
    field.ok_or(Error::BadAnswer { rpc: rpc.path })
}

/// A random UUID, version 4, from the operating system.
pub(crate) fn random_uuid() -> uuid::Uuid {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// A fresh request id: repeats of the request carry the same one.
pub(crate) fn request_id() -> String {
    random_uuid().to_string()
}
