//! The witness's own key. It signs cosignatures and nothing else, and its name is the witness's name.

use veilchain::key::{KeyType, SigningKey};
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// Not a witness's key: the name is not one of c2sp.org/signed-note, the text is malformed, or the key is of another
/// type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a witness: {0}")]
pub struct WitnessKeyInvalid(String);

/// A cosigning key with its name. Wiped on drop, never printed.
pub struct WitnessKey(pub(super) SigningKey);

impl WitnessKey {
    /// A new key under this name.
    ///
    /// # Errors
    /// A name that is empty, longer than 255 bytes, or holds a space, a `+` or a control character.
    pub fn generate(name: &str, entropy: &dyn Entropy) -> Result<Self, WitnessKeyInvalid> {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        let key = SigningKey::from_seed(name, KeyType::CosignatureV1, &seed);
        key.map(Self).map_err(|error| WitnessKeyInvalid(error.to_string()))
    }

    /// Reads [`WitnessKey::to_text`] back, strictly: name, key id and key must belong together.
    ///
    /// # Errors
    /// Anything else, and a key that signs plain notes.
    pub fn from_text(text: &str) -> Result<Self, WitnessKeyInvalid> {
        let key: SigningKey =
            text.parse().map_err(|error: veilchain::note::NoteError| WitnessKeyInvalid(error.to_string()))?;
        if key.verifier().kind() != KeyType::CosignatureV1 {
            return Err(WitnessKeyInvalid("it signs plain notes".to_owned()));
        }
        Ok(Self(key))
    }

    /// `PRIVATE+KEY+<name>+<key id>+<base64(0x04 || seed)>`, one line without a newline: a secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        self.0.encode()
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        self.0.verifier().name()
    }

    /// The public half as logs and verifiers write it down: `<name>+<key id>+<base64(0x04 || public key)>`.
    pub fn vkey(&self) -> String {
        self.0.verifier().encode()
    }
}
