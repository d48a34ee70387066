//! The two headers of a call: who calls, and that it is the holder of the key who makes this very call now.

use data_encoding::BASE64URL_NOPAD;
use rand_core::{OsRng, RngCore};
use veilsign::nullifier::NONCE_LEN;

use super::Session;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::transport::Credentials;

/// Makes a new proof for one try of one call; the nonce is fresh each time.
pub(crate) fn credentials(session: &Session, target: &str, body: &[u8], now_ms: u64) -> Result<Credentials> {
    let mut nonce = [0; NONCE_LEN];
    OsRng.fill_bytes(&mut nonce);
    let proof = veilsign::proof::prove(&session.holder, &session.capability, target, body, now_ms, nonce)
        .map_err(|e| Error::invalid("request", e))?;
    Ok(Credentials {
        capability: BASE64URL_NOPAD.encode(&session.capability),
        proof: BASE64URL_NOPAD.encode(&proof),
    })
}

impl Client {
    /// The headers `veil-cap` and `veil-pop` for one REST request made by other means, e.g. curl. They are good for
    /// exactly this method, path with query, and body, once, within a minute.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`], or what renewing the session says.
    pub async fn signed_headers(
        &self,
        method: &str,
        path_and_query: &str,
        body: &[u8],
    ) -> Result<Vec<(String, String)>> {
        let session = self.fresh_session().await?;
        let target = format!("{} {path_and_query}", method.to_ascii_uppercase());
        let made = credentials(&session, &target, body, self.now_ms())?;
        Ok(vec![("veil-cap".to_owned(), made.capability), ("veil-pop".to_owned(), made.proof)])
    }
}
