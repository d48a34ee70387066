use proptest::prelude::*;
use rand_core::OsRng;

use super::*;

const ATTEMPT: AttemptId = AttemptId::from_bytes([7; 16]);

fn read(text: &str) -> Result<[u8; 16], RecoveryCodeError> {
    RecoveryCode::parse(text).map(|code| *code.expose())
}

#[test]
fn a_code_prints_as_six_groups_and_reads_back() {
    let code = RecoveryCode::generate(&mut OsRng);
    let text = code.to_text();
    assert_eq!(text.len(), RECOVERY_TEXT_LEN);
    assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5, 5, 4]);
    assert_eq!(read(&text), Ok(*code.expose()));
}

#[test]
fn typing_habits_are_forgiven() {
    let code = RecoveryCode::from_secret(Secret::new([0x08; 16]));
    let text = code.to_text();
    let expected = Ok(*code.expose());
    assert_eq!(read(&text.to_lowercase()), expected);
    assert_eq!(read(&text.replace('-', "")), expected);
    assert_eq!(read(&text.replace('-', " \u{2013}\t")), expected);
    assert_eq!(read(&format!("  {}\r\n", *text)), expected);
    assert!(text.contains('0') && text.contains('1'), "this code shows both ambiguous digits: {}", *text);
    assert_eq!(read(&text.replace('0', "o").replace('1', "l")), expected);
    assert_eq!(read(&text.replace('0', "O").replace('1', "I")), expected);
}

#[test]
fn what_is_not_a_code_is_refused_with_the_reason() {
    let text = RecoveryCode::from_secret(Secret::new([5; 16])).to_text();
    assert_eq!(read(""), Err(RecoveryCodeError::Length { found: 0 }));
    assert_eq!(read(&text[..RECOVERY_TEXT_LEN - 1]), Err(RecoveryCodeError::Length { found: 28 }));
    assert_eq!(read(&format!("{}0", *text)), Err(RecoveryCodeError::Length { found: 30 }));
    assert_eq!(read(&format!("U{}", &text[1..])), Err(RecoveryCodeError::Character { position: 1 }));
    assert_eq!(read(&format!("{}\u{e9}", *text)), Err(RecoveryCodeError::Character { position: 35 }));
    assert!(matches!(read(&"0".repeat(100_000)), Err(RecoveryCodeError::Length { .. })));
}

#[test]
fn a_code_with_any_one_symbol_mistyped_is_refused() {
    let text = RecoveryCode::from_secret(Secret::new([0x5a; 16])).to_text();
    let symbols: Vec<char> = text.chars().filter(|c| *c != '-').collect();
    for at in 0..SYMBOLS {
        for other in ALPHABET.iter().map(|c| char::from(*c)).filter(|c| *c != symbols[at]) {
            let mut typed = symbols.clone();
            typed[at] = other;
            let typed: String = typed.iter().collect();
            assert_eq!(read(&typed), Err(RecoveryCodeError::Checksum), "symbol {at} as {other}");
        }
    }
}

#[test]
fn a_recovery_signature_is_good_for_its_own_statement_only() {
    let code = RecoveryCode::generate(&mut OsRng);
    let statement =
        RecoveryStatement { attempt: ATTEMPT, challenge: &[1; 32], upload: b"upload", bundle: b"bundle" };
    let signature = code.sign_recovery(&statement);
    let judge = |s: &RecoveryStatement<'_>| verify_recovery(&code.verifier(), s, &signature);
    assert_eq!(judge(&statement), Ok(()));
    let others = [
        RecoveryStatement { attempt: AttemptId::from_bytes([8; 16]), ..statement },
        RecoveryStatement { challenge: &[2; 32], ..statement },
        RecoveryStatement { upload: b"uploaD", ..statement },
        RecoveryStatement { bundle: b"bundlE", ..statement },
        RecoveryStatement { upload: b"uploadb", bundle: b"undle", ..statement },
    ];
    for other in &others {
        assert_eq!(judge(other), Err(InvalidSignature));
    }
    let stranger = RecoveryCode::generate(&mut OsRng).verifier();
    assert_eq!(verify_recovery(&stranger, &statement, &signature), Err(InvalidSignature));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_code_reads_back_from_its_text(bytes: [u8; 16]) {
        let text = RecoveryCode::from_secret(Secret::new(bytes)).to_text();
        prop_assert_eq!(read(&text), Ok(bytes));
    }

    #[test]
    fn no_input_makes_the_parser_panic(text: String) {
        let _ = read(&text);
    }
}
