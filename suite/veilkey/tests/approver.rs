//! What a holder of a share is asked to help with, by somebody who lies: refused before anything is computed with the
//! share, because only a verified ciphertext can be decrypted at all.

mod plain;
mod team;

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT as B;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use rand_core::OsRng;
use veilcore::canon::DecodeError;
use veilcore::id::{ApiKeyId, TeamId};
use veilkey::ciphertext::{CIPHERTEXT_LEN_MAX, Ciphertext, CiphertextError, LABEL_LEN_MAX, MESSAGE_LEN_MAX};
use veilkey::combine::Combiner;
use veilkey::context::{Context, Holder};
use veilkey::partial::{PartialError, Request};

use plain::Sealed;
use team::{LABEL, MESSAGE, REQUEST, ciphertext, context, dealing, to};

/// What a holder says to these bytes under the label of the request.
fn asked(dealing: &veilkey::share::Dealing, sealed: &Sealed) -> Result<(), CiphertextError> {
    Ciphertext::parse(&sealed.encode())?.verify(dealing.record.key(), LABEL).map(|_| ())
}

fn sealed(dealing: &veilkey::share::Dealing) -> Sealed {
    Sealed::parse(&ciphertext(dealing).encode())
}

#[test]
fn every_flipped_bit_of_a_ciphertext_is_refused() {
    let dealing = dealing(5, 1);
    let bytes = ciphertext(&dealing).encode();
    let whole = Ciphertext::parse(&bytes).expect("encoded");
    assert!(whole.verify(dealing.record.key(), LABEL).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let verified =
            Ciphertext::parse(&altered).and_then(|c| c.verify(dealing.record.key(), LABEL).map(|_| ()));
        assert!(verified.is_err(), "bit {bit}");
    }
}

#[test]
fn a_ciphertext_cut_short_or_followed_by_bytes_is_refused() {
    let bytes = ciphertext(&dealing(5, 1)).encode();
    for len in 0..bytes.len() {
        assert!(matches!(Ciphertext::parse(&bytes[..len]), Err(CiphertextError::Malformed(_))), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Ciphertext::parse(&longer), Err(DecodeError::Trailing { left: 1 }.into()));
}

#[test]
fn another_label_is_refused() {
    let dealing = dealing(5, 1);
    let ciphertext = ciphertext(&dealing);
    for label in [&b""[..], b"project/production, version 8", &LABEL[1..], &[LABEL, b" "].concat()] {
        let refused = ciphertext.verify(dealing.record.key(), label).err();
        assert_eq!(refused, Some(CiphertextError::Invalid));
    }
}

#[test]
fn a_ciphertext_of_another_team_token_epoch_or_key_is_refused() {
    let dealing = dealing(5, 1);
    let ours = sealed(&dealing);
    let refused = |context: Context| {
        let moved = Sealed { context: context.encode(), ..ours.clone() };
        asked(&dealing, &moved).expect_err("moved")
    };
    let others = [
        context(2),
        Context { holder: Holder::Team(TeamId::from_bytes([0x34; 16])), epoch: 1 },
        Context { holder: Holder::ApiKey(ApiKeyId::from_bytes([0x33; 16])), epoch: 1 },
    ];
    for found in others {
        assert_eq!(refused(found), CiphertextError::OtherKey { found });
    }
    // And one whose maker wrote our name on a ciphertext for a key of its own.
    let theirs = sealed(&team::dealing(6, 1));
    assert_eq!(asked(&dealing, &theirs), Err(CiphertextError::Invalid));
    // The same key under another epoch's name, as after a lost record.
    let later = team::dealing(5, 2);
    let renamed = Sealed { context: context(1).encode(), ..sealed(&later) };
    assert_eq!(asked(&dealing, &renamed), Err(CiphertextError::Invalid));
}

#[test]
fn a_rerandomised_ciphertext_is_refused() {
    let dealing = dealing(5, 1);
    let honest = sealed(&dealing);
    let k = Scalar::from(77u64);
    // The response is shifted so that both commitments come out the same: only the hash over R and R̂ is in the way.
    let moved = Sealed {
        r: honest.r + k * B,
        r_hat: honest.r_hat + k * plain::second_base(),
        z: honest.z + honest.c * k,
        ..honest.clone()
    };
    assert_eq!(moved.z * B - moved.c * moved.r, honest.z * B - honest.c * honest.r);
    assert_eq!(asked(&dealing, &moved), Err(CiphertextError::Invalid));
    for factor in [Scalar::from(2u64), -Scalar::ONE] {
        let scaled = Sealed { r: factor * honest.r, r_hat: factor * honest.r_hat, ..honest.clone() };
        assert_eq!(asked(&dealing, &scaled), Err(CiphertextError::Invalid));
        let scaled = Sealed { z: factor * honest.z, c: factor * honest.c, ..scaled };
        assert_eq!(asked(&dealing, &scaled), Err(CiphertextError::Invalid));
    }
}

#[test]
fn a_body_or_a_proof_from_another_ciphertext_is_refused() {
    let dealing = dealing(5, 1);
    let (one, other) = (sealed(&dealing), sealed(&dealing));
    let mixed = [
        Sealed { body: other.body.clone(), ..one.clone() },
        Sealed { r: other.r, ..one.clone() },
        Sealed { r_hat: other.r_hat, ..one.clone() },
        Sealed { r: other.r, r_hat: other.r_hat, ..one.clone() },
        Sealed { c: other.c, z: other.z, ..one.clone() },
        Sealed { c: other.c, ..one.clone() },
        Sealed { z: other.z, ..one.clone() },
    ];
    for (i, mixed) in mixed.iter().enumerate() {
        assert_eq!(asked(&dealing, mixed), Err(CiphertextError::Invalid), "mixture {i}");
    }
}

#[test]
fn whoever_does_not_know_r_can_prove_nothing() {
    let dealing = dealing(5, 1);
    let victim = sealed(&dealing);
    let to = to(&dealing);
    // Somebody else's R under a proof of one's own: R̂ made for the known exponent, R taken.
    let (r, s) = (Scalar::from(8u64), Scalar::from(9u64));
    let mut stolen = victim.clone();
    stolen.r_hat = r * plain::second_base();
    stolen.prove(&to, &r, &s);
    assert_eq!(asked(&dealing, &stolen), Err(CiphertextError::Invalid));
    // Response and challenge first, commitments after: the hash no longer gives that challenge.
    let mut backwards = victim.clone();
    (backwards.c, backwards.z) = (Scalar::from(3u64), Scalar::from(4u64));
    let w = backwards.z * B - backwards.c * backwards.r;
    let w_hat = backwards.z * plain::second_base() - backwards.c * backwards.r_hat;
    assert_eq!(asked(&dealing, &backwards), Err(CiphertextError::Invalid));
    backwards.c = backwards.challenge(&to, &w, &w_hat);
    assert_eq!(asked(&dealing, &backwards), Err(CiphertextError::Invalid));
    // A challenge that leaves out the body, as one without strong Fiat-Shamir would.
    let mut weak = plain::encrypt(&to, MESSAGE, &r, &s);
    weak.body[0] ^= 1;
    assert_eq!(asked(&dealing, &weak), Err(CiphertextError::Invalid));
}

#[test]
fn values_outside_the_group_are_refused_by_field() {
    let dealing = dealing(5, 1);
    let bytes = ciphertext(&dealing).encode();
    let altered = |at: usize, with: &[u8]| {
        let mut altered = bytes.clone();
        altered[at..at + with.len()].copy_from_slice(with);
        Ciphertext::parse(&altered)
    };
    let order_or_more = [0xff; 32];
    for (at, with, field) in [
        (1, &[9][..], "kind"),
        (18, &[0; 4], "epoch"),
        (22, &[0; 32], "ephemeral"),
        (22, &[0xff; 32], "ephemeral"),
        (54, &[0; 32], "ephemeral_hat"),
        (54, &[0xff; 32], "ephemeral_hat"),
        (86, &order_or_more, "challenge"),
        (118, &order_or_more, "response"),
    ] {
        assert_eq!(altered(at, with), Err(DecodeError::Value { field }.into()));
    }
    assert_eq!(altered(0, &[2]), Err(DecodeError::Version { found: 2 }.into()));
    // The response plus the order is the same scalar in a second encoding.
    let mut second = [0; 32];
    let order = (-Scalar::ONE).to_bytes();
    let mut carry = 1u16;
    for (i, byte) in second.iter_mut().enumerate() {
        carry += u16::from(bytes[118 + i]) + u16::from(order[i]);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(altered(118, &second), Err(DecodeError::Value { field: "response" }.into()));
}

#[test]
fn lengths_have_their_limits() {
    let key = *dealing(5, 1).record.key();
    let encrypt = |label: usize, message: usize| {
        Ciphertext::encrypt(&key, &vec![b'l'; label], &vec![b'm'; message], &mut OsRng)
    };
    let longest = encrypt(LABEL_LEN_MAX, MESSAGE_LEN_MAX).expect("at the limits");
    assert_eq!(longest.encode().len(), CIPHERTEXT_LEN_MAX);
    assert_eq!(Ciphertext::parse(&longest.encode()), Ok(longest.clone()));
    assert!(encrypt(0, 1).is_ok_and(|c| c.verify(&key, b"").is_ok()));
    assert_eq!(encrypt(0, 0), Err(CiphertextError::MessageLen { len: 0 }));
    let len = MESSAGE_LEN_MAX + 1;
    assert_eq!(encrypt(0, len), Err(CiphertextError::MessageLen { len }));
    let len = LABEL_LEN_MAX + 1;
    assert_eq!(encrypt(len, 1), Err(CiphertextError::LabelLen { len }));
    assert_eq!(longest.verify(&key, &vec![b'l'; len]).err(), Some(CiphertextError::LabelLen { len }));
    let body = |len| {
        let parts = veilkey::ciphertext::Parts { body: vec![0; len], ..longest.parts() };
        Ciphertext::from_parts(parts).err()
    };
    assert_eq!((body(17), body(272)), (None, None));
    for len in [0, 16, 273] {
        assert_eq!(body(len), Some(DecodeError::Value { field: "body" }.into()));
    }
}

#[test]
fn a_share_that_is_not_the_records_answers_nothing() {
    let (dealing, refreshed) = (dealing(5, 1), dealing(5, 1));
    let ciphertext = ciphertext(&dealing);
    let verified = ciphertext.verify(dealing.record.key(), LABEL).expect("honest");
    let old = &refreshed.shares[1];
    let refused = old.decrypt(&verified, &dealing.record, &REQUEST, &mut OsRng).err();
    assert_eq!(refused, Some(PartialError::WrongShare { index: old.index() }));
    // A record of another key than the one the ciphertext was verified for.
    let other = team::dealing(6, 1);
    let refused = dealing.shares[0].decrypt(&verified, &other.record, &REQUEST, &mut OsRng).err();
    assert_eq!(refused, Some(PartialError::OtherKey));
    let later = team::dealing(5, 2);
    let refused = later.shares[0].decrypt(&verified, &dealing.record, &REQUEST, &mut OsRng).err();
    assert_eq!(refused, Some(PartialError::WrongShare { index: later.shares[0].index() }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_either_implementation_seals_the_other_opens(
        message in proptest::collection::vec(any::<u8>(), 1..=MESSAGE_LEN_MAX),
        label in proptest::collection::vec(any::<u8>(), 0..=64),
        secret in 1u64..,
        (r, s) in (1u64.., 1u64..),
    ) {
        let dealing = dealing(secret, 1);
        let to = plain::To { label: &label, ..to(&dealing) };

        let ours = Ciphertext::encrypt(dealing.record.key(), &label, &message, &mut OsRng).expect("within limits");
        prop_assert_eq!(Ciphertext::from_parts(ours.parts()), Ok(ours.clone()));
        let seen = Sealed::parse(&ours.encode());
        prop_assert!(seen.verifies(&to));
        prop_assert_eq!(seen.open(&to, &(Scalar::from(secret) * seen.r)), Some(message.clone()));

        let theirs = plain::encrypt(&to, &message, &Scalar::from(r), &Scalar::from(s)).encode();
        let theirs = Ciphertext::parse(&theirs).expect("canonical");
        let verified = theirs.verify(dealing.record.key(), &label).expect("honest");
        let request = Request { id: [1; 32], requester: [2; 32] };
        let mut combiner = Combiner::new(verified, &dealing.record, request).expect("one key");
        for share in &dealing.shares[..team::THRESHOLD] {
            let part = share.decrypt(&verified, &dealing.record, &request, &mut OsRng).expect("own share");
            combiner.add(part).expect("honest");
        }
        prop_assert_eq!(combiner.open().expect("enough").to_vec(), message);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Ciphertext::parse(&bytes);
    }
}
