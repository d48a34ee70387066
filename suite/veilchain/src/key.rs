//! Keys of signed notes (c2sp.org/signed-note, c2sp.org/tlog-cosignature; docs/spec/chain.md): the name, the id and the
//! Ed25519 key behind a signature line, and their one-line text forms.
//!
//! What must never happen: two texts for one key, a key whose signatures prove nothing (small order), or one secret
//! that signs a plain note where a timestamped cosignature was meant.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use veilcore::secret::Secret;
use zeroize::Zeroizing;

use crate::cosignature::{self, Cosignature};
use crate::note::{NoteError, NoteSignature, decode_base64};

/// Longest key name, in bytes: what the one-byte length of a cosigner name in c2sp.org/tlog-cosignature can carry.
pub const KEY_NAME_LEN_MAX: usize = 255;
/// Length of an Ed25519 public key, in bytes.
pub const PUBLIC_KEY_LEN: usize = 32;
/// Length of a plain Ed25519 signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// What a key signs, and with which algorithm. Other type bytes of c2sp.org/signed-note are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyType {
    /// 0x01: Ed25519 over the note's text. Logs sign their checkpoints with it.
    Ed25519,
    /// 0x04: Ed25519 over a time and a checkpoint. Witnesses sign with it.
    CosignatureV1,
}

impl KeyType {
    /// The type byte of c2sp.org/signed-note.
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    /// The type of a type byte.
    ///
    /// # Errors
    /// [`NoteError::KeyType`] for every byte but 0x01 and 0x04.
    pub fn from_byte(byte: u8) -> Result<Self, NoteError> {
        match byte {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::CosignatureV1),
            _ => Err(NoteError::KeyType { byte }),
        }
    }
}

/// Whether `name` may name a key: not empty, no Unicode space, no `+` (c2sp.org/signed-note), and no control character,
/// since a note that holds one is no note.
pub fn is_name_valid(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+' || c < ' ')
}

/// A public key with its name, written `<name>+<key id, 8 hex>+<base64(type || public key)>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key_id: [u8; 4],
    kind: KeyType,
    key: ed25519_dalek::VerifyingKey,
}

impl VerifierKey {
    /// A key of 32 bytes under a name; the id follows from both and the type.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] for a name that is not valid or longer than [`KEY_NAME_LEN_MAX`], [`NoteError::PublicKey`]
    /// for bytes that are no point, not its canonical encoding, or of small order.
    pub fn new(name: &str, kind: KeyType, public_key: [u8; PUBLIC_KEY_LEN]) -> Result<Self, NoteError> {
        if !is_name_valid(name) || name.len() > KEY_NAME_LEN_MAX {
            return Err(NoteError::KeyName);
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public_key).map_err(|_| NoteError::PublicKey)?;
        // Decompression accepts a second encoding of some points; only the one that compression gives is the key.
        if key.is_weak() || key.to_edwards().compress().to_bytes() != public_key {
            return Err(NoteError::PublicKey);
        }
        Ok(Self { name: name.to_owned(), key_id: key_id(name, kind, &public_key), kind, key })
    }

    /// The key's name; of a log's key, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First four bytes of SHA-256(name || LF || type || public key). Short on purpose: it selects, it does not prove.
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// What the key signs.
    pub fn kind(&self) -> KeyType {
        self.kind
    }

    /// The 32 bytes of RFC 8032.
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_LEN] {
        self.key.as_bytes()
    }

    /// The text form, one line without a newline.
    pub fn encode(&self) -> String {
        self.to_string()
    }

    /// Whether a signature line names this key.
    pub fn signed(&self, signature: &NoteSignature) -> bool {
        signature.key_id == self.key_id && signature.name == self.name
    }

    /// Verifies the bytes of a signature line (without the key id) over a note's text. Gives the time of a cosignature,
    /// in seconds since the Unix epoch, and nothing for a plain signature.
    ///
    /// Verification is strict (canonical S, no point of small order), so that every verifier judges alike.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`].
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, NoteError> {
        let bad = || NoteError::BadSignature { name: self.name.clone(), key_id: self.key_id };
        let strict = |message: &[u8], signature: &[u8; SIGNATURE_LEN]| {
            self.key
                .verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
                .map_err(|_| bad())
        };
        match self.kind {
            KeyType::Ed25519 => {
                strict(text.as_bytes(), signature.try_into().map_err(|_| bad())?)?;
                Ok(None)
            }
            KeyType::CosignatureV1 => {
                let cosignature = Cosignature::parse(signature).map_err(|_| bad())?;
                let message = cosignature::message(cosignature.time_s, text);
                strict(message.as_bytes(), &cosignature.signature)?;
                Ok(Some(cosignature.time_s))
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = [0; 1 + PUBLIC_KEY_LEN];
        key[0] = self.kind.byte();
        key[1..].copy_from_slice(self.public_key());
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&self.key_id), BASE64.encode(&key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    /// Reads the text form. Strict: lower-case hex, canonical base64 with padding, nothing before or after.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, material) = split(text)?;
        let bytes = decode_base64(material).ok_or(NoteError::KeyFormat)?;
        let (type_byte, public_key) = bytes.split_first().ok_or(NoteError::KeyFormat)?;
        let kind = KeyType::from_byte(*type_byte)?;
        let public_key = public_key.try_into().map_err(|_| NoteError::KeyFormat)?;
        let key = Self::new(name, kind, public_key)?;
        if key.key_id != id { Err(NoteError::KeyId) } else { Ok(key) }
    }
}

/// A private key with its name. Wiped on drop, never printed.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    verifier: VerifierKey,
}

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032 private key). Same seed, same key.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] for a name that is not valid.
    pub fn from_seed(name: &str, kind: KeyType, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, kind, key.verifying_key().to_bytes())?;
        Ok(Self { key, verifier })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs the text of a note (type 0x01). The text must end in a newline, as [`crate::note::Note`] makes sure.
    ///
    /// # Errors
    /// [`NoteError::WrongKind`] for a cosigning key.
    pub fn sign_note(&self, text: &str) -> Result<NoteSignature, NoteError> {
        if self.verifier.kind != KeyType::Ed25519 {
            return Err(NoteError::WrongKind);
        }
        Ok(self.line(self.key.sign(text.as_bytes()).to_bytes().to_vec()))
    }

    /// Cosigns the text of a checkpoint as of `time_s`, seconds since the Unix epoch (type 0x04). The caller has verified
    /// the checkpoint and its consistency, and has stored it.
    ///
    /// # Errors
    /// [`NoteError::WrongKind`] for another kind of key, [`NoteError::Time`] for a time of 0 or above 2^63 - 1.
    pub fn cosign(&self, text: &str, time_s: u64) -> Result<NoteSignature, NoteError> {
        if self.verifier.kind != KeyType::CosignatureV1 {
            return Err(NoteError::WrongKind);
        }
        if time_s == 0 || time_s > cosignature::TIME_S_MAX {
            return Err(NoteError::Time);
        }
        let signature = self.key.sign(cosignature::message(time_s, text).as_bytes()).to_bytes();
        Ok(self.line(Cosignature { time_s, signature }.encode().to_vec()))
    }

    /// The text form of Go's `note` package, `PRIVATE+KEY+<name>+<key id>+<base64(type || seed)>`: a secret, wiped when
    /// dropped.
    pub fn encode(&self) -> Zeroizing<String> {
        let mut material = Zeroizing::new([0; 1 + 32]);
        material[0] = self.verifier.kind.byte();
        material[1..].copy_from_slice(self.key.as_bytes());
        let id = HEXLOWER.encode(&self.verifier.key_id);
        let encoded = Zeroizing::new(BASE64.encode(&material[..]));
        // Sized beforehand: a string that grows leaves copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(
            PRIVATE_PREFIX.len() + self.verifier.name.len() + id.len() + encoded.len() + 2,
        ));
        for part in [PRIVATE_PREFIX, &self.verifier.name, "+", &id, "+", &encoded] {
            text.push_str(part);
        }
        text
    }

    fn line(&self, signature: Vec<u8>) -> NoteSignature {
        NoteSignature { name: self.verifier.name.clone(), key_id: self.verifier.key_id, signature }
    }
}

impl FromStr for SigningKey {
    type Err = NoteError;

    /// Reads the text form; as strict as for a [`VerifierKey`], and the id must be that of the public half.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, material) = split(text.strip_prefix(PRIVATE_PREFIX).ok_or(NoteError::KeyFormat)?)?;
        let bytes = Zeroizing::new(decode_base64(material).ok_or(NoteError::KeyFormat)?);
        let (type_byte, seed) = bytes.split_first().ok_or(NoteError::KeyFormat)?;
        let kind = KeyType::from_byte(*type_byte)?;
        let seed = Secret::<32>::from_slice(seed).ok_or(NoteError::KeyFormat)?;
        let key = Self::from_seed(name, kind, seed.expose())?;
        if key.verifier.key_id != id { Err(NoteError::KeyId) } else { Ok(key) }
    }
}

/// Cuts `<name>+<8 hex>+<base64>`. Base64 may hold a `+`, a name never does.
fn split(text: &str) -> Result<(&str, [u8; 4], &str), NoteError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::KeyFormat);
    };
    let id = HEXLOWER.decode(id.as_bytes()).map_err(|_| NoteError::KeyFormat)?;
    Ok((name, id.try_into().map_err(|_| NoteError::KeyFormat)?, material))
}

fn key_id(name: &str, kind: KeyType, public_key: &[u8; PUBLIC_KEY_LEN]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', kind.byte()])
        .chain_update(public_key)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests;
