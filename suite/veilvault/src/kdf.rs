//! One key derivation for the whole vault: HKDF-SHA-256 whose `info` is the framed tag and items of
//! docs/spec/core.md, section 3. What must never happen: two purposes deriving one key.

use hkdf::Hkdf;
use sha2::Sha256;
use veilcore::hash::frame;
use veilcore::secret::Secret;
use veilcore::tag::Tag;

/// `HKDF-SHA-256(ikm, salt, info = frame(tag; items))`, `N` bytes. Same in, same out.
pub(crate) fn derive<const N: usize>(
    ikm: &[u8],
    salt: &[u8],
    tag: Tag,
    items: &[(&str, &[u8])],
) -> Secret<N> {
    let info = frame(tag, items);
    Secret::fill(|room| {
        Hkdf::<Sha256>::new(Some(salt), ikm)
            .expand(&info, room)
            .expect("every key here is far shorter than 255 digests");
    })
}
