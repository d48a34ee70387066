//! Bearer tokens that read one log for a while: what outside verifiers, which know nothing of proofs of possession, show
//! at `/log/`. A token is a MAC over the log, its end and who made it with which credential; it opens nothing but
//! commitments and ids, and nothing at all once its maker may not read the log.
//!
//! `vlt_` ‖ base64url(trail[17] ‖ expiry u64 in ms ‖ account[16] ‖ credential[17] ‖ HMAC-SHA-256[32]), no padding.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use veilcore::id::AccountId;
use zeroize::Zeroizing;

use super::{
    model::{TRAIL_LEN, Trail},
    readers::Reader,
};
use crate::auth::{CREDENTIAL_LEN, Credential};

/// How a token begins.
const PREFIX: &str = "vlt_";
/// Life of a token when the caller does not say, in seconds.
pub const TTL_S_DEFAULT: u32 = 3_600;
/// Longest life of a token, in seconds.
pub const TTL_S_MAX: u32 = 86_400;
/// Length of the bytes in a token.
const LEN: usize = TRAIL_LEN + 8 + 16 + CREDENTIAL_LEN + 32;

/// Key of the tokens; 32 random bytes.
#[derive(Clone)]
pub struct LogTokenKey(Zeroizing<[u8; 32]>);

impl LogTokenKey {
    /// A key from its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A token of this reader for a log, good until `expires_at_ms`.
    pub fn issue(&self, log: Trail, reader: Reader, expires_at_ms: u64) -> String {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(&log.to_bytes());
        bytes.extend_from_slice(&expires_at_ms.to_be_bytes());
        bytes.extend_from_slice(reader.account.as_bytes());
        bytes.extend_from_slice(&reader.credential.to_bytes());
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// Who made the token, if it is one of this log and not over. Says nothing about what they may do now.
    pub fn open(&self, token: &str, log: Trail, now_ms: u64) -> Option<Reader> {
        let text = token.strip_prefix(PREFIX).filter(|text| text.len() <= 2 * LEN)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (body, mac) = bytes.split_last_chunk::<32>()?;
        // The MAC first: nothing is learnt from a token that is not ours.
        self.mac(body).verify_slice(mac).ok()?;
        let (trail, rest) = body.split_first_chunk::<TRAIL_LEN>()?;
        let (expiry, rest) = rest.split_first_chunk::<8>()?;
        let (account, credential) = rest.split_first_chunk::<16>()?;
        let credential = Credential::from_bytes(credential.try_into().ok()?)?;
        let good = *trail == log.to_bytes() && now_ms < u64::from_be_bytes(*expiry);
        good.then_some(Reader { account: AccountId::from_bytes(*account), credential })
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(b"veilcloud log token v1");
        mac.update(body);
        mac
    }
}

#[cfg(test)]
mod tests {
    use veilcore::id::{AccountId, ApiKeyId, ProjectId, SessionId};

    use super::*;

    const LOG: Trail = Trail::Project(ProjectId::from_bytes([7; 16]));

    fn reader(credential: Credential) -> Reader {
        Reader { account: AccountId::from_bytes([3; 16]), credential }
    }

    fn sessions() -> Reader {
        reader(Credential::Session(SessionId::from_bytes([4; 16])))
    }

    #[test]
    fn a_token_reads_its_log_until_it_expires_and_names_its_maker() {
        let key = LogTokenKey::new([1; 32]);
        for maker in [sessions(), reader(Credential::ApiKey(ApiKeyId::from_bytes([4; 16])))] {
            let token = key.issue(LOG, maker, 1_000);
            assert_eq!(key.open(&token, LOG, 999), Some(maker));
            assert_eq!(key.open(&token, LOG, 1_000), None);
            assert_eq!(key.open(&token, Trail::Project(ProjectId::from_bytes([8; 16])), 0), None);
            assert_eq!(key.open(&token, Trail::Account(AccountId::from_bytes([7; 16])), 0), None);
            assert_eq!(LogTokenKey::new([2; 32]).open(&token, LOG, 0), None);
        }
    }

    #[test]
    fn no_neighbour_of_a_token_is_one() {
        let key = LogTokenKey::new([1; 32]);
        let token = key.issue(LOG, sessions(), 1_000);
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(key.open(&altered, LOG, 0), None, "{altered}");
            assert_eq!(key.open(&token[..at], LOG, 0), None);
        }
        for text in ["", "vlt_", "vlt_====", &format!("{token}A"), &format!("{token}AAAA"), "vlt_\u{e9}"] {
            assert_eq!(key.open(text, LOG, 0), None, "{text}");
        }
    }
}
