use proptest::prelude::*;

use super::*;

const X25519: &str = "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n\
                      hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n";
const GREASE: &str = "-> bX-grease $k aj\nYWJj\n";
const UNKNOWN: &str = "-> ssh-ed25519 abc\n\n";
const SCRYPT: &str = "-> scrypt rF0/NwblUHHTpgQgRpe5CQ 10\ngUjEymFKMVXQEKdMMHL24oYexjE3TIC0O0zGSqJ2aUY\n";
const MAC: &str = "--- WyJp9F/9FOZh7gJdheq2WIJcwHgYc8NIVh3ddwhrcNg\n";

fn file(stanzas: &[&str]) -> Vec<u8> {
    format!("age-encryption.org/v1\n{}{MAC}payload\n", stanzas.concat()).into_bytes()
}

fn many(count: usize) -> Vec<u8> {
    file(&vec![X25519; count])
}

#[test]
fn the_header_of_a_blob_is_measured_and_counted() {
    let bytes = file(&[X25519, GREASE]);
    let header = lint(&bytes, Policy::BLOB).expect("a blob");
    assert_eq!((header.x25519, header.grease, header.other), (1, 1, 0));
    assert_eq!(&bytes[header.header_len..], b"payload\n");
}

#[test]
fn a_keyring_may_have_many_members_and_a_blob_one() {
    assert_eq!(lint(&many(2), Policy::BLOB), Err(LintError::TooManyX25519 { limit: 1 }));
    assert_eq!(lint(&many(500), Policy::KEYRING).map(|h| h.x25519), Ok(500));
    assert_eq!(lint(&many(513), Policy::KEYRING), Err(LintError::TooManyStanzas { limit: 512 }));
    assert_eq!(lint(&many(64), Policy::ANY).map(|h| h.x25519), Ok(64));
    assert_eq!(lint(&many(65), Policy::ANY), Err(LintError::TooManyStanzas { limit: 64 }));
}

#[test]
fn five_thousand_stanzas_are_refused_at_the_first_one_too_many() {
    let bytes = file(&vec![GREASE; 5_000]);
    let mut lint = Lint::new(Policy::BLOB);
    let first = 22 + GREASE.len() * STANZAS_MAX;
    assert_eq!(lint.feed(&bytes[..first]), Ok(Progress::NeedMore));
    let one_more = &bytes[first..first + GREASE.len()];
    let refused = Err(LintError::TooManyStanzas { limit: STANZAS_MAX });
    assert_eq!(lint.feed(one_more), refused);
    assert_eq!(lint.feed(&bytes), refused, "a refused file stays refused");
}

#[test]
fn a_passphrase_stanza_is_refused_wherever_it_stands() {
    for policy in [Policy::BLOB, Policy::KEYRING, Policy::ANY] {
        assert_eq!(lint(&file(&[SCRYPT]), policy), Err(LintError::Scrypt { index: 1 }));
        assert_eq!(lint(&file(&[X25519, SCRYPT]), policy), Err(LintError::Scrypt { index: 2 }));
    }
}

#[test]
fn stanzas_of_other_types_belong_into_keyrings_only() {
    let bytes = file(&[X25519, UNKNOWN]);
    assert_eq!(lint(&bytes, Policy::BLOB), Err(LintError::Foreign { index: 2 }));
    assert_eq!(lint(&bytes, Policy::KEYRING).map(|h| h.other), Ok(1));
    for policy in [Policy::KEYRING, Policy::ANY] {
        assert_eq!(lint(&file(&[UNKNOWN]), policy), Err(LintError::NoX25519));
    }
    assert_eq!(lint(&file(&[GREASE]), Policy::BLOB), Err(LintError::NoX25519));
}

#[test]
fn another_first_line_is_refused_by_its_first_bytes() {
    for first in
        ["age-encryption.org/v2\n", "-----BEGIN AGE ENCRYPTED FILE-----\n", "x", "age-encryption.org/v1\r\n"]
    {
        assert_eq!(Lint::new(Policy::ANY).feed(first.as_bytes()), Err(LintError::Version), "{first:?}");
    }
    assert_eq!(lint(b"", Policy::ANY), Err(LintError::NeedMore));
    assert_eq!(lint(b"age-encryption.org/v1", Policy::ANY), Err(LintError::NeedMore));
}

#[test]
fn misspelt_stanzas_are_refused() {
    let stanza = |text: &str| lint(&file(&[text]), Policy::ANY).expect_err("must be refused");
    let malformed = LintError::Stanza { index: 1 };
    let body = "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE";
    let share = "TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc";
    assert_eq!(stanza(&format!("-> X25519 {share} more\n{body}\n")), malformed);
    assert_eq!(stanza(&format!("-> X25519\n{body}\n")), malformed);
    assert_eq!(stanza(&format!("-> X25519  {share}\n{body}\n")), malformed);
    assert_eq!(stanza(&format!("-> X25519 {share} \n{body}\n")), malformed);
    assert_eq!(stanza(&format!("-> X25519 {}\n{body}\n", &share[1..])), malformed);
    assert_eq!(stanza(&format!("-> X25519 {}d\n{body}\n", &share[..42])), malformed, "bits left over");
    assert_eq!(stanza(&format!("-> X25519 {share}\n{}\n", &body[1..])), malformed);
    assert_eq!(stanza(&format!("-> X25519 {share}\n{body}=\n")), malformed);
    assert_eq!(stanza(&format!("-> X25519 {share}\r\n{body}\n")), malformed);
    assert_eq!(stanza(&format!("-> X25519 {share}\n{}\n\n", "A".repeat(64))), malformed);
    assert_eq!(stanza("-> \n\n"), malformed);
    assert_eq!(stanza("-> other\n"), malformed, "the MAC line is no body");
    assert_eq!(stanza(&format!("-> other\n{}\n", "A".repeat(65))), malformed);
    assert_eq!(stanza(&format!("-> other\n{}\n", "A".repeat(64))), malformed, "no short line");
    assert_eq!(stanza("-> g\u{fc}n\n\n"), malformed);
    assert_eq!(stanza(&format!("{X25519}hello\n")), LintError::Stanza { index: 2 });
}

#[test]
fn a_mac_line_has_one_spelling() {
    let with = |mac: &str| {
        lint(format!("age-encryption.org/v1\n{X25519}{mac}").as_bytes(), Policy::ANY).expect_err("refused")
    };
    let mac = MAC.trim_end();
    assert_eq!(with(mac), LintError::NeedMore);
    assert_eq!(with("---\n"), LintError::Mac);
    assert_eq!(with(&format!("{}\n", &mac[..mac.len() - 1])), LintError::Mac);
    assert_eq!(with(&format!("{mac} \n")), LintError::Mac);
    assert_eq!(with(&format!("{mac}\r\n")), LintError::Mac);
    assert_eq!(with(&format!("---{}\n", &mac[4..])), LintError::Mac);
    assert_eq!(with(&format!("{}h\n", &mac[..mac.len() - 1])), LintError::Mac, "bits left over");
    assert_eq!(lint(&file(&[]), Policy::ANY), Err(LintError::Mac), "no stanza at all");
}

#[test]
fn a_header_longer_than_the_limit_is_refused_in_whatever_shape() {
    let long_line = format!("age-encryption.org/v1\n-> {}", "x".repeat(HEADER_LEN_MAX));
    assert_eq!(lint(long_line.as_bytes(), Policy::ANY), Err(LintError::HeaderTooLong));
    let full = format!("{}\n", "A".repeat(64)).repeat(1_100);
    let long_body = format!("age-encryption.org/v1\n-> x\n{full}");
    assert_eq!(lint(long_body.as_bytes(), Policy::ANY), Err(LintError::HeaderTooLong));
    assert_eq!(lint(&long_line.as_bytes()[..HEADER_LEN_MAX - 1], Policy::ANY), Err(LintError::NeedMore));
}

proptest! {
    #[test]
    fn pieces_are_judged_like_the_whole(step in 1usize..80, stanzas in 0usize..70, cut in 0usize..9000) {
        let mut bytes = file(&[&vec![GREASE; stanzas][..], &[X25519]].concat());
        bytes.truncate(cut);
        let mut machine = Lint::new(Policy::BLOB);
        let mut fed = Ok(Progress::NeedMore);
        for piece in bytes.chunks(step) {
            fed = machine.feed(piece);
        }
        let whole = lint(&bytes, Policy::BLOB);
        prop_assert_eq!(whole, match fed {
            Ok(Progress::Done(header)) => Ok(header),
            Ok(Progress::NeedMore) => Err(LintError::NeedMore),
            Err(refused) => Err(refused),
        });
    }

    #[test]
    fn no_input_makes_the_lint_panic(bytes: Vec<u8>) {
        let _ = lint(&bytes, Policy::ANY);
        let _ = lint(&[b"age-encryption.org/v1\n-> ", &bytes[..]].concat(), Policy::ANY);
    }
}
