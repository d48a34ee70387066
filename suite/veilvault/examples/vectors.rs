//! Writes a new tests/vectors/vault.json to standard output. Only for a new format version: the committed file pins
//! what older builds sealed, and is not written again for any other reason.
//!
//! `cargo run -p veilvault --example vectors > tests/vectors/vault.json`

use std::error::Error;
use std::io::Write;

use data_encoding::{BASE64, HEXLOWER};
use rand_core::OsRng;
use serde_json::{Value, json};
use veilcore::id::{AccountId, ApiKeyId, AttemptId, EnvironmentId, ProjectId, TeamId};
use veilcore::secret::Secret;
use veilvault::access::{AccessEntry, AccessList, Principal, SHARE, seal_access};
use veilvault::account::{AccountRootKey, Factor, wrap};
use veilvault::envelope::{Subject, seal_bytes};
use veilvault::epoch::EpochKey;
use veilvault::header::{HeaderKind, HeaderLine};
use veilvault::identity::Identity;
use veilvault::keyring::{KeyringSubject, seal_keyring};
use veilvault::pad::padded_len;
use veilvault::recovery::{RecoveryCode, RecoveryStatement};
use veilvault::seal::{NO_DIGEST, Seal};
use veilvault::token;
use veilvault::token_keyring::{TokenKeyring, TokenPlace, seal_token_keyring};
use veilvault::token_trust::TokenTrust;

const ACCOUNT: [u8; 16] = *b"\xac\xc0\x00\x00\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x01";
const SHARER: [u8; 16] = *b"\xac\xc0\x00\x00\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x02";
const MEMBER: [u8; 16] = *b"\xac\xc0\x00\x00\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x03";
const API_KEY: [u8; 16] = *b"\xac\xc0\x00\x00\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x0c";
const TEAM: [u8; 16] = *b"\x01\x92\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x0d";
const PROJECT: [u8; 16] = *b"\x01\x92\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x0a";
const ENVIRONMENT: [u8; 16] = *b"\x01\x92\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x0b";
const CREATED_AT_MS: u64 = 1_800_000_000_000;
const EPOCH: u32 = 1;
const ACCESS_LIST: u64 = 1;

fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first.wrapping_add(i as u8))
}

fn main() -> Result<(), Box<dyn Error>> {
    let account = AccountId::from_bytes(ACCOUNT);
    let ark = AccountRootKey::from_secret(Secret::new(counting(0)));
    let code = RecoveryCode::from_secret(Secret::new(counting(0x40)));
    let key = EpochKey::from_secret(Secret::new(counting(0x80)));
    let alice = Identity::derive(&ark, account, 1);
    let lengths = [0, 1, 256, 257, 272, 273, 1000, 4097, 65_537, 524_288, 314_572_800, 1 << 40];
    let padding = lengths.map(|len| padded_len(len).map(|padded| [len, padded]).unwrap_or_default());
    let file = json!({
        "about": "Pinned bytes of docs/spec/vault.md: hex, but files in base64.",
        "account": account_vectors(&ark, &code, account),
        "recovery": recovery_vectors(&code),
        "identities": [identity(&ark, &code, account, 1), identity(&ark, &code, account, 2)],
        "padding": padding,
        "header": header(&alice),
        "keyring": keyring(&key, &alice)?,
        "blobs": blobs(&key, &alice)?,
        "access": access(&alice)?,
        "token": token(&key, &alice)?,
    });
    serde_json::to_writer_pretty(std::io::stdout().lock(), &file)?;
    writeln!(std::io::stdout())?;
    Ok(())
}

fn account_vectors(ark: &AccountRootKey, code: &RecoveryCode, account: AccountId) -> Value {
    let export_key: [u8; 64] = counting(0xc0);
    let wrapped = |factor| HEXLOWER.encode(wrap(ark, factor, &account, &mut OsRng).as_bytes());
    json!({
        "account_id": account.to_string(),
        "ark": HEXLOWER.encode(&counting::<32>(0)),
        "export_key": HEXLOWER.encode(&export_key),
        "recovery_code": HEXLOWER.encode(&counting::<16>(0x40)),
        "recovery_text": *code.to_text(),
        "wrapped_password": wrapped(Factor::Password(&export_key)),
        "wrapped_recovery": wrapped(Factor::Recovery(code)),
    })
}

fn recovery_vectors(code: &RecoveryCode) -> Value {
    let attempt = AttemptId::from_bytes(counting(0x20));
    let challenge = counting(0x60);
    let statement =
        RecoveryStatement { attempt, challenge: &challenge, upload: b"upload", bundle: b"bundle" };
    json!({
        "verifier": HEXLOWER.encode(code.verifier().as_bytes()),
        "attempt_id": attempt.to_string(),
        "challenge": HEXLOWER.encode(&challenge),
        "upload": HEXLOWER.encode(b"upload"),
        "bundle": HEXLOWER.encode(b"bundle"),
        "signature": HEXLOWER.encode(&code.sign_recovery(&statement)),
    })
}

fn identity(ark: &AccountRootKey, code: &RecoveryCode, account: AccountId, generation: u32) -> Value {
    let identity = Identity::derive(ark, account, generation);
    json!({
        "generation": generation,
        "secret": HEXLOWER.encode(identity.export().expose()),
        "public_key": HEXLOWER.encode(identity.public_key().as_bytes()),
        "key_id": identity.key_id().to_string(),
        "age_secret": *identity.age_secret_text(),
        "age_recipient": identity.recipient().to_string(),
        "bundle": HEXLOWER.encode(&identity.account_bundle(&code.verifier())),
    })
}

fn header(alice: &Identity) -> Value {
    let line = HeaderLine {
        kind: HeaderKind::Text,
        project: ProjectId::from_bytes(PROJECT),
        environment: EnvironmentId::from_bytes(ENVIRONMENT),
        version: 2,
        parent: counting(0x10),
        epoch: EPOCH,
        author_key: alice.key_id(),
    };
    json!({
        "version": 2,
        "parent": HEXLOWER.encode(&line.parent),
        "line": String::from_utf8_lossy(&line.render()),
        "hash": HEXLOWER.encode(&line.hash()),
    })
}

fn keyring(key: &EpochKey, alice: &Identity) -> Result<Value, Box<dyn Error>> {
    let subject = KeyringSubject {
        project: ProjectId::from_bytes(PROJECT),
        environment: EnvironmentId::from_bytes(ENVIRONMENT),
        epoch: EPOCH,
        access_list: ACCESS_LIST,
        created_at_ms: CREATED_AT_MS,
    };
    let keyring = seal_keyring(key, &subject, &[alice.recipient().clone()], alice)?;
    Ok(json!({
        "project": subject.project.to_string(),
        "environment": subject.environment.to_string(),
        "epoch": EPOCH,
        "access_list": ACCESS_LIST,
        "created_at_ms": CREATED_AT_MS,
        "age_secret": *key.secret_text(),
        "age_recipient": key.recipient().to_string(),
        "file": BASE64.encode(&keyring.file),
        "seal": HEXLOWER.encode(&keyring.seal),
    }))
}

/// A service token's key, the keyring of the epoch for it, one answer of the server, and what its holder trusts.
fn token(key: &EpochKey, alice: &Identity) -> Result<Value, Box<dyn Error>> {
    let (api_key, nonce) = (ApiKeyId::from_bytes(API_KEY), counting(0x30));
    let made = token::split(api_key, 2, &mut OsRng);
    let subject = KeyringSubject {
        project: ProjectId::from_bytes(PROJECT),
        environment: EnvironmentId::from_bytes(ENVIRONMENT),
        epoch: EPOCH,
        access_list: ACCESS_LIST,
        created_at_ms: CREATED_AT_MS,
    };
    let keyring = seal_token_keyring(key, &subject, &made.record, alice, &mut OsRng)?;
    let place = TokenPlace {
        project: subject.project,
        environment: subject.environment,
        epoch: EPOCH,
        recipient: key.recipient().clone(),
    };
    let read = TokenKeyring::read(&keyring.file, &place, &made.record)?;
    let answer = read.answer(&made.server, &nonce, &mut OsRng)?;
    let trust = TokenTrust {
        project: subject.project,
        project_name: "my-app".to_owned(),
        project_created_at_ms: CREATED_AT_MS,
        owner: alice.account(),
        owner_key: *alice.public_key().as_bytes(),
        list: ACCESS_LIST,
        list_digest: counting(0x60),
        log_name: "logs.example.org".to_owned(),
        log_keys: vec![counting(0xd0)],
        witnesses: counting(0xe0),
        environments: vec![(subject.environment, "production".to_owned())],
    };
    Ok(json!({
        "api_key": api_key.to_string(),
        "generation": 2,
        "record": HEXLOWER.encode(&made.record.encode()),
        "fingerprint": HEXLOWER.encode(&made.record.fingerprint()),
        "token_share": HEXLOWER.encode(made.token.expose()),
        "server_share": HEXLOWER.encode(made.server.export().expose()),
        "file": BASE64.encode(&keyring.file),
        "seal": HEXLOWER.encode(&keyring.seal),
        "nonce": HEXLOWER.encode(&nonce),
        "answer": HEXLOWER.encode(&answer.encode()[..]),
        "list_digest": HEXLOWER.encode(&trust.list_digest),
        "log_name": trust.log_name,
        "log_key": HEXLOWER.encode(&trust.log_keys[0]),
        "witnesses": HEXLOWER.encode(&trust.witnesses),
        "project_name": trust.project_name,
        "environment_name": "production",
        "trust": HEXLOWER.encode(&trust.seal((api_key, 2), &made.token, &mut OsRng)?),
    }))
}

/// Three versions of one environment, each following the one before.
fn blobs(key: &EpochKey, alice: &Identity) -> Result<Vec<Value>, Box<dyn Error>> {
    let text = "# database\nDATABASE_URL=\"postgres://u:p@h/db\"\nGR\u{dc}N=\u{1f511}\n".as_bytes();
    let contents: [&[u8]; 3] = [text, b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"];
    let mut parent = None;
    let mut all = Vec::new();
    for (version, content) in (1..).zip(contents) {
        let subject = Subject {
            project: ProjectId::from_bytes(PROJECT),
            environment: EnvironmentId::from_bytes(ENVIRONMENT),
            version,
            parent,
            epoch: EPOCH,
            created_at_ms: CREATED_AT_MS + version,
        };
        let blob = seal_bytes(content, &subject, key, alice)?;
        let seal = Seal::verify(&blob.sealed.seal, &alice.public_key())?;
        all.push(json!({
            "kind": seal.kind as u8,
            "version": version,
            "parent": HEXLOWER.encode(&parent.unwrap_or(NO_DIGEST)),
            "digest": HEXLOWER.encode(&seal.digest),
            "created_at_ms": subject.created_at_ms,
            "content": BASE64.encode(content),
            "covered_len": format!("{:016x}", seal.covered_len),
            "header_hash": HEXLOWER.encode(&seal.header_hash),
            "ciphertext": BASE64.encode(&blob.ciphertext),
            "seal": HEXLOWER.encode(&blob.sealed.seal),
        }));
        parent = Some(seal.digest);
    }
    Ok(all)
}

/// Three lists of one project: the owner's, one by the account she let share, and the owner's last, with nobody.
fn access(alice: &Identity) -> Result<Vec<Value>, Box<dyn Error>> {
    let ark = AccountRootKey::from_secret(Secret::new(counting(0x50)));
    let bob = Identity::derive(&ark, AccountId::from_bytes(SHARER), 1);
    let team = Some(TeamId::from_bytes(TEAM));
    let account = |id, first, actions| {
        let principal = Principal::Account(AccountId::from_bytes(id));
        AccessEntry { principal, key: counting(first), actions, team, environments: Vec::new() }
    };
    let api_key = Principal::ApiKey(ApiKeyId::from_bytes(API_KEY));
    let environments = vec![EnvironmentId::from_bytes(ENVIRONMENT)];
    let api_key =
        AccessEntry { principal: api_key, key: counting(0x90), actions: 1, team: None, environments };
    let sharer = account(SHARER, 0x70, 1 | SHARE);
    let lists = [
        (alice, vec![sharer.clone(), account(MEMBER, 0xa0, 0b11), api_key]),
        (&bob, vec![sharer, account(MEMBER, 0xa0, 0b1)]),
        (alice, Vec::new()),
    ];
    let mut parent = NO_DIGEST;
    let mut all = Vec::new();
    for (number, (author, entries)) in (1..).zip(lists) {
        let list = AccessList {
            project: ProjectId::from_bytes(PROJECT),
            number,
            parent,
            entries,
            author: author.account(),
            author_key: author.key_id(),
            created_at_ms: CREATED_AT_MS + number,
        };
        let bytes = seal_access(&list, author)?;
        all.push(json!({
            "number": number,
            "parent": HEXLOWER.encode(&parent),
            "entries": list.entries.iter().map(access_entry).collect::<Vec<_>>(),
            "author": list.author.to_string(),
            "author_public_key": HEXLOWER.encode(author.public_key().as_bytes()),
            "created_at_ms": list.created_at_ms,
            "list": HEXLOWER.encode(&bytes),
            "digest": HEXLOWER.encode(&AccessList::digest(&bytes)),
        }));
        parent = AccessList::digest(&bytes);
    }
    Ok(all)
}

fn access_entry(entry: &AccessEntry) -> Value {
    let (kind, id) = match entry.principal {
        Principal::Account(id) => ("account", id.to_string()),
        Principal::ApiKey(id) => ("api_key", id.to_string()),
    };
    json!({
        "principal": kind,
        "id": id,
        "key": HEXLOWER.encode(&entry.key),
        "actions": entry.actions,
        "team": entry.team.map(|team| team.to_string()),
        "environments": entry.environments.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
