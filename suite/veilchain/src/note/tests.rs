//! Notes of other implementations, hostile notes, and what encodes back to itself.

use proptest::prelude::*;

use super::*;
use crate::key::{KeyType, SigningKey};

/// golang.org/x/mod/sumdb/note, the package's own examples: text, private key, and a second signer.
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=";
/// A line of a key nobody knows.
const STRANGER: &str = "— example.com/x AAAAAQA=";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

fn note(lines: &[&str]) -> String {
    format!("{TEXT}\n{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

fn parse(text: &str) -> Result<Note, NoteError> {
    Note::parse(text.as_bytes())
}

fn verify(lines: &[&str], keys: &[VerifierKey]) -> Result<Vec<usize>, NoteError> {
    let verified = parse(&note(lines))?.verify(keys)?;
    Ok(verified.iter().map(|signature| signature.key).collect())
}

#[test]
fn the_examples_of_go_verify() {
    let keys = [key(PETER), key(ENOCH)];
    assert_eq!(verify(&[PETER_LINE], &keys), Ok(vec![0]));
    assert_eq!(verify(&[PETER_LINE, ENOCH_LINE], &keys), Ok(vec![0, 1]));
    assert_eq!(verify(&[PETER_LINE, ENOCH_LINE], &keys[1..]), Ok(vec![0]));
}

#[test]
fn the_example_of_the_specification_verifies() {
    let known = key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
    let text = "This is an example message.\n\n— example.com/foo \
                Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let note = parse(text).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.verify(&[known]), Ok(vec![Verified { key: 0, time_s: None }]));
    assert_eq!(note.encode(), text);
}

#[test]
fn signing_gives_the_bytes_of_go() {
    let signer: SigningKey = PETER_PRIVATE.parse().unwrap();
    let mut made = Note::new(TEXT).unwrap();
    made.add(signer.sign_note(TEXT).unwrap()).unwrap();
    assert_eq!(made.encode(), note(&[PETER_LINE]));
    made.add(ENOCH_LINE.parse().unwrap()).unwrap();
    assert_eq!(made.encode(), note(&[PETER_LINE, ENOCH_LINE]));
    // Signing again replaces the line and moves it to the end.
    made.add(signer.sign_note(TEXT).unwrap()).unwrap();
    assert_eq!(made.encode(), note(&[ENOCH_LINE, PETER_LINE]));
}

#[test]
fn empty_lines_belong_to_the_text_up_to_the_last_one() {
    for text in ["\n", "a\n", "a\n\nb\n", "a\n\n", "\n\n\n", "a\n\n— b AAAAAQA=\n"] {
        let encoded = format!("{text}\n{STRANGER}\n");
        let note = parse(&encoded).unwrap();
        assert_eq!((note.text(), note.signatures().len()), (text, 1));
        assert_eq!(note.encode(), encoded);
    }
}

#[test]
fn a_note_that_is_cut_anywhere_is_refused() {
    let whole = note(&[PETER_LINE, ENOCH_LINE]);
    let after_first = whole.len() - ENOCH_LINE.len() - 1;
    for end in (0..whole.len()).filter(|end| *end != after_first) {
        assert!(Note::parse(&whole.as_bytes()[..end]).is_err(), "{end}");
    }
    assert_eq!(parse(&whole[..whole.len() - 1]), Err(NoteError::Unterminated));
}

#[test]
fn control_characters_and_broken_text_are_refused_with_their_place() {
    let good = note(&[PETER_LINE]);
    for (offset, byte) in
        [(0, b'\r'), (4, 0), (7, 0x1b), (9, b'\t'), (good.len() - 1, b'\r'), (TEXT.len(), 0x1f)]
    {
        let mut bytes = good.clone().into_bytes();
        bytes[offset] = byte;
        assert_eq!(Note::parse(&bytes), Err(NoteError::Control { offset }));
    }
    assert!(matches!(parse(&good.replace('\n', "\r\n")), Err(NoteError::Control { .. })));
    for broken in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x80"] {
        let bytes = [b"abc".as_slice(), broken, good.as_bytes()].concat();
        assert_eq!(Note::parse(&bytes), Err(NoteError::Encoding { offset: 3 }));
    }
    // DEL and the controls above U+007F are text for the specification.
    assert!(parse(&format!("a\u{7f}\u{85}\n\n{STRANGER}\n")).is_ok());
}

#[test]
fn malformed_signature_lines_are_refused() {
    let encoded = &PETER_LINE["— PeterNeumann ".len()..];
    let lines = [
        String::new(),
        "x".into(),
        PETER_LINE.replace("— ", "- "),
        PETER_LINE.replace("— ", "—"),
        PETER_LINE.replace("— ", "—  "),
        PETER_LINE.replace("— ", " — "),
        format!("{PETER_LINE} "),
        format!("{PETER_LINE} x"),
        PETER_LINE.replace("PeterNeumann ", "PeterNeumann  "),
        PETER_LINE.replace("PeterNeumann ", ""),
        PETER_LINE.replace("Neumann", "+Neumann"),
        PETER_LINE.replace("Neumann", "\u{2003}Neumann"),
        // No padding; too much; inside; URL alphabet; bits that are not zero; nothing after the key id.
        PETER_LINE.replace('=', ""),
        format!("{PETER_LINE}="),
        PETER_LINE.replace("x08g", "x0=="),
        // Two padded texts in a row, which some decoders read as one.
        PETER_LINE.replace("x08g", "xw=="),
        PETER_LINE.replace("x08g", "x08="),
        format!("{PETER_LINE}AAAA"),
        format!("{PETER_LINE}AAA="),
        PETER_LINE.replace('/', "_"),
        PETER_LINE.replace("nAM=", "nAN="),
        "— PeterNeumann x08gow==".into(),
        "— PeterNeumann x08g".into(),
        "— PeterNeumann ".into(),
        "— PeterNeumann".into(),
        "— ".into(),
    ];
    for line in &lines {
        let refused = line.parse::<NoteSignature>();
        assert_eq!(refused, Err(NoteError::SignatureLine { line: 1 }), "{line}");
        if !line.is_empty() {
            let second = parse(&note(&[STRANGER, line]));
            assert_eq!(second, Err(NoteError::SignatureLine { line: 2 }), "{line}");
        }
    }
    assert_eq!(PETER_LINE.parse::<NoteSignature>().unwrap().to_string(), PETER_LINE);
    assert_eq!(encoded.len(), 92);
}

#[test]
fn notes_without_text_or_signatures_are_refused() {
    assert_eq!(parse(""), Err(NoteError::NoSignatures));
    assert_eq!(parse(TEXT), Err(NoteError::NoSignatures));
    assert_eq!(parse(&format!("{TEXT}\n")), Err(NoteError::NoSignatures));
    assert_eq!(parse(&format!("\n{PETER_LINE}\n")), Err(NoteError::NoSignatures));
    assert_eq!(parse(&format!("{TEXT}{PETER_LINE}\n")), Err(NoteError::NoSignatures));
    assert_eq!(Note::new("no newline"), Err(NoteError::Unterminated));
    assert_eq!(Note::new(""), Err(NoteError::Unterminated));
    assert_eq!(Note::new("a\rb\n"), Err(NoteError::Control { offset: 1 }));
}

#[test]
fn a_note_of_strangers_is_refused() {
    let peter = key(PETER);
    assert_eq!(verify(&[STRANGER], std::slice::from_ref(&peter)), Err(NoteError::Unverified));
    assert_eq!(verify(&[PETER_LINE], &[]), Err(NoteError::Unverified));
    // The name of a known key with another id, and its id with another name: strangers, both.
    let other_id = PETER_LINE.replace("x08go", "y08go");
    let other_name = PETER_LINE.replace("PeterNeumann", "Peter");
    for line in [&other_id, &other_name] {
        assert_eq!(verify(&[line], std::slice::from_ref(&peter)), Err(NoteError::Unverified));
        assert_eq!(verify(&[line, PETER_LINE], std::slice::from_ref(&peter)), Ok(vec![0]));
    }
}

#[test]
fn one_bad_signature_of_a_known_key_refuses_the_note() {
    let keys = [key(PETER), key(ENOCH)];
    let bad = ENOCH_LINE.replace("eBzm", "eBzn");
    let refused = verify(&[PETER_LINE, &bad], &keys);
    assert_eq!(refused, Err(NoteError::BadSignature { name: "EnochRoot".into(), key_id: keys[1].key_id() }));
    assert_eq!(verify(&[PETER_LINE, &bad], &keys[..1]), Ok(vec![0]), "unless nobody knows the key");
    // Of another length: 63 bytes, and one.
    for len in [63, 1] {
        let line =
            NoteSignature { name: "EnochRoot".into(), key_id: keys[1].key_id(), signature: vec![7; len] };
        assert!(matches!(
            verify(&[PETER_LINE, &line.to_string()], &keys),
            Err(NoteError::BadSignature { .. })
        ));
    }
}

#[test]
fn signatures_given_twice_count_once_and_must_all_hold() {
    let peter = [key(PETER)];
    assert_eq!(verify(&[PETER_LINE, STRANGER, STRANGER, PETER_LINE], &peter), Ok(vec![0]));
    let bad = PETER_LINE.replace("ZJku", "ZJkv");
    assert!(matches!(verify(&[PETER_LINE, &bad], &peter), Err(NoteError::BadSignature { .. })));
    assert!(matches!(verify(&[&bad, PETER_LINE], &peter), Err(NoteError::BadSignature { .. })));
    let witness = SigningKey::from_seed("w", KeyType::CosignatureV1, &[1; 32]).unwrap();
    let (first, second) = (witness.cosign(TEXT, 7).unwrap(), witness.cosign(TEXT, 9).unwrap());
    let both = parse(&note(&[&second.to_string(), &first.to_string()])).unwrap();
    assert_eq!(both.verify(&[witness.verifier().clone()]), Ok(vec![Verified { key: 0, time_s: Some(9) }]));
}

#[test]
fn two_keys_of_one_name_and_id_are_ambiguous() {
    // An id is four bytes, so a search through some ten thousand seeds finds two that share one.
    let twin = |number: u32| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        SigningKey::from_seed("twin", KeyType::Ed25519, &seed).unwrap()
    };
    let (one, two) = (twin(36_558), twin(82_648));
    let (first, second) = (one.verifier().clone(), two.verifier().clone());
    assert_eq!(first.key_id(), second.key_id());
    let line = one.sign_note(TEXT).unwrap().to_string();
    assert_eq!(verify(&[&line], std::slice::from_ref(&first)), Ok(vec![0]));
    assert!(matches!(verify(&[&line], std::slice::from_ref(&second)), Err(NoteError::BadSignature { .. })));
    for keys in [[first.clone(), second.clone()], [second, first.clone()]] {
        let ambiguous = NoteError::AmbiguousKey { name: "twin".into(), key_id: first.key_id() };
        assert_eq!(verify(&[&line], &keys), Err(ambiguous));
    }
    assert_eq!(verify(&[&line], &[first.clone(), first]), Ok(vec![0]), "the same key twice is one key");
}

#[test]
fn a_hundred_signatures_are_read_and_ten_thousand_refused() {
    let lines = |count: usize| note(&vec![STRANGER; count]);
    assert_eq!(parse(&lines(SIGNATURES_MAX)).unwrap().signatures().len(), SIGNATURES_MAX);
    assert_eq!(parse(&lines(SIGNATURES_MAX + 1)), Err(NoteError::TooManySignatures));
    assert_eq!(parse(&lines(10_000)), Err(NoteError::TooManySignatures));
    let mut full = parse(&lines(1)).unwrap();
    for id in 2..=SIGNATURES_MAX as u32 {
        let line = NoteSignature { name: "x".into(), key_id: id.to_be_bytes(), signature: vec![0] };
        full.add(line).unwrap();
    }
    let one_more = NoteSignature { name: "y".into(), key_id: [0; 4], signature: vec![0] };
    assert_eq!(full.add(one_more), Err(NoteError::TooManySignatures));
    assert_eq!(parse(&full.encode()).unwrap(), full);
}

#[test]
fn a_note_above_the_limit_is_refused() {
    let len = NOTE_LEN_MAX + 1;
    assert_eq!(Note::parse(&vec![b'a'; len]), Err(NoteError::TooLong { len }));
    assert_eq!(Note::new("a".repeat(NOTE_LEN_MAX) + "\n"), Err(NoteError::TooLong { len }));
    let mut note = Note::new("a".repeat(NOTE_LEN_MAX - 10) + "\n").unwrap();
    assert!(matches!(note.add(STRANGER.parse().unwrap()), Err(NoteError::TooLong { .. })));
    assert!(note.signatures().is_empty());
}

#[test]
fn a_line_that_would_break_the_note_is_not_added() {
    let mut note = Note::new(TEXT).unwrap();
    for name in ["", "a b", "a\n\n— b AAAAAQA=", "a+b"] {
        let line = NoteSignature { name: name.into(), key_id: [0; 4], signature: vec![1] };
        assert_eq!(note.add(line), Err(NoteError::SignatureLine { line: 1 }));
    }
    let empty = NoteSignature { name: "a".into(), key_id: [0; 4], signature: vec![] };
    assert_eq!(note.add(empty), Err(NoteError::SignatureLine { line: 1 }));
}

#[test]
fn a_large_signature_of_another_type_is_carried() {
    let line = NoteSignature { name: "w".into(), key_id: [1, 2, 3, 4], signature: vec![5; 8 + 2_420] };
    let text = note(&[PETER_LINE, &line.to_string()]);
    let read = parse(&text).unwrap();
    assert_eq!(read.signatures()[1], line);
    assert_eq!(read.verify(&[key(PETER)]).unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_built_reads_back(
        text in "([^\\x00-\\x1f]{0,20}\n){1,5}",
        lines in prop::collection::vec(("[a-z./é]{1,12}", any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 1..80)), 1..6),
    ) {
        let mut note = Note::new(text).unwrap();
        for (name, key_id, signature) in lines {
            note.add(NoteSignature { name, key_id, signature }).unwrap();
        }
        prop_assert_eq!(parse(&note.encode()), Ok(note));
    }

    #[test]
    fn bytes_that_read_encode_to_themselves(bytes in "[ab \n—A=]{0,40}") {
        if let Ok(note) = parse(&bytes) {
            prop_assert_eq!(note.encode(), bytes);
        }
    }

    #[test]
    fn a_changed_text_or_signature_never_verifies(at in 0usize..290, bit in 0u8..8) {
        let keys = [key(PETER)];
        let good = note(&[PETER_LINE]);
        let mut bytes = good.into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(Note::parse(&bytes).and_then(|note| note.verify(&keys)).is_err());
    }
}
