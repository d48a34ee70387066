//! Checkpoints that read back, and everything near one that is none.

use proptest::prelude::*;

use super::*;
use crate::key::KeyType;

const ORIGIN: &str = "example.com/behind-the-sofa";
const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

fn text(origin: &str, size: &str, root: &str) -> String {
    format!("{origin}\n{size}\n{root}\n")
}

fn refused(text: &str) -> CheckpointError {
    Checkpoint::parse(text).expect_err(text)
}

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, KeyType::Ed25519, &[seed; 32]).unwrap()
}

fn checkpoint(origin: &str) -> Checkpoint {
    Checkpoint::new(origin, 7, [7; 32]).unwrap()
}

#[test]
fn the_example_of_the_specification_reads_back() {
    let text = text(ORIGIN, "20852163", ROOT);
    let read = Checkpoint::parse(&text).unwrap();
    assert_eq!((read.origin.as_str(), read.size), (ORIGIN, 20_852_163));
    assert_eq!(read.root[..3], [0x0a, 0xc5, 0x18]);
    assert_eq!(read.text(), text);
}

#[test]
fn sizes_are_plain_decimals_up_to_the_limit() {
    for size in ["0", "1", "10", "4611686018427387904"] {
        assert_eq!(Checkpoint::parse(&text(ORIGIN, size, ROOT)).unwrap().size.to_string(), size);
    }
    let bad = [
        "",
        "00",
        "01",
        "+1",
        "-1",
        " 1",
        "1 ",
        "1.0",
        "1_000",
        "0x10",
        "1e3",
        "١",
        // 2^62 + 1, 2^63, 2^64 - 1, 2^64, and what would be 5 after two turns.
        "4611686018427387905",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "36893488147419103237",
        "999999999999999999999999999999",
    ];
    for size in bad {
        let error = refused(&text(ORIGIN, size, ROOT));
        assert_eq!(error, CheckpointError::Size, "{size}");
    }
}

#[test]
fn roots_are_32_bytes_of_canonical_base64() {
    let long = BASE64.encode(&[1; 33]);
    let short = BASE64.encode(&[1; 31]);
    let bad = [
        "",
        "A",
        &ROOT[..43],
        &format!("{ROOT}="),
        &format!("{ROOT} "),
        &long,
        &short,
        &ROOT.replace('/', "_"),
        // The last two bits of the last character must be zero.
        &ROOT.replace("2I=", "2J="),
        &ROOT.replace("2I=", "2=="),
        "0ac5186a91863e8e1d90c808014aa89b",
        // 44 characters and 32 bytes for a decoder that reads padded texts in a row.
        &format!("CsU={}", &ROOT[..40]),
        &format!("{}CsU=AAAA", &ROOT[..36]),
    ];
    for root in bad {
        assert_eq!(refused(&text(ORIGIN, "1", root)), CheckpointError::Root, "{root}");
    }
}

#[test]
fn lines_are_neither_missing_nor_empty_nor_odd() {
    assert_eq!(refused(""), CheckpointError::Lines);
    assert_eq!(refused("\n"), CheckpointError::Lines);
    assert_eq!(refused(&format!("{ORIGIN}\n1\n")), CheckpointError::Lines);
    assert_eq!(refused(&format!("{ORIGIN}\n1\n{ROOT}")), CheckpointError::Lines);
    assert_eq!(refused(&text("", "1", ROOT)), CheckpointError::Origin);
    assert_eq!(refused(&text("a\rb", "1", ROOT)), CheckpointError::Origin);
    assert_eq!(refused(&text("a\0", "1", ROOT)), CheckpointError::Origin);
    assert_eq!(refused(&text(&"o".repeat(ORIGIN_LEN_MAX + 1), "1", ROOT)), CheckpointError::Origin);
    assert!(Checkpoint::parse(&text(&"o".repeat(ORIGIN_LEN_MAX), "1", ROOT)).is_ok());
    assert_eq!(refused(&text(ORIGIN, "1\r", ROOT)), CheckpointError::Size);
    assert_eq!(refused(&text(ORIGIN, "1", &format!("{ROOT}\r"))), CheckpointError::Root);
    assert_eq!(refused(&(text(ORIGIN, "1", ROOT) + "\n")), CheckpointError::Extension);
    assert_eq!(refused(&(text(ORIGIN, "1", ROOT) + "a\n\nb\n")), CheckpointError::Extension);
    assert_eq!(refused(&(text(ORIGIN, "1", ROOT) + "a\tb\n")), CheckpointError::Extension);
    let too_long = text(ORIGIN, "1", ROOT) + &"e".repeat(NOTE_LEN_MAX) + "\n";
    assert!(matches!(refused(&too_long), CheckpointError::Note(NoteError::TooLong { .. })));
}

#[test]
fn extension_lines_are_read_and_written_back_but_not_opened() {
    let with = text("log.example/1", "1", ROOT) + "more\nand more\n";
    let read = Checkpoint::parse(&with).unwrap();
    assert_eq!(read.extensions, ["more", "and more"]);
    assert_eq!(read.text(), with);
    let log = key("log.example/1", 1);
    let note = sign(&read, &[&log]).unwrap().encode();
    assert_eq!(open(note.as_bytes(), &[log.verifier().clone()]), Err(CheckpointError::Extension));
}

#[test]
fn a_signed_checkpoint_opens_with_either_of_two_log_keys() {
    let (old, new) = (key("log.example/1", 1), key("log.example/1", 2));
    let note = sign(&checkpoint("log.example/1"), &[&old, &new]).unwrap().encode();
    for known in [&[&old][..], &[&new], &[&new, &old]] {
        let known: Vec<VerifierKey> = known.iter().map(|key| key.verifier().clone()).collect();
        let (opened, with_signatures) = open(note.as_bytes(), &known).unwrap();
        assert_eq!(opened, checkpoint("log.example/1"));
        assert_eq!(with_signatures.encode(), note);
    }
}

#[test]
fn a_checkpoint_of_another_log_does_not_open() {
    let (log, other) = (key("log.example/1", 1), key("log.example/2", 2));
    let known = [log.verifier().clone(), other.verifier().clone()];
    // Well signed by another log that we know, under this log's origin.
    let mut note = Note::new(checkpoint("log.example/1").text()).unwrap();
    note.add(other.sign_note(note.text()).unwrap()).unwrap();
    let forged = note.encode();
    assert_eq!(open(forged.as_bytes(), &known), Err(CheckpointError::NotSignedByLog));
    assert_eq!(open(forged.as_bytes(), &known[..1]), Err(CheckpointError::NotSignedByLog));
    assert_eq!(open(forged.as_bytes(), &known[1..]), Err(CheckpointError::UnknownOrigin));
    assert_eq!(open(forged.as_bytes(), &[]), Err(CheckpointError::UnknownOrigin));
    let refused = sign(&checkpoint("log.example/1"), &[&other]);
    assert_eq!(refused, Err(CheckpointError::UnknownOrigin));
    let honest = sign(&checkpoint("log.example/1"), &[&log]).unwrap().encode();
    let moved = honest.replacen("log.example/1\n", "log.example/2\n", 1);
    assert!(matches!(
        open(moved.as_bytes(), &known),
        Err(CheckpointError::Note(NoteError::BadSignature { .. }))
    ));
}

#[test]
fn a_cosigning_key_does_not_sign_for_a_log() {
    let witness = SigningKey::from_seed("log.example/1", KeyType::CosignatureV1, &[1; 32]).unwrap();
    let refused = sign(&checkpoint("log.example/1"), &[&witness]);
    assert_eq!(refused, Err(CheckpointError::Note(NoteError::WrongKind)));
}

#[test]
fn checkpoints_that_would_not_read_back_are_not_signed() {
    let good = checkpoint("log.example/1");
    let bad = [
        Checkpoint { origin: "a\nb".into(), ..good.clone() },
        Checkpoint { origin: String::new(), ..good.clone() },
        Checkpoint { size: TREE_SIZE_MAX + 1, ..good.clone() },
        Checkpoint { extensions: vec![String::new()], ..good.clone() },
        Checkpoint { extensions: vec!["a\n\n— b AAAAAQA=".into()], ..good },
    ];
    for checkpoint in &bad {
        assert!(sign(checkpoint, &[]).is_err(), "{checkpoint:?}");
    }
    assert_eq!(Checkpoint::new("", 1, [0; 32]), Err(CheckpointError::Origin));
    assert_eq!(Checkpoint::new("a", TREE_SIZE_MAX + 1, [0; 32]), Err(CheckpointError::Size));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_reads_back(
        origin in "[^\\x00-\\x1f]{1,40}",
        size in 0..=TREE_SIZE_MAX,
        root in any::<Hash>(),
        extensions in prop::collection::vec("[^\\x00-\\x1f]{1,20}", 0..3),
    ) {
        let checkpoint = Checkpoint { origin, size, root, extensions };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
    }

    #[test]
    fn a_text_that_reads_is_the_text_written(text in "[ab]{0,2}\n[0-9]{0,3}\n[A-D/+]{42}[A-Q]=\n([a\n]{0,4}\n)?") {
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.text(), text);
        }
    }
}
