//! Records and keys: what is accepted, and its neighbours.

use proptest::prelude::*;
use rand_core::OsRng;
use veilcore::id::{ApiKeyId, TeamId};
use veilcore::secret::Secret;

use super::*;
use crate::context::Holder;
use crate::share::GroupSecret;

/// Offset of the threshold in a record: version, context, key, provenance before it.
const THRESHOLD_AT: usize = GROUP_KEY_LEN + 1;
/// Offset of the first share.
const SHARES_AT: usize = THRESHOLD_AT + 2;
const SHARE_STEP: usize = 2 + POINT_LEN;

fn context() -> Context {
    Context { holder: Holder::Team(TeamId::from_bytes([7; 16])), epoch: 1 }
}

fn record(secret: u8, threshold: usize, count: usize) -> KeyRecord {
    let mut bytes = [0; 32];
    bytes[0] = secret;
    let secret = GroupSecret::from_bytes(&Secret::new(bytes)).expect("not zero");
    secret.split(context(), threshold, count, &mut OsRng).expect("possible").record
}

fn malformed(field: &'static str) -> KeyError {
    KeyError::Malformed(DecodeError::Value { field })
}

#[test]
fn a_record_and_its_key_survive_their_bytes() {
    for (threshold, count) in [(2, 2), (2, 3), (3, 5), (5, 5)] {
        let record = record(9, threshold, count);
        assert_eq!(KeyRecord::parse(&record.encode()), Ok(record.clone()));
        assert_eq!(GroupKey::parse(&record.key().encode()), Ok(*record.key()));
        assert_eq!(record.key().encode().len(), GROUP_KEY_LEN);
        assert_eq!((record.threshold(), record.indices().len()), (threshold, count));
    }
}

#[test]
fn the_largest_record_is_read_and_one_more_share_is_refused() {
    let largest = record(3, 125, SHARES_MAX);
    let mut bytes = largest.encode();
    assert_eq!(bytes.len(), RECORD_LEN_MAX);
    assert_eq!(KeyRecord::parse(&bytes), Ok(largest));
    bytes[THRESHOLD_AT + 1] += 1;
    assert_eq!(KeyRecord::parse(&bytes), Err(KeyError::Threshold { threshold: 125, shares: SHARES_MAX + 1 }));
}

#[test]
fn every_flipped_bit_of_a_record_is_refused_or_another_key() {
    let record = record(9, 3, 5);
    let bytes = record.encode();
    let context = 1..1 + CONTEXT_LEN;
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        match KeyRecord::parse(&altered) {
            Err(_) => {}
            Ok(other) => {
                assert!(context.contains(&(bit / 8)), "bit {bit}");
                assert_ne!(other.key(), record.key());
                assert_ne!(other.fingerprint(), record.fingerprint());
            }
        }
    }
}

#[test]
fn a_record_cut_short_or_followed_by_bytes_is_refused() {
    let bytes = record(9, 2, 3).encode();
    for len in 0..bytes.len() {
        assert!(matches!(KeyRecord::parse(&bytes[..len]), Err(KeyError::Malformed(_))), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let trailing = KeyError::Malformed(DecodeError::Trailing { left: 1 });
    assert_eq!(KeyRecord::parse(&longer), Err(trailing));
    let longer = [&record(9, 2, 3).key().encode()[..], &[0]].concat();
    assert_eq!(GroupKey::parse(&longer), Err(trailing));
}

#[test]
fn a_lower_and_a_higher_threshold_than_the_shares_have_are_refused() {
    let mut bytes = record(9, 3, 5).encode();
    bytes[THRESHOLD_AT] = 2;
    assert_eq!(KeyRecord::parse(&bytes), Err(KeyError::Inconsistent));
    bytes[THRESHOLD_AT] = 4;
    assert_eq!(KeyRecord::parse(&bytes), Err(KeyError::ThresholdNotKept { threshold: 4 }));
    bytes[THRESHOLD_AT] = 5;
    assert_eq!(KeyRecord::parse(&bytes), Err(KeyError::ThresholdNotKept { threshold: 5 }));
    for (threshold, shares) in [(0, 5), (1, 5), (6, 5)] {
        bytes[THRESHOLD_AT] = threshold;
        let threshold = threshold.into();
        assert_eq!(KeyRecord::parse(&bytes), Err(KeyError::Threshold { threshold, shares }));
    }
}

#[test]
fn a_share_of_another_key_is_refused() {
    let (one, other) = (record(9, 3, 5).encode(), record(10, 3, 5).encode());
    for share in 0..5 {
        let at = SHARES_AT + share * SHARE_STEP..SHARES_AT + (share + 1) * SHARE_STEP;
        let mut mixed = one.clone();
        mixed[at.clone()].copy_from_slice(&other[at]);
        assert_eq!(KeyRecord::parse(&mixed), Err(KeyError::Inconsistent), "share {share}");
    }
    let key = 1 + CONTEXT_LEN..GROUP_KEY_LEN;
    let mut mixed = one;
    mixed[key.clone()].copy_from_slice(&other[key]);
    assert_eq!(KeyRecord::parse(&mixed), Err(KeyError::Inconsistent));
}

#[test]
fn indices_that_do_not_ascend_from_one_are_refused() {
    let bytes = record(9, 2, 3).encode();
    let second = SHARES_AT + SHARE_STEP;
    let mut altered = bytes.clone();
    altered[SHARES_AT + 1] = 0;
    assert_eq!(KeyRecord::parse(&altered), Err(malformed("index")));
    let mut altered = bytes.clone();
    altered[second + 1] = 1;
    let index = ShareIndex::new(1).expect("not zero");
    assert_eq!(KeyRecord::parse(&altered), Err(KeyError::Order { index }));
    let mut altered = bytes.clone();
    let (first, rest) = altered[SHARES_AT..].split_at_mut(SHARE_STEP);
    first.swap_with_slice(&mut rest[..SHARE_STEP]);
    assert_eq!(KeyRecord::parse(&altered), Err(KeyError::Order { index }));
}

#[test]
fn the_identity_and_unknown_values_are_refused_by_field() {
    let bytes = record(9, 2, 2).encode();
    let altered = |at: usize, with: &[u8]| {
        let mut altered = bytes.clone();
        altered[at..at + with.len()].copy_from_slice(with);
        KeyRecord::parse(&altered)
    };
    assert_eq!(altered(0, &[2]), Err(KeyError::Malformed(DecodeError::Version { found: 2 })));
    assert_eq!(altered(1, &[0]), Err(malformed("kind")));
    assert_eq!(altered(1, &[3]), Err(malformed("kind")));
    assert_eq!(altered(18, &[0; 4]), Err(malformed("epoch")));
    assert_eq!(altered(1 + CONTEXT_LEN, &[0; 32]), Err(malformed("key")));
    assert_eq!(altered(GROUP_KEY_LEN, &[2]), Err(malformed("provenance")));
    assert_eq!(altered(SHARES_AT + 2, &[0; 32]), Err(malformed("share_key")));
}

#[test]
fn a_token_a_team_and_another_epoch_never_have_one_key() {
    let key = *record(9, 2, 2).key();
    let mut other = key;
    other.context.holder = Holder::ApiKey(ApiKeyId::from_bytes([7; 16]));
    assert_ne!(other.encode(), key.encode());
    other.context = Context { epoch: 2, ..*key.context() };
    assert_ne!(other.encode(), key.encode());
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = GroupKey::parse(&bytes);
        let _ = KeyRecord::parse(&bytes);
    }
}
