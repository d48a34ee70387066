//! The secret half of an age X25519 key, shared by identities and epoch keys. Its text is what stock `age -i` reads.

use bech32::{Bech32Writer, ToBase32, Variant};
use veilcore::secret::Secret;
use zeroize::Zeroizing;

use crate::key::Recipient;

/// Human-readable part of the secret's text, lower-case as its checksum is computed.
const SECRET_HRP: &str = "age-secret-key-";
/// What every secret's text starts with.
const SECRET_PREFIX: &str = "AGE-SECRET-KEY-1";
/// The 32 characters of Bech32, upper-case, in the order of their values.
const CHARSET: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
/// Characters of a secret's text that carry its 32 bytes: 52 of them, 4 bits of padding.
const DATA_LEN: usize = 52;

/// Length of a secret's text, in ASCII characters: prefix, data, 6 of checksum.
pub const SECRET_TEXT_LEN: usize = SECRET_PREFIX.len() + DATA_LEN + 6;

/// An age X25519 key pair.
#[derive(Clone)]
pub(crate) struct AgeKey {
    secret: Secret<32>,
    identity: age::x25519::Identity,
    recipient: Recipient,
}

impl AgeKey {
    /// The pair that belongs to 32 secret bytes. Any bytes are a secret: X25519 clamps them.
    pub(crate) fn from_secret(secret: Secret<32>) -> Self {
        let identity: age::x25519::Identity =
            encode(&secret).parse().expect("32 bytes under their prefix are an identity");
        let recipient = identity
            .to_public()
            .to_string()
            .parse()
            .expect("the base point has prime order, and so has every clamped multiple of it");
        Self { secret, identity, recipient }
    }

    /// Parses `AGE-SECRET-KEY-1…`: upper-case, 74 characters, nothing around it. None for anything else.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        // The age crate judges prefix, checksum and length; what is left is to read the bytes it keeps to itself.
        text.parse::<age::x25519::Identity>().ok()?;
        let key = Self::from_secret(decode(text)?);
        (*key.secret_text() == text).then_some(key)
    }

    /// The secret as `AGE-SECRET-KEY-1…`, wiped when dropped.
    pub(crate) fn secret_text(&self) -> Zeroizing<String> {
        encode(&self.secret)
    }

    pub(crate) fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    pub(crate) fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    pub(crate) fn as_age(&self) -> &age::x25519::Identity {
        &self.identity
    }
}

/// Writes the text into one allocation, so that nothing but the result has to be wiped.
fn encode(secret: &Secret<32>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(SECRET_TEXT_LEN));
    let sink: &mut String = &mut text;
    let mut writer =
        Bech32Writer::new(SECRET_HRP, Variant::Bech32, sink).expect("a string takes what is written");
    secret.expose().write_base32(&mut writer).expect("a string takes what is written");
    writer.finalize().expect("a string takes what is written");
    text.make_ascii_uppercase();
    text
}

fn decode(text: &str) -> Option<Secret<32>> {
    let data = text.strip_prefix(SECRET_PREFIX)?.as_bytes().get(..DATA_LEN)?;
    let mut fives = Zeroizing::new([0u8; DATA_LEN]);
    for (value, symbol) in fives.iter_mut().zip(data) {
        *value = u8::try_from(CHARSET.iter().position(|c| c == symbol)?).ok()?;
    }
    Some(Secret::fill(|bytes| {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (0..8).fold(0, |acc, bit| {
                let at = i * 8 + bit;
                acc << 1 | fives[at / 5] >> (4 - at % 5) & 1
            });
        }
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

    #[test]
    fn a_published_pair_is_read_and_written_alike() {
        let key = AgeKey::from_text(TEXT).expect("a key");
        assert_eq!(*key.secret_text(), TEXT);
        assert_eq!(key.recipient().to_string(), RECIPIENT);
    }

    #[test]
    fn any_other_spelling_is_refused() {
        assert!(AgeKey::from_text(&TEXT.to_lowercase()).is_none());
        assert!(AgeKey::from_text(&format!("{TEXT}\n")).is_none());
        assert!(AgeKey::from_text(&TEXT[..73]).is_none());
        assert!(AgeKey::from_text(&TEXT.replace("J33", "J34")).is_none());
        assert!(AgeKey::from_text(RECIPIENT).is_none());
        assert!(AgeKey::from_text("").is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_secret_reads_back_from_its_text(bytes: [u8; 32]) {
            let key = AgeKey::from_secret(Secret::new(bytes));
            let back = AgeKey::from_text(&key.secret_text()).expect("what we wrote");
            prop_assert_eq!(back.secret.expose(), &bytes);
        }
    }
}
