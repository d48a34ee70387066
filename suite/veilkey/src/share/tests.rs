//! Shares: splitting, storing, and whose they are.

use proptest::prelude::*;
use rand_core::OsRng;
use veilcore::id::TeamId;

use super::*;
use crate::context::Holder;
use crate::poly::lagrange_at_zero;

const CONTEXT: Context = Context { holder: Holder::Team(TeamId::from_bytes([7; 16])), epoch: 1 };

fn secret(value: u64) -> GroupSecret {
    let bytes = Scalar::from(value).to_bytes();
    GroupSecret::from_bytes(&Secret::new(bytes)).expect("not zero")
}

fn deal(value: u64, threshold: usize, count: usize) -> Dealing {
    secret(value).split(CONTEXT, threshold, count, &mut OsRng).expect("possible")
}

fn interpolate<'a>(shares: impl IntoIterator<Item = &'a SecretShare>) -> Scalar {
    let shares: Vec<_> = shares.into_iter().collect();
    let indices: Vec<_> = shares.iter().map(|share| share.index).collect();
    lagrange_at_zero(&indices).iter().zip(shares).map(|(factor, share)| factor * *share.scalar).sum()
}

#[test]
fn a_dealt_record_is_one_that_would_be_read() {
    let dealing = deal(5, 3, 5);
    assert_eq!(KeyRecord::parse(&dealing.record.encode()), Ok(dealing.record.clone()));
    let indices: Vec<u16> = dealing.shares.iter().map(|share| share.index().get()).collect();
    assert_eq!(indices, [1, 2, 3, 4, 5]);
    assert!(dealing.shares.iter().all(|share| share.belongs_to(&dealing.record)));
}

#[test]
fn impossible_thresholds_are_refused() {
    for (threshold, shares) in [(0, 0), (0, 3), (1, 1), (1, 3), (4, 3), (2, 251), (251, 251), (2, 70_000)] {
        let refused = secret(5).split(CONTEXT, threshold, shares, &mut OsRng).err();
        assert_eq!(refused, Some(KeyError::Threshold { threshold, shares }));
    }
}

#[test]
fn zero_and_the_order_are_no_keys_and_no_shares() {
    let order = {
        let mut bytes = (-Scalar::ONE).to_bytes();
        bytes[0] += 1;
        bytes
    };
    let share = deal(5, 2, 2).shares[0].export();
    for scalar in [[0; 32], order, [0xff; 32]] {
        let refused = |field| Some(KeyError::Malformed(DecodeError::Value { field }));
        assert_eq!(GroupSecret::from_bytes(&Secret::new(scalar)).err(), refused("key"));
        let mut bytes = *share.expose();
        bytes[SHARE_LEN - SCALAR_LEN..].copy_from_slice(&scalar);
        assert_eq!(SecretShare::import(&bytes).err(), refused("share"));
    }
}

#[test]
fn a_stored_share_comes_back_and_its_neighbours_are_refused_or_belong_nowhere() {
    let dealing = deal(5, 2, 3);
    let bytes = *dealing.shares[1].export().expose();
    let again = SecretShare::import(&bytes).expect("exported");
    assert!(again.belongs_to(&dealing.record));
    assert_eq!(*again.export().expose(), bytes);
    for bit in 0..SHARE_LEN * 8 {
        let mut altered = bytes;
        altered[bit / 8] ^= 1 << (bit % 8);
        let belongs = SecretShare::import(&altered).is_ok_and(|share| share.belongs_to(&dealing.record));
        assert!(!belongs, "bit {bit}");
    }
    for len in 0..SHARE_LEN {
        assert!(SecretShare::import(&bytes[..len]).is_err(), "{len}");
    }
    assert!(SecretShare::import(&[&bytes[..], &[0]].concat()).is_err());
    let mut zero = bytes;
    zero[1 + CONTEXT_LEN..1 + CONTEXT_LEN + 2].fill(0);
    let refused = KeyError::Malformed(DecodeError::Value { field: "index" });
    assert_eq!(SecretShare::import(&zero).err(), Some(refused));
}

#[test]
fn a_share_from_before_a_new_split_of_the_same_key_belongs_to_the_old_record_only() {
    let (old, new) = (deal(5, 2, 3), deal(5, 2, 3));
    assert_eq!(old.record.key(), new.record.key());
    assert!(old.shares[0].belongs_to(&old.record));
    assert!(!old.shares[0].belongs_to(&new.record));
}

#[test]
fn one_key_is_split_in_another_way_each_time() {
    let (one, other) = (deal(5, 2, 2), deal(5, 2, 2));
    assert_ne!(*one.shares[0].scalar, *other.shares[0].scalar);
    assert_eq!(interpolate(&one.shares), interpolate(&other.shares));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_threshold_of_shares_is_the_key_and_one_less_is_not(
        value in 1u64..,
        threshold in 2usize..6,
        spare in 0usize..4,
        order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let count = threshold + spare;
        let dealing = deal(value, threshold, count);
        let chosen: Vec<_> =
            order.into_iter().filter(|at| *at < count).take(threshold).map(|at| &dealing.shares[at]).collect();
        prop_assert_eq!(interpolate(chosen.iter().copied()), Scalar::from(value));
        prop_assert_ne!(interpolate(chosen[1..].iter().copied()), Scalar::from(value));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = SecretShare::import(&bytes);
    }
}
