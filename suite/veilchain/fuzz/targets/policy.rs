//! Policies: what reads writes a text that reads as the same policy, and that text is stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilchain::policy::{GROUPS_MAX, LOGS_MAX, Policy, WITNESSES_MAX};

fuzz_target!(|bytes: &[u8]| {
    let Ok(policy) = Policy::parse(bytes) else { return };
    let text = policy.encode();
    let again = Policy::parse(&text).expect("what was written reads");
    assert_eq!(again, policy);
    assert_eq!(again.encode(), text);
    assert!(policy.logs().len() <= LOGS_MAX && policy.witnesses().len() <= WITNESSES_MAX);
    assert_eq!(policy.quorum_of::<&[u8]>(&[]), !policy.asks_for_witnesses());
    let all: Vec<&[u8]> = policy.witnesses().iter().map(|witness| witness.name.as_bytes()).collect();
    assert!(policy.quorum_of(&all), "all witnesses are a quorum of at most {GROUPS_MAX} groups");
});
