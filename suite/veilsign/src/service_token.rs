//! Service tokens (docs/spec/sign.md, section 9): an API key and a share of a key in one text that is shown once. Its
//! holder sends the API key as a bearer and never the share, with which it opens what the server helps it open. What must
//! never happen: the share leaving the holder's machine, or a mistyped token being tried.

use std::fmt::Write;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use thiserror::Error;
use veilcore::hash::hb;
use veilcore::id::ApiKeyId;
use veilcore::secret::Secret;
use veilcore::tag;
use zeroize::Zeroizing;

use crate::api_key::ApiKey;

/// Length of a token's share, in bytes.
pub const SERVICE_TOKEN_SHARE_LEN: usize = 32;
/// How every token begins; scanners for leaked secrets look for it, and servers refuse it as a bearer.
pub const SERVICE_TOKEN_PREFIX: &str = "vst_";

const ID_CHARS: usize = 32;
/// Characters of the API key's secret, and of the share.
const SECRET_CHARS: usize = 43;
/// Characters of the checksum: 36 bits.
const CHECK_CHARS: usize = 6;
/// Length of a token's text, in ASCII characters.
pub const SERVICE_TOKEN_TEXT_LEN: usize =
    SERVICE_TOKEN_PREFIX.len() + ID_CHARS + 2 * (1 + SECRET_CHARS) + CHECK_CHARS;

/// The text is not a service token: its form or its checksum is wrong. It is not said where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not a service token: a character is missing or wrong")]
pub struct ServiceTokenInvalid;

/// A service token as its holder has it. No Debug; wiped on drop.
///
/// ```compile_fail
/// fn printed(token: veilsign::service_token::ServiceToken) -> String {
///     format!("{token:?}")
/// }
/// ```
#[derive(Clone)]
pub struct ServiceToken {
    bearer: ApiKey,
    share: Secret<SERVICE_TOKEN_SHARE_LEN>,
}

impl ServiceToken {
    /// Puts a token together. What the share belongs to is not this crate's business.
    pub fn new(bearer: ApiKey, share: Secret<SERVICE_TOKEN_SHARE_LEN>) -> Self {
        Self { bearer, share }
    }

    /// The id of its API key; public.
    pub fn id(&self) -> ApiKeyId {
        self.bearer.id()
    }

    /// The API key: what is sent.
    pub fn bearer(&self) -> &ApiKey {
        &self.bearer
    }

    /// The share: what is never sent.
    pub fn share(&self) -> &Secret<SERVICE_TOKEN_SHARE_LEN> {
        &self.share
    }

    /// `vst_<id, 32 hex>_<secret, 43 base64url>_<share, 43 base64url><checksum, 6 base64url>`:
    /// [`SERVICE_TOKEN_TEXT_LEN`] characters.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(SERVICE_TOKEN_TEXT_LEN));
        // Writing to a String cannot fail.
        let _ = write!(text, "{SERVICE_TOKEN_PREFIX}{}_", HEXLOWER.encode(self.id().as_bytes()));
        BASE64URL_NOPAD.encode_append(self.bearer.secret().expose(), &mut text);
        text.push('_');
        BASE64URL_NOPAD.encode_append(self.share.expose(), &mut text);
        text.push_str(&self.checksum());
        text
    }

    /// Reads a token's text in its only form.
    ///
    /// # Errors
    /// [`ServiceTokenInvalid`] for anything else, a mistyped token and an API key among them.
    pub fn parse(text: &str) -> Result<Self, ServiceTokenInvalid> {
        if text.len() != SERVICE_TOKEN_TEXT_LEN || !text.is_ascii() {
            return Err(ServiceTokenInvalid);
        }
        let rest = text.strip_prefix(SERVICE_TOKEN_PREFIX).ok_or(ServiceTokenInvalid)?;
        let (id, rest) = rest.split_at(ID_CHARS);
        let (secret, rest) = rest.strip_prefix('_').ok_or(ServiceTokenInvalid)?.split_at(SECRET_CHARS);
        let (share, check) = rest.strip_prefix('_').ok_or(ServiceTokenInvalid)?.split_at(SECRET_CHARS);
        let id = HEXLOWER.decode(id.as_bytes()).map_err(|_| ServiceTokenInvalid)?;
        let id: [u8; 16] = id.try_into().map_err(|_| ServiceTokenInvalid)?;
        let bearer = ApiKey::from_secret(ApiKeyId::from_bytes(id), decode(secret)?);
        let token = Self { bearer, share: decode(share)? };
        if token.checksum() == check { Ok(token) } else { Err(ServiceTokenInvalid) }
    }

    // 36 bits of a hash of all of it: they tell a whole token from a mistyped one, nothing more.
    fn checksum(&self) -> String {
        let id = self.id();
        let checked: [(&str, &[u8]); 3] = [
            ("id", id.as_bytes()),
            ("secret", self.bearer.secret().expose()),
            ("share", self.share.expose()),
        ];
        let mut text = BASE64URL_NOPAD.encode(&hb(tag::SERVICE_TOKEN, &checked)[..6]);
        text.truncate(CHECK_CHARS);
        text
    }
}

fn decode(text: &str) -> Result<Secret<32>, ServiceTokenInvalid> {
    let bytes =
        BASE64URL_NOPAD.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| ServiceTokenInvalid)?;
    Secret::from_slice(&bytes).ok_or(ServiceTokenInvalid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(id: u8, secret: u8, share: u8) -> ServiceToken {
        let bearer = ApiKey::from_secret(ApiKeyId::from_bytes([id; 16]), Secret::new([secret; 32]));
        ServiceToken::new(bearer, Secret::new([share; 32]))
    }

    #[test]
    fn the_text_is_id_secret_and_share() {
        let text = token(0x11, 0x22, 0x33).to_text();
        assert_eq!((text.len(), SERVICE_TOKEN_TEXT_LEN), (130, 130));
        let expected = "vst_11111111111111111111111111111111_IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI_\
                        MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM";
        assert_eq!(&text[..124], expected);
    }

    #[test]
    fn what_is_sent_holds_nothing_of_the_share() {
        let token = token(0x11, 0x22, 0x33);
        let sent = token.bearer().to_text();
        assert!(sent.starts_with("vck_") && !sent.contains("MzMz"));
        assert_eq!(*sent, *self::token(0x11, 0x22, 0x44).bearer().to_text());
    }

    #[test]
    fn id_secret_and_share_all_count() {
        let one = token(1, 2, 3).checksum();
        assert_ne!(one, token(9, 2, 3).checksum());
        assert_ne!(one, token(1, 9, 3).checksum());
        assert_ne!(one, token(1, 2, 9).checksum());
        assert_ne!(one, token(1, 3, 2).checksum());
    }

    #[test]
    fn no_other_spelling_is_a_token() {
        let text = token(0xab, 7, 8).to_text();
        for other in [
            text.to_uppercase(),
            text.replace("vst_", "vck_"),
            format!(" {}", &text[1..]),
            format!("{} ", &text[..129]),
            text[..129].to_owned(),
            format!("{}A", &*text),
            text.replacen('_', "-", 1),
            format!("{}-{}", &text[..80], &text[81..]),
            format!("{}ä", &text[..128]),
            token(0xab, 7, 8).bearer().to_text().to_string(),
            String::new(),
        ] {
            assert!(ServiceToken::parse(&other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_token_reads_back_and_every_wrong_character_is_noticed(
            id: [u8; 16], secret: [u8; 32], share: [u8; 32], at in 0..SERVICE_TOKEN_TEXT_LEN, with in "[ -~]",
        ) {
            let bearer = ApiKey::from_secret(ApiKeyId::from_bytes(id), Secret::new(secret));
            let token = ServiceToken::new(bearer, Secret::new(share));
            let text = token.to_text();
            let read = ServiceToken::parse(&text).expect("a token");
            prop_assert!(read.id() == token.id() && read.share().ct_eq(token.share()));
            prop_assert!(read.bearer().secret().ct_eq(token.bearer().secret()));
            let mut wrong = text.as_bytes().to_vec();
            prop_assume!(wrong[at] != with.as_bytes()[0]);
            wrong[at] = with.as_bytes()[0];
            let wrong = String::from_utf8(wrong).expect("ASCII");
            prop_assert!(ServiceToken::parse(&wrong).is_err());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = ServiceToken::parse(&text);
        }
    }
}
