//! Length hiding (docs/spec/vault.md, section 6): plaintexts grow to one of few lengths by the Padmé rule, so that a
//! ciphertext tells at most its order of magnitude and a few leading bits. Costs at most 12 %.

use thiserror::Error;

/// Shortest padded length, in bytes.
pub const PADDED_LEN_MIN: u64 = 256;
/// Longest content a blob may have: 1 TiB. Keeps every sum of lengths far from overflow.
pub const CONTENT_LEN_MAX: u64 = 1 << 40;

/// The content is over [`CONTENT_LEN_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("content of {len} bytes is over the limit of {CONTENT_LEN_MAX}")]
pub struct TooLong {
    /// Length asked for, in bytes.
    pub len: u64,
}

/// Length to which `len` bytes are padded, at least [`PADDED_LEN_MIN`].
///
/// Padmé (Nikitin et al., PETS 2019, algorithm 1): of the E = floor(log2 len) bits below the leading one, all but
/// the first floor(log2 E) + 1 are rounded up to zero.
///
/// # Errors
/// [`TooLong`] above twice [`CONTENT_LEN_MAX`], so that a header in front of the longest content still fits.
pub fn padded_len(len: u64) -> Result<u64, TooLong> {
    if len <= PADDED_LEN_MIN {
        return Ok(PADDED_LEN_MIN);
    }
    if len > 2 * CONTENT_LEN_MAX {
        return Err(TooLong { len });
    }
    let exponent = len.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1u64 << (exponent - kept)) - 1;
    Ok((len + mask) & !mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_examples_hold() {
        assert_eq!(padded_len(0), Ok(256));
        assert_eq!(padded_len(256), Ok(256));
        assert_eq!(padded_len(257), Ok(272));
        assert_eq!(padded_len(272), Ok(272));
        assert_eq!(padded_len(1000), Ok(1024));
        assert_eq!(padded_len(9 * 1024), Ok(9 * 1024));
        assert_eq!(padded_len(300 << 20), Ok(304 << 20));
    }

    #[test]
    fn lengths_beyond_the_limit_are_refused() {
        assert!(padded_len(2 * CONTENT_LEN_MAX).is_ok());
        assert_eq!(padded_len(u64::MAX), Err(TooLong { len: u64::MAX }));
    }

    proptest! {
        #[test]
        fn padding_covers_costs_at_most_12_percent_and_settles(len in 257u64..=2 * CONTENT_LEN_MAX) {
            let padded = padded_len(len).expect("within the limit");
            prop_assert!(padded >= len);
            prop_assert!((padded - len) as f64 <= 0.12 * len as f64, "{len} -> {padded}");
            prop_assert_eq!(padded_len(padded), Ok(padded));
        }

        #[test]
        fn longer_content_never_gets_shorter_padding(a in 0u64..1 << 24, more in 0u64..1 << 16) {
            prop_assert!(padded_len(a).expect("short") <= padded_len(a + more).expect("short"));
        }
    }
}
