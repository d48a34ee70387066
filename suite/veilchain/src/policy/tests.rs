//! Policies as people write them, policies nobody should write, and what each accepts.

use super::*;
use crate::checkpoint::{CheckpointError, sign};
use crate::key::SigningKey;
use crate::note::NoteError;

const TIME_S: u64 = 1_700_000_000;

fn log_key() -> SigningKey {
    SigningKey::from_seed("log.example/1", KeyType::Ed25519, &[1; 32]).unwrap()
}

fn witness(number: u8) -> SigningKey {
    let name = format!("witness.example/w{number}");
    SigningKey::from_seed(&name, KeyType::CosignatureV1, &[100 + number; 32]).unwrap()
}

fn vkey(number: u8) -> String {
    witness(number).verifier().encode()
}

/// One log, `count` witnesses named W1 and up, and then what is given.
fn policy_text(count: u8, rest: &str) -> String {
    let mut text = format!("log {}\n", log_key().verifier());
    for number in 1..=count {
        text += &format!("witness W{number} {}\n", vkey(number));
    }
    text + rest
}

fn policy(count: u8, rest: &str) -> Policy {
    Policy::parse(policy_text(count, rest)).unwrap()
}

fn refused(text: impl AsRef<[u8]>) -> (usize, LineError) {
    match Policy::parse(text) {
        Err(PolicyError::Line { line, error }) => (line, error),
        other => panic!("{other:?}"),
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new("log.example/1", 3, [3; 32]).unwrap()
}

fn cosigned(witnesses: &[u8]) -> Note {
    let mut note = sign(&checkpoint(), &[&log_key()]).unwrap();
    for number in witnesses {
        note.add(witness(*number).cosign(note.text(), TIME_S + u64::from(*number)).unwrap()).unwrap();
    }
    note
}

fn check(policy: &Policy, note: &Note) -> Result<Accepted, PolicyError> {
    policy.check(note.encode().as_bytes())
}

/// The example of c2sp.org/tlog-policy, with keys.
const EXAMPLE: &str = "group X-witnesses 2 W1 W2 W3\ngroup Y-witnesses any W4 W5 W6\n\
                       group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n";

#[test]
fn the_example_of_the_specification_counts_as_it_says() {
    let policy = policy(6, EXAMPLE);
    for (witnesses, reached) in [
        (&[1, 2, 4][..], true),
        (&[2, 3, 6], true),
        (&[1, 2, 3, 4, 5, 6], true),
        (&[1, 4], false),
        (&[1, 2, 3], false),
        (&[4, 5, 6], false),
        (&[], false),
    ] {
        let judged = check(&policy, &cosigned(witnesses));
        let names: Vec<String> = witnesses.iter().map(|number| format!("W{number}")).collect();
        assert_eq!(policy.quorum_of(&names), reached);
        if reached {
            let accepted = judged.unwrap();
            assert_eq!((accepted.checkpoint, accepted.log), (checkpoint(), 0));
            let expected: Vec<Cosigned> = witnesses
                .iter()
                .map(|n| Cosigned { witness: usize::from(*n) - 1, time_s: TIME_S + u64::from(*n) })
                .collect();
            assert_eq!(accepted.cosigned, expected);
        } else {
            assert_eq!(judged, Err(PolicyError::Quorum { cosigned: witnesses.len() }), "{witnesses:?}");
        }
    }
    assert!(!policy.quorum_of(&["X-and-Y", "X-witnesses", "Y-witnesses", "W9"]), "groups do not sign");
    assert!(!policy.quorum_of(&["W1", "W1", "W4"]), "one witness is one witness");
}

#[test]
fn text_reads_whatever_the_blanks_and_writes_one_way() {
    let url = "https://w.example/größe";
    let text = format!(
        "# a comment\n\n \t\n\t # another, \u{fe}\n  log\t{}   https://log.example/ \n witness  W1 {} {url}\nquorum W1\t\n\
         witness W2 {}\n",
        log_key().verifier(),
        vkey(1),
        vkey(2)
    );
    let read = Policy::parse(&text).unwrap();
    assert_eq!(read.logs()[0].url.as_ref().and_then(Word::as_str), Some("https://log.example/"));
    assert_eq!(read.witnesses()[0].url.as_ref().unwrap().to_string(), url);
    assert!(read.asks_for_witnesses());
    let written = read.encode();
    assert_eq!(Policy::parse(&written).unwrap(), read);
    assert_eq!(Policy::parse(&written).unwrap().encode(), written);
    let example = policy(6, EXAMPLE);
    assert_eq!(Policy::parse(example.encode()).unwrap(), example);
    assert!(String::from_utf8(example.encode()).unwrap().ends_with(EXAMPLE));
}

#[test]
fn names_are_opaque_octets() {
    let mut text = policy_text(0, "").into_bytes();
    text.extend_from_slice(b"witness \xff\xfe ");
    text.extend_from_slice(
        format!("{}\nwitness \u{212a} {}\nwitness K {}\n", vkey(1), vkey(2), vkey(3)).as_bytes(),
    );
    text.extend_from_slice(b"group g 2 \xff\xfe K\nquorum g\n");
    let read = Policy::parse(&text).unwrap();
    assert_eq!(Policy::parse(read.encode()).unwrap(), read);
    assert_eq!(read.witnesses()[0].name.as_str(), None);
    assert!(read.quorum_of(&[&b"\xff\xfe"[..], b"K"]));
    assert!(!read.quorum_of(&[&b"\xff\xfe"[..], "\u{212a}".as_bytes()]), "the Kelvin sign is no K");
    assert!(check(&read, &cosigned(&[1, 3])).is_ok());
    assert!(check(&read, &cosigned(&[1, 2])).is_err());
}

#[test]
fn a_single_witness_or_none_can_be_the_quorum() {
    let none = policy(1, "quorum none\n");
    assert!(!none.asks_for_witnesses());
    assert_eq!(check(&none, &cosigned(&[])).unwrap().cosigned, []);
    assert_eq!(check(&none, &cosigned(&[1])).unwrap().cosigned.len(), 1);
    let one = policy(2, "quorum W2\n");
    assert!(check(&one, &cosigned(&[2])).is_ok());
    assert_eq!(check(&one, &cosigned(&[1])), Err(PolicyError::Quorum { cosigned: 1 }));
}

#[test]
fn octets_and_lines_that_are_not_allowed_are_refused() {
    for octet in [0u8, 0x0b, b'\r', 0x1b, 0x7f] {
        let text = [b"# ".as_slice(), &[octet], b"\nquorum none\n"].concat();
        assert_eq!(refused(&text), (1, LineError::Octet), "{octet:#x}");
    }
    assert_eq!(refused("quorum none"), (1, LineError::Unterminated));
    assert_eq!(refused("\nquorums none\n"), (2, LineError::Keyword));
    assert_eq!(refused("Quorum none\n"), (1, LineError::Keyword));
    assert_eq!(refused("quorum\n"), (1, LineError::Items));
    assert_eq!(refused("quorum none # why\n"), (1, LineError::Items));
    assert_eq!(refused("log\n"), (1, LineError::Items));
    assert_eq!(refused(format!("log {} url more\n", log_key().verifier())), (1, LineError::Items));
    assert_eq!(refused("witness W1\n"), (1, LineError::Items));
    assert_eq!(refused("group g any\n"), (1, LineError::Items));
    assert_eq!(Policy::parse(""), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse(policy_text(2, "group g any W1\n")), Err(PolicyError::NoQuorum));
    let long = vec![b'#'; POLICY_LEN_MAX + 1];
    assert_eq!(Policy::parse(&long), Err(PolicyError::TooLong { len: long.len() }));
}

#[test]
fn keys_must_be_of_their_kind_and_new() {
    let log = log_key().verifier().clone();
    assert_eq!(refused(format!("witness W {log}\n")), (1, LineError::KeyType));
    assert_eq!(refused("log not-a-key\n"), (1, LineError::Key(NoteError::KeyFormat)));
    assert_eq!(refused(b"log \xff+\xff\n"), (1, LineError::Key(NoteError::KeyFormat)));
    assert_eq!(refused(policy_text(0, &format!("log {log}\n"))), (2, LineError::DuplicateKey));
    // The same public key under another name is the same key.
    let renamed = VerifierKey::new("other", KeyType::Ed25519, *log.public_key()).unwrap();
    assert_eq!(refused(policy_text(0, &format!("log {renamed}\n"))), (2, LineError::DuplicateKey));
    let again =
        VerifierKey::new("other", KeyType::CosignatureV1, *witness(1).verifier().public_key()).unwrap();
    assert_eq!(refused(policy_text(1, &format!("witness W2 {again}\n"))), (3, LineError::DuplicateKey));
}

#[test]
fn names_must_be_new_and_defined_before() {
    let text = |rest: &str| policy_text(3, rest);
    assert_eq!(refused(text(&format!("witness W1 {}\n", vkey(9)))), (5, LineError::DuplicateName));
    assert_eq!(refused(text(&format!("witness none {}\n", vkey(9)))), (5, LineError::DuplicateName));
    assert_eq!(refused(text("group W1 any W2\n")), (5, LineError::DuplicateName));
    assert_eq!(refused(text("group none any W2\n")), (5, LineError::DuplicateName));
    assert_eq!(refused(text("group g any W1\ngroup g any W2\n")), (6, LineError::DuplicateName));
    assert_eq!(refused(text("group g any W4\n")), (5, LineError::UnknownName));
    assert_eq!(refused(text("group g any none\n")), (5, LineError::UnknownName));
    assert_eq!(refused(text("group g any g\n")), (5, LineError::UnknownName), "a cycle of one");
    assert_eq!(refused(text("group g any h\ngroup h any g\n")), (5, LineError::UnknownName), "of two");
    assert_eq!(refused(text("quorum g\ngroup g any W1\n")), (5, LineError::UnknownName));
    assert_eq!(refused(text("quorum w1\n")), (5, LineError::UnknownName));
    assert_eq!(refused(text("quorum W1\nquorum W1\n")), (6, LineError::QuorumTwice));
    assert_eq!(refused(text("quorum none\nquorum none\n")), (6, LineError::QuorumTwice));
    assert_eq!(refused(text("group g any W1 W1\n")), (5, LineError::MemberTwice));
    assert_eq!(refused(text("group g any W1\ngroup h any W2 W1\n")), (6, LineError::MemberTwice));
    let nested = "group g any W1\ngroup h any g\ngroup i any g\n";
    assert_eq!(refused(text(nested)), (7, LineError::MemberTwice));
}

#[test]
fn thresholds_fit_the_members() {
    for threshold in ["0", "4", "01", "+1", "-1", "", "All", "ANY", "1.0", "18446744073709551617"] {
        let text = policy_text(3, &format!("group g {threshold} W1 W2 W3\nquorum g\n"));
        // Without a threshold the first member stands in its place.
        assert_eq!(refused(text), (5, LineError::Threshold), "{threshold}");
    }
    let mut policy = policy(1, "quorum none\n");
    let word = |text: &str| Word::new(text).unwrap();
    assert_eq!(policy.add_group(word("g"), 0, &[word("W1")]), Err(LineError::Threshold));
    assert_eq!(policy.add_group(word("g"), 0, &[]), Err(LineError::Threshold));
    assert_eq!(policy.add_group(word("g"), 2, &[word("W1")]), Err(LineError::Threshold));
}

#[test]
fn limits_hold() {
    let mut many = policy_text(WITNESSES_MAX as u8, "");
    let full = many.clone() + "quorum none\n";
    assert_eq!(Policy::parse(full).unwrap().witnesses().len(), WITNESSES_MAX);
    many += &format!("witness more {}\n", vkey(WITNESSES_MAX as u8 + 1));
    assert_eq!(refused(many), (WITNESSES_MAX + 2, LineError::TooMany { limit: WITNESSES_MAX }));
    let mut nested = policy_text(1, "group g1 any W1\n");
    for number in 2..=GROUPS_MAX + 1 {
        nested += &format!("group g{number} all g{}\n", number - 1);
    }
    assert_eq!(refused(&nested), (GROUPS_MAX + 3, LineError::TooMany { limit: GROUPS_MAX }));
    let mut policy = Policy::new();
    for number in 0..=LOGS_MAX as u8 {
        let key = SigningKey::from_seed("log", KeyType::Ed25519, &[number; 32]).unwrap();
        let added = policy.add_log(key.verifier().clone(), None);
        assert_eq!(added.is_ok(), usize::from(number) < LOGS_MAX);
    }
    for word in ["", "a b", "a\tb", "a\nb"] {
        assert_eq!(Word::new(word), Err(LineError::Items));
    }
    assert_eq!(Word::new("a\u{7f}"), Err(LineError::Octet));
}

#[test]
fn a_checkpoint_that_its_log_did_not_sign_is_refused() {
    let policy = policy(2, "quorum W1\n");
    let stranger = SigningKey::from_seed("log.example/1", KeyType::Ed25519, &[66; 32]).unwrap();
    let mut note = sign(&checkpoint(), &[&stranger]).unwrap();
    note.add(witness(1).cosign(note.text(), TIME_S).unwrap()).unwrap();
    assert_eq!(check(&policy, &note), Err(CheckpointError::NotSignedByLog.into()));
    let other = Checkpoint::new("log.example/2", 3, [3; 32]).unwrap();
    let mut note = sign(&other, &[]).unwrap();
    note.add(witness(1).cosign(note.text(), TIME_S).unwrap()).unwrap();
    assert_eq!(check(&policy, &note), Err(CheckpointError::UnknownOrigin.into()));
    assert_eq!(policy.check(b"garbage"), Err(CheckpointError::from(NoteError::NoSignatures).into()));
    let empty = Policy::parse("quorum none\n").unwrap();
    assert_eq!(check(&empty, &cosigned(&[])), Err(CheckpointError::UnknownOrigin.into()));
}

#[test]
fn a_witness_named_like_the_log_does_not_sign_for_it() {
    let twin = SigningKey::from_seed("log.example/1", KeyType::CosignatureV1, &[8; 32]).unwrap();
    let text = policy_text(0, &format!("witness T {}\nquorum T\n", twin.verifier()));
    let mut note = Note::new(checkpoint().text()).unwrap();
    note.add(twin.cosign(note.text(), TIME_S).unwrap()).unwrap();
    let refused = check(&Policy::parse(text).unwrap(), &note);
    assert_eq!(refused, Err(CheckpointError::NotSignedByLog.into()));
}

#[test]
fn a_log_that_is_its_own_witness_counts_as_both() {
    let both = SigningKey::from_seed("log.example/1", KeyType::CosignatureV1, &[8; 32]).unwrap();
    let text = format!("log {0}\nwitness W {0}\nquorum W\n", both.verifier());
    let mut note = Note::new(checkpoint().text()).unwrap();
    note.add(both.cosign(note.text(), TIME_S).unwrap()).unwrap();
    let accepted = check(&Policy::parse(text).unwrap(), &note).unwrap();
    assert_eq!(accepted.cosigned, [Cosigned { witness: 0, time_s: TIME_S }]);
}

#[test]
fn one_bad_cosignature_of_a_known_witness_refuses_all() {
    let policy = policy(2, "quorum W1\n");
    let mut note = cosigned(&[1]);
    let elsewhere = witness(2).cosign("another text\n", TIME_S).unwrap();
    note.add(elsewhere).unwrap();
    assert!(matches!(
        check(&policy, &note),
        Err(PolicyError::Checkpoint(CheckpointError::Note(NoteError::BadSignature { .. })))
    ));
}
