//! Cosignatures: what they cover, and what they must not hold for.

use super::*;
use crate::key::{KeyType, SigningKey, VerifierKey};
use crate::note::{Note, NoteError};

const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

fn witness() -> SigningKey {
    SigningKey::from_seed("witness.example/w1", KeyType::CosignatureV1, &[9; 32]).unwrap()
}

#[test]
fn the_message_is_that_of_the_specification() {
    assert_eq!(
        message(1_679_315_147, TEXT),
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
         CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    );
}

/// A checkpoint of the log arche2025h1 as it was served in May 2026, cosigned by live witnesses; its first signature is of
/// a type we do not know (RFC 6962).
const LIVE_NOTE: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";
const LIVE_KEYS: [&str; 5] = [
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
];

#[test]
fn a_checkpoint_cosigned_by_live_witnesses_verifies() {
    let keys = LIVE_KEYS.map(|key| key.parse::<VerifierKey>().unwrap());
    let verified = Note::parse(LIVE_NOTE.as_bytes()).unwrap().verify(&keys).unwrap();
    let times: Vec<_> = verified.iter().map(|signature| (signature.key, signature.time_s)).collect();
    let at = Some(0x6a12_2120);
    assert_eq!(times, [(0, None), (1, at), (2, at), (3, at), (4, at)]);
    let (from, to) = ("2net5wAAAABqEiEg", "2net5wAAAABqEiEh");
    for (from, to) in [("1432088532", "1432088533"), ("U7WM", "U7WN"), (from, to), ("PlfF3V", "PlfF3W")] {
        let changed = LIVE_NOTE.replacen(from, to, 1);
        assert_ne!(changed, LIVE_NOTE);
        let refused = Note::parse(changed.as_bytes()).unwrap().verify(&keys[3..4]);
        assert!(matches!(refused, Err(NoteError::BadSignature { .. })), "{from}");
    }
}

#[test]
fn another_time_or_body_or_signature_is_refused() {
    let (key, time_s) = (witness(), 1_700_000_000);
    let line = key.cosign(TEXT, time_s).unwrap();
    assert_eq!(line.signature.len(), COSIGNATURE_LEN);
    assert_eq!(key.verifier().verify(TEXT, &line.signature), Ok(Some(time_s)));
    for byte in 0..COSIGNATURE_LEN {
        for bit in [0, 3, 7] {
            let mut changed = line.signature.clone();
            changed[byte] ^= 1 << bit;
            let refused = key.verifier().verify(TEXT, &changed);
            assert!(matches!(refused, Err(NoteError::BadSignature { .. })), "byte {byte}, bit {bit}");
        }
    }
    let other = TEXT.replace("20852163", "20852164");
    assert!(key.verifier().verify(&other, &line.signature).is_err());
    assert!(key.verifier().verify(&TEXT[..TEXT.len() - 1], &line.signature).is_err());
    assert!(key.verifier().verify(TEXT, &line.signature[8..]).is_err(), "without its time");
    assert!(key.verifier().verify(TEXT, &[&line.signature[..], &[0]].concat()).is_err());
}

#[test]
fn a_plain_signature_of_the_same_secret_is_no_cosignature() {
    let plain = SigningKey::from_seed("witness.example/w1", KeyType::Ed25519, &[9; 32]).unwrap();
    let over_text = plain.sign_note(TEXT).unwrap().signature;
    let timed = [&5u64.to_be_bytes()[..], &over_text].concat();
    assert!(witness().verifier().verify(TEXT, &timed).is_err());
    let cosigned = witness().cosign(TEXT, 5).unwrap().signature;
    assert!(plain.verifier().verify(TEXT, &cosigned).is_err());
    assert!(plain.verifier().verify(TEXT, &cosigned[8..]).is_err());
}

#[test]
fn times_outside_the_range_are_refused() {
    let key = witness();
    assert_eq!(key.cosign(TEXT, 0), Err(NoteError::Time));
    assert_eq!(key.cosign(TEXT, TIME_S_MAX + 1), Err(NoteError::Time));
    let last = key.cosign(TEXT, TIME_S_MAX).unwrap();
    assert_eq!(key.verifier().verify(TEXT, &last.signature), Ok(Some(TIME_S_MAX)));
    let mut bytes = [0; COSIGNATURE_LEN];
    bytes[0] = 0x80;
    assert_eq!(Cosignature::parse(&bytes), Err(CosignatureError::Time));
}

#[test]
fn only_72_bytes_are_a_cosignature() {
    for len in [0, 8, 64, 71, 73, 8 + 2_420] {
        assert_eq!(Cosignature::parse(&vec![0; len]), Err(CosignatureError::Length { len }));
    }
    let bytes: [u8; COSIGNATURE_LEN] = std::array::from_fn(|at| at as u8);
    assert_eq!(Cosignature::parse(&bytes).unwrap().encode(), bytes);
}
