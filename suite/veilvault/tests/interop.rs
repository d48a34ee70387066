//! With stock `age` (Debian package `age`, 1.1.1 or newer): it opens what we seal and we open what it seals, and two
//! of its commands lead from a member's key to the content without anything of ours.
//!
//! `cargo xtask test` installs the binary; without it these tests fail and say so.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use rand_core::OsRng;
use veilcore::id::{AccountId, ApiKeyId, EnvironmentId, ProjectId};
use veilvault::account::AccountRootKey;
use veilvault::agefile;
use veilvault::envelope::{SealedBytes, Subject, seal_bytes};
use veilvault::epoch::EpochKey;
use veilvault::header::HEADER_LINE_LEN;
use veilvault::identity::Identity;
use veilvault::keyring::{KeyringSubject, seal_keyring};
use veilvault::lint::Policy;
use veilvault::token;
use veilvault::token_keyring::seal_token_keyring;

const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([2; 16]);
const DOTENV: &str =
    "# database\nDATABASE_URL=\"postgres://u:p@h/db\"\nMULTI=\"a\nb\"\nGR\u{dc}N=\u{1f511}\n";

fn age(args: &[&OsStr]) -> Vec<u8> {
    let output = Command::new("age").args(args).output().unwrap_or_else(|e| {
        panic!(
            "the age binary cannot be run ({e}): install the Debian package `age`, or run `cargo xtask test`"
        )
    });
    assert!(output.status.success(), "age {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn decrypt(identity: &Path, file: &Path) -> Vec<u8> {
    age(&["-d".as_ref(), "-i".as_ref(), identity.as_ref(), file.as_ref()])
}

fn alice() -> Identity {
    Identity::derive(&AccountRootKey::generate(&mut OsRng), AccountId::from_bytes([0xa1; 16]), 1)
}

fn seal(content: &[u8], key: &EpochKey, author: &Identity) -> SealedBytes {
    let subject = Subject {
        project: PROJECT,
        environment: ENVIRONMENT,
        version: 1,
        parent: None,
        epoch: 1,
        created_at_ms: 0,
    };
    seal_bytes(content, &subject, key, author).expect("within the limits")
}

#[test]
fn two_commands_of_stock_age_lead_from_a_members_key_to_the_content() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let alice = alice();
    let key = EpochKey::generate(&mut OsRng);
    let subject = KeyringSubject {
        project: PROJECT,
        environment: ENVIRONMENT,
        epoch: 1,
        access_list: 0,
        created_at_ms: 0,
    };
    let keyring = seal_keyring(&key, &subject, &[alice.recipient().clone()], &alice).expect("one member");
    std::fs::write(at("me.key"), format!("{}\n", *alice.age_secret_text())).expect("written");
    std::fs::write(at("keyring.age"), &keyring.file).expect("written");
    std::fs::write(at("prod.env.age"), seal(DOTENV.as_bytes(), &key, &alice).ciphertext).expect("written");

    // age -d -i me.key keyring.age > eek.key
    let epoch_identity = decrypt(&at("me.key"), &at("keyring.age"));
    std::fs::write(at("eek.key"), &epoch_identity).expect("written");
    // age -d -i eek.key prod.env.age
    let plain = String::from_utf8(decrypt(&at("eek.key"), &at("prod.env.age"))).expect("text");

    assert!(plain.starts_with("# veil1 kind=text "));
    assert_eq!(plain[HEADER_LINE_LEN..].trim_end_matches('\n'), DOTENV.trim_end_matches('\n'));
    assert!(String::from_utf8(epoch_identity).expect("text").starts_with("# veil1 kind=keyring "));
}

#[test]
fn stock_age_opens_binary_content_of_several_chunks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let alice = alice();
    let key = EpochKey::generate(&mut OsRng);
    let content: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(at("eek.key"), key.secret_text().as_bytes()).expect("written");
    std::fs::write(at("big.bin.age"), seal(&content, &key, &alice).ciphertext).expect("written");
    let plain = decrypt(&at("eek.key"), &at("big.bin.age"));
    assert!(plain.starts_with(&content));
    assert!(plain[content.len()..].iter().all(|byte| *byte == 0), "padding");
}

#[test]
fn we_open_what_stock_age_seals() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let alice = alice();
    let content: Vec<u8> = (0..200_000u32).map(|i| (i % 241) as u8).collect();
    std::fs::write(at("content"), &content).expect("written");
    let recipient = alice.recipient().to_string();
    let sealed = age(&["-r".as_ref(), recipient.as_ref(), at("content").as_ref()]);
    let opened = agefile::open(&sealed, Policy::BLOB, &alice.age_secret_text()).expect("age wrote it for us");
    assert!(*opened == content);
    let stranger = Identity::derive(&AccountRootKey::generate(&mut OsRng), alice.account(), 1);
    let refused = agefile::open(&sealed, Policy::BLOB, &stranger.age_secret_text()).err();
    assert!(matches!(refused, Some(agefile::FileError::NotForThisKey)));
}

#[test]
fn stock_age_reads_the_header_of_a_token_keyring_and_finds_nothing_for_its_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let (alice, key) = (alice(), EpochKey::generate(&mut OsRng));
    let made = token::split(ApiKeyId::from_bytes([7; 16]), 1, &mut OsRng);
    let subject = KeyringSubject {
        project: PROJECT,
        environment: ENVIRONMENT,
        epoch: 1,
        access_list: 1,
        created_at_ms: 0,
    };
    let keyring = seal_token_keyring(&key, &subject, &made.record, &alice, &mut OsRng).expect("a token");
    std::fs::write(at("me.key"), format!("{}\n", *alice.age_secret_text())).expect("written");
    std::fs::write(at("token.age"), &keyring.file).expect("written");
    let mut age = Command::new("age");
    let output =
        age.args(["-d".as_ref(), "-i".as_ref(), at("me.key").as_os_str(), at("token.age").as_os_str()]);
    let output = output.output().expect("the other tests say how to install age");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("no identity matched"), "{said}");
}

#[test]
fn stock_age_agrees_on_the_recipient_of_a_secret() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().join("me.key");
    let alice = alice();
    std::fs::write(&at, format!("{}\n", *alice.age_secret_text())).expect("written");
    let output = Command::new("age-keygen").arg("-y").arg(&at).output().unwrap_or_else(|e| {
        panic!("age-keygen cannot be run ({e}): install the Debian package `age`, or run `cargo xtask test`")
    });
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), alice.recipient().to_string());
}
