use proptest::prelude::*;
use rand_core::OsRng;

use super::*;

const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
const BOB: AccountId = AccountId::from_bytes([0xb0; 16]);
const EXPORT: [u8; 64] = [3; 64];

#[test]
fn each_factor_opens_its_own_copy() {
    let ark = AccountRootKey::generate(&mut OsRng);
    let code = RecoveryCode::generate(&mut OsRng);
    for factor in [Factor::Password(&EXPORT), Factor::Recovery(&code)] {
        let wrapped = wrap(&ark, factor, &ALICE, &mut OsRng);
        let parsed = WrappedArk::from_bytes(wrapped.as_bytes()).expect("what we wrote");
        assert!(unwrap(&parsed, factor, &ALICE).expect("the right factor").ct_eq(&ark));
    }
}

#[test]
fn the_wrong_secret_account_or_kind_opens_nothing() {
    let ark = AccountRootKey::generate(&mut OsRng);
    let code = RecoveryCode::generate(&mut OsRng);
    let wrapped = wrap(&ark, Factor::Password(&EXPORT), &ALICE, &mut OsRng);
    let refuse = |factor, account| unwrap(&wrapped, factor, account).err();
    assert_eq!(refuse(Factor::Password(&[4; 64]), &ALICE), Some(UnwrapError::WrongFactor));
    assert_eq!(refuse(Factor::Password(&EXPORT), &BOB), Some(UnwrapError::WrongFactor));
    assert_eq!(
        refuse(Factor::Recovery(&code), &ALICE),
        Some(UnwrapError::OtherFactor { presented: FactorKind::Recovery, found: FactorKind::Password })
    );
    let mut relabelled = *wrapped.as_bytes();
    relabelled[1] = FactorKind::Recovery as u8;
    let relabelled = WrappedArk::from_bytes(&relabelled).expect("shape is fine");
    assert_eq!(unwrap(&relabelled, Factor::Recovery(&code), &ALICE).err(), Some(UnwrapError::WrongFactor));
}

#[test]
fn bytes_of_another_shape_are_refused() {
    let wrapped = wrap(&AccountRootKey::generate(&mut OsRng), Factor::Password(&EXPORT), &ALICE, &mut OsRng);
    let bytes = wrapped.as_bytes();
    assert!(matches!(WrappedArk::from_bytes(&bytes[..73]), Err(UnwrapError::Malformed(_))));
    assert!(matches!(WrappedArk::from_bytes(&[&bytes[..], &[0]].concat()), Err(UnwrapError::Malformed(_))));
    let with = |at: usize, value: u8| {
        let mut changed = *bytes;
        changed[at] = value;
        WrappedArk::from_bytes(&changed)
    };
    assert_eq!(with(0, 2), Err(UnwrapError::Version { found: 2 }));
    assert_eq!(with(1, 3), Err(UnwrapError::UnknownFactor { found: 3 }));
    assert_eq!(with(1, 0), Err(UnwrapError::UnknownFactor { found: 0 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_opens_nothing(at in 2usize..WRAPPED_ARK_LEN, bit in 0u8..8) {
        let ark = AccountRootKey::from_secret(Secret::new([9; 32]));
        let wrapped = wrap(&ark, Factor::Password(&EXPORT), &ALICE, &mut OsRng);
        let mut bytes = *wrapped.as_bytes();
        bytes[at] ^= 1 << bit;
        let parsed = WrappedArk::from_bytes(&bytes).expect("the shape is unchanged");
        let refused = unwrap(&parsed, Factor::Password(&EXPORT), &ALICE).err();
        prop_assert_eq!(refused, Some(UnwrapError::WrongFactor));
    }
}
