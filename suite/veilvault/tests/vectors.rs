//! Pinned bytes of tests/vectors/vault.json: what this build derives must be what others derive, and what older
//! builds sealed must open for ever.

use data_encoding::{BASE64, HEXLOWER};
use rand_core::{CryptoRng, OsRng, RngCore};
use serde_json::Value;
use veilcore::hash::sha256;
use veilcore::id::{AccountId, AttemptId, EnvironmentId, KeyId, ProjectId};
use veilcore::secret::Secret;
use veilvault::access::{AccessEntry, AccessList, ExpectedAccess, Principal, seal_access};
use veilvault::account::{AccountRootKey, Factor, WrappedArk, unwrap, wrap};
use veilvault::envelope::{open, open_bytes};
use veilvault::epoch::EpochKey;
use veilvault::header::{HeaderKind, HeaderLine};
use veilvault::identity::{AccountBundle, Identity};
use veilvault::key::PublicKey;
use veilvault::keyring::open_keyring;
use veilvault::pad::padded_len;
use veilvault::recovery::{RecoveryCode, RecoveryStatement, verify_recovery};
use veilvault::seal::{Expected, ExpectedKeyring, KeyringSeal, NO_DIGEST, Seal};
use veilvault::token;
use veilvault::token_keyring::{TokenKeyring, TokenPlace, Unlock, open_token_keyring};
use veilvault::token_trust::TokenTrust;

const FILE: &str = include_str!("../../../tests/vectors/vault.json");

fn file() -> Value {
    serde_json::from_str(FILE).expect("the vector file is JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is missing"))
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is missing"))
}

fn hex(value: &Value, field: &str) -> Vec<u8> {
    HEXLOWER.decode(text(value, field).as_bytes()).expect("hex")
}

fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    hex(value, field).try_into().unwrap_or_else(|_| panic!("{field} has another length"))
}

fn base64(value: &Value, field: &str) -> Vec<u8> {
    BASE64.decode(text(value, field).as_bytes()).expect("base64")
}

fn account(file: &Value) -> AccountId {
    text(&file["account"], "account_id").parse().expect("an id")
}

fn ark(file: &Value) -> AccountRootKey {
    AccountRootKey::from_secret(Secret::new(array(&file["account"], "ark")))
}

fn code(file: &Value) -> RecoveryCode {
    RecoveryCode::from_secret(Secret::new(array(&file["account"], "recovery_code")))
}

fn alice(file: &Value) -> Identity {
    Identity::derive(&ark(file), account(file), 1)
}

/// Draws the bytes of a pinned nonce.
struct Pinned(Vec<u8>);

impl RngCore for Pinned {
    fn next_u32(&mut self) -> u32 {
        unreachable!("only bytes are drawn")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("only bytes are drawn")
    }
    fn fill_bytes(&mut self, room: &mut [u8]) {
        room.copy_from_slice(&self.0);
    }
    fn try_fill_bytes(&mut self, room: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(room);
        Ok(())
    }
}

impl CryptoRng for Pinned {}

#[test]
fn wrapped_root_keys_open_and_are_written_as_pinned() {
    let file = file();
    let export_key = array(&file["account"], "export_key");
    let code = code(&file);
    let cases =
        [("wrapped_password", Factor::Password(&export_key)), ("wrapped_recovery", Factor::Recovery(&code))];
    for (field, factor) in cases {
        let bytes = hex(&file["account"], field);
        let wrapped = WrappedArk::from_bytes(&bytes).expect("pinned");
        let found = unwrap(&wrapped, factor, &account(&file)).expect("pinned");
        assert!(found.ct_eq(&ark(&file)), "{field}");
        let again = wrap(&found, factor, &account(&file), &mut Pinned(bytes[2..26].to_vec()));
        assert_eq!(again.as_bytes()[..], bytes, "{field}");
    }
}

#[test]
fn the_recovery_code_reads_and_signs_as_pinned() {
    let file = file();
    let code = code(&file);
    assert_eq!(*code.to_text(), text(&file["account"], "recovery_text"));
    assert!(RecoveryCode::parse(text(&file["account"], "recovery_text")).is_ok());
    let case = &file["recovery"];
    let attempt: AttemptId = text(case, "attempt_id").parse().expect("an id");
    let (challenge, upload, bundle) = (array(case, "challenge"), hex(case, "upload"), hex(case, "bundle"));
    let statement = RecoveryStatement { attempt, challenge: &challenge, upload: &upload, bundle: &bundle };
    assert_eq!(code.verifier().as_bytes()[..], hex(case, "verifier"));
    assert_eq!(code.sign_recovery(&statement)[..], hex(case, "signature"));
    assert!(verify_recovery(&code.verifier(), &statement, &array(case, "signature")).is_ok());
}

#[test]
fn identities_are_derived_as_pinned() {
    let file = file();
    let cases = file["identities"].as_array().expect("a list");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let generation = number(case, "generation") as u32;
        let identity = Identity::derive(&ark(&file), account(&file), generation);
        assert_eq!(identity.export().expose()[..], hex(case, "secret"));
        assert_eq!(identity.public_key().as_bytes()[..], hex(case, "public_key"));
        assert_eq!(identity.key_id().to_string(), text(case, "key_id"));
        assert_eq!(*identity.age_secret_text(), text(case, "age_secret"));
        assert_eq!(identity.recipient().to_string(), text(case, "age_recipient"));
        let bundle = hex(case, "bundle");
        assert_eq!(identity.account_bundle(&code(&file).verifier()), bundle);
        let bundle = AccountBundle::verify(&bundle).expect("pinned");
        assert_eq!(bundle.matches(&identity), Ok(()));
    }
}

#[test]
fn padding_is_as_pinned() {
    let file = file();
    let cases = file["padding"].as_array().expect("a list");
    assert_eq!(cases.len(), 12);
    for case in cases {
        let (len, padded) = (case[0].as_u64().expect("a length"), case[1].as_u64().expect("a length"));
        assert_eq!(padded_len(len), Ok(padded), "{len}");
    }
}

#[test]
fn the_header_line_is_as_pinned() {
    let file = file();
    let case = &file["header"];
    let line = HeaderLine {
        kind: HeaderKind::Text,
        project: text(&file["keyring"], "project").parse().expect("an id"),
        environment: text(&file["keyring"], "environment").parse().expect("an id"),
        version: number(case, "version"),
        parent: array(case, "parent"),
        epoch: number(&file["keyring"], "epoch") as u32,
        author_key: alice(&file).key_id(),
    };
    assert_eq!(std::str::from_utf8(&line.render()), Ok(text(case, "line")));
    assert_eq!(line.hash()[..], hex(case, "hash"));
}

#[test]
fn the_keyring_opens_and_holds_the_pinned_key() {
    let file = file();
    let case = &file["keyring"];
    let alice = alice(&file);
    let author_key = alice.public_key();
    let expected = ExpectedKeyring {
        project: text(case, "project").parse().expect("an id"),
        environment: text(case, "environment").parse().expect("an id"),
        epoch: number(case, "epoch") as u32,
        author: alice.account(),
        author_key: &author_key,
    };
    let key = open_keyring(&base64(case, "file"), &hex(case, "seal"), &expected, &alice).expect("pinned");
    let seal = KeyringSeal::peek(&hex(case, "seal")).expect("just checked");
    assert_eq!(seal.access_list, number(case, "access_list"));
    assert_eq!(*key.secret_text(), text(case, "age_secret"));
    assert_eq!(key.recipient().to_string(), text(case, "age_recipient"));
}

#[test]
fn the_tokens_keyring_opens_with_both_pinned_shares() {
    let file = file();
    let case = &file["token"];
    let alice = alice(&file);
    let author_key = alice.public_key();
    let project: ProjectId = text(&file["keyring"], "project").parse().expect("an id");
    let environment: EnvironmentId = text(&file["keyring"], "environment").parse().expect("an id");
    let epoch = number(&file["keyring"], "epoch") as u32;
    let generation = number(case, "generation") as u32;
    let api_key = text(case, "api_key").parse().expect("an id");
    let record = token::parse_record(&hex(case, "record"), api_key, generation).expect("pinned");
    assert_eq!(record.fingerprint()[..], hex(case, "fingerprint"));
    let scalar = Secret::new(array(case, "token_share"));
    let (share, nonce) = (token::token_share(&scalar, &record).expect("pinned"), array(case, "nonce"));
    let author = alice.account();
    let expected = ExpectedKeyring { project, environment, epoch, author, author_key: &author_key };
    let (keyring, seal) = (base64(case, "file"), hex(case, "seal"));
    let key = EpochKey::from_secret_text(text(&file["keyring"], "age_secret")).expect("a key");
    let opens = |answer: &[u8]| {
        let unlock = Unlock { share: &share, nonce: &nonce, answer };
        let found = open_token_keyring(&keyring, &seal, &expected, &record, &unlock, &mut OsRng);
        assert_eq!(*found.expect("pinned").secret_text(), *key.secret_text());
    };
    opens(&hex(case, "answer"));
    let server = token::check_server_share(&hex(case, "server_share"), &record).expect("pinned");
    let place = TokenPlace { project, environment, epoch, recipient: key.recipient().clone() };
    let read = TokenKeyring::read(&keyring, &place, &record).expect("pinned");
    opens(&read.answer(&server, &nonce, &mut OsRng).expect("its own").encode()[..]);
    let trust = TokenTrust::open(&hex(case, "trust"), (api_key, generation), &scalar);
    assert_eq!(trust, Ok(pinned_trust(&file)));
}

fn pinned_trust(file: &Value) -> TokenTrust {
    let (keyring, case) = (&file["keyring"], &file["token"]);
    let environment = text(keyring, "environment").parse().expect("an id");
    TokenTrust {
        project: text(keyring, "project").parse().expect("an id"),
        project_name: text(case, "project_name").to_owned(),
        project_created_at_ms: number(keyring, "created_at_ms"),
        owner: account(file),
        owner_key: *alice(file).public_key().as_bytes(),
        list: number(keyring, "access_list"),
        list_digest: array(case, "list_digest"),
        log_name: text(case, "log_name").to_owned(),
        log_keys: vec![array(case, "log_key")],
        witnesses: array(case, "witnesses"),
        environments: vec![(environment, text(case, "environment_name").to_owned())],
    }
}

#[test]
fn every_blob_opens_to_its_pinned_content() {
    let file = file();
    let project: ProjectId = text(&file["keyring"], "project").parse().expect("an id");
    let environment: EnvironmentId = text(&file["keyring"], "environment").parse().expect("an id");
    let key = EpochKey::from_secret_text(text(&file["keyring"], "age_secret")).expect("a key");
    let alice = alice(&file);
    let author_key = alice.public_key();
    let cases = file["blobs"].as_array().expect("a list");
    assert_eq!(cases.len(), 3);
    let mut parent = NO_DIGEST;
    for case in cases {
        let (ciphertext, seal, content) =
            (base64(case, "ciphertext"), hex(case, "seal"), base64(case, "content"));
        let expected = Expected {
            project,
            environment,
            version: Some(number(case, "version")),
            parent: Some(parent),
            epoch: number(&file["keyring"], "epoch") as u32,
            author: alice.account(),
            author_key: &author_key,
            digest: Some(array(case, "digest")),
        };
        let opened = open_bytes(&ciphertext, &seal, &expected, &key).expect("pinned");
        assert_eq!(*opened.content, content);
        check_fields(case, &opened.seal, &ciphertext, &key);
        let mut reader = open(&ciphertext[..], &seal, &expected, &key).expect("pinned");
        let mut streamed = Vec::new();
        std::io::copy(&mut reader, &mut streamed).expect("pinned");
        assert_eq!(reader.finish().expect("pinned"), opened.seal);
        assert_eq!(streamed, content);
        parent = opened.seal.digest;
    }
}

fn check_fields(case: &Value, seal: &Seal, ciphertext: &[u8], key: &EpochKey) {
    assert_eq!(u64::from(seal.kind as u8), number(case, "kind"));
    assert_eq!(seal.parent[..], hex(case, "parent"));
    assert_eq!(seal.digest, sha256(ciphertext));
    assert_eq!(seal.ciphertext_len, ciphertext.len() as u64);
    assert_eq!(format!("{:016x}", seal.covered_len), text(case, "covered_len"));
    assert_eq!(seal.content_len(key), base64(case, "content").len() as u64);
    assert_eq!(seal.header_hash[..], hex(case, "header_hash"));
    assert_eq!(seal.created_at_ms, number(case, "created_at_ms"));
}

#[test]
fn access_lists_are_read_and_signed_as_pinned() {
    let file = file();
    let project: ProjectId = text(&file["keyring"], "project").parse().expect("an id");
    let alice = alice(&file);
    let cases = file["access"].as_array().expect("a list");
    assert_eq!(cases.len(), 3);
    let mut parent = NO_DIGEST;
    let mut before: Option<AccessList> = None;
    for case in cases {
        let bytes = hex(case, "list");
        let author_key = PublicKey::from_bytes(&array(case, "author_public_key")).expect("a key");
        let author: AccountId = text(case, "author").parse().expect("an id");
        let expected = ExpectedAccess {
            project,
            number: number(case, "number"),
            parent,
            author,
            author_key: &author_key,
        };
        let list = AccessList::check(&bytes, &expected).expect("pinned");
        assert_eq!(list, pinned_list(case, project, author, author_key.key_id()));
        assert_eq!(list.follows(before.as_ref(), alice.account()), Ok(()));
        if author == alice.account() {
            assert_eq!(seal_access(&list, &alice), Ok(bytes.clone()));
        }
        assert_eq!(AccessList::digest(&bytes)[..], hex(case, "digest"));
        (parent, before) = (AccessList::digest(&bytes), Some(list));
    }
}

fn pinned_list(case: &Value, project: ProjectId, author: AccountId, author_key: KeyId) -> AccessList {
    let entries = case["entries"].as_array().expect("a list").iter().map(|entry| AccessEntry {
        principal: match text(entry, "principal") {
            "account" => Principal::Account(text(entry, "id").parse().expect("an id")),
            "api_key" => Principal::ApiKey(text(entry, "id").parse().expect("an id")),
            other => panic!("{other} is no principal"),
        },
        key: array(entry, "key"),
        actions: number(entry, "actions"),
        team: entry["team"].as_str().map(|id| id.parse().expect("an id")),
        environments: entry["environments"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|id| id.as_str().expect("text").parse().expect("an id"))
            .collect(),
    });
    AccessList {
        project,
        number: number(case, "number"),
        parent: array(case, "parent"),
        entries: entries.collect(),
        author,
        author_key,
        created_at_ms: number(case, "created_at_ms"),
    }
}
