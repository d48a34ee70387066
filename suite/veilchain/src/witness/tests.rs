//! Requests to a witness: every answer of the specification, and bodies that deserve none.

use proptest::prelude::*;

use super::*;
use crate::checkpoint::sign;
use crate::hash::{leaf_hash, node_hash};
use crate::key::{KeyType, SigningKey};

const ORIGIN: &str = "log.example/1";

fn log_key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, KeyType::Ed25519, &[1; 32]).unwrap()
}

fn keys() -> [VerifierKey; 2] {
    let other = SigningKey::from_seed("log.example/2", KeyType::Ed25519, &[2; 32]).unwrap();
    [other.verifier().clone(), log_key().verifier().clone()]
}

/// Roots of the trees of one, two and three leaves, and the leaves.
fn trees() -> ([Hash; 3], [Hash; 3]) {
    let leaves = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry));
    let two = node_hash(&leaves[0], &leaves[1]);
    ([leaves[0], two, node_hash(&two, &leaves[2])], leaves)
}

fn note(size: u64, root: Hash) -> Vec<u8> {
    sign(&Checkpoint::new(ORIGIN, size, root).unwrap(), &[&log_key()]).unwrap().encode().into_bytes()
}

fn request(old_size: u64, path: &[Hash], size: u64, root: Hash) -> AddCheckpoint {
    AddCheckpoint { old_size, path: path.to_vec(), checkpoint: note(size, root) }
}

/// The refusal, and that a round over the wire changes nothing about it.
fn refused(request: &AddCheckpoint, known: Option<(u64, Hash)>) -> Refusal {
    let again = AddCheckpoint::parse(&request.encode()).unwrap();
    assert_eq!(&again, request);
    again.judge(known, &keys()).unwrap_err()
}

#[test]
fn a_log_grows_from_nothing() {
    let (roots, leaves) = trees();
    let empty = request(0, &[], 0, EMPTY_ROOT).judge(None, &keys()).unwrap();
    assert_eq!((empty.size, empty.root), (0, EMPTY_ROOT));
    assert!(request(0, &[], 2, roots[1]).judge(None, &keys()).is_ok());
    assert!(request(0, &[], 2, roots[1]).judge(Some((0, EMPTY_ROOT)), &keys()).is_ok());
    let next = request(2, &[leaves[2]], 3, roots[2]).judge(Some((2, roots[1])), &keys()).unwrap();
    assert_eq!((next.origin.as_str(), next.size, next.root), (ORIGIN, 3, roots[2]));
    assert!(request(3, &[], 3, roots[2]).judge(Some((3, roots[2])), &keys()).is_ok(), "once more the same");
}

#[test]
fn what_was_judged_is_what_is_cosigned() {
    let (roots, _) = trees();
    let with_extension = Checkpoint {
        origin: ORIGIN.into(),
        size: 2,
        root: roots[1],
        extensions: vec!["an extension".into()],
    };
    let mut signed = sign(&with_extension, &[&log_key()]).unwrap();
    let body = AddCheckpoint { old_size: 0, path: vec![], checkpoint: signed.encode().into_bytes() };
    let judged = body.judge(None, &keys()).unwrap();
    let witness = SigningKey::from_seed("w.example", KeyType::CosignatureV1, &[5; 32]).unwrap();
    let answer = encode_cosignatures(&[witness.cosign(&judged.text(), 9).unwrap()]);
    for line in parse_cosignatures(answer.as_bytes()).unwrap() {
        signed.add(line).unwrap();
    }
    let verified = signed.verify(&[witness.verifier().clone()]).unwrap();
    assert_eq!(verified[0].time_s, Some(9));
}

#[test]
fn unknown_origins_are_404() {
    let (roots, _) = trees();
    let judged = request(0, &[], 1, roots[0]).judge(None, &keys()[..1]);
    assert_eq!(judged, Err(Refusal::UnknownOrigin));
    assert_eq!(judged.unwrap_err().status(), 404);
    assert_eq!(request(0, &[], 1, roots[0]).judge(None, &[]), Err(Refusal::UnknownOrigin));
}

#[test]
fn untrusted_signatures_are_403() {
    let (roots, _) = trees();
    let checkpoint = Checkpoint::new(ORIGIN, 1, roots[0]).unwrap();
    let stranger = SigningKey::from_seed(ORIGIN, KeyType::Ed25519, &[9; 32]).unwrap();
    let by_stranger = sign(&checkpoint, &[&stranger]).unwrap().encode();
    let mut tampered = sign(&checkpoint, &[]).unwrap();
    tampered.add(log_key().sign_note("something else\n").unwrap()).unwrap();
    let mut by_other_log = sign(&checkpoint, &[]).unwrap();
    let other = SigningKey::from_seed("log.example/2", KeyType::Ed25519, &[2; 32]).unwrap();
    by_other_log.add(other.sign_note(by_other_log.text()).unwrap()).unwrap();
    for note in [by_stranger, tampered.encode(), by_other_log.encode()] {
        // Also with an old size that would be a conflict: an unsigned request learns nothing.
        let request = AddCheckpoint { old_size: 1, path: vec![], checkpoint: note.into_bytes() };
        let refusal = refused(&request, Some((5, roots[0])));
        assert_eq!((&refusal, refusal.status()), (&Refusal::Untrusted, 403));
    }
}

#[test]
fn an_old_size_above_the_checkpoint_is_400() {
    let (roots, _) = trees();
    let refusal = refused(&request(2, &[], 1, roots[0]), Some((2, roots[1])));
    assert_eq!((&refusal, refusal.status()), (&Refusal::OldTooLarge { old: 2, size: 1 }, 400));
}

#[test]
fn an_old_size_that_is_not_the_latest_is_409_with_the_latest() {
    let (roots, leaves) = trees();
    for (old_size, known, size) in [
        (0, Some((2, roots[1])), 2),
        (1, Some((2, roots[1])), 2),
        (2, Some((1, roots[0])), 1),
        (2, None, 0),
        (2, Some((7, roots[0])), 7),
    ] {
        let refusal = refused(&request(old_size, &[leaves[2]], 3, roots[2]), known);
        assert_eq!((&refusal, refusal.status()), (&Refusal::Conflict { size }, 409));
    }
    assert_eq!(encode_size(20_852_014), "20852014\n");
    assert_eq!(parse_size_body(b"20852014\n"), Ok(20_852_014));
    for bad in
        [&b""[..], b"\n", b"1", b"01\n", b"1\n\n", b"1\r\n", b"-1\n", b"4611686018427387905\n", b"\xff\n"]
    {
        assert_eq!(parse_size_body(bad), Err(WitnessError::Size), "{bad:?}");
    }
}

#[test]
fn trees_that_do_not_extend_the_known_one_are_422() {
    let (roots, leaves) = trees();
    let two = Some((2, roots[1]));
    let requests = [
        (request(0, &[], 0, roots[0]), None),
        (request(0, &[], 0, roots[0]), Some((0, EMPTY_ROOT))),
        (request(0, &[leaves[0]], 1, roots[0]), None),
        (request(2, &[], 2, roots[2]), two),
        (request(2, &[leaves[2]], 2, roots[1]), two),
        (request(2, &[], 3, roots[2]), two),
        (request(2, &[leaves[1]], 3, roots[2]), two),
        (request(2, &[leaves[2]], 3, roots[1]), two),
        (request(2, &[leaves[2], leaves[2]], 3, roots[2]), two),
        (request(2, &[leaves[2]], 3, roots[2]), Some((2, roots[0]))),
    ];
    for (at, (request, known)) in requests.iter().enumerate() {
        let refusal = refused(request, *known);
        assert_eq!((&refusal, refusal.status()), (&Refusal::Inconsistent, 422), "{at}");
    }
}

#[test]
fn bodies_that_are_not_canonical_are_400() {
    let (roots, leaves) = trees();
    let good = String::from_utf8(request(2, &[leaves[2]], 3, roots[2]).encode()).unwrap();
    let parse = |text: &str| AddCheckpoint::parse(text.as_bytes());
    assert!(parse(&good).is_ok());
    for old in [
        "old 02",
        "old ",
        "old",
        "old +2",
        "old  2",
        "old 2 ",
        "Old 2",
        " old 2",
        "old 2\r",
        "2",
        "old 4611686018427387905",
        "old 18446744073709551616",
    ] {
        let refused = parse(&good.replacen("old 2", old, 1));
        assert_eq!(refused, Err(WitnessError::OldSize), "{old}");
    }
    let hash = BASE64.encode(&leaves[2]);
    for bad in ["=", &hash[..43], &format!("{hash}="), &format!("{hash} "), &format!("{hash}\r")] {
        let refused = parse(&good.replacen(&hash, bad, 1));
        assert_eq!(refused, Err(WitnessError::Path { number: 1 }), "{bad}");
    }
    assert_eq!(parse("old 2\n"), Err(WitnessError::NoCheckpoint));
    assert!(matches!(parse("old 2\n\n"), Err(WitnessError::Checkpoint(_))));
    assert!(matches!(parse(&good.replacen(&hash, "", 1)), Err(WitnessError::Checkpoint(_))));
    assert!(matches!(parse(&good[..good.len() - 1]), Err(WitnessError::Checkpoint(_))));
    let error = parse("old 02\n\nx").unwrap_err();
    assert_eq!(Refusal::from(error).status(), 400);
    let garbage = AddCheckpoint { old_size: 0, path: vec![], checkpoint: b"garbage".to_vec() };
    assert_eq!(garbage.judge(None, &keys()).unwrap_err().status(), 400);
    let len = BODY_LEN_MAX + 1;
    assert_eq!(AddCheckpoint::parse(&vec![b'\n'; len]), Err(WitnessError::TooLong { len }));
}

#[test]
fn sixty_three_hashes_are_read_and_one_more_is_not() {
    let (roots, _) = trees();
    let full = request(2, &[[7; 32]; 63], 3, roots[2]);
    assert_eq!(AddCheckpoint::parse(&full.encode()), Ok(full));
    let over = request(2, &[[7; 32]; 64], 3, roots[2]);
    assert_eq!(AddCheckpoint::parse(&over.encode()), Err(WitnessError::Path { number: 64 }));
}

#[test]
fn answers_are_signature_lines_and_nothing_else() {
    let line = "— w.example AAAAAQA=\n";
    assert_eq!(parse_cosignatures(line.as_bytes()).unwrap().len(), 1);
    let three = parse_cosignatures(line.repeat(3).as_bytes()).unwrap();
    assert_eq!(encode_cosignatures(&three), line.repeat(3));
    for bad in [
        "",
        "\n",
        "— w.example AAAAAQA=",
        "— w.example AAAAAQA=\r\n",
        "— w.example AAAAAQA=\n\n",
        "\n— w.example AAAAAQA=\n",
        "ok\n— w.example AAAAAQA=\n",
    ] {
        assert!(matches!(parse_cosignatures(bad.as_bytes()), Err(WitnessError::Signatures(_))), "{bad:?}");
    }
    let many = parse_cosignatures(line.repeat(note::SIGNATURES_MAX + 1).as_bytes());
    assert_eq!(many, Err(WitnessError::Signatures(NoteError::TooManySignatures)));
    assert!(parse_cosignatures(b"\xff\n").is_err());
}

#[test]
fn checkpoints_are_served_under_the_hash_of_their_origin() {
    assert_eq!(
        checkpoint_path(""),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/checkpoint"
    );
    assert_ne!(checkpoint_path("a"), checkpoint_path("A"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_reads_back(
        old_size in 0..=TREE_SIZE_MAX,
        path in prop::collection::vec(any::<Hash>(), 0..=63),
        size in 0..=TREE_SIZE_MAX,
        root in any::<Hash>(),
    ) {
        let body = request(old_size, &path, size, root);
        prop_assert_eq!(AddCheckpoint::parse(&body.encode()), Ok(body));
    }
}
