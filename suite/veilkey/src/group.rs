//! ristretto255 and the hashes into it (docs/spec/key.md, section 2). A [`Point`] is never the identity and has one
//! encoding; a scalar is below the order. What must never happen: two encodings of one value being accepted, or the
//! relation between the two bases being known to anybody.

use std::fmt;
use std::sync::LazyLock;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use rand_core::CryptoRngCore;
use veilcore::canon::{DecodeError, Reader};
use veilcore::hash::{WIDE_LEN, hs_wide};
use veilcore::tag::{self, Tag};
use zeroize::{Zeroize, Zeroizing};

/// Length of an encoded point, in bytes.
pub const POINT_LEN: usize = 32;
/// Length of an encoded scalar, in bytes.
pub const SCALAR_LEN: usize = 32;

/// Labelled items of a framed hash.
pub(crate) type Items<'a> = [(&'a str, &'a [u8])];

/// The second base, made by hashing alone: nobody knows its logarithm to the first one.
static SECOND_BASE: LazyLock<Point> = LazyLock::new(|| {
    let point = RistrettoPoint::from_uniform_bytes(&hs_wide(tag::TDH2_GEN, &[]));
    Point::new(point).expect("a fixed hash that does not map to the identity: a vector pins it")
});

/// A point other than the identity, with its encoding.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    point: RistrettoPoint,
    bytes: [u8; POINT_LEN],
}

impl Point {
    /// None for the identity.
    pub(crate) fn new(point: RistrettoPoint) -> Option<Self> {
        (point != RistrettoPoint::identity()).then(|| Self { point, bytes: point.compress().to_bytes() })
    }

    /// `scalar · B`. None for zero.
    pub(crate) fn base_times(scalar: &Scalar) -> Option<Self> {
        Self::new(RistrettoPoint::mul_base(scalar))
    }

    /// None for what is no canonical encoding, and for the identity.
    pub(crate) fn parse(bytes: &[u8; POINT_LEN]) -> Option<Self> {
        let point = CompressedRistretto(*bytes).decompress()?;
        (point != RistrettoPoint::identity()).then_some(Self { point, bytes: *bytes })
    }

    pub(crate) fn read(input: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::parse(&input.array()?).ok_or(DecodeError::Value { field })
    }

    pub(crate) fn point(&self) -> &RistrettoPoint {
        &self.point
    }

    pub(crate) fn as_bytes(&self) -> &[u8; POINT_LEN] {
        &self.bytes
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl Eq for Point {}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Zeroize for Point {
    fn zeroize(&mut self) {
        self.point.zeroize();
        self.bytes.zeroize();
    }
}

/// The second base, Ĝ of the spec.
pub(crate) fn second_base() -> &'static Point {
    &SECOND_BASE
}

/// The encoded second base, so that anybody can compare it with what they make of its definition.
pub fn second_base_bytes() -> &'static [u8; POINT_LEN] {
    SECOND_BASE.as_bytes()
}

/// Reads a scalar below the order; zero is one.
pub(crate) fn read_scalar(input: &mut Reader<'_>, field: &'static str) -> Result<Scalar, DecodeError> {
    parse_scalar(&input.array()?).ok_or(DecodeError::Value { field })
}

/// None for the order and above.
pub(crate) fn parse_scalar(bytes: &[u8; SCALAR_LEN]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(*bytes).into()
}

/// `Hs(tag; items)`.
pub(crate) fn hs(tag: Tag, items: &Items<'_>) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&hs_wide(tag, items))
}

/// A hedged nonce for one `purpose`: 64 drawn bytes hashed with the secret that the nonce protects and with what the
/// nonce is for. A source that repeats itself gives one nonce twice only for the same statement about the same secret,
/// and a source that an attacker can predict gives nothing without the secret.
pub(crate) fn draw_nonce(
    rng: &mut impl CryptoRngCore,
    purpose: &str,
    secret: &[u8],
    statement: &Items<'_>,
) -> Zeroizing<Scalar> {
    let mut random = Zeroizing::new([0; WIDE_LEN]);
    loop {
        rng.fill_bytes(&mut random[..]);
        let mut items: Vec<(&str, &[u8])> =
            vec![("purpose", purpose.as_bytes()), ("random", &random[..]), ("secret", secret)];
        items.extend_from_slice(statement);
        let wide = Zeroizing::new(hs_wide(tag::NONCE, &items));
        let nonce = Zeroizing::new(Scalar::from_bytes_mod_order_wide(&wide));
        // Once in 2^252 draws: a nonce of zero would give the secret away.
        if *nonce != Scalar::ZERO {
            return nonce;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The order, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    /// Gives the same byte for ever.
    struct Stuck(u8);

    impl rand_core::RngCore for Stuck {
        fn next_u32(&mut self) -> u32 {
            unreachable!("only bytes are drawn")
        }
        fn next_u64(&mut self) -> u64 {
            unreachable!("only bytes are drawn")
        }
        fn fill_bytes(&mut self, room: &mut [u8]) {
            room.fill(self.0);
        }
        fn try_fill_bytes(&mut self, room: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(room);
            Ok(())
        }
    }

    impl rand_core::CryptoRng for Stuck {}

    #[test]
    fn the_identity_and_what_is_no_canonical_point_are_refused() {
        assert!(Point::parse(&[0; 32]).is_none(), "the identity");
        assert!(Point::base_times(&Scalar::ZERO).is_none());
        assert!(Point::new(RistrettoPoint::identity()).is_none());
        // RFC 9496, appendix A.3: a field element that is not reduced, a negative one, and a non-square.
        let mut unreduced = [0xff; 32];
        unreduced[31] = 0x7f;
        assert!(Point::parse(&unreduced).is_none());
        let mut negative = [0; 32];
        negative[0] = 1;
        assert!(Point::parse(&negative).is_none());
        let base = *Point::base_times(&Scalar::ONE).expect("not the identity").as_bytes();
        let mut high_bit = base;
        high_bit[31] |= 0x80;
        assert!(Point::parse(&base).is_some());
        assert!(Point::parse(&high_bit).is_none());
    }

    #[test]
    fn a_scalar_of_the_order_or_more_is_refused() {
        assert!(parse_scalar(&ORDER).is_none());
        assert!(parse_scalar(&[0xff; 32]).is_none());
        let mut below = ORDER;
        below[0] -= 1;
        assert_eq!(parse_scalar(&below), Some(-Scalar::ONE));
    }

    #[test]
    fn a_stuck_source_gives_another_nonce_for_another_secret_statement_or_purpose() {
        let one = draw_nonce(&mut Stuck(7), "a", b"secret", &[("label", b"x")]);
        assert_eq!(*one, *draw_nonce(&mut Stuck(7), "a", b"secret", &[("label", b"x")]));
        assert_ne!(*one, *draw_nonce(&mut Stuck(8), "a", b"secret", &[("label", b"x")]));
        assert_ne!(*one, *draw_nonce(&mut Stuck(7), "b", b"secret", &[("label", b"x")]));
        assert_ne!(*one, *draw_nonce(&mut Stuck(7), "a", b"other", &[("label", b"x")]));
        assert_ne!(*one, *draw_nonce(&mut Stuck(7), "a", b"secret", &[("label", b"y")]));
    }

    proptest! {
        #[test]
        fn whatever_parses_as_a_point_is_its_only_encoding(bytes: [u8; 32]) {
            if let Some(point) = Point::parse(&bytes) {
                prop_assert_eq!(point.point().compress().to_bytes(), bytes);
            }
        }
    }
}
