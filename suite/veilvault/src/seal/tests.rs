use proptest::prelude::*;
use veilcore::secret::Secret;

use super::*;
use crate::account::AccountRootKey;
use crate::identity::Identity;

const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([2; 16]);
const HEAD: Head = Head { version: 6, digest: [6; 32] };

fn alice() -> Identity {
    Identity::derive(&AccountRootKey::from_secret(Secret::new([1; 32])), ALICE, 1)
}

fn mallory() -> Identity {
    Identity::derive(&AccountRootKey::from_secret(Secret::new([9; 32])), ALICE, 1)
}

fn sample(author: &Identity) -> Seal {
    let seal = Seal {
        kind: Kind::Text,
        project: PROJECT,
        environment: ENVIRONMENT,
        version: 7,
        parent: HEAD.digest,
        digest: [7; 32],
        ciphertext_len: 1000,
        epoch: 3,
        author: ALICE,
        author_key: author.key_id(),
        covered_len: 12,
        header_hash: NO_DIGEST,
        created_at_ms: 1_700_000_000_000,
    };
    Seal { header_hash: seal.header_line().expect("a text seal").hash(), ..seal }
}

fn commit(key: &PublicKey) -> Commit<'_> {
    Commit {
        project: PROJECT,
        environment: ENVIRONMENT,
        head: Some(HEAD),
        epoch: 3,
        author: ALICE,
        author_key: key,
        digest: [7; 32],
        ciphertext_len: 1000,
    }
}

#[test]
fn a_seal_that_follows_the_head_is_accepted() {
    let alice = alice();
    let seal = sample(&alice);
    let bytes = seal.sign(alice.signing_key());
    assert_eq!(bytes.len(), 258);
    assert_eq!(check_for_commit(&bytes, &commit(&alice.public_key())), Ok(seal));
}

#[test]
fn a_commit_names_what_does_not_fit() {
    let alice = alice();
    let key = alice.public_key();
    let bytes = sample(&alice).sign(alice.signing_key());
    let fits = commit(&key);
    let refuse = |commit: Commit<'_>| check_for_commit(&bytes, &commit).expect_err("must be refused");
    let other_project = ProjectId::from_bytes([8; 16]);
    let other_environment = EnvironmentId::from_bytes([8; 16]);
    let bob = AccountId::from_bytes([0xb0; 16]);
    assert_eq!(
        refuse(Commit { project: other_project, ..fits }),
        SealError::Project { expected: other_project, found: PROJECT }
    );
    assert_eq!(
        refuse(Commit { environment: other_environment, ..fits }),
        SealError::Environment { expected: other_environment, found: ENVIRONMENT }
    );
    assert_eq!(refuse(Commit { author: bob, ..fits }), SealError::Author { expected: bob, found: ALICE });
    assert_eq!(
        refuse(Commit { head: Some(Head { version: 7, ..HEAD }), ..fits }),
        SealError::Version { expected: 8, found: 7 }
    );
    assert_eq!(
        refuse(Commit { head: Some(Head { version: 5, ..HEAD }), ..fits }),
        SealError::Version { expected: 6, found: 7 }
    );
    assert_eq!(refuse(Commit { head: None, ..fits }), SealError::Version { expected: 1, found: 7 });
    assert_eq!(refuse(Commit { head: Some(Head { digest: [9; 32], ..HEAD }), ..fits }), SealError::Parent);
    assert_eq!(refuse(Commit { epoch: 4, ..fits }), SealError::Epoch { expected: 4, found: 3 });
    assert_eq!(refuse(Commit { digest: [8; 32], ..fits }), SealError::Digest);
    assert_eq!(
        refuse(Commit { ciphertext_len: 999, ..fits }),
        SealError::Length { expected: 1000, found: 999 }
    );
    let stranger = mallory().public_key();
    assert!(matches!(refuse(Commit { author_key: &stranger, ..fits }), SealError::Signature(_)));
}

#[test]
fn fields_that_contradict_each_other_are_refused_even_when_signed() {
    let alice = alice();
    let key = alice.public_key();
    let judge = |seal: Seal| Seal::verify(&seal.sign(alice.signing_key()), &key).err();
    let good = sample(&alice);
    assert_eq!(judge(good), None);
    assert_eq!(judge(Seal { version: 0, ..good }), Some(SealError::Version { expected: 1, found: 0 }));
    assert_eq!(judge(Seal { version: 1, ..good }), Some(SealError::Parent));
    assert_eq!(judge(Seal { parent: NO_DIGEST, ..good }), Some(SealError::Parent));
    assert_eq!(judge(Seal { header_hash: [1; 32], ..good }), Some(SealError::Header));
    assert_eq!(judge(Seal { kind: Kind::Binary, ..good }), Some(SealError::Header));
    assert_eq!(judge(Seal { epoch: 4, ..good }), Some(SealError::Header));
    let other = mallory().key_id();
    assert_eq!(
        judge(Seal { author_key: other, ..good }),
        Some(SealError::AuthorKey { expected: alice.key_id(), found: other })
    );
    let binary = Seal { kind: Kind::Binary, header_hash: NO_DIGEST, ..good };
    assert_eq!(judge(binary), None);
}

#[test]
fn a_seal_of_another_shape_is_refused() {
    let alice = alice();
    let key = alice.public_key();
    let bytes = sample(&alice).sign(alice.signing_key());
    let refuse = |bytes: &[u8]| Seal::verify(bytes, &key).expect_err("must be refused");
    assert!(matches!(refuse(&[]), SealError::Malformed(_)));
    assert!(matches!(refuse(&bytes[..SEAL_LEN - 1]), SealError::Malformed(_)));
    assert!(matches!(refuse(&[&bytes[..], &[0]].concat()), SealError::Malformed(_)));
    let with = |at: usize, value: u8| {
        let mut changed = bytes;
        changed[at] = value;
        refuse(&changed)
    };
    assert_eq!(with(4, 2), SealError::Malformed(DecodeError::Version { found: 2 }));
    assert_eq!(with(5, 3), SealError::Malformed(DecodeError::Value { field: "kind" }));
}

#[test]
fn the_exact_length_is_readable_with_the_epoch_key_only() {
    let key = EpochKey::from_secret(Secret::new([5; 32]));
    let covered_len = 1234 ^ key.length_cover(&[7; 32]);
    let seal = Seal { covered_len, ..sample(&alice()) };
    assert_eq!(seal.content_len(&key), 1234);
    assert_ne!(seal.content_len(&EpochKey::from_secret(Secret::new([6; 32]))), 1234);
    assert_ne!(Seal { digest: [8; 32], ..seal }.content_len(&key), 1234);
}

#[test]
fn no_version_follows_the_last_number() {
    let alice = alice();
    let key = alice.public_key();
    let last = Seal { version: u64::MAX, ..sample(&alice) };
    let last = Seal { header_hash: last.header_line().expect("text").hash(), ..last };
    let head = Some(Head { version: u64::MAX, digest: [7; 32] });
    let refused = check_for_commit(&last.sign(alice.signing_key()), &Commit { head, ..commit(&key) });
    assert_eq!(refused, Err(SealError::Parent));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_is_refused(at in 0usize..SEAL_LEN, bit in 0u8..8) {
        let alice = alice();
        let mut bytes = sample(&alice).sign(alice.signing_key());
        bytes[at] ^= 1 << bit;
        prop_assert!(Seal::verify(&bytes, &alice.public_key()).is_err());
    }

    #[test]
    fn no_input_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Seal::verify(&bytes, &alice().public_key()).is_err());
    }
}
