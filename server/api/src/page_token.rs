//! Page tokens: opaque and authenticated. A token is good for one caller, one list and one day.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use veilcloud_domain::{name::Name, page::PageArgs};
use veilcloud_proto::common::v1::ErrorReason;
use veilcore::id::{AccountId, ApiKeyId, ProjectId, SessionId, TeamId};

use crate::status::Fault;

/// First byte of every token.
const VERSION: u8 = 1;
/// How long a token is good, in milliseconds.
const TOKEN_TTL_MS: u64 = 24 * 3_600_000;
/// Version and expiry before the key.
const HEAD_LEN: usize = 1 + 8;
const MAC_LEN: usize = 32;

/// Which list a token belongs to.
pub struct List<'a> {
    /// Secret of the server.
    pub secret: &'a [u8; 32],
    /// Who asks.
    pub caller: AccountId,
    /// Full method name.
    pub method: &'a str,
    /// The list's other arguments, in the order of their fields.
    pub arguments: &'a [&'a str],
    /// Now.
    pub now_ms: u64,
}

/// A key that a list is continued after.
pub trait Key: Sized {
    /// Its bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// From bytes that carried our MAC.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Key for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Key for Name {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl Key for ApiKeyId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl Key for SessionId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl Key for AccountId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

/// The id, of fixed length, then the name.
impl Key for ProjectId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl Key for TeamId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_bytes)
    }
}

impl Key for (Name, TeamId) {
    fn to_bytes(&self) -> Vec<u8> {
        [self.1.as_bytes(), self.0.as_str().as_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, name) = bytes.split_first_chunk::<16>()?;
        Some((<Name as Key>::from_bytes(name)?, TeamId::from_bytes(*id)))
    }
}

impl List<'_> {
    /// Page arguments from what the caller sent.
    pub fn page<K: Key>(&self, token: &str, size: u32) -> Result<PageArgs<K>, Fault> {
        let after = if token.is_empty() { None } else { Some(self.open(token).ok_or_else(invalid)?) };
        Ok(PageArgs::new(after, size))
    }

    /// The token of the next page; empty at the end.
    pub fn token<K: Key>(&self, next: Option<K>) -> String {
        let Some(next) = next else { return String::new() };
        let mut token = vec![VERSION];
        token.extend(self.now_ms.saturating_add(TOKEN_TTL_MS).to_be_bytes());
        token.extend(next.to_bytes());
        token.extend(self.mac(&token));
        BASE64URL_NOPAD.encode(&token)
    }

    fn open<K: Key>(&self, token: &str) -> Option<K> {
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let (signed, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_LEN)?)?;
        let good = bool::from(self.mac(signed).ct_eq(mac));
        let (head, key) = signed.split_at_checked(HEAD_LEN)?;
        let expires_ms = u64::from_be_bytes(head[1..].try_into().ok()?);
        (good && head[0] == VERSION && self.now_ms < expires_ms).then(|| K::from_bytes(key)).flatten()
    }

    fn mac(&self, signed: &[u8]) -> [u8; MAC_LEN] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret).expect("HMAC takes keys of any length");
        mac.update(b"page-token");
        // Every part with its length in front: no two lists share a MAC input.
        let parts = [self.caller.as_bytes().as_slice(), self.method.as_bytes()];
        let arguments = self.arguments.iter().map(|a| a.as_bytes());
        for part in parts.into_iter().chain(arguments).chain([signed]) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn invalid() -> Fault {
    Fault::new(ErrorReason::PageTokenInvalid, "the page token is forged, expired or belongs to another list")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn list<'a>(method: &'a str, arguments: &'a [&'a str]) -> List<'a> {
        List { secret: &SECRET, caller: AccountId::from_bytes([1; 16]), method, arguments, now_ms: 1000 }
    }

    fn refused<K: Key + std::fmt::Debug>(list: &List<'_>, token: &str) -> bool {
        list.page::<K>(token, 0).is_err_and(|fault| fault.reason() == ErrorReason::PageTokenInvalid)
    }

    #[test]
    fn a_token_continues_its_own_list() {
        let versions = list("ListVersions", &["p", "e"]);
        let token = versions.token(Some(42_u64));
        assert_eq!(versions.page(&token, 10).unwrap(), PageArgs { after: Some(42_u64), size: 10 });
        assert_eq!(versions.page::<u64>("", 0).unwrap().after, None);
        assert_eq!(versions.token::<u64>(None), "");
        let longest: Name = "n".repeat(63).parse().unwrap();
        let token = versions.token(Some(longest.clone()));
        assert!(token.len() <= 512);
        assert_eq!(versions.page(&token, 1).unwrap().after, Some(longest));
    }

    #[test]
    fn a_token_of_another_list_caller_or_day_is_refused() {
        let versions = list("ListVersions", &["p", "e"]);
        let token = versions.token(Some(42_u64));
        assert!(refused::<u64>(&list("ListEvents", &["p", "e"]), &token));
        assert!(refused::<u64>(&list("ListVersions", &["p", "f"]), &token));
        assert!(refused::<u64>(&list("ListVersions", &["pe", ""]), &token));
        assert!(refused::<u64>(&list("ListVersions", &["p"]), &token));
        assert!(refused::<u64>(
            &List { caller: AccountId::from_bytes([2; 16]), ..list("ListVersions", &["p", "e"]) },
            &token
        ));
        assert!(refused::<u64>(&List { secret: &[8; 32], ..list("ListVersions", &["p", "e"]) }, &token));
        assert!(refused::<u64>(
            &List { now_ms: 1000 + TOKEN_TTL_MS, ..list("ListVersions", &["p", "e"]) },
            &token
        ));
        assert!(refused::<Name>(&versions, &token));
    }

    #[test]
    fn a_forged_token_is_refused() {
        let versions = list("ListVersions", &["p", "e"]);
        let token = BASE64URL_NOPAD.decode(versions.token(Some(42_u64)).as_bytes()).unwrap();
        for at in 0..token.len() {
            let mut forged = token.clone();
            forged[at] ^= 1;
            assert!(refused::<u64>(&versions, &BASE64URL_NOPAD.encode(&forged)), "byte {at}");
        }
        for text in ["x", "AA", "=", "ä", &BASE64URL_NOPAD.encode(&token[1..]), &"A".repeat(512)] {
            assert!(refused::<u64>(&versions, text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_token_by_chance(text in "[A-Za-z0-9_-]{1,200}|\\PC{1,40}") {
            prop_assert!(refused::<u64>(&list("ListVersions", &["p", "e"]), &text));
        }

        #[test]
        fn every_key_survives(key: u64) {
            let versions = list("ListVersions", &["p", "e"]);
            prop_assert_eq!(versions.page(&versions.token(Some(key)), 0).unwrap().after, Some(key));
        }
    }
}
