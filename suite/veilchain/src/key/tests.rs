//! Known keys of other implementations, and their neighbours that are none.

use super::*;

/// c2sp.org/signed-note, the example of the section on verifier keys.
const SPEC: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
/// golang.org/x/mod/sumdb/note, the package's own example; then its private half.
const GO: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
/// github.com/transparency-dev/formats, note/note_cosigv1_test.go: a cosigning key.
const COSIGNER: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

fn refused(text: &str) -> NoteError {
    text.parse::<VerifierKey>().expect_err(text)
}

#[test]
fn keys_of_other_implementations_are_read_and_written_back() {
    for (text, name, kind) in [
        (SPEC, "example.com/foo", KeyType::Ed25519),
        (GO, "PeterNeumann", KeyType::Ed25519),
        (COSIGNER, "remora.n621.de", KeyType::CosignatureV1),
    ] {
        let key: VerifierKey = text.parse().unwrap();
        assert_eq!((key.name(), key.kind()), (name, kind));
        assert_eq!(key.encode(), text);
        assert_eq!(VerifierKey::new(name, kind, *key.public_key()).unwrap(), key);
    }
}

#[test]
fn the_private_key_of_go_is_read_and_written_back() {
    let key: SigningKey = GO_PRIVATE.parse().unwrap();
    assert_eq!(key.encode().as_str(), GO_PRIVATE);
    assert_eq!(key.verifier().encode(), GO);
}

#[test]
fn no_part_of_a_key_is_a_key() {
    for start in 0..GO.len() {
        for end in start..=GO.len() {
            if (start, end) != (0, GO.len()) {
                refused(&GO[start..end]);
            }
        }
    }
}

#[test]
fn every_changed_byte_of_a_key_is_refused() {
    for at in 0..GO.len() {
        for change in [1u8, 0x20, 0x40] {
            let mut bytes = GO.as_bytes().to_vec();
            bytes[at] ^= change;
            refused(std::str::from_utf8(&bytes).unwrap());
        }
    }
    for at in 0..GO_PRIVATE.len() {
        let mut bytes = GO_PRIVATE.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert!(std::str::from_utf8(&bytes).unwrap().parse::<SigningKey>().is_err(), "byte {at}");
    }
}

#[test]
fn another_spelling_of_a_key_is_refused() {
    assert_eq!(refused(&GO.replace("c74f20a3", "C74F20A3")), NoteError::KeyFormat);
    assert_eq!(refused(&GO.replace("c74f20a3", "+74f20a3")), NoteError::KeyFormat);
    assert_eq!(refused(&format!("{GO}\n")), NoteError::KeyFormat);
    assert_eq!(refused(&format!("{GO}=")), NoteError::KeyFormat);
    assert_eq!(refused("PeterNeumann+c74f20a3+"), NoteError::KeyFormat);
    assert_eq!(refused(&GO.replace("c74f20a3", "c74f20a4")), NoteError::KeyId);
    assert_eq!(refused(&GO.replace("PeterNeumann", "Peterneumann")), NoteError::KeyId);
    assert_eq!(refused(&GO.replace("ARpc2QcU", "AR==2QcU")), NoteError::KeyFormat);
    assert_eq!(refused(&GO.replace("ARpc2QcU", "AQ==AQ==ARpc2QcU")), NoteError::KeyFormat);
    // 34 bytes where 33 belong: base64 of type, key and one more byte.
    assert_eq!(refused(&format!("{GO}AA==")), NoteError::KeyFormat);
}

#[test]
fn an_unknown_type_is_refused_by_its_number() {
    for byte in [0x00, 0x02, 0x03, 0x05, 0x06, 0xff] {
        let material = BASE64.encode(&[&[byte][..], &[7; 32]].concat());
        assert_eq!(refused(&format!("a+00000000+{material}")), NoteError::KeyType { byte });
    }
}

#[test]
fn names_with_spaces_pluses_or_controls_are_refused() {
    let public_key = *SPEC.parse::<VerifierKey>().unwrap().public_key();
    let new = |name: &str| VerifierKey::new(name, KeyType::Ed25519, public_key).map(|_| ());
    for name in ["", "a b", "a+b", "a\tb", "a\nb", "a\0b", "a\u{1b}b", "a\u{a0}b", "a\u{2003}b", "a\u{85}b"] {
        assert_eq!(new(name), Err(NoteError::KeyName), "{name:?}");
    }
    for name in ["a", "log.example/1", "größe", "a\u{7f}b", &"n".repeat(KEY_NAME_LEN_MAX)] {
        assert_eq!(new(name), Ok(()), "{name:?}");
    }
    assert_eq!(new(&"n".repeat(KEY_NAME_LEN_MAX + 1)), Err(NoteError::KeyName));
}

#[test]
fn keys_of_small_order_and_second_encodings_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    let mut negative_zero = identity;
    negative_zero[31] = 0x80;
    for bytes in [identity, order_two, negative_zero, [0; 32]] {
        for kind in [KeyType::Ed25519, KeyType::CosignatureV1] {
            assert_eq!(VerifierKey::new("a", kind, bytes).unwrap_err(), NoteError::PublicKey, "{bytes:?}");
        }
    }
    // The y coordinates from p to p + 18 are those from 0 to 18 a second time; some are of points that are no weak keys.
    let mut decompressed = 0;
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut second = [0xff; 32];
            (second[0], second[31]) = (low, high);
            let taken = ed25519_dalek::VerifyingKey::from_bytes(&second).is_ok_and(|key| !key.is_weak());
            decompressed += usize::from(taken);
            assert_eq!(VerifierKey::new("a", KeyType::Ed25519, second).unwrap_err(), NoteError::PublicKey);
        }
    }
    assert!(decompressed > 0, "or the check for a second encoding is not tested");
}

#[test]
fn one_public_key_has_two_ids_for_two_types() {
    let plain = SigningKey::from_seed("a", KeyType::Ed25519, &[3; 32]).unwrap();
    let cosigner = SigningKey::from_seed("a", KeyType::CosignatureV1, &[3; 32]).unwrap();
    assert_eq!(plain.verifier().public_key(), cosigner.verifier().public_key());
    assert_ne!(plain.verifier().key_id(), cosigner.verifier().key_id());
    assert_eq!(plain.cosign("a\n", 1).unwrap_err(), NoteError::WrongKind);
    assert_eq!(cosigner.sign_note("a\n").unwrap_err(), NoteError::WrongKind);
    assert_eq!(
        cosigner.encode().parse::<SigningKey>().map(|key| key.verifier().clone()),
        Ok(cosigner.verifier().clone())
    );
}
