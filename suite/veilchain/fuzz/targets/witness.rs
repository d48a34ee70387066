//! Bodies of the witness protocol: what reads encodes to the same bytes; a judgement names a status and never accepts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use veilchain::key::VerifierKey;
use veilchain::policy::Policy;
use veilchain::witness::{
    AddCheckpoint, encode_cosignatures, encode_size, parse_cosignatures, parse_size_body,
};

static KEYS: LazyLock<Vec<VerifierKey>> = LazyLock::new(|| {
    let policy = Policy::parse(include_str!("../seeds/policy/strangers")).expect("a policy");
    policy.logs().iter().map(|log| log.key.clone()).collect()
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(body) = AddCheckpoint::parse(bytes) {
        assert_eq!(body.encode(), bytes);
        let refusal = body.judge(None, &KEYS).expect_err("these keys signed nothing");
        assert!(matches!(refusal.status(), 400 | 403 | 404));
    }
    if let Ok(lines) = parse_cosignatures(bytes) {
        assert_eq!(encode_cosignatures(&lines).as_bytes(), bytes);
    }
    if let Ok(size) = parse_size_body(bytes) {
        assert_eq!(encode_size(size).as_bytes(), bytes);
    }
});
