//! Bearer tokens that read one log for a while: what outside verifiers, which know nothing of proofs of possession, show
//! at `/log/`. A token is a MAC over the log and its end; it opens nothing but commitments and ids.
//!
//! `vlt_` ‖ base64url(trail[17] ‖ expiry u64 in ms ‖ HMAC-SHA-256[32]), no padding.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::model::{TRAIL_LEN, Trail};

/// How a token begins.
const PREFIX: &str = "vlt_";
/// Life of a token when the caller does not say, in seconds.
pub const TTL_S_DEFAULT: u32 = 3_600;
/// Longest life of a token, in seconds.
pub const TTL_S_MAX: u32 = 86_400;
/// Length of the bytes in a token.
const LEN: usize = TRAIL_LEN + 8 + 32;

/// Key of the tokens; 32 random bytes.
#[derive(Clone)]
pub struct LogTokenKey(Zeroizing<[u8; 32]>);

impl LogTokenKey {
    /// A key from its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A token for a log, good until `expires_at_ms`.
    pub fn issue(&self, log: Trail, expires_at_ms: u64) -> String {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(&log.to_bytes());
        bytes.extend_from_slice(&expires_at_ms.to_be_bytes());
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// Whether the token reads this log now.
    pub fn admits(&self, token: &str, log: Trail, now_ms: u64) -> bool {
        let Some(text) = token.strip_prefix(PREFIX).filter(|text| text.len() <= 2 * LEN) else {
            return false;
        };
        let Ok(bytes) = BASE64URL_NOPAD.decode(text.as_bytes()) else { return false };
        let Some((body, mac)) = bytes.split_last_chunk::<32>() else { return false };
        let Some((trail, expiry)) = body.split_first_chunk::<TRAIL_LEN>() else { return false };
        let Ok(expiry) = <[u8; 8]>::try_from(expiry) else { return false };
        // The MAC first: nothing is learnt from a token that is not ours.
        self.mac(body).verify_slice(mac).is_ok()
            && *trail == log.to_bytes()
            && now_ms < u64::from_be_bytes(expiry)
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
    use veilcore::id::{AccountId, ProjectId};

    use super::*;

    const LOG: Trail = Trail::Project(ProjectId::from_bytes([7; 16]));

    #[test]
    fn a_token_reads_its_log_until_it_expires() {
        let key = LogTokenKey::new([1; 32]);
        let token = key.issue(LOG, 1_000);
        assert!(key.admits(&token, LOG, 999));
        assert!(!key.admits(&token, LOG, 1_000));
        assert!(!key.admits(&token, Trail::Project(ProjectId::from_bytes([8; 16])), 0));
        assert!(!key.admits(&token, Trail::Account(AccountId::from_bytes([7; 16])), 0));
        assert!(!LogTokenKey::new([2; 32]).admits(&token, LOG, 0));
    }

    #[test]
    fn no_neighbour_of_a_token_is_one() {
        let key = LogTokenKey::new([1; 32]);
        let token = key.issue(LOG, 1_000);
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(!key.admits(&altered, LOG, 0), "{altered}");
            assert!(!key.admits(&token[..at], LOG, 0));
        }
        for text in ["", "vlt_", "vlt_====", &format!("{token}A"), &format!("{token}AAAA"), "vlt_\u{e9}"] {
            assert!(!key.admits(text, LOG, 0), "{text}");
        }
    }
}
