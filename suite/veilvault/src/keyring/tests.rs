use proptest::prelude::*;
use rand_core::OsRng;
use veilcore::id::AccountId;
use veilcore::secret::Secret;

use super::*;
use crate::account::AccountRootKey;
use crate::key::PublicKey;

const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([2; 16]);
const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
const SUBJECT: KeyringSubject = KeyringSubject {
    project: PROJECT,
    environment: ENVIRONMENT,
    epoch: 3,
    access_list: 7,
    created_at_ms: 1_700_000_000_000,
};

fn person(fill: u8) -> Identity {
    let ark = AccountRootKey::from_secret(Secret::new([fill; 32]));
    Identity::derive(&ark, AccountId::from_bytes([fill; 16]), 1)
}

fn alice() -> Identity {
    person(0xa1)
}

fn expected(author_key: &PublicKey) -> ExpectedKeyring<'_> {
    ExpectedKeyring { project: PROJECT, environment: ENVIRONMENT, epoch: 3, author: ALICE, author_key }
}

/// A file to alice with this plaintext, properly signed by her as the keyring of `key`.
fn signed_file(plaintext: &[&[u8]], key: &EpochKey) -> Keyring {
    let alice = alice();
    let mut file = Vec::new();
    let mut stream = age::Encryptor::with_recipients(std::iter::once(alice.recipient().as_age()))
        .expect("one recipient")
        .wrap_output(&mut file)
        .expect("memory");
    plaintext.iter().for_each(|part| stream.write_all(part).expect("memory"));
    stream.finish().expect("memory");
    let seal = KeyringSeal {
        project: PROJECT,
        environment: ENVIRONMENT,
        epoch: 3,
        access_list: 7,
        recipient: key.recipient().clone(),
        digest: sha256(&file),
        author: ALICE,
        author_key: alice.key_id(),
        created_at_ms: 0,
    };
    Keyring { seal: seal.sign(alice.signing_key()), file }
}

#[test]
fn every_member_finds_the_key_and_nobody_else_does() {
    let (alice, bob, carol) = (alice(), person(2), person(3));
    let key = EpochKey::generate(&mut OsRng);
    let members = [alice.recipient().clone(), bob.recipient().clone()];
    let keyring = seal_keyring(&key, &SUBJECT, &members, &alice).expect("two members");
    let public = alice.public_key();
    for member in [&alice, &bob] {
        let found = open_keyring(&keyring.file, &keyring.seal, &expected(&public), member).expect("a member");
        assert_eq!(*found.secret_text(), *key.secret_text());
    }
    let refused = open_keyring(&keyring.file, &keyring.seal, &expected(&public), &carol).err();
    assert!(matches!(refused, Some(KeyringError::NotAMember)));
}

#[test]
fn a_keyring_has_at_least_one_member_and_at_most_511() {
    let (alice, key) = (alice(), EpochKey::generate(&mut OsRng));
    let make = |count| seal_keyring(&key, &SUBJECT, &vec![alice.recipient().clone(); count], &alice);
    assert_eq!(make(0).err(), Some(KeyringSealingError::Members { found: 0 }));
    assert_eq!(make(512).err(), Some(KeyringSealingError::Members { found: 512 }));
    let full = make(MEMBERS_MAX).expect("the limit");
    assert!(full.file.len() <= KEYRING_LEN_MAX);
    assert!(check_keyring(&full.file, &full.seal, &expected(&alice.public_key())).is_ok());
}

#[test]
fn a_keyring_from_elsewhere_is_refused_by_name() {
    let alice = alice();
    let key = EpochKey::generate(&mut OsRng);
    let keyring = seal_keyring(&key, &SUBJECT, &[alice.recipient().clone()], &alice).expect("one member");
    let public = alice.public_key();
    let fits = expected(&public);
    let refuse =
        |expected: ExpectedKeyring<'_>| match open_keyring(&keyring.file, &keyring.seal, &expected, &alice) {
            Err(KeyringError::Seal(e)) => e,
            other => panic!("refused by its seal, not {:?}", other.err()),
        };
    let project = ProjectId::from_bytes([9; 16]);
    let environment = EnvironmentId::from_bytes([9; 16]);
    let author = AccountId::from_bytes([9; 16]);
    let mallory = person(9).public_key();
    assert_eq!(
        refuse(ExpectedKeyring { project, ..fits }),
        SealError::Project { expected: project, found: PROJECT }
    );
    assert_eq!(
        refuse(ExpectedKeyring { environment, ..fits }),
        SealError::Environment { expected: environment, found: ENVIRONMENT }
    );
    assert_eq!(
        refuse(ExpectedKeyring { epoch: 4, ..fits }),
        SealError::Epoch { expected: 4, found: 3 },
        "the keyring of a member who was taken out"
    );
    assert_eq!(
        refuse(ExpectedKeyring { author, ..fits }),
        SealError::Author { expected: author, found: ALICE }
    );
    assert!(matches!(refuse(ExpectedKeyring { author_key: &mallory, ..fits }), SealError::Signature(_)));
}

#[test]
fn a_keyring_the_server_made_itself_is_refused() {
    let (alice, mallory) = (alice(), person(9));
    let key = EpochKey::generate(&mut OsRng);
    let forged = seal_keyring(&key, &SUBJECT, &[alice.recipient().clone()], &mallory).expect("one member");
    let refused = open_keyring(&forged.file, &forged.seal, &expected(&alice.public_key()), &alice).err();
    assert!(matches!(refused, Some(KeyringError::Seal(SealError::Signature(_)))));
}

#[test]
fn a_file_or_seal_of_another_keyring_is_refused() {
    let alice = alice();
    let public = alice.public_key();
    let members = [alice.recipient().clone()];
    let one = seal_keyring(&EpochKey::generate(&mut OsRng), &SUBJECT, &members, &alice).expect("one member");
    let two = seal_keyring(&EpochKey::generate(&mut OsRng), &SUBJECT, &members, &alice).expect("one member");
    let refused = open_keyring(&one.file, &two.seal, &expected(&public), &alice).err();
    assert!(matches!(refused, Some(KeyringError::Seal(SealError::Digest))));
    let longer = [&one.file[..], b"x"].concat();
    let refused = open_keyring(&longer, &one.seal, &expected(&public), &alice).err();
    assert!(matches!(refused, Some(KeyringError::Seal(SealError::Digest))));
    let huge = vec![0; KEYRING_LEN_MAX + 1];
    let refused = open_keyring(&huge, &one.seal, &expected(&public), &alice).err();
    assert!(matches!(refused, Some(KeyringError::TooLong { .. })));
}

#[test]
fn an_author_who_signs_the_wrong_plaintext_is_not_believed() {
    let alice = alice();
    let public = alice.public_key();
    let key = EpochKey::generate(&mut OsRng);
    let other = EpochKey::generate(&mut OsRng);
    let good = seal_keyring(&key, &SUBJECT, &[alice.recipient().clone()], &alice).expect("one member");
    let line = check_keyring(&good.file, &good.seal, &expected(&public)).expect("good").header_line();
    let old = HeaderLine { epoch: 2, ..line }.render();
    let line = line.render();
    let text = key.secret_text();
    let open = |parts: &[&[u8]]| {
        let keyring = signed_file(parts, &key);
        open_keyring(&keyring.file, &keyring.seal, &expected(&public), &alice).err()
    };
    assert!(open(&[&line, text.as_bytes(), b"\n"]).is_none());
    let field = open(&[&old, text.as_bytes(), b"\n"]);
    assert!(matches!(field, Some(KeyringError::Header(HeaderError::Mismatch { field: "epoch" }))));
    assert!(matches!(open(&[b"short"]), Some(KeyringError::Header(HeaderError::Malformed))));
    assert!(matches!(open(&[&line]), Some(KeyringError::NoKey)));
    assert!(matches!(open(&[&line, text.as_bytes()]), Some(KeyringError::NoKey)));
    assert!(matches!(open(&[&line, text.as_bytes(), b"\n\n"]), Some(KeyringError::NoKey)));
    assert!(matches!(open(&[&line, text.to_lowercase().as_bytes(), b"\n"]), Some(KeyringError::NoKey)));
    let foreign = other.secret_text();
    assert!(matches!(open(&[&line, foreign.as_bytes(), b"\n"]), Some(KeyringError::OtherKey)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The digest catches every change of the file; signing the changed file again shows that age does, too.
    #[test]
    fn a_flipped_bit_is_refused_even_when_signed_again(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let alice = alice();
        let public = alice.public_key();
        let key = EpochKey::from_secret(Secret::new([5; 32]));
        let good = seal_keyring(&key, &SUBJECT, &[alice.recipient().clone()], &alice).expect("one member");
        let mut file = good.file.clone();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let refused = open_keyring(&file, &good.seal, &expected(&public), &alice).err();
        prop_assert!(matches!(refused, Some(KeyringError::Seal(SealError::Digest))));
        let seal = KeyringSeal::check(&good.seal, &good.file, &expected(&public)).expect("good");
        let resigned = KeyringSeal { digest: sha256(&file), ..seal }.sign(alice.signing_key());
        prop_assert!(open_keyring(&file, &resigned, &expected(&public), &alice).is_err());
    }

    #[test]
    fn a_flipped_bit_in_the_seal_is_refused(at in 0usize..KEYRING_SEAL_LEN, bit in 0u8..8) {
        let alice = alice();
        let key = EpochKey::from_secret(Secret::new([5; 32]));
        let mut good = seal_keyring(&key, &SUBJECT, &[alice.recipient().clone()], &alice).expect("one member");
        good.seal[at] ^= 1 << bit;
        let refused = open_keyring(&good.file, &good.seal, &expected(&alice.public_key()), &alice);
        prop_assert!(refused.is_err());
    }
}
