//! API keys (docs/spec/sign.md, section 8): a random id and secret in one text that is shown once. Its parties: a
//! *client* that draws both, and a *verifier* that keeps only what follows from the secret's hash. What must never
//! happen: a mistyped key being tried, or a secret being stored by whoever verifies it.

use std::fmt::Write;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rand_core::CryptoRngCore;
use thiserror::Error;
use veilcore::hash::hb;
use veilcore::id::ApiKeyId;
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::Zeroizing;

/// Length of a key's secret, in bytes.
pub const API_KEY_SECRET_LEN: usize = 32;
/// How every key begins; scanners for leaked secrets look for it.
pub const API_KEY_PREFIX: &str = "vck_";

const ID_CHARS: usize = 32;
const SECRET_CHARS: usize = 43;
/// Characters of the checksum: 36 bits.
const CHECK_CHARS: usize = 6;
/// Length of a key's text, in ASCII characters.
pub const API_KEY_TEXT_LEN: usize = API_KEY_PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + CHECK_CHARS;

/// The text is not an API key: its form or its checksum is wrong. It is not said where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not an API key: a character is missing or wrong")]
pub struct ApiKeyInvalid;

/// An API key as its holder has it. No Debug; the secret is wiped on drop.
#[derive(Clone)]
pub struct ApiKey {
    id: ApiKeyId,
    secret: Secret<API_KEY_SECRET_LEN>,
}

impl ApiKey {
    /// Draws a secret for this id. The id is a random UUID that the caller draws.
    pub fn generate(id: ApiKeyId, rng: &mut impl CryptoRngCore) -> Self {
        Self { id, secret: Secret::fill(|room| rng.fill_bytes(room)) }
    }

    /// Takes over a secret of 32 random bytes.
    pub fn from_secret(id: ApiKeyId, secret: Secret<API_KEY_SECRET_LEN>) -> Self {
        Self { id, secret }
    }

    /// The id; public.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The secret, to derive keys from.
    pub fn secret(&self) -> &Secret<API_KEY_SECRET_LEN> {
        &self.secret
    }

    /// What a verifier is told of the secret: `Hb("Veil/api-key/v1"; secret)`. One way, because the secret is random.
    pub fn hash(&self) -> [u8; 32] {
        hb(tag::API_KEY, &[("secret", self.secret.expose())])
    }

    /// `vck_<id, 32 hex>_<secret, 43 base64url><checksum, 6 base64url>`: [`API_KEY_TEXT_LEN`] characters.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(API_KEY_TEXT_LEN));
        // Writing to a String cannot fail.
        let _ = write!(text, "{API_KEY_PREFIX}{}_", HEXLOWER.encode(self.id.as_bytes()));
        BASE64URL_NOPAD.encode_append(self.secret.expose(), &mut text);
        text.push_str(&self.checksum());
        text
    }

    /// Reads a key's text in its only form.
    ///
    /// # Errors
    /// [`ApiKeyInvalid`] for anything else, a mistyped key among them.
    pub fn parse(text: &str) -> Result<Self, ApiKeyInvalid> {
        if text.len() != API_KEY_TEXT_LEN || !text.is_ascii() {
            return Err(ApiKeyInvalid);
        }
        let rest = text.strip_prefix(API_KEY_PREFIX).ok_or(ApiKeyInvalid)?;
        let (id, rest) = rest.split_at(ID_CHARS);
        let (secret, check) = rest.strip_prefix('_').ok_or(ApiKeyInvalid)?.split_at(SECRET_CHARS);
        let id = HEXLOWER.decode(id.as_bytes()).map_err(|_| ApiKeyInvalid)?;
        let id: [u8; 16] = id.try_into().map_err(|_| ApiKeyInvalid)?;
        let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).map(Zeroizing::new);
        let secret = Secret::from_slice(&secret.map_err(|_| ApiKeyInvalid)?).ok_or(ApiKeyInvalid)?;
        let key = Self { id: ApiKeyId::from_bytes(id), secret };
        if key.checksum() == check { Ok(key) } else { Err(ApiKeyInvalid) }
    }

    // 36 bits of a hash of id and secret: they tell a whole key from a mistyped one, nothing more.
    fn checksum(&self) -> String {
        let digest =
            hb(tag::API_KEY, &[("id", self.id.as_bytes()), ("checked", self.secret.expose().as_slice())]);
        let mut text = BASE64URL_NOPAD.encode(&digest[..6]);
        text.truncate(CHECK_CHARS);
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(id: u8, secret: u8) -> ApiKey {
        ApiKey::from_secret(ApiKeyId::from_bytes([id; 16]), Secret::new([secret; 32]))
    }

    #[test]
    fn the_text_is_pinned() {
        let text = key(0x11, 0x22).to_text();
        assert_eq!(text.len(), API_KEY_TEXT_LEN);
        assert_eq!(API_KEY_TEXT_LEN, 86);
        let expected = "vck_11111111111111111111111111111111_IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI";
        assert_eq!(&text[..80], expected);
        assert_eq!(key(0x11, 0x22).hash(), hb(tag::API_KEY, &[("secret", &[0x22; 32])]));
    }

    #[test]
    fn id_and_secret_both_count() {
        assert_ne!(key(1, 2).hash(), key(1, 3).hash());
        assert_ne!(key(1, 2).checksum(), key(3, 2).checksum());
        assert_ne!(key(1, 2).checksum(), key(1, 3).checksum());
    }

    #[test]
    fn no_other_spelling_is_a_key() {
        let text = key(0xab, 7).to_text();
        for other in [
            text.to_uppercase(),
            text.replace("vck_", "vcx_"),
            format!(" {}", &text[1..]),
            format!("{} ", &text[..85]),
            text[..85].to_owned(),
            format!("{}A", &*text),
            text.replacen('_', "-", 1),
            format!("{}ä", &text[..84]),
            String::new(),
        ] {
            assert!(ApiKey::parse(&other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_key_reads_back_and_every_wrong_character_is_noticed(
            id: [u8; 16], secret: [u8; 32], at in 0..API_KEY_TEXT_LEN, with in "[ -~]",
        ) {
            let key = ApiKey::from_secret(ApiKeyId::from_bytes(id), Secret::new(secret));
            let text = key.to_text();
            let read = ApiKey::parse(&text).expect("a key");
            prop_assert!(read.id() == key.id() && read.secret().ct_eq(key.secret()));
            let mut wrong = text.as_bytes().to_vec();
            prop_assume!(wrong[at] != with.as_bytes()[0]);
            wrong[at] = with.as_bytes()[0];
            let wrong = String::from_utf8(wrong).expect("ASCII");
            prop_assert!(ApiKey::parse(&wrong).is_err());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = ApiKey::parse(&text);
        }
    }
}
