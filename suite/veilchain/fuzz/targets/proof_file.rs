//! Proof files: what reads encodes to the same bytes, and none verifies against keys that signed nothing.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use veilchain::hash::leaf_hash;
use veilchain::policy::Policy;
use veilchain::proof_file::{PATH_LEN_MAX, ProofFile};

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    Policy::parse(include_str!("../seeds/policy/strangers")).expect("a policy of keys that never signed")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = ProofFile::parse(bytes) else { return };
    assert_eq!(file.encode(), bytes);
    assert!(file.path.len() <= PATH_LEN_MAX);
    assert!(file.verify(&leaf_hash(b"a"), &POLICY).is_err());
});
