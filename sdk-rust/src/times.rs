//! Times, ids and names as they stand in messages.

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

/// Milliseconds since 1970; 0 for times before.
pub(crate) fn to_ms(at: OffsetDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

fn convert(stamp: Timestamp) -> Option<OffsetDateTime> {
    let nanos = i128::from(stamp.seconds) * 1_000_000_000 + i128::from(stamp.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}

/// An id of the contract.
pub(crate) fn id<T: std::str::FromStr>(text: &str, rpc: &'static Rpc) -> Result<T> {
    text.parse().map_err(|_| Error::BadAnswer { rpc: rpc.path })
}

/// Longest name of a project or environment, in bytes.
const NAME_LEN_MAX: usize = 63;

/// A name of the contract, `[a-z0-9][a-z0-9._-]{0,62}` without `..`. Names become file names and are shown to people,
/// so nothing else gets in, whatever the server says.
pub(crate) fn name(text: String, rpc: &'static Rpc) -> Result<String> {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let well_formed = bytes.len() <= NAME_LEN_MAX
        && bytes.first().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !text.contains("..");
    if well_formed { Ok(text) } else { Err(Error::BadAnswer { rpc: rpc.path }) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::rpc;

    #[test]
    fn a_name_of_the_server_is_one_of_the_contract_or_none() {
        let long = "a".repeat(NAME_LEN_MAX);
        for good in ["a", "0", "my-app", "a.b_c-d", "me.key", &long] {
            assert_eq!(name(good.to_owned(), &rpc::LIST_PROJECTS).expect("a name"), good);
        }
        let longer = "a".repeat(NAME_LEN_MAX + 1);
        for bad in [
            "",
            "..",
            "../x",
            "/etc/cron.d",
            "a/b",
            "a..b",
            ".a",
            "-a",
            "A",
            "a b",
            "a\n",
            "\u{1b}[2J",
            "\u{e4}",
            &longer,
        ] {
            assert!(
                matches!(name(bad.to_owned(), &rpc::LIST_PROJECTS), Err(Error::BadAnswer { .. })),
                "{bad:?}"
            );
        }
    }
}
