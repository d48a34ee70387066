//! A capability with the key that goes with it, and what its holder does without asking anybody: look at it, narrow it,
//! pass it on, sign requests with it.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use veilcore::id::{AccountId, SessionId};
use veilcore::secret::Secret;
use veilsign::capability::{
    Actions, BLOCKS_MAX, Block, Capability, Grant, NEXT_NOBODY, Resource, attenuate, cap_hash,
};
use veilsign::key::SigningKey;
use veilsign::nullifier::NONCE_LEN;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Error, Result};
use crate::transport::Credentials;

/// Version of the file.
const VERSION: u32 = 1;
/// Longest file, in bytes: a capability of 4,096 bytes in base64url, a key, an address.
pub const HELD_LEN_MAX: usize = 16 * 1024;

/// The file's fields. Keys and capability are base64url without padding.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    endpoint: String,
    capability: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder_key: Option<String>,
}

/// A capability, the server it is for, and the private key that signs requests with it, if it is here.
///
/// It opens no content: with it, ciphertext and names can be fetched, as far as it says. The key is a secret; without it
/// the capability is worth nothing.
#[derive(Clone)]
pub struct HeldCapability {
    endpoint: String,
    capability: Vec<u8>,
    holder: Option<SigningKey>,
}

/// What a capability says, as its holder reads it. Whether it is good now only the server can say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapabilityView {
    /// The account that acts.
    pub account_id: AccountId,
    /// Names it when it is revoked, with all that was narrowed from it.
    pub token_id: SessionId,
    /// SHA-256 of exactly these bytes, with its tag: the name that logs know it by.
    pub hash: [u8; 32],
    /// Key that signs requests.
    pub holder_key: [u8; 32],
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// What it may do: place and permissions.
    pub grants: Vec<(String, Vec<String>)>,
    /// How often it was narrowed, at most three times.
    pub depth: usize,
    /// Whether it cannot be narrowed any more.
    pub is_sealed: bool,
}

/// How a capability is narrowed. What is left out stays as it is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Narrowing {
    /// Only these places: `p/<project id>`, `p/<project id>/e/<environment name>`.
    pub places: Vec<String>,
    /// Only these permissions.
    pub permissions: Vec<String>,
    /// An earlier end.
    pub expires_at: Option<OffsetDateTime>,
    /// Public key of whoever gets it; a new key is drawn when there is none.
    pub to: Option<[u8; 32]>,
    /// Whether nobody may narrow it again.
    pub seal: bool,
}

/// A key that a capability can be passed on to.
pub struct HolderKey(SigningKey);

impl HolderKey {
    /// Draws a key.
    pub fn generate() -> Self {
        Self(SigningKey::generate(&mut OsRng))
    }

    /// The public half: what to tell whoever narrows a capability for this key.
    pub fn public_key(&self) -> [u8; 32] {
        *self.0.verifying_key().as_bytes()
    }

    /// The private half as text, to be kept where only its owner reads.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(self.0.seed().expose()))
    }

    /// Reads [`HolderKey::to_text`] back.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn parse(text: &str) -> Result<Self> {
        key(text.trim()).map(Self).ok_or_else(|| Error::invalid("holder key", "32 bytes in base64url"))
    }
}

impl HeldCapability {
    pub(super) fn new(endpoint: String, capability: Vec<u8>, holder: SigningKey) -> Self {
        Self { endpoint, capability, holder: Some(holder) }
    }

    /// The server it is for.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.capability
    }

    /// Whether the key that signs requests is here.
    pub fn has_key(&self) -> bool {
        self.holder.is_some()
    }

    /// The same capability with its key, which was elsewhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is for another key.
    pub fn with_key(self, key: HolderKey) -> Result<Self> {
        if self.view()?.holder_key != key.public_key() {
            return Err(Error::invalid("holder key", "the capability is for another key"));
        }
        Ok(Self { holder: Some(key.0), ..self })
    }

    /// As text, to be kept where only its owner reads: the key is in it.
    pub fn to_text(&self) -> Zeroizing<String> {
        let record = Record {
            version: VERSION,
            endpoint: self.endpoint.clone(),
            capability: BASE64URL_NOPAD.encode(&self.capability),
            holder_key: self.holder.as_ref().map(|key| BASE64URL_NOPAD.encode(key.seed().expose())),
        };
        // Room for all of it at once: a buffer that grows leaves copies of the key behind.
        let mut text = Zeroizing::new(Vec::with_capacity(HELD_LEN_MAX));
        serde_json::to_writer_pretty(&mut *text, &record).expect("strings and numbers are always JSON");
        text.push(b'\n');
        Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8"))
    }

    /// Reads [`HeldCapability::to_text`] back.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || Error::invalid("capability file", "not one of this version");
        let record: Record = serde_json::from_str(text).map_err(|_| refused())?;
        if text.len() > HELD_LEN_MAX || record.version != VERSION {
            return Err(refused());
        }
        let capability = BASE64URL_NOPAD.decode(record.capability.as_bytes()).map_err(|_| refused())?;
        let holder = match &record.holder_key {
            Some(text) => Some(key(text).ok_or_else(refused)?),
            None => None,
        };
        let held = Self { endpoint: record.endpoint.clone(), capability, holder };
        let view = held.view()?;
        match &held.holder {
            Some(key) if *key.verifying_key().as_bytes() != view.holder_key => Err(refused()),
            _ => Ok(held),
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the bytes are none.
    pub fn view(&self) -> Result<CapabilityView> {
        let (capability, blocks) = self.decoded()?;
        let body = capability.body_unverified().map_err(invalid)?;
        let last = blocks.last();
        let grants = last.map_or(&body.grants, |block| &block.grants);
        Ok(CapabilityView {
            account_id: body.account,
            token_id: body.session,
            hash: cap_hash(&self.capability),
            holder_key: last.map_or(body.holder_pk, |block| block.holder_pk),
            expires_at: crate::times::from_ms(last.map_or(body.expires_at_ms, |block| block.expires_at_ms)),
            grants: grants.iter().map(|grant| (grant.resource.to_string(), names(grant.actions))).collect(),
            depth: blocks.len(),
            is_sealed: last.map_or(body.next_pk, |block| block.next_pk) == NEXT_NOBODY
                || blocks.len() == BLOCKS_MAX,
        })
    }

    /// A narrower one. Asks no server. With [`Narrowing::to`] its key is not in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it would be wider, when this one is sealed or was narrowed three times, or when its key is not
    /// here.
    pub fn narrow(&self, how: &Narrowing) -> Result<Self> {
        let holder = self.key()?;
        let (capability, blocks) = self.decoded()?;
        let body = capability.body_unverified().map_err(invalid)?;
        let grants = blocks.last().map_or(&body.grants, |block| &block.grants);
        let ends_ms = blocks.last().map_or(body.expires_at_ms, |block| block.expires_at_ms);
        let expires_at_ms = match how.expires_at {
            None => ends_ms,
            Some(at) => u64::try_from(at.unix_timestamp_nanos() / 1_000_000)
                .map_err(|_| Error::invalid("end", "it is before 1970"))?,
        };
        let (next, passed_on) = match how.to {
            Some(public) => (public, None),
            None => {
                let key = SigningKey::generate(&mut OsRng);
                (*key.verifying_key().as_bytes(), Some(key))
            }
        };
        let block = Block {
            expires_at_ms,
            holder_pk: next,
            next_pk: if how.seal { NEXT_NOBODY } else { next },
            grants: narrowed(grants, how)?,
        };
        let narrower = attenuate(&capability, holder, &block).map_err(invalid)?;
        Ok(Self { endpoint: self.endpoint.clone(), capability: narrower.encode(), holder: passed_on })
    }

    /// The headers `veil-cap` and `veil-pop` for one REST request made by other means, e.g. curl. They are good for
    /// exactly this method, path with query, and body, once, within a minute.
    ///
    /// # Errors
    /// [`Error::Invalid`] when its key is not here.
    pub fn signed_headers(
        &self,
        method: &str,
        path_and_query: &str,
        body: &[u8],
        now: OffsetDateTime,
    ) -> Result<Vec<(String, String)>> {
        let target = format!("{} {path_and_query}", method.to_ascii_uppercase());
        let now_ms = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let made = self.credentials(&target, body, now_ms)?;
        Ok(vec![("veil-cap".to_owned(), made.capability), ("veil-pop".to_owned(), made.proof)])
    }

    pub(crate) fn credentials(&self, target: &str, body: &[u8], now_ms: u64) -> Result<Credentials> {
        let mut nonce = [0; NONCE_LEN];
        OsRng.fill_bytes(&mut nonce);
        let proof = veilsign::proof::prove(self.key()?, &self.capability, target, body, now_ms, nonce)
            .map_err(|e| Error::invalid("request", e))?;
        Ok(Credentials {
            capability: BASE64URL_NOPAD.encode(&self.capability),
            proof: BASE64URL_NOPAD.encode(&proof),
        })
    }

    fn key(&self) -> Result<&SigningKey> {
        self.holder.as_ref().ok_or_else(|| Error::invalid("capability", "its key is not here"))
    }

    fn decoded(&self) -> Result<(Capability, Vec<Block>)> {
        let capability = Capability::decode(&self.capability).map_err(invalid)?;
        let blocks = capability.blocks_unverified().map_err(invalid)?;
        Ok((capability, blocks))
    }
}

/// No secret in a log.
impl fmt::Debug for HeldCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldCapability").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What is left of the grants. Each is covered by one of the parent's, or the block is refused.
fn narrowed(parent: &[Grant], how: &Narrowing) -> Result<Vec<Grant>> {
    let wanted = super::actions(how.permissions.iter().map(String::as_str))?;
    let left = |held: Actions| if how.permissions.is_empty() { held } else { wanted };
    if how.places.is_empty() {
        let kept = parent.iter().map(|grant| Grant { actions: left(grant.actions), ..grant.clone() });
        // A place where nothing of it is allowed is left out; what is allowed nowhere is refused below.
        let covered: Vec<Grant> = kept.filter(|grant| parent.iter().any(|held| held.covers(grant))).collect();
        return if covered.is_empty() {
            Err(Error::invalid("permissions", "the capability does not allow them"))
        } else {
            Ok(covered)
        };
    }
    let place = |text: &String| {
        let resource: Resource = text.parse().map_err(|e| Error::invalid("place", e))?;
        let held = parent.iter().filter(|grant| grant.resource.covers(&resource));
        let found =
            held.max_by_key(|grant| grant.actions.intersection(left(grant.actions)).bits().count_ones());
        let found =
            found.ok_or_else(|| Error::invalid("place", format!("{text} is not in the capability")))?;
        Ok(Grant { resource, actions: left(found.actions), ..found.clone() })
    };
    how.places.iter().map(place).collect()
}

fn names(actions: Actions) -> Vec<String> {
    actions.iter().map(|(_, name)| name.to_owned()).collect()
}

fn key(text: &str) -> Option<SigningKey> {
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
    Some(SigningKey::from_seed(&Secret::from_slice(&bytes)?))
}

fn invalid(e: impl fmt::Display) -> Error {
    Error::invalid("capability", e)
}
