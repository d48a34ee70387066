use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

const REALWORLD: &str = include_str!("../../../tests/fixtures/realworld.env");
/// Written by the fixture's author beside the text, not by this parser.
const REALWORLD_VALUES: &str = include_str!("../../../tests/fixtures/realworld.json");

fn one(text: &str) -> String {
    let entries = parse(text).unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
    assert_eq!(entries.len(), 1, "{text:?}");
    entries[0].value.to_string()
}

fn fault(text: &str) -> Error {
    parse(text).err().unwrap_or_else(|| panic!("{text:?} was read"))
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let mut variables = Variables::new();
    for (key, value) in pairs {
        variables.set(*key, Zeroizing::new((*value).to_owned()));
    }
    variables
}

#[test]
fn two_hundred_real_keys_read_as_their_author_meant_them() {
    let read = Variables::from_dotenv(REALWORLD).unwrap();
    let meant: serde_json::Map<String, serde_json::Value> = serde_json::from_str(REALWORLD_VALUES).unwrap();
    assert_eq!(read.len(), 200);
    assert_eq!(meant.len(), 200);
    for ((key, value), (meant_key, meant_value)) in read.iter().zip(&meant) {
        assert_eq!(key, meant_key);
        assert_eq!(Some(value), meant_value.as_str(), "{key}");
    }
}

#[test]
fn the_same_text_with_windows_line_ends_reads_the_same() {
    let windows = REALWORLD.replace('\n', "\r\n");
    assert!(Variables::from_dotenv(&windows).unwrap() == Variables::from_dotenv(REALWORLD).unwrap());
}

#[test]
fn real_keys_survive_dotenv_json_and_yaml() {
    let read = Variables::from_dotenv(REALWORLD).unwrap();
    assert!(Variables::from_dotenv(&write(&read)).unwrap() == read);
    assert!(from_json(&to_json(&read)).unwrap() == read);
    assert!(from_yaml(&to_yaml(&read)).unwrap() == read);
}

#[test]
fn spans_cut_the_key_and_the_value_out_of_the_text() {
    for text in [REALWORLD.to_owned(), REALWORLD.replace('\n', "\r\n"), format!("\u{feff}{REALWORLD}")] {
        for entry in parse(&text).unwrap() {
            assert_eq!(text[entry.key_span.clone()], entry.key);
            let alone = format!("A={}", &text[entry.value_span.clone()]);
            assert_eq!(one(&alone), *entry.value, "{}", entry.key);
            assert_eq!(entry.line, 1 + text[..entry.key_span.start].matches('\n').count(), "{}", entry.key);
        }
    }
}

#[test]
fn values_are_never_substituted() {
    assert_eq!(one("A=$HOME"), "$HOME");
    assert_eq!(one("A=\"${HOME:-x}\""), "${HOME:-x}");
    assert_eq!(one("A=$(id)"), "$(id)");
}

#[test]
fn a_hash_is_a_comment_only_after_a_blank() {
    assert_eq!(one("A=#f60"), "#f60");
    assert_eq!(one("A=a#b #c"), "a#b");
    assert_eq!(one("A= # c"), "");
    assert_eq!(one("A='a' # c"), "a");
    assert_eq!(one("A='a'# c"), "a");
    assert_eq!(one("A=\"a # b\""), "a # b");
}

#[test]
fn export_is_a_prefix_and_can_be_a_key() {
    assert_eq!(one("export A=1"), "1");
    assert_eq!(parse("export=1").unwrap()[0].key, "export");
    assert_eq!(parse("export = 1").unwrap()[0].key, "export");
    assert_eq!(parse("exported=1").unwrap()[0].key, "exported");
    assert_eq!(fault("export A"), Error::MissingEquals { line: 1 });
}

#[test]
fn escapes_count_in_double_quotes_alone() {
    assert_eq!(one(r#"A="a\n\r\t\\\"\'\$\`\z""#), "a\n\r\t\\\"'$`\\z");
    assert_eq!(one(r"A='a\n\\'"), r"a\n\\");
    assert_eq!(one(r"A=a\n"), r"a\n");
    assert_eq!(one("A=\"a\r\nb\""), "a\nb");
    assert_eq!(one("A='a\r\nb'"), "a\nb");
}

#[test]
fn of_a_key_given_twice_the_last_counts_in_the_first_place() {
    assert_eq!(parse("A=1\nB=2\nA=3").unwrap().len(), 3);
    let read = Variables::from_dotenv("A=1\nB=2\nA=3").unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), [("A", "3"), ("B", "2")]);
}

#[test]
fn faults_name_their_line_and_never_the_value() {
    assert_eq!(fault("A=1\n\nnonsense"), Error::MissingEquals { line: 3 });
    assert_eq!(fault("A=1\n1A=2"), Error::BadKey { line: 2 });
    assert_eq!(fault("=2"), Error::BadKey { line: 1 });
    assert_eq!(fault("A B=2"), Error::BadKey { line: 1 });
    assert_eq!(fault("ÄB=2"), Error::BadKey { line: 1 });
    assert_eq!(fault("#\nA=\"1\nB=2\n"), Error::UnclosedQuote { line: 2, quote: '"' });
    assert_eq!(fault("A='1"), Error::UnclosedQuote { line: 1, quote: '\'' });
    assert_eq!(fault("A=\"1\\\""), Error::UnclosedQuote { line: 1, quote: '"' });
    assert_eq!(fault("A='x\ny' z"), Error::TextAfterQuote { line: 2 });
    assert_eq!(fault("A=1\nB=\0"), Error::Nul { line: 2 });
    assert_eq!(parse_bytes(b"A=1\nB=\xff").err(), Some(Error::NotUtf8 { line: 2 }));
    for text in ["hunter2", "A='hunter2", "A='x' hunter2", "hunter2!=x"] {
        assert!(!fault(text).to_string().contains("hunter2"), "{text}");
    }
}

#[test]
fn limits_hold_at_their_edge() {
    let lines = |count: usize| (0..count).map(|n| format!("K{n}=\n")).collect::<String>();
    assert_eq!(parse(&lines(KEYS_MAX)).unwrap().len(), KEYS_MAX);
    assert_eq!(fault(&lines(KEYS_MAX + 1)), Error::TooManyKeys { line: KEYS_MAX + 1 });
    let text = format!("A={}", "x".repeat(TEXT_LEN_MAX - 2));
    assert!(parse(&text).is_ok());
    assert_eq!(fault(&format!("{text}x")), Error::TextTooLong { len: TEXT_LEN_MAX + 1 });
    assert!(parse(&format!("{}=1", "K".repeat(KEY_LEN_MAX))).is_ok());
    assert_eq!(fault(&format!("{}=1", "K".repeat(KEY_LEN_MAX + 1))), Error::BadKey { line: 1 });
}

#[test]
fn json_keeps_the_text_of_numbers_and_refuses_what_is_not_flat() {
    let read = from_json(r#"{"V":1.10,"B":true,"N":null,"S":"a\u00e9\n","I":-12e3}"#).unwrap();
    let meant = [("V", "1.10"), ("B", "true"), ("N", ""), ("S", "aé\n"), ("I", "-12e3")];
    assert_eq!(read.iter().collect::<Vec<_>>(), meant);
    let nested = Error::Nested { line: 0, key: "A".into() };
    assert_eq!(from_json(r#"{"A":{}}"#).err(), Some(nested.clone()));
    assert_eq!(from_json(r#"{"A":[1]}"#).err(), Some(nested));
    assert_eq!(from_json(r#"{"A":1,"A":2}"#).err(), Some(Error::DuplicateKey { line: 0, key: "A".into() }));
    assert_eq!(from_json(r#"{"A B":1}"#).err(), Some(Error::BadKey { line: 0 }));
    assert_eq!(from_json(r#"{"A":"\u0000"}"#).err(), Some(Error::Nul { line: 0 }));
    for text in ["", "[]", "1", "{", "{} x", r#"{"A":"hunter2}"#] {
        let fault = from_json(text).err().unwrap_or_else(|| panic!("{text} was read"));
        assert!(matches!(fault, Error::Json { .. }), "{text}: {fault}");
    }
}

#[test]
fn yaml_keeps_scalars_as_written_and_refuses_what_is_not_flat() {
    let text =
        "---\n# c\nV: 1.10\nNO: NO\nM: 0755\nE:\nT: ~\nQ: \"\"\nL: |\n  a\n  b\nS: !!str null\nD: 'it''s'\n";
    let meant = [
        ("V", "1.10"),
        ("NO", "NO"),
        ("M", "0755"),
        ("E", ""),
        ("T", ""),
        ("Q", ""),
        ("L", "a\nb\n"),
        ("S", "null"),
        ("D", "it's"),
    ];
    assert_eq!(from_yaml(text).unwrap().iter().collect::<Vec<_>>(), meant);
    assert!(from_yaml("").unwrap().is_empty());
    assert!(from_yaml("{}").unwrap().is_empty());
    assert_eq!(from_yaml("A: 1\nB: [1]\n").err(), Some(Error::Nested { line: 2, key: "B".into() }));
    assert_eq!(from_yaml("A: {b: 1}\n").err(), Some(Error::Nested { line: 1, key: "A".into() }));
    assert_eq!(from_yaml("A: 1\nA: 2\n").err(), Some(Error::DuplicateKey { line: 2, key: "A".into() }));
    assert_eq!(from_yaml("A: 1\nb c: 2\n").err(), Some(Error::BadKey { line: 2 }));
    for text in
        ["- a", "a", "A: &x 1\nB: *x\n", "A: !!binary aGk=\n", "A: 1\n---\nB: 2\n", "A: 'x\n", "? [a]\n: 1\n"]
    {
        let fault = from_yaml(text).err().unwrap_or_else(|| panic!("{text} was read"));
        assert!(matches!(fault, Error::Yaml { .. }), "{text}: {fault}");
    }
}

#[test]
fn a_diff_lists_removed_and_changed_in_the_old_order_then_added_in_the_new() {
    let old = variables(&[("A", "1"), ("B", "2"), ("C", "3"), ("D", "4")]);
    let new = variables(&[("Z", "9"), ("D", "5"), ("B", "2"), ("C", "x"), ("Y", "8")]);
    let diff = Diff::between(&old, &new);
    let keys: Vec<_> = diff.changes().iter().map(Change::key).collect();
    assert_eq!(keys, ["A", "C", "D", "Z", "Y"]);
    assert!(matches!(diff.changes()[0], Change::Removed { old: "1", .. }));
    assert!(matches!(diff.changes()[1], Change::Changed { old: "3", new: "x", .. }));
    assert!(matches!(diff.changes()[3], Change::Added { new: "9", .. }));
    assert!(Diff::between(&old, &old).is_empty());
}

#[test]
fn a_mask_tells_nothing_of_short_values() {
    assert_eq!(mask(""), MASK);
    assert_eq!(mask("a"), MASK);
    assert_eq!(mask(&"a".repeat(23)), MASK);
    assert_eq!(mask("sk_live_0123456789abcdefXY"), format!("sk{MASK}XY"));
    assert_eq!(mask(&"-----BEGIN KEY-----\n".repeat(3)), MASK);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_parses_back(pairs in proptest::collection::vec(("[A-Za-z_][A-Za-z0-9_.-]{0,20}", hard_value()), 0..20)) {
        let mut written = Variables::new();
        for (key, value) in pairs {
            written.set(key, Zeroizing::new(value));
        }
        prop_assert!(Variables::from_dotenv(&write(&written)).unwrap() == written);
        prop_assert!(from_json(&to_json(&written)).unwrap() == written);
        prop_assert!(from_yaml(&to_yaml(&written)).unwrap() == written);
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "[A#='\"\\\\\n\r\t $é\u{feff}:\\-!&*{}\\[\\],x1]{0,60}") {
        if let Ok(entries) = parse(&text) {
            for entry in entries {
                prop_assert_eq!(&text[entry.key_span.clone()], &entry.key);
                prop_assert!(text.get(entry.value_span.clone()).is_some());
            }
        }
        let _ = from_json(&text);
        let _ = from_yaml(&text);
    }
}

/// Text made mostly of what readers stumble over.
fn hard_value() -> impl Strategy<Value = String> {
    prop_oneof!["[\\\\'\"#$`\n\r\t =a-c{}é\u{2028}\u{85}\u{feff}]{0,30}", "[^\u{0}]{0,30}"]
}
