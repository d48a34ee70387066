//! What tests of sessions share.

use rand_core::OsRng;
use veilcore::id::AccountId;
use veilcore::secret::Secret;
use veilsign::key::SigningKey;
use veilvault::account::AccountRootKey;
use veilvault::identity::Identity;

use super::*;
use crate::transport::fake::NOW_MS;

/// A session whose capability says its number and ends `minutes` from now.
pub(crate) fn session(number: u8, minutes: u64) -> Session {
    let account = AccountId::from_bytes([0xa1; 16]);
    let ark = AccountRootKey::from_secret(Secret::new([1; 32]));
    Session {
        email: "ada@example.org".to_owned(),
        endpoint: "https://host.example".to_owned(),
        identity: Identity::derive(&ark, account, GENERATION),
        holder: SigningKey::generate(&mut OsRng),
        capability: vec![number; 100],
        expires_at_ms: NOW_MS + minutes * 60_000,
        refresh_token: Secret::new([number; 32]),
        pending_refresh: None,
        session_expires_at_ms: NOW_MS + 30 * 24 * 3_600_000,
    }
}

/// Puts a session into a store, as a process before this one did.
pub(crate) fn store(state: &dyn crate::state::StateStore, session: &Session) {
    record::save(state, session).expect("saved");
}

#[test]
fn an_address_has_one_form() {
    assert_eq!(email(" Ada@Example.org ").expect("an address"), "ada@example.org");
    for bad in ["", "ada", "ada@", "a@b@c", "ada @example.org"] {
        assert!(matches!(email(bad), Err(Error::Invalid { what: "e-mail", .. })), "{bad}");
    }
}
