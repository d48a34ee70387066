//! Notes: what reads encodes to the same bytes, and nothing verifies but the one text that was signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use veilchain::key::{SigningKey, VerifierKey};
use veilchain::note::{Note, NoteSignature};

/// The example key of Go's `note` package: its private half is public, yet no run will guess a signature with it.
const PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";

struct Known {
    key: VerifierKey,
    signature: NoteSignature,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let key: SigningKey = PRIVATE.parse().expect("an example of Go");
    let signature = key.sign_note(TEXT).expect("a key for notes");
    Known { key: key.verifier().clone(), signature }
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.encode().as_bytes(), bytes);
        if note.verify(std::slice::from_ref(&KNOWN.key)).is_ok() {
            assert_eq!(note.text(), TEXT);
            assert!(note.signatures().contains(&KNOWN.signature));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(line) = text.parse::<NoteSignature>() {
            assert_eq!(line.to_string(), text);
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.encode(), text);
        }
        if let Ok(key) = text.parse::<SigningKey>() {
            assert_eq!(key.encode().as_str(), text);
        }
        if let Ok(mut note) = Note::new(text) {
            note.add(KNOWN.signature.clone()).expect("well formed, and far from every limit");
            assert_eq!(Note::parse(note.encode().as_bytes()), Ok(note));
        }
    }
});
