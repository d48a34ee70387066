use proptest::prelude::*;
use rand_core::OsRng;

use super::*;
use crate::recovery::RecoveryCode;

const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
const BOB: AccountId = AccountId::from_bytes([0xb0; 16]);

fn ark(fill: u8) -> AccountRootKey {
    AccountRootKey::from_secret(Secret::new([fill; 32]))
}

fn verifier() -> PublicKey {
    RecoveryCode::from_secret(Secret::new([6; 16])).verifier()
}

#[test]
fn one_root_key_gives_one_identity_and_a_bundle_that_matches_it() {
    let one = Identity::derive(&ark(1), ALICE, 1);
    let again = Identity::derive(&ark(1), ALICE, 1);
    assert_eq!(one.account_bundle(&verifier()), again.account_bundle(&verifier()));
    let bundle = AccountBundle::verify(&one.account_bundle(&verifier())).expect("signed by itself");
    assert_eq!(bundle.matches(&again), Ok(()));
    assert_eq!(bundle.recovery_verifier, verifier());
    assert_eq!(one.account_bundle(&verifier()).len(), ACCOUNT_BUNDLE_LEN);
}

#[test]
fn another_root_key_account_or_generation_is_another_identity() {
    let bundle = AccountBundle::verify(&Identity::derive(&ark(1), ALICE, 1).account_bundle(&verifier()))
        .expect("signed by itself");
    for other in [
        Identity::derive(&ark(2), ALICE, 1),
        Identity::derive(&ark(1), BOB, 1),
        Identity::derive(&ark(1), ALICE, 2),
    ] {
        assert_eq!(bundle.matches(&other), Err(BundleError::OtherIdentity));
    }
}

#[test]
fn signing_and_age_keys_are_not_the_same_secret() {
    let secret = Identity::derive(&ark(1), ALICE, 1).export();
    let next = Identity::derive(&ark(1), ALICE, 2).export();
    assert_ne!(secret.expose()[..32], secret.expose()[32..]);
    assert_ne!(secret.expose()[..32], next.expose()[..32]);
    assert_ne!(secret.expose()[32..], next.expose()[32..]);
}

#[test]
fn an_exported_identity_comes_back_whole() {
    let one = Identity::derive(&ark(1), ALICE, 3);
    let secret = IdentitySecret::from_secret(Secret::new(*one.export().expose()));
    let back = Identity::restore(ALICE, 3, &secret);
    assert_eq!(back.account_bundle(&verifier()), one.account_bundle(&verifier()));
    assert_eq!(*back.age_secret_text(), *one.age_secret_text());
    assert_eq!((back.account(), back.generation(), back.key_id()), (ALICE, 3, one.key_id()));
}

#[test]
fn a_bundle_of_another_shape_is_refused() {
    let bytes = Identity::derive(&ark(1), ALICE, 1).account_bundle(&verifier());
    assert!(matches!(
        AccountBundle::verify(&bytes[..ACCOUNT_BUNDLE_LEN - 1]),
        Err(BundleError::Malformed(_))
    ));
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(AccountBundle::verify(&longer), Err(BundleError::Malformed(_))));
    let mut newer = bytes.clone();
    newer[4] = 2;
    assert_eq!(AccountBundle::verify(&newer), Err(BundleError::Malformed(DecodeError::Version { found: 2 })));
    let mut weak = bytes.clone();
    weak[4 + 1 + 16 + 4 + 32..][..32].fill(0);
    assert_eq!(
        AccountBundle::verify(&weak),
        Err(BundleError::Key { which: "age", reason: KeyError::SmallOrder })
    );
}

#[test]
fn a_bundle_signed_by_another_identity_is_refused() {
    let alice = Identity::derive(&ark(1), ALICE, 1);
    let body = alice.account_bundle(&verifier())[4..4 + BUNDLE_BODY_LEN].to_vec();
    let mallory = Identity::derive(&ark(9), ALICE, 1);
    let forged = statement::sign(tag::ACCOUNT_BUNDLE, &body, mallory.signing_key());
    assert_eq!(AccountBundle::verify(&forged), Err(BundleError::Signature(InvalidSignature)));
    let other_purpose = statement::sign(tag::SEAL, &body, alice.signing_key());
    assert_eq!(AccountBundle::verify(&other_purpose), Err(BundleError::Signature(InvalidSignature)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_is_refused(at in 0usize..ACCOUNT_BUNDLE_LEN, bit in 0u8..8) {
        let mut bytes = Identity::derive(&ark(1), ALICE, 1).account_bundle(&verifier());
        bytes[at] ^= 1 << bit;
        prop_assert!(AccountBundle::verify(&bytes).is_err());
    }

    #[test]
    fn every_generation_has_its_own_key(generation in 2u32..) {
        let first = Identity::derive(&ark(1), ALICE, 1);
        let later = Identity::derive(&ark(1), ALICE, generation);
        prop_assert_ne!(first.key_id(), later.key_id());
        prop_assert_ne!(first.recipient(), later.recipient());
    }
}

#[test]
fn draws_from_the_rng_differ() {
    let one = AccountRootKey::generate(&mut OsRng);
    assert!(!one.ct_eq(&AccountRootKey::generate(&mut OsRng)));
}
