//! The seeds of the fuzz targets (fuzz/seeds) are what this file makes, and each is accepted by the parser it is for: a
//! format that changes without them fails here. `VEILCHAIN_WRITE_SEEDS=1` writes them anew.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which the lint does not see")]

use std::fs;
use std::path::Path;

use veilchain::checkpoint::{self, Checkpoint};
use veilchain::hash::{leaf_hash, node_hash};
use veilchain::key::{KeyType, SigningKey};
use veilchain::note::Note;
use veilchain::policy::Policy;
use veilchain::proof_file::ProofFile;
use veilchain::tile::{BundlePath, Tile};
use veilchain::witness::{
    AddCheckpoint, encode_cosignatures, encode_size, parse_cosignatures, parse_size_body,
};
use veilchain::{bundle, key};

type Seed = (&'static str, &'static str, Vec<u8>);

const GO_KEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";

fn log_key() -> SigningKey {
    SigningKey::from_seed("log.example/1", KeyType::Ed25519, &[1; 32]).unwrap()
}

fn witness_key(number: u8) -> SigningKey {
    SigningKey::from_seed("w.example", KeyType::CosignatureV1, &[number; 32]).unwrap()
}

fn tree() -> (Checkpoint, [veilchain::hash::Hash; 2]) {
    let [a, b, c] = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry));
    let root = node_hash(&node_hash(&a, &b), &c);
    (Checkpoint::new("log.example/1", 3, root).unwrap(), [a, c])
}

fn cosigned() -> Note {
    let mut note = checkpoint::sign(&tree().0, &[&log_key()]).unwrap();
    note.add(witness_key(2).cosign(note.text(), 1_700_000_000).unwrap()).unwrap();
    note
}

fn notes() -> Vec<Seed> {
    let key: SigningKey = GO_KEY.parse().unwrap();
    let mut note = Note::new(GO_TEXT).unwrap();
    note.add(key.sign_note(GO_TEXT).unwrap()).unwrap();
    vec![
        ("note", "signed", note.encode().into_bytes()),
        ("note", "cosigned", cosigned().encode().into_bytes()),
        ("note", "line", note.signatures()[0].to_string().into_bytes()),
        ("note", "vkey", key.verifier().encode().into_bytes()),
        ("note", "skey", GO_KEY.into()),
        ("checkpoint", "plain", tree().0.text().into_bytes()),
        ("checkpoint", "extended", format!("{}an extension\n", tree().0.text()).into_bytes()),
    ]
}

fn policies() -> Vec<Seed> {
    // Keys that sign none of the seeds, so that the targets may claim that nothing verifies.
    let stranger = SigningKey::from_seed("log.example/1", KeyType::Ed25519, &[66; 32]).unwrap();
    let strangers = format!(
        "log {} https://log.example/\nwitness W1 {} https://w.example/\nwitness W2 {}\nwitness W3 {}\n\
         group some 2 W1 W2\ngroup all all some W3\nquorum all\n",
        stranger.verifier(),
        witness_key(67).verifier(),
        witness_key(68).verifier(),
        witness_key(69).verifier()
    );
    let blanks = format!("# comment\n\n \tlog  {} \nquorum\tnone\n", log_key().verifier());
    vec![("policy", "strangers", strangers.into_bytes()), ("policy", "blanks", blanks.into_bytes())]
}

fn requests() -> Vec<Seed> {
    let (_, [a, c]) = tree();
    let checkpoint = cosigned().encode().into_bytes();
    let proof = ProofFile { extra: None, index: 1, path: vec![a, c], checkpoint: checkpoint.clone() };
    let with_extra = ProofFile { extra: Some(b"extra".to_vec()), ..proof.clone() };
    let add = AddCheckpoint { old_size: 2, path: vec![c], checkpoint };
    vec![
        ("proof_file", "plain", proof.encode()),
        ("proof_file", "extra", with_extra.encode()),
        ("witness", "add", add.encode()),
        ("witness", "answer", encode_cosignatures(cosigned().signatures()).into_bytes()),
        ("witness", "size", encode_size(20_852_014).into_bytes()),
    ]
}

fn tiles() -> Vec<Seed> {
    let mut three = vec![2];
    for entry in [&b"a"[..], b"", &[7; 300]] {
        bundle::push_entry(&mut three, entry).unwrap();
    }
    let hashes = [&[1u8][..], &[9; 64]].concat();
    vec![
        ("tile_path", "full", b"tile/0/x001/067".to_vec()),
        ("tile_path", "partial", b"tile/3/005.p/17".to_vec()),
        ("tile_path", "entries", b"tile/entries/x001/x234/067".to_vec()),
        ("tile_path", "entries_partial", b"tile/entries/000.p/255".to_vec()),
        ("bundle", "three", three),
        ("bundle", "hashes", hashes),
    ]
}

fn is_read(target: &str, name: &str, bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or("");
    match (target, name) {
        ("note", "line") => text.parse::<veilchain::note::NoteSignature>().is_ok(),
        ("note", "vkey") => text.parse::<key::VerifierKey>().is_ok(),
        ("note", "skey") => text.parse::<key::SigningKey>().is_ok(),
        ("note", _) => Note::parse(bytes).is_ok(),
        ("checkpoint", _) => Checkpoint::parse(text).is_ok(),
        ("policy", _) => Policy::parse(bytes).is_ok(),
        ("proof_file", _) => ProofFile::parse(bytes).is_ok(),
        ("witness", "add") => AddCheckpoint::parse(bytes).is_ok(),
        ("witness", "answer") => parse_cosignatures(bytes).is_ok(),
        ("witness", _) => parse_size_body(bytes).is_ok(),
        ("tile_path", _) => Tile::parse(text).is_ok() || BundlePath::parse(text).is_ok(),
        ("bundle", "hashes") => veilchain::tile::parse_hashes(&bytes[1..], u16::from(bytes[0]) + 1).is_ok(),
        ("bundle", _) => bundle::entries(&bytes[1..], u16::from(bytes[0]) + 1).is_ok(),
        _ => false,
    }
}

#[test]
fn every_seed_is_current_and_accepted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let seeds = [notes(), policies(), requests(), tiles()].concat();
    for (target, name, bytes) in &seeds {
        assert!(is_read(target, name, bytes), "{target}/{name}");
        let path = folder.join(target).join(name);
        if std::env::var_os("VEILCHAIN_WRITE_SEEDS").is_some() {
            fs::create_dir_all(folder.join(target)).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        assert!(fs::read(&path).unwrap() == *bytes, "{target}/{name} is not current");
    }
    let committed: usize = fs::read_dir(&folder)
        .unwrap()
        .map(|target| fs::read_dir(target.unwrap().path()).unwrap().count())
        .sum();
    assert_eq!(committed, seeds.len(), "a seed that nobody makes");
}
