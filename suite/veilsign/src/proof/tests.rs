//! Negative space of the proof: the list of access-token pitfalls, 27 and 30.

use proptest::prelude::*;

use super::*;
use crate::capability::{CapabilityError, attenuate, verify as verify_capability};
use crate::fixture::*;

const TARGET: &str = "/veilcloud.storage.v1.StorageService/PutBlob";
const BODY: &[u8] = b"the message";
const NONCE: [u8; 16] = [0xaa; 16];

fn verified() -> Verified {
    verify_capability(&capability().encode(), &issuers(), NOW_MS, AUDIENCE).expect("valid")
}

fn proved() -> Vec<u8> {
    prove(&key(HOLDER), &capability().encode(), TARGET, BODY, NOW_MS, NONCE).expect("proves")
}

fn judged(proof: &[u8]) -> Result<Nullifier, ProofError> {
    verify(proof, &verified(), TARGET, &body_hash(BODY), NOW_MS)
}

#[test]
fn the_holders_proof_of_this_request_is_accepted() {
    let nullifier = Nullifier::for_proof(verified().cap_hash(), &NONCE);
    assert_eq!(judged(&proved()), Ok(nullifier));
    let longest = "t".repeat(TARGET_LEN_MAX);
    let proof = prove(&key(HOLDER), &capability().encode(), &longest, BODY, NOW_MS, NONCE).expect("proves");
    assert_eq!(proof.len(), PROOF_LEN_MAX);
    assert!(verify(&proof, &verified(), &longest, &body_hash(BODY), NOW_MS).is_ok());
}

#[test]
fn a_replay_and_a_reused_nonce_show_the_same_nullifier() {
    let first = judged(&proved()).expect("accepted");
    assert_eq!(judged(&proved()), Ok(first));
    let other = prove(&key(HOLDER), &capability().encode(), "/other", b"other body", NOW_MS + 5, NONCE);
    let other = verify(&other.expect("proves"), &verified(), "/other", &body_hash(b"other body"), NOW_MS);
    assert_eq!(other, Ok(first), "another request under a spent nonce");
    let fresh =
        prove(&key(HOLDER), &capability().encode(), TARGET, BODY, NOW_MS, [0xab; 16]).expect("proves");
    assert_ne!(judged(&fresh), Ok(first));
}

#[test]
fn a_proof_holds_for_its_own_request_only() {
    let proof = proved();
    let hash = body_hash(BODY);
    for target in ["/veilcloud.storage.v1.StorageService/GetBlob", "", "PUT /v1/blobs", &TARGET[1..]] {
        assert_eq!(verify(&proof, &verified(), target, &hash, NOW_MS), Err(ProofError::Target), "{target}");
    }
    for body in [&b""[..], b"the messag", b"the message "] {
        assert_eq!(verify(&proof, &verified(), TARGET, &body_hash(body), NOW_MS), Err(ProofError::Body));
    }
}

#[test]
fn a_proof_lives_a_minute_either_way() {
    let at = |now_ms| verify(&proved(), &verified(), TARGET, &body_hash(BODY), now_ms).map(|_| ());
    assert_eq!(at(NOW_MS + WINDOW_MS), Ok(()));
    assert_eq!(at(NOW_MS - WINDOW_MS), Ok(()));
    assert_eq!(at(NOW_MS + 60_001), Err(ProofError::Stale { skew_ms: 60_001 }));
    assert_eq!(at(NOW_MS - 60_001), Err(ProofError::Stale { skew_ms: -60_001 }));
    assert_eq!(at(NOW_MS + 61_000), Err(ProofError::Stale { skew_ms: 61_000 }));
    assert!(matches!(at(0), Err(ProofError::Stale { .. })));
    assert!(matches!(at(u64::MAX), Err(ProofError::Stale { .. })));
}

#[test]
fn a_proof_by_any_other_key_is_refused() {
    for other in [ISSUER, NEXT, DELEGATE] {
        let proof = prove(&key(other), &capability().encode(), TARGET, BODY, NOW_MS, NONCE).expect("proves");
        assert_eq!(judged(&proof), Err(ProofError::Signature));
    }
}

#[test]
fn after_delegation_the_delegate_signs_and_the_former_holder_does_not() {
    let narrowed = attenuate(&capability(), &key(NEXT), &block()).expect("narrows").encode();
    let verified = verify_capability(&narrowed, &issuers(), NOW_MS, AUDIENCE).expect("valid");
    let by = |seed, capability: &[u8]| {
        let proof = prove(&key(seed), capability, TARGET, BODY, NOW_MS, NONCE).expect("proves");
        verify(&proof, &verified, TARGET, &body_hash(BODY), NOW_MS).map(|_| ())
    };
    assert_eq!(by(DELEGATE, &narrowed), Ok(()));
    assert_eq!(by(HOLDER, &narrowed), Err(ProofError::Signature));
    assert_eq!(by(DELEGATE, &capability().encode()), Err(ProofError::Capability));
    // The delegate cuts its block off and shows the parent: the parent obeys another key.
    let proof = prove(&key(DELEGATE), &capability().encode(), TARGET, BODY, NOW_MS, NONCE).expect("proves");
    assert_eq!(judged(&proof), Err(ProofError::Signature));
}

#[test]
fn a_capability_that_ended_in_the_cache_takes_its_proofs_along() {
    let end_ms = body().expires_at_ms;
    let at = |now_ms| {
        let proof = prove(&key(HOLDER), &capability().encode(), TARGET, BODY, now_ms, NONCE).expect("proves");
        verify(&proof, &verified(), TARGET, &body_hash(BODY), now_ms).map(|_| ())
    };
    assert_eq!(at(end_ms - 1), Ok(()));
    assert_eq!(at(end_ms), Err(ProofError::Expired));
    assert_eq!(verified().check_time(end_ms), Err(CapabilityError::Expired { late_ms: 0 }));
}

#[test]
fn malformed_proofs_are_refused() {
    let proof = proved();
    assert!(matches!(judged(&[]), Err(ProofError::Malformed(DecodeError::Truncated { .. }))));
    for len in 0..proof.len() {
        assert!(judged(&proof[..len]).is_err(), "{len}");
    }
    let longer = [&proof[..], &[0]].concat();
    assert_eq!(judged(&longer), Err(DecodeError::Trailing { left: 1 }.into()));
    let too_long = "t".repeat(TARGET_LEN_MAX + 1);
    let refused = prove(&key(HOLDER), &capability().encode(), &too_long, BODY, NOW_MS, NONCE);
    assert_eq!(refused, Err(DecodeError::TooLong { len: 4097, max: 4096 }.into()));
    let mut version = proof;
    version[4] = 9;
    assert_eq!(judged(&version), Err(DecodeError::Version { found: 9 }.into()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_statement_survives_the_round_trip(
        cap_hash: [u8; 32], target in ".{0,200}", body_hash: [u8; 32], ts_ms: u64, nonce: [u8; 16],
    ) {
        let proof = Proof { cap_hash, target, body_hash, ts_ms, nonce };
        prop_assert_eq!(Proof::decode(&proof.encode().expect("encodes")), Ok(proof));
    }

    #[test]
    fn any_flipped_bit_of_a_proof_is_refused(at in any::<proptest::sample::Index>()) {
        let mut proof = proved();
        let bit = at.index(proof.len() * 8);
        proof[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(judged(&proof).is_err());
    }

    #[test]
    fn no_bytes_make_the_verifier_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(judged(&bytes).is_err());
    }
}
