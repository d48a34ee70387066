//! Our signed notes beside another implementation (crate `signed_note`, a port of Go's `note` package): the same keys and
//! ids, signatures that verify both ways, and the same judgement of notes that were changed on their way. Where the two
//! disagree, the test says so and why.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which the lint does not see")]

use proptest::prelude::*;
use signed_note::{Signer, StandardSigner, StandardVerifier, Verifier, VerifierList};
use veilchain::key::{KeyType, SigningKey, VerifierKey};
use veilchain::note::{Note, NoteError, NoteSignature};

const NAMES: [&str; 4] =
    ["log.example/1", "a", "größe.example", "log.example/a-rather-long-name-of-a-log/2026-11"];

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, KeyType::Ed25519, &[seed; 32]).unwrap()
}

fn their_signer(key: &SigningKey) -> StandardSigner {
    StandardSigner::new(&key.encode()).unwrap()
}

fn their_verifier(key: &SigningKey) -> StandardVerifier {
    StandardVerifier::new(&key.verifier().encode()).unwrap()
}

fn ours(note: &[u8], keys: &[&SigningKey]) -> Result<usize, NoteError> {
    let keys: Vec<VerifierKey> = keys.iter().map(|key| key.verifier().clone()).collect();
    Ok(Note::parse(note)?.verify(&keys)?.len())
}

fn theirs(note: &[u8], keys: &[&SigningKey]) -> Result<usize, signed_note::NoteError> {
    let list = keys.iter().map(|key| Box::new(their_verifier(key)) as Box<dyn Verifier>).collect();
    Ok(signed_note::Note::from_bytes(note)?.verify(&VerifierList::new(list))?.0.len())
}

/// A note by ours with the signatures of two keys and of a stranger between them.
fn signed(text: &str, keys: &[&SigningKey]) -> String {
    let mut note = Note::new(text).unwrap();
    for key in keys {
        note.add(key.sign_note(text).unwrap()).unwrap();
        let stranger = NoteSignature { name: "stranger".into(), key_id: [7; 4], signature: vec![1; 72] };
        note.add(stranger).unwrap();
    }
    note.encode()
}

#[test]
fn keys_and_ids_are_the_same() {
    for (seed, name) in (1..).zip(NAMES) {
        let ours = key(name, seed);
        let theirs = their_verifier(&ours);
        assert_eq!(theirs.name(), name);
        assert_eq!(theirs.key_id().to_be_bytes(), ours.verifier().key_id());
        assert_eq!(their_signer(&ours).key_id(), theirs.key_id());
    }
}

#[test]
fn what_one_signs_the_other_verifies() {
    for (seed, name) in (1..).zip(NAMES) {
        let key = key(name, seed);
        for text in ["\n", "a\n", "a\n\nb\n\n", "größe — x\n", &"line\n".repeat(500)] {
            let by_us = signed(text, &[&key]);
            assert_eq!(theirs(by_us.as_bytes(), &[&key]).unwrap(), 1);
            let mut by_them = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
            by_them.add_sigs(&[&their_signer(&key)]).unwrap();
            assert_eq!(ours(&by_them.to_bytes(), &[&key]), Ok(1));
            // Ed25519 is deterministic, so the two write the same line.
            let line = format!("{}\n", key.sign_note(text).unwrap());
            assert_eq!(by_them.to_bytes(), format!("{text}\n{line}").into_bytes());
        }
    }
}

#[test]
fn chosen_changes_are_judged_alike() {
    let (one, two) = (key("one", 1), key("two", 2));
    let text = "a text\nof two lines\n";
    let note = signed(text, &[&one, &two]);
    let lines: Vec<&str> = note.lines().skip(3).collect();
    let with = |lines: &[&str]| format!("{text}\n{}\n", lines.join("\n"));
    let bad = lines[1].replacen('A', "B", 1);
    let mut cases: Vec<Vec<u8>> = vec![
        note.clone().into_bytes(),
        with(&[lines[0]]).into_bytes(),
        with(&[lines[0], lines[0]]).into_bytes(),
        with(&[lines[1], lines[1]]).into_bytes(),
        with(&[lines[0], &bad]).into_bytes(),
        note.replace("— one", "— two").into_bytes(),
        note.replace("— one", "— One").into_bytes(),
        note.replace("— one", "—  one").into_bytes(),
        note.replace("— one", "— o+e").into_bytes(),
        note.replace("— one", "— o\u{2003}e").into_bytes(),
        note.replace('—', "-").into_bytes(),
        note.replace('=', "").into_bytes(),
        note.replace("a text", "a  text").into_bytes(),
        note.replace("a text", "a\ttext").into_bytes(),
        note.replace("a text", "a\0text").into_bytes(),
        note.replace("a text", "a\u{7f}text").into_bytes(),
        note.replace('\n', "\r\n").into_bytes(),
        format!("{note}\n").into_bytes(),
        format!("\n{note}").into_bytes(),
        format!("{note}x").into_bytes(),
        format!("{text}\n").into_bytes(),
        text.as_bytes().to_vec(),
        Vec::new(),
        [note.as_bytes(), b"\xff\n"].concat(),
        with(&vec![lines[1]; 100]).into_bytes(),
        with(&[vec![lines[1]; 99], vec![lines[0]]].concat()).into_bytes(),
        with(&[vec![lines[1]; 100], vec![lines[0]]].concat()).into_bytes(),
        with(&vec![lines[0]; 10_000]).into_bytes(),
        vec![b'a'; 1_000_001],
    ];
    cases.extend((0..note.len()).map(|end| note.as_bytes()[..end].to_vec()));
    for case in &cases {
        for keys in [&[&one][..], &[&two], &[&one, &two], &[]] {
            let (ours, theirs) = (ours(case, keys), theirs(case, keys));
            let shown = String::from_utf8_lossy(&case[..case.len().min(400)]);
            assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{ours:?} {theirs:?} {shown}");
        }
    }
}

/// The other implementation ignores every signature of a key after its first. c2sp.org/signed-note says that a signature
/// of a known key must be verified, and the note be rejected if it fails: we do.
#[test]
fn a_second_signature_that_does_not_hold_is_refused_by_us_alone() {
    let (key, text) = (key("one", 1), "text\n");
    let good = key.sign_note(text).unwrap();
    let bad = key.sign_note("another\n").unwrap();
    let note = format!("{text}\n{good}\n{bad}\n");
    assert_eq!(theirs(note.as_bytes(), &[&key]).unwrap(), 1);
    assert!(matches!(ours(note.as_bytes(), &[&key]), Err(NoteError::BadSignature { .. })));
    let bad_first = format!("{text}\n{bad}\n{good}\n");
    assert!(theirs(bad_first.as_bytes(), &[&key]).is_err());
    assert!(ours(bad_first.as_bytes(), &[&key]).is_err());
}

/// c2sp.org/signed-note writes the key id in lower-case hex, so one key has one text here. The other takes any case, and a
/// sign in front of seven digits.
#[test]
fn a_key_in_upper_case_is_refused_by_us_alone() {
    let vkey = (1..=255)
        .map(|seed| key("one", seed))
        .find(|key| key.verifier().key_id().iter().any(|byte| byte & 0x0f > 9));
    let text = vkey.unwrap().verifier().encode();
    let (name, rest) = text.split_once('+').unwrap();
    let (id, material) = rest.split_once('+').unwrap();
    let upper = format!("{name}+{}+{material}", id.to_uppercase());
    assert!(StandardVerifier::new(&upper).is_ok());
    assert_eq!(upper.parse::<VerifierKey>().unwrap_err(), NoteError::KeyFormat);
}

/// A name with a control character can never stand in a note, so for us it names no key. The other has no such rule.
#[test]
fn a_key_whose_name_has_a_control_character_is_refused_by_us_alone() {
    assert!(signed_note::is_key_name_valid("a\u{1}b"));
    assert!(!veilchain::key::is_name_valid("a\u{1}b"));
    for name in ["", "a b", "a+b", "a\u{3000}b", "a\u{85}b", "a\tb", "a", "ü", "a\u{7f}"] {
        assert_eq!(signed_note::is_key_name_valid(name), veilchain::key::is_name_valid(name), "{name:?}");
    }
}

/// Under a key of small order a signature proves nothing. The other implementation takes such a key, and here even a
/// signature of zeros over any text; we do not take the key.
#[test]
fn a_key_of_small_order_is_refused_by_us_alone() {
    let mut identity = [0u8; 32];
    identity[0] = 1;
    let refused = VerifierKey::new("weak", KeyType::Ed25519, identity);
    assert_eq!(refused.unwrap_err(), NoteError::PublicKey);
    let key = [&[1u8][..], &identity].concat();
    let id = signed_note::key_id("weak", &key);
    let vkey = format!("weak+{id:08x}+{}", data_encoding::BASE64.encode(&key));
    let verifier = StandardVerifier::new(&vkey).unwrap();
    let signature = [&identity[..], &[0; 32]].concat();
    assert!(verifier.verify(b"any text\n", &signature));
    assert_eq!(vkey.parse::<VerifierKey>().unwrap_err(), NoteError::PublicKey);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_changes_are_judged_alike(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..4), 1..3),
    ) {
        let (one, two) = (key("one", 1), key("two", 2));
        let mut bytes = signed("a text\n\nof three lines\n", &[&one, &two]).into_bytes();
        // Bytes that matter to the format, and every eighth time one that breaks UTF-8.
        let palette = b"\n \t\r\0+=aA1/\xe2\x80\x94\xff";
        for (at, byte, kind) in edits {
            let (at, byte) = (at.index(bytes.len()), palette[byte.index(palette.len())]);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes[at] ^= 1 << (byte & 7),
            }
        }
        for keys in [&[&one][..], &[&one, &two]] {
            let (ours, theirs) = (ours(&bytes, keys), theirs(&bytes, keys));
            prop_assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{:?} {:?}", ours, theirs);
        }
    }
}
