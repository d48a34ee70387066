//! Proof files that verify, and the many ways one is changed on its way.

use proptest::prelude::*;

use super::*;
use crate::checkpoint::sign;
use crate::hash::{leaf_hash, node_hash};
use crate::key::{KeyType, SigningKey};
use crate::note::NoteError;

const ORIGIN: &str = "log.example/1";

fn log_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, KeyType::Ed25519, &[1; 32]).unwrap()
}

fn witness() -> SigningKey {
    SigningKey::from_seed("w.example", KeyType::CosignatureV1, &[2; 32]).unwrap()
}

fn policy() -> Policy {
    Policy::parse(format!("log {}\nwitness W {}\nquorum W\n", log_key().verifier(), witness().verifier()))
        .unwrap()
}

fn leaves() -> [Hash; 3] {
    [b"a", b"b", b"c"].map(|entry| leaf_hash(entry))
}

fn root() -> Hash {
    let [a, b, c] = leaves();
    node_hash(&node_hash(&a, &b), &c)
}

fn note(size: u64, root: Hash) -> Vec<u8> {
    let mut note = sign(&Checkpoint::new(ORIGIN, size, root).unwrap(), &[&log_key()]).unwrap();
    note.add(witness().cosign(note.text(), 1_700_000_000).unwrap()).unwrap();
    note.encode().into_bytes()
}

/// The proof of entry 1 of three.
fn proof() -> ProofFile {
    let [a, _, c] = leaves();
    ProofFile { extra: None, index: 1, path: vec![a, c], checkpoint: note(3, root()) }
}

fn text() -> String {
    String::from_utf8(proof().encode()).unwrap()
}

fn refused(text: &str) -> ProofFileError {
    ProofFile::parse(text.as_bytes()).expect_err(text)
}

#[test]
fn a_proof_reads_back_and_verifies() {
    for extra in [None, Some(b"VRF proof".to_vec()), Some(vec![0; EXTRA_LEN_MAX])] {
        let file = ProofFile { extra, ..proof() };
        let read = ProofFile::parse(&file.encode()).unwrap();
        assert_eq!(read, file);
        let checkpoint = read.verify(&leaves()[1], &policy()).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (3, root()));
    }
    let none = ProofFile { extra: Some(vec![]), ..proof() };
    assert_eq!(none.encode(), proof().encode());
}

#[test]
fn a_proof_in_a_tree_of_one_has_no_hashes() {
    let [a, ..] = leaves();
    let file = ProofFile { extra: None, index: 0, path: vec![], checkpoint: note(1, a) };
    let text = String::from_utf8(file.encode()).unwrap();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example/1\n1\n"));
    assert!(ProofFile::parse(text.as_bytes()).unwrap().verify(&a, &policy()).is_ok());
}

#[test]
fn another_leaf_or_index_or_path_does_not_verify() {
    let [a, b, c] = leaves();
    let good = proof();
    let inclusion = |file: &ProofFile, leaf: &Hash| {
        matches!(file.verify(leaf, &policy()), Err(ProofFileError::Inclusion(_)))
    };
    assert!(inclusion(&good, &a) && inclusion(&good, &c) && inclusion(&good, &[0; 32]));
    for index in [0, 2, 3, u64::MAX] {
        assert!(inclusion(&ProofFile { index, ..good.clone() }, &b), "{index}");
    }
    for path in [vec![], vec![a], vec![c, a], vec![a, c, c], vec![a, a], vec![node_hash(&a, &c)]] {
        assert!(inclusion(&ProofFile { path, ..good.clone() }, &b));
    }
    let other_root = ProofFile { checkpoint: note(3, a), ..good.clone() };
    assert!(inclusion(&other_root, &b));
    let other_size = ProofFile { checkpoint: note(2, root()), ..good };
    assert!(inclusion(&other_size, &b));
}

#[test]
fn the_policy_decides_about_the_checkpoint() {
    let file = proof();
    let missing = sign(&Checkpoint::new(ORIGIN, 3, root()).unwrap(), &[&log_key()]).unwrap().encode();
    let unwitnessed = ProofFile { checkpoint: missing.into_bytes(), ..file.clone() };
    let refused = unwitnessed.verify(&leaves()[1], &policy());
    assert_eq!(refused, Err(ProofFileError::Policy(PolicyError::Quorum { cosigned: 0 })));
    let other = Policy::parse("quorum none\n").unwrap();
    assert!(matches!(file.verify(&leaves()[1], &other), Err(ProofFileError::Policy(_))));
}

#[test]
fn a_proof_cut_anywhere_is_refused() {
    let whole = ProofFile { extra: Some(b"abc".to_vec()), ..proof() }.encode();
    for end in 0..whole.len() {
        let cut = ProofFile::parse(&whole[..end]);
        // Cut after a whole signature line it is a file still, but the log's signature alone is no quorum.
        if let Ok(file) = cut {
            assert!(file.verify(&leaves()[1], &policy()).is_err(), "{end}");
            assert_eq!(whole[end - 1], b'\n');
        }
    }
    let longer = [&whole[..], b"\n"].concat();
    assert!(ProofFile::parse(&longer).is_err());
}

#[test]
fn a_flipped_bit_is_never_accepted() {
    let whole = proof().encode();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let accepted = ProofFile::parse(&bytes).and_then(|file| file.verify(&leaves()[1], &policy()));
            // The note's own rule: what nobody known signed is ignored, and so is a line renamed to a stranger's. Both
            // signatures are needed here, so nothing may pass.
            assert!(accepted.is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn lines_that_are_not_canonical_are_refused() {
    let text = text();
    let index = |number: &str| text.replace("index 1\n", &format!("index {number}\n"));
    for number in ["", "01", "00", "+1", " 1", "1 ", "-1", "x", "18446744073709551616", "1\r"] {
        assert_eq!(refused(&index(number)), ProofFileError::Index, "{number}");
    }
    assert_eq!(refused(&text.replace("index 1", "Index 1")), ProofFileError::Index);
    assert_eq!(refused(&text.replace("index 1\n", "")), ProofFileError::Index, "a hash in its place");
    assert_eq!(refused(&text.replace("index 1\n", "index 1\nindex 1\n")), ProofFileError::Path { number: 1 });
    for first in ["", "c2sp.org/tlog-proof@v2\n", "c2sp.org/tlog-proof@v1 \n", " c2sp.org/tlog-proof@v1\n"] {
        assert_eq!(refused(&text.replace("c2sp.org/tlog-proof@v1\n", first)), ProofFileError::Version);
    }
    let hash = BASE64.encode(&leaves()[0]);
    for bad in ["", "=", &hash[..43], &format!("{hash}="), &format!(" {hash}"), &format!("{hash}\r")] {
        let changed = text.replace(&hash, bad);
        // An empty line ends the proof early, and what follows is no note.
        let expected = if bad.is_empty() {
            assert!(matches!(refused(&changed), ProofFileError::Checkpoint(_)));
            continue;
        } else {
            ProofFileError::Path { number: 1 }
        };
        assert_eq!(refused(&changed), expected, "{bad}");
    }
    assert!(matches!(refused(&text.replace('\n', "\r\n")), ProofFileError::NoCheckpoint));
    assert_eq!(refused("c2sp.org/tlog-proof@v1\nindex 1\n"), ProofFileError::NoCheckpoint);
    assert_eq!(ProofFile::parse(b"\xff\n\nx"), Err(ProofFileError::NoCheckpoint));
}

#[test]
fn extra_lines_are_one_canonical_and_bounded() {
    let text = text();
    let with = |line: &str| text.replace("@v1\n", &format!("@v1\n{line}\n"));
    for bad in [
        "extra ",
        "extra YQ",
        "extra YR==",
        "extra YQ==YQ==",
        "extra YWI=YWJj",
        "extra  YQ==",
        "extra YQ== ",
        "extra Y_==",
        "extra =",
        "extra YQ==\r",
    ] {
        assert_eq!(refused(&with(bad)), ProofFileError::Extra, "{bad}");
    }
    for bad in ["extra", "Extra YQ==", "extra\tYQ==", "extra YQ==\nextra YQ=="] {
        assert_eq!(refused(&with(bad)), ProofFileError::Index, "{bad}");
    }
    let after = text.replace("index 1\n", "index 1\nextra YQ==\n");
    assert_eq!(refused(&after), ProofFileError::Path { number: 1 });
    let long = BASE64.encode(&vec![0; EXTRA_LEN_MAX + 1]);
    assert_eq!(refused(&with(&format!("extra {long}"))), ProofFileError::Extra);
}

#[test]
fn too_many_hashes_and_too_many_bytes_are_refused() {
    let path = vec![[7; 32]; PATH_LEN_MAX];
    let full = ProofFile { path: path.clone(), ..proof() };
    assert_eq!(ProofFile::parse(&full.encode()).unwrap(), full);
    let over = ProofFile { path: [path, vec![[7; 32]]].concat(), ..proof() };
    assert_eq!(ProofFile::parse(&over.encode()), Err(ProofFileError::Path { number: PATH_LEN_MAX + 1 }));
    let len = PROOF_FILE_LEN_MAX + 1;
    assert_eq!(ProofFile::parse(&vec![b'\n'; len]), Err(ProofFileError::TooLong { len }));
}

#[test]
fn an_index_outside_the_tree_is_refused() {
    for (index, size) in [(3, 3), (u64::MAX, 3), (1, 1)] {
        let file = ProofFile { index, checkpoint: note(size, root()), ..proof() };
        let refused = ProofFile::parse(&file.encode());
        assert_eq!(refused, Err(ProofFileError::IndexOutside { index, size }));
    }
}

#[test]
fn a_checkpoint_that_is_none_is_refused() {
    let checkpoint = |bytes: &[u8]| {
        let file = ProofFile { checkpoint: bytes.to_vec(), ..proof() };
        ProofFile::parse(&file.encode()).unwrap_err()
    };
    assert_eq!(checkpoint(b""), ProofFileError::Checkpoint(NoteError::NoSignatures.into()));
    assert_eq!(
        checkpoint(b"text\n\n\xe2\x80\x94 a AAAAAQA=\n"),
        ProofFileError::Checkpoint(CheckpointError::Lines)
    );
    assert!(matches!(checkpoint(&[b"\n", &note(3, root())[..]].concat()), ProofFileError::Checkpoint(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_reads_back(
        extra in prop::option::of(prop::collection::vec(any::<u8>(), 1..50)),
        index in 0..crate::range::TREE_SIZE_MAX,
        path in prop::collection::vec(any::<Hash>(), 0..PATH_LEN_MAX),
    ) {
        let file = ProofFile { extra, index, path, checkpoint: note(crate::range::TREE_SIZE_MAX, [1; 32]) };
        prop_assert_eq!(ProofFile::parse(&file.encode()), Ok(file));
    }

    #[test]
    fn a_file_that_reads_encodes_to_itself(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = ProofFile { extra: Some(b"ab".to_vec()), ..proof() }.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(file) = ProofFile::parse(&bytes) {
            prop_assert_eq!(file.encode(), bytes);
        }
    }
}
