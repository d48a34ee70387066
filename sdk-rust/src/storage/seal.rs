//! Sealing without sending, for whoever brings an HTTP client of their own: what [`Storage::put`] does, up to the
//! request.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use veilvault::envelope::{SealedBytes, seal_bytes};
use zeroize::Zeroizing;

use super::put::{Slot, Wiped, sealing_error};
use super::{DIRECT_BLOB_MAX, Expect, Storage};
use crate::access::Home;
use crate::error::{Error, Result};
use crate::projects::Project;
use crate::transport::blocking;

/// A version that is sealed and not sent: body and headers of one `PUT /v1/storage/{project_id}/{env_name}`.
///
/// It fits one place only, behind the version that was the newest when it was made, and is refused anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedVersion {
    /// Number of the place it is sealed for.
    pub number: u64,
    /// The age file, at most [`DIRECT_BLOB_MAX`] bytes: the body.
    pub ciphertext: Vec<u8>,
    /// SHA-256 of the ciphertext.
    pub digest: [u8; 32],
    /// The author's signed statement, 258 bytes.
    pub seal: Vec<u8>,
    /// What has to hold when it arrives.
    pub precondition: Precondition,
}

/// What has to hold when a sealed version arrives, else the server answers 412 with `ETAG_MISMATCH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The newest version still has this entity tag, quotes included.
    IfMatch(String),
    /// There is no version yet.
    IfNoneMatchAny,
}

impl SealedVersion {
    /// The headers that go with the ciphertext: `veil-seal` (base64url without padding), and `if-match` or
    /// `if-none-match`. The two that say who sends it come from [`crate::Client::signed_headers`].
    pub fn headers(&self) -> Vec<(String, String)> {
        let (name, value) = match &self.precondition {
            Precondition::IfMatch(etag) => ("if-match", etag.as_str()),
            Precondition::IfNoneMatchAny => ("if-none-match", "*"),
        };
        vec![
            ("veil-seal".to_owned(), BASE64URL_NOPAD.encode(&self.seal)),
            (name.to_owned(), value.to_owned()),
        ]
    }
}

impl From<&Slot> for Precondition {
    fn from(slot: &Slot) -> Self {
        match slot.if_match.is_empty() {
            true => Precondition::IfNoneMatchAny,
            false => Precondition::IfMatch(slot.if_match.clone()),
        }
    }
}

impl Storage {
    pub(super) async fn seal_only(
        &self,
        project: &Project,
        name: &str,
        bytes: Zeroizing<Vec<u8>>,
        expect: &Expect,
    ) -> Result<SealedVersion> {
        // Ciphertext is never shorter than its content, so this need not be sealed to be refused.
        within(bytes.len() as u64)?;
        let visit = self.visit(Home::of(project), name).await?;
        let head = self.head(&visit).await?;
        let slot = self.slot(&visit, head.as_ref(), expect).await?;
        let (subject, key, author) = (slot.subject, slot.key.clone(), visit.writer()?.clone());
        let bytes = Bytes::from_owner(Wiped(bytes));
        let made = blocking(move || seal_bytes(&bytes, &subject, &key, &author)).await;
        let SealedBytes { ciphertext, sealed } = made.map_err(sealing_error)?;
        within(sealed.ciphertext_len)?;
        Ok(SealedVersion {
            number: slot.subject.version,
            ciphertext,
            digest: sealed.digest,
            seal: sealed.seal.to_vec(),
            precondition: Precondition::from(&slot),
        })
    }
}

/// Larger versions are uploaded in chunks, which takes more than one request.
fn within(len: u64) -> Result<()> {
    match len <= DIRECT_BLOB_MAX {
        true => Ok(()),
        false => {
            let why = format!(
                "sealed it is longer than the {DIRECT_BLOB_MAX} bytes of one request; a put sends it in several"
            );
            Err(Error::invalid("content", why))
        }
    }
}
