//! A session as text, for the state store. It holds the holder key and the identity keys, not the root key and not
//! the password: whoever steals it can act and read until the session ends, and cannot change the password.

use std::io;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use veilcore::secret::Secret;
use veilsign::key::SigningKey;
use veilvault::identity::{Identity, IdentitySecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Session;
use crate::error::{Error, Result};
use crate::state::{SESSION_LEN_MAX, StateStore};

/// Version 1 had no `pending_refresh` and is still read.
const VERSION: u32 = 2;
const VERSION_MIN: u32 = 1;

/// The text's fields. Keys and tokens are base64url without padding.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    endpoint: String,
    email: String,
    account_id: String,
    generation: u32,
    identity: String,
    holder: String,
    capability: String,
    capability_expires_at_ms: u64,
    refresh_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_refresh: Option<String>,
    session_expires_at_ms: u64,
}

/// Reads the session from the store.
pub(super) fn load(store: &dyn StateStore) -> Result<Option<Session>> {
    let Some(text) = store.load_session().map_err(Error::local("read the session"))? else { return Ok(None) };
    decode(&text).map(Some).ok_or_else(|| Error::Local {
        action: "read the session".to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, "not a session of this version; log in again"),
    })
}

/// Writes the session to the store.
pub(super) fn save(store: &dyn StateStore, session: &Session) -> Result<()> {
    store.save_session(&encode(session)).map_err(Error::local("write the session"))
}

fn encode(session: &Session) -> Zeroizing<String> {
    let record = Record {
        version: VERSION,
        endpoint: session.endpoint.clone(),
        email: session.email.clone(),
        account_id: session.account().to_string(),
        generation: session.identity.generation(),
        identity: BASE64URL_NOPAD.encode(session.identity.export().expose()),
        holder: BASE64URL_NOPAD.encode(session.holder.seed().expose()),
        capability: BASE64URL_NOPAD.encode(&session.capability),
        capability_expires_at_ms: session.expires_at_ms,
        refresh_token: BASE64URL_NOPAD.encode(session.refresh_token.expose()),
        pending_refresh: session.pending_refresh.as_ref().map(|next| BASE64URL_NOPAD.encode(next.expose())),
        session_expires_at_ms: session.session_expires_at_ms,
    };
    // Room for all of it at once: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(SESSION_LEN_MAX));
    serde_json::to_writer(&mut *text, &record).expect("strings and numbers are always JSON");
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8"))
}

fn decode(text: &str) -> Option<Session> {
    let record: Record = serde_json::from_str(text).ok()?;
    if !(VERSION_MIN..=VERSION).contains(&record.version) {
        return None;
    }
    let account = record.account_id.parse().ok()?;
    let identity = IdentitySecret::from_secret(secret(&record.identity)?);
    Some(Session {
        email: record.email.clone(),
        endpoint: record.endpoint.clone(),
        identity: Identity::restore(account, record.generation, &identity),
        holder: SigningKey::from_seed(&secret(&record.holder)?),
        capability: BASE64URL_NOPAD.decode(record.capability.as_bytes()).ok()?,
        expires_at_ms: record.capability_expires_at_ms,
        refresh_token: secret(&record.refresh_token)?,
        pending_refresh: match &record.pending_refresh {
            Some(next) => Some(secret(next)?),
            None => None,
        },
        session_expires_at_ms: record.session_expires_at_ms,
    })
}

fn secret<const N: usize>(text: &str) -> Option<Secret<N>> {
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
    Secret::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::session;
    use crate::state::MemoryState;

    #[test]
    fn a_session_comes_back_whole() {
        let store = MemoryState::new();
        let before = session(1, 2);
        save(&store, &before).expect("saved");
        let after = load(&store).expect("read").expect("there");
        assert_eq!(after.info(), before.info());
        assert_eq!(after.capability, before.capability);
        assert_eq!(after.identity.public_key(), before.identity.public_key());
        assert!(after.holder.seed().ct_eq(&before.holder.seed()));
        assert!(after.refresh_token.ct_eq(&before.refresh_token));
        assert!(after.pending_refresh.is_none());
        let before = Session { pending_refresh: Some(Secret::new([9; 32])), ..session(1, 2) };
        save(&store, &before).expect("saved");
        let after = load(&store).expect("read").expect("there");
        assert!(after.pending_refresh.expect("kept").ct_eq(&Secret::new([9; 32])));
    }

    #[test]
    fn a_session_of_the_version_before_is_still_one() {
        let store = MemoryState::new();
        let old = encode(&session(1, 2)).replace("\"version\":2", "\"version\":1");
        store.save_session(&old).expect("saved");
        assert!(load(&store).expect("read").is_some());
    }

    #[test]
    fn what_is_no_session_is_said_to_be_none() {
        let store = MemoryState::new();
        assert!(load(&store).expect("empty").is_none());
        let good = encode(&session(1, 2));
        for bad in [
            "",
            "{}",
            "null",
            &good[1..],
            &good.replace("\"version\":2", "\"version\":3"),
            &good.replace("\"version\":2", "\"version\":0"),
            &good.replace("\"holder\":\"", "\"holder\":\"A"),
        ] {
            store.save_session(bad).expect("saved");
            assert!(matches!(load(&store), Err(Error::Local { .. })), "{}", bad.len());
        }
    }
}
