//! What a requester is answered, by holders who lie or a relay that mixes answers up: each wrong part is refused by
//! the name of its share, and the honest ones still open the message.

mod plain;
mod team;

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT as B;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use rand_core::OsRng;
use veilcore::canon::DecodeError;
use veilkey::ciphertext::{Ciphertext, Verified};
use veilkey::combine::{CombineError, Combiner};
use veilkey::partial::{PARTIAL_LEN, PartialDecryption, PartialError, Request};
use veilkey::share::{Dealing, ShareIndex};

use plain::{Asked, Part};
use team::{COUNT, LABEL, MESSAGE, REQUEST, THRESHOLD, ciphertext, dealing, scalar_of, to};

fn answer(dealing: &Dealing, at: usize, verified: &Verified<'_>, request: &Request) -> PartialDecryption {
    dealing.shares[at].decrypt(verified, &dealing.record, request, &mut OsRng).expect("own share")
}

fn index(index: u16) -> ShareIndex {
    ShareIndex::new(index).expect("not zero")
}

fn blamed(at: u16) -> Result<(), CombineError> {
    Err(PartialError::BadProof { index: index(at) }.into())
}

/// The same question, as the plain implementation sees it.
fn question<'a>(dealing: &Dealing, ciphertext: &'a [u8], at: usize) -> Asked<'a> {
    Asked {
        to: to(dealing),
        index: at as u16 + 1,
        share_key: scalar_of(&dealing.shares[at]) * B,
        ciphertext,
        request: REQUEST.id,
        requester: REQUEST.requester,
    }
}

/// Runs `test` with a team, a ciphertext that was verified, and a combiner for it.
fn with_team(test: impl FnOnce(&Dealing, Verified<'_>, &[u8], Combiner<'_>)) {
    let dealing = dealing(5, 1);
    let ciphertext = ciphertext(&dealing);
    let verified = ciphertext.verify(dealing.record.key(), LABEL).expect("honest");
    let combiner = Combiner::new(verified, &dealing.record, REQUEST).expect("one key");
    test(&dealing, verified, &ciphertext.encode(), combiner);
}

#[test]
fn one_part_less_than_the_threshold_opens_nothing() {
    with_team(|dealing, verified, _, mut combiner| {
        for have in 0..THRESHOLD {
            assert_eq!(combiner.missing(), THRESHOLD - have);
            assert_eq!(combiner.open().err(), Some(CombineError::TooFew { have, need: THRESHOLD }));
            combiner.add(answer(dealing, have, &verified, &REQUEST)).expect("honest");
        }
        assert_eq!(combiner.missing(), 0);
        assert_eq!(combiner.open().as_deref().map(Vec::as_slice), Ok(MESSAGE));
        // One more does no harm.
        combiner.add(answer(dealing, THRESHOLD, &verified, &REQUEST)).expect("honest");
        assert_eq!(combiner.open().as_deref().map(Vec::as_slice), Ok(MESSAGE));
    });
}

#[test]
fn the_parts_of_too_few_holders_are_not_the_key_of_the_message() {
    with_team(|dealing, verified, bytes, _| {
        let sealed = plain::Sealed::parse(bytes);
        let parts: Vec<Part> = (0..THRESHOLD)
            .map(|at| Part::parse(&*answer(dealing, at, &verified, &REQUEST).encode()))
            .collect();
        assert_eq!(sealed.open(&to(dealing), &plain::combine(&parts)).as_deref(), Some(MESSAGE));
        assert_eq!(sealed.open(&to(dealing), &plain::combine(&parts[1..])), None);
    });
}

#[test]
fn a_part_made_with_a_wrong_share_is_blamed_and_the_others_still_open() {
    with_team(|dealing, verified, bytes, mut combiner| {
        // Holder 2 computes with another scalar than the one its public key is of, and proves that well.
        let wrong = question(dealing, bytes, 1).answer(&Scalar::from(99u64), &Scalar::from(7u64));
        let wrong = PartialDecryption::parse(&wrong.encode()).expect("canonical");
        assert_eq!(combiner.add(wrong), blamed(2));
        // A share from before a refresh of the same key.
        let old = team::dealing(5, 1);
        let stale = old.shares[3].decrypt(&verified, &old.record, &REQUEST, &mut OsRng).expect("its record");
        assert_eq!(combiner.add(stale), blamed(4));
        assert_eq!(combiner.missing(), THRESHOLD);
        for at in [0, 2, 4] {
            combiner.add(answer(dealing, at, &verified, &REQUEST)).expect("honest");
        }
        assert_eq!(combiner.open().as_deref().map(Vec::as_slice), Ok(MESSAGE));
    });
}

#[test]
fn a_part_for_another_request_requester_ciphertext_or_label_is_blamed() {
    with_team(|dealing, verified, _, mut combiner| {
        for request in [Request { id: [0x12; 32], ..REQUEST }, Request { requester: [0x23; 32], ..REQUEST }] {
            assert_eq!(combiner.add(answer(dealing, 0, &verified, &request)), blamed(1));
        }
        let other = ciphertext(dealing);
        let other = other.verify(dealing.record.key(), LABEL).expect("honest");
        assert_eq!(combiner.add(answer(dealing, 0, &other, &REQUEST)), blamed(1));
        let other = Ciphertext::encrypt(dealing.record.key(), b"else", MESSAGE, &mut OsRng).expect("short");
        let other = other.verify(dealing.record.key(), b"else").expect("honest");
        assert_eq!(combiner.add(answer(dealing, 0, &other, &REQUEST)), blamed(1));
        assert_eq!(combiner.add(answer(dealing, 0, &verified, &REQUEST)), Ok(()));
    });
}

#[test]
fn a_part_under_another_holders_name_is_blamed_on_that_name_and_keeps_nobody_out() {
    with_team(|dealing, verified, _, mut combiner| {
        let mut renamed = *answer(dealing, 0, &verified, &REQUEST).encode();
        renamed[2] = 2;
        let renamed = PartialDecryption::parse(&renamed).expect("canonical");
        assert_eq!(combiner.add(renamed), blamed(2));
        assert_eq!(combiner.add(answer(dealing, 1, &verified, &REQUEST)), Ok(()));
    });
}

#[test]
fn an_index_twice_zero_or_unknown_is_refused() {
    with_team(|dealing, verified, _, mut combiner| {
        combiner.add(answer(dealing, 0, &verified, &REQUEST)).expect("honest");
        // A second answer of the same holder is right, has other bytes, and counts nothing.
        let again = answer(dealing, 0, &verified, &REQUEST);
        assert_eq!(combiner.add(again), Err(CombineError::Duplicate { index: index(1) }));
        assert_eq!(combiner.missing(), THRESHOLD - 1);

        let mut bytes = *answer(dealing, 1, &verified, &REQUEST).encode();
        bytes[1..3].fill(0);
        let zero = PartialDecryption::parse(&bytes).err();
        assert_eq!(zero, Some(DecodeError::Value { field: "index" }.into()));
        for unknown in [COUNT as u16 + 1, 258, u16::MAX] {
            bytes[1..3].copy_from_slice(&unknown.to_be_bytes());
            let part = PartialDecryption::parse(&bytes).expect("canonical");
            let refused = PartialError::NoSuchShare { index: index(unknown) };
            assert_eq!(combiner.add(part), Err(refused.into()));
        }
    });
}

#[test]
fn every_flipped_bit_of_a_part_is_refused() {
    with_team(|dealing, verified, _, mut combiner| {
        let bytes = *answer(dealing, 2, &verified, &REQUEST).encode();
        for bit in 0..PARTIAL_LEN * 8 {
            let mut altered = bytes;
            altered[bit / 8] ^= 1 << (bit % 8);
            let refused = PartialDecryption::parse(&altered).is_ok_and(|part| combiner.add(part).is_ok());
            assert!(!refused, "bit {bit}");
        }
        for len in 0..PARTIAL_LEN {
            assert!(PartialDecryption::parse(&bytes[..len]).is_err(), "{len}");
        }
        assert!(PartialDecryption::parse(&[&bytes[..], &[0]].concat()).is_err());
        combiner.add(PartialDecryption::parse(&bytes).expect("canonical")).expect("honest");
    });
}

#[test]
fn values_outside_the_group_are_refused_by_field() {
    with_team(|dealing, verified, _, _| {
        let bytes = *answer(dealing, 2, &verified, &REQUEST).encode();
        for (at, with, field) in [
            (3, [0; 32], "U"),
            (3, [0xff; 32], "U"),
            (35, [0xff; 32], "challenge"),
            (67, [0xff; 32], "response"),
        ] {
            let mut altered = bytes;
            altered[at..at + 32].copy_from_slice(&with);
            let refused = PartialDecryption::parse(&altered).err();
            assert_eq!(refused, Some(DecodeError::Value { field }.into()));
        }
        let mut altered = bytes;
        altered[0] = 2;
        let refused = PartialDecryption::parse(&altered).err();
        assert_eq!(refused, Some(DecodeError::Version { found: 2 }.into()));
    });
}

#[test]
fn a_statement_chosen_after_the_challenge_is_blamed() {
    with_team(|dealing, _, bytes, mut combiner| {
        let asked = question(dealing, bytes, 1);
        let r = plain::Sealed::parse(bytes).r;
        let (z, w_r) = (Scalar::from(3u64), Scalar::from(4u64) * B);
        // For a verifier whose challenge left out U, this would prove a wrong plaintext: fix both commitments, take
        // the challenge, and solve for U.
        let honest = asked.answer(&scalar_of(&dealing.shares[1]), &Scalar::from(6u64));
        let c = asked.challenge(&honest.u, &(Scalar::from(6u64) * B), &w_r);
        let x = scalar_of(&dealing.shares[1]);
        let z_right = Scalar::from(6u64) + c * x;
        let u = c.invert() * (z_right * r - w_r);
        for part in [Part { index: 2, u, c, z: z_right }, Part { index: 2, u, c, z }] {
            assert!(!asked.verifies(&part));
            let part = PartialDecryption::parse(&part.encode()).expect("canonical");
            assert_eq!(combiner.add(part), blamed(2));
        }
    });
}

#[test]
fn a_body_sealed_wrongly_is_the_senders_fault_and_nobody_elses() {
    let dealing = dealing(5, 1);
    let to = to(&dealing);
    let (r, s) = (Scalar::from(8u64), Scalar::from(9u64));
    let mut sealed = plain::encrypt(&to, MESSAGE, &r, &s);
    sealed.body = plain::seal_body([0; 32], MESSAGE);
    sealed.prove(&to, &r, &s);
    let ciphertext = Ciphertext::parse(&sealed.encode()).expect("canonical");
    let verified = ciphertext.verify(dealing.record.key(), LABEL).expect("its proof is right");
    let mut combiner = Combiner::new(verified, &dealing.record, REQUEST).expect("one key");
    for at in 0..THRESHOLD {
        combiner.add(answer(&dealing, at, &verified, &REQUEST)).expect("honest");
    }
    assert_eq!(combiner.open().err(), Some(CombineError::Body));
}

#[test]
fn a_record_of_another_key_is_refused_before_anything_is_combined() {
    let (ours, theirs) = (dealing(5, 1), dealing(6, 1));
    let ciphertext = ciphertext(&ours);
    let verified = ciphertext.verify(ours.record.key(), LABEL).expect("honest");
    assert_eq!(Combiner::new(verified, &theirs.record, REQUEST).err(), Some(PartialError::OtherKey));
    let part = answer(&ours, 0, &verified, &REQUEST);
    assert_eq!(part.verify(&verified, &theirs.record, &REQUEST), Err(PartialError::OtherKey));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_threshold_of_holders_in_any_order_opens_and_liars_change_nothing(
        order in Just((0..COUNT).collect::<Vec<_>>()).prop_shuffle(),
        lies in proptest::collection::vec((0..COUNT, 1u64..), 0..4),
    ) {
        let dealing = dealing(5, 1);
        let ciphertext = ciphertext(&dealing);
        let bytes = ciphertext.encode();
        let verified = ciphertext.verify(dealing.record.key(), LABEL).expect("honest");
        let mut combiner = Combiner::new(verified, &dealing.record, REQUEST).expect("one key");
        for (at, wrong) in lies {
            let lie = question(&dealing, &bytes, at).answer(&Scalar::from(wrong), &Scalar::from(wrong));
            let lie = PartialDecryption::parse(&lie.encode()).expect("canonical");
            prop_assert_eq!(combiner.add(lie), blamed(at as u16 + 1));
        }
        for at in order.into_iter().take(THRESHOLD) {
            let part = answer(&dealing, at, &verified, &REQUEST);
            prop_assert!(question(&dealing, &bytes, at).verifies(&Part::parse(&*part.encode())));
            prop_assert_eq!(combiner.add(part), Ok(()));
        }
        prop_assert_eq!(combiner.open().expect("enough").to_vec(), MESSAGE);
    }

    #[test]
    fn what_the_plain_implementation_answers_is_accepted(at in 0..COUNT, s in 1u64..) {
        with_team(|dealing, _, bytes, mut combiner| {
            let part = question(dealing, bytes, at).answer(&scalar_of(&dealing.shares[at]), &Scalar::from(s));
            let part = PartialDecryption::parse(&part.encode()).expect("canonical");
            assert_eq!(combiner.add(part), Ok(()));
        });
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = PartialDecryption::parse(&bytes);
    }
}
