//! Pinned bytes of tests/vectors/chain.json, which a program made that shares no code with ours. Every value is computed
//! again here, and beside each stand neighbours that must be refused.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which the lint does not see")]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};
use veilchain::bundle::push_entry;
use veilchain::checkpoint::{self, Checkpoint};
use veilchain::entry::Entry;
use veilchain::fsck::{Fsck, compare_tile};
use veilchain::hash::{Hash, leaf_hash};
use veilchain::head::{Head, HeadError};
use veilchain::key::{KeyType, SigningKey, VerifierKey};
use veilchain::note::Note;
use veilchain::policy::Policy;
use veilchain::proof::{Plan, verify_consistency, verify_inclusion};
use veilchain::proof_file::ProofFile;
use veilchain::range::CompactRange;
use veilchain::tile::{BundlePath, Tile};
use veilchain::witness::{AddCheckpoint, checkpoint_path, encode_cosignatures};

const FILE: &str = include_str!("../../../tests/vectors/chain.json");
/// Entries of the pinned tree.
const SIZE: u64 = 257;

fn file() -> Value {
    serde_json::from_str(FILE).unwrap()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    let list = value[field].as_array().unwrap_or_else(|| panic!("{field} is missing"));
    assert!(!list.is_empty(), "{field} is empty");
    list
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is missing"))
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} is missing"))
}

fn hex(value: &Value, field: &str) -> Vec<u8> {
    HEXLOWER.decode(text(value, field).as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    hex(value, field).try_into().unwrap()
}

/// None for `null`.
fn optional<const N: usize>(value: &Value, field: &str) -> Option<[u8; N]> {
    if value[field].is_null() { None } else { Some(array(value, field)) }
}

fn path(value: &Value) -> Vec<Hash> {
    let hashes = value["path"].as_array().unwrap();
    hashes
        .iter()
        .map(|hash| HEXLOWER.decode(hash.as_str().unwrap().as_bytes()).unwrap().try_into().unwrap())
        .collect()
}

fn key(value: &Value, name: &str, kind: KeyType) -> SigningKey {
    SigningKey::from_seed(name, kind, &array(value, "seed")).unwrap()
}

fn entry(value: &Value) -> Entry {
    Entry {
        kind: u8::try_from(number(value, "kind")).unwrap(),
        log: array(value, "log"),
        at_ms: number(value, "at_ms"),
        actor: array(value, "actor"),
        subject: optional(value, "subject"),
        number: value["number"].as_u64(),
        digest: optional(value, "digest"),
        by_number: value["by_number"].as_bool().unwrap(),
    }
}

/// The entries of the pinned tree.
fn entries(file: &Value) -> Vec<Vec<u8>> {
    let first = entry(&file["entries"][0]);
    let nth = |index: u64| Entry {
        at_ms: first.at_ms + 1000 * index,
        number: Some(index + 1),
        digest: Some(Sha256::digest(index.to_be_bytes()).into()),
        ..first.clone()
    };
    (0..SIZE).map(|index| nth(index).encode()).collect()
}

/// A log as it is served.
struct Log {
    tiles: BTreeMap<Tile, Vec<Hash>>,
    bundles: BTreeMap<BundlePath, Vec<u8>>,
    root: Hash,
}

impl Log {
    fn build(&self, plan: &Plan) -> Vec<Hash> {
        plan.build(|tile| self.tiles.get(&tile).map(Vec::as_slice)).unwrap()
    }
}

/// The log of these entries, its tiles by way of the checker.
fn log(entries: &[Vec<u8>]) -> Log {
    let mut range = CompactRange::new();
    entries.iter().for_each(|entry| range.push(leaf_hash(entry)));
    let mut check = Fsck::new(range.size(), range.root()).unwrap();
    let (mut tiles, mut bundles) = (BTreeMap::new(), BTreeMap::new());
    for chunk in entries.chunks(256) {
        let path = check.next().unwrap();
        let mut bytes = Vec::new();
        chunk.iter().for_each(|entry| push_entry(&mut bytes, entry).unwrap());
        tiles.extend(check.bundle(path.index, &bytes).unwrap());
        bundles.insert(path, bytes);
    }
    tiles.extend(check.finish().unwrap());
    Log { tiles, bundles, root: range.root() }
}

#[test]
fn entries_have_the_pinned_bytes_and_their_neighbours_are_none() {
    let file = file();
    for case in list(&file, "entries") {
        let bytes = hex(case, "bytes");
        assert_eq!(HEXLOWER.encode(&entry(case).encode()), text(case, "bytes"), "{}", text(case, "name"));
        assert_eq!(Entry::decode(&bytes).unwrap(), entry(case));
        assert_eq!(leaf_hash(&bytes), array(case, "leaf"));
    }
    for case in list(&file, "refused_entries") {
        assert!(Entry::decode(&hex(case, "bytes")).is_err(), "{}", text(case, "why"));
    }
}

#[test]
fn roots_are_the_pinned_ones() {
    let file = file();
    let roots: BTreeMap<u64, Hash> =
        list(&file["tree"], "roots").iter().map(|case| (number(case, "size"), array(case, "root"))).collect();
    let (mut range, mut seen) = (CompactRange::new(), 0);
    for entry in std::iter::once(None).chain(entries(&file).iter().map(Some)) {
        if let Some(entry) = entry {
            range.push(leaf_hash(entry));
        }
        if let Some(root) = roots.get(&range.size()) {
            assert_eq!(HEXLOWER.encode(&range.root()), HEXLOWER.encode(root), "size {}", range.size());
            seen += 1;
        }
    }
    assert_eq!(seen, roots.len());
    assert_eq!(hex(&file["entries"][0], "bytes"), entries(&file)[0]);
}

fn include(case: &Value) -> bool {
    let (leaf, root) = (array(case, "leaf"), array(case, "root"));
    verify_inclusion(number(case, "index"), number(case, "size"), &leaf, &path(case), &root).is_ok()
}

#[test]
fn inclusion_proofs_are_the_pinned_ones_and_hold_for_nothing_else() {
    let file = file();
    let entries = entries(&file);
    for case in list(&file["tree"], "inclusion") {
        let (index, size) = (number(case, "index"), number(case, "size"));
        let log = log(&entries[..usize::try_from(size).unwrap()]);
        assert_eq!(log.root, array(case, "root"));
        assert_eq!(log.build(&Plan::inclusion(index, size).unwrap()), path(case));
        assert!(include(case));
        for case in list(case, "refused") {
            assert!(!include(case), "{}", text(case, "why"));
        }
    }
}

fn extend(case: &Value) -> bool {
    let (old, new) = (array(case, "old_root"), array(case, "new_root"));
    verify_consistency(number(case, "old_size"), &old, number(case, "new_size"), &new, &path(case)).is_ok()
}

#[test]
fn consistency_proofs_are_the_pinned_ones_and_hold_for_nothing_else() {
    let file = file();
    let entries = entries(&file);
    for case in list(&file["tree"], "consistency") {
        let (old, new) = (number(case, "old_size"), number(case, "new_size"));
        let log = log(&entries[..usize::try_from(new).unwrap()]);
        assert_eq!(log.build(&Plan::consistency(old, new).unwrap()), path(case));
        assert!(extend(case));
        for case in list(case, "refused") {
            assert!(!extend(case), "{}", text(case, "why"));
        }
    }
}

#[test]
fn the_files_of_a_log_are_the_pinned_ones_and_an_altered_tile_is_found() {
    let file = file();
    let Log { tiles, bundles, .. } = log(&entries(&file));
    let mut ours: BTreeMap<String, Vec<u8>> =
        bundles.into_iter().map(|(path, bytes)| (path.path(), bytes)).collect();
    ours.extend(tiles.iter().map(|(tile, hashes)| (tile.path(), hashes.concat())));
    let pinned = list(&file["files"], "files");
    assert_eq!(ours.len(), pinned.len());
    for case in pinned {
        let bytes = &ours[text(case, "path")];
        assert_eq!(bytes.len() as u64, number(case, "bytes"));
        assert_eq!(HEXLOWER.encode(&Sha256::digest(bytes)), text(case, "sha256"), "{}", text(case, "path"));
    }
    for (tile, hashes) in &tiles {
        let mut stored = hashes.concat();
        compare_tile(*tile, &stored, hashes).unwrap();
        stored[17] ^= 1;
        assert_eq!(compare_tile(*tile, &stored, hashes).unwrap_err().offset, Some(17));
    }
}

#[test]
fn paths_are_the_pinned_ones_and_have_one_spelling() {
    let file = file();
    for case in list(&file["files"], "paths") {
        let (level, index) = (u8::try_from(number(case, "level")).unwrap(), number(case, "index"));
        let width = u16::try_from(number(case, "width")).unwrap();
        let (tile, bundle) = (Tile { level, index, width }, BundlePath { index, width });
        assert_eq!(
            (tile.path().as_str(), bundle.path().as_str()),
            (text(case, "tile"), text(case, "bundle"))
        );
        assert_eq!(Tile::parse(text(case, "tile")), Ok(tile));
        assert_eq!(BundlePath::parse(text(case, "bundle")), Ok(bundle));
    }
    for path in list(&file["files"], "refused") {
        let path = path.as_str().unwrap();
        assert!(Tile::parse(path).is_err() && BundlePath::parse(path).is_err(), "{path}");
    }
}

#[test]
fn the_checkpoint_is_the_pinned_one_and_its_neighbours_do_not_open() {
    let file = file();
    let case = &file["checkpoint"];
    let origin = text(case, "origin");
    let log = key(case, origin, KeyType::Ed25519);
    assert_eq!(log.verifier().encode(), text(case, "vkey"));
    assert_eq!(*log.verifier().public_key(), array::<32>(case, "public_key"));
    let checkpoint = Checkpoint::new(origin, number(case, "size"), array(case, "root")).unwrap();
    assert_eq!(checkpoint::sign(&checkpoint, &[&log]).unwrap().encode(), text(case, "note"));
    let keys = [text(case, "vkey").parse::<VerifierKey>().unwrap()];
    let opened = checkpoint::open(text(case, "note").as_bytes(), &keys).unwrap().0;
    assert_eq!(opened, checkpoint);
    for case in list(case, "refused") {
        assert!(checkpoint::open(text(case, "note").as_bytes(), &keys).is_err(), "{}", text(case, "why"));
    }
}

#[test]
fn a_checkpoint_of_two_key_generations_opens_with_either() {
    let file = file();
    let (case, origin) = (&file["rotation"], text(&file["checkpoint"], "origin"));
    let (old, new) =
        (key(&file["checkpoint"], origin, KeyType::Ed25519), key(case, origin, KeyType::Ed25519));
    assert_eq!(new.verifier().encode(), text(case, "vkey"));
    let note = text(case, "note").as_bytes();
    for keys in [&[&old][..], &[&new], &[&new, &old]] {
        let verifiers: Vec<VerifierKey> = keys.iter().map(|key| key.verifier().clone()).collect();
        assert_eq!(checkpoint::open(note, &verifiers).unwrap().0.size, number(case, "size"));
    }
    let checkpoint = checkpoint::open(note, &[old.verifier().clone()]).unwrap().0;
    assert_eq!(checkpoint::sign(&checkpoint, &[&new, &old]).unwrap().encode().as_bytes(), note);
    let witness = key(&file["cosignature"], origin, KeyType::CosignatureV1);
    assert!(checkpoint::open(note, &[witness.verifier().clone()]).is_err());
}

#[test]
fn the_cosignature_is_the_pinned_one_and_its_neighbours_do_not_verify() {
    let file = file();
    let case = &file["cosignature"];
    let witness = key(case, "witness.example.net", KeyType::CosignatureV1);
    assert_eq!(witness.verifier().encode(), text(case, "vkey"));
    let note = Note::parse(text(&file["checkpoint"], "note").as_bytes()).unwrap();
    let signature = witness.cosign(note.text(), number(case, "time_s")).unwrap();
    assert_eq!(encode_cosignatures(&[signature]), text(case, "line"));
    let verify = |line: &str| {
        let mut note = note.clone();
        note.add(line.trim_end().parse().unwrap()).unwrap();
        let verified = note.verify(std::slice::from_ref(witness.verifier()))?;
        Ok::<_, veilchain::note::NoteError>(verified[0].time_s)
    };
    assert_eq!(verify(text(case, "line")), Ok(Some(number(case, "time_s"))));
    for case in list(case, "refused") {
        assert!(verify(text(case, "line")).is_err(), "{}", text(case, "why"));
    }
}

#[test]
fn the_proof_file_holds_under_its_policy_and_its_neighbours_do_not() {
    let file = file();
    let case = &file["proof_file"];
    let policy = text(&file, "policy");
    assert_eq!(Policy::parse(policy).unwrap().encode(), policy.as_bytes());
    let verify = |proof: &str, policy: &str| {
        let proof = ProofFile::parse(proof.as_bytes()).map_err(|error| error.to_string())?;
        let leaf = leaf_hash(proof.extra.as_ref().unwrap());
        proof.verify(&leaf, &Policy::parse(policy).unwrap()).map_err(|error| error.to_string())
    };
    let proof = ProofFile::parse(text(case, "file").as_bytes()).unwrap();
    assert_eq!(proof.encode(), text(case, "file").as_bytes());
    assert_eq!((proof.index, proof.extra.as_ref()), (number(case, "index"), Some(&hex(case, "entry"))));
    for policy in [policy, text(case, "also_under")] {
        assert_eq!(verify(text(case, "file"), policy).unwrap().size, number(&file["checkpoint"], "size"));
    }
    for case in list(case, "refused") {
        assert!(verify(text(case, "file"), text(case, "policy")).is_err(), "{}", text(case, "why"));
    }
}

#[test]
fn a_witness_judges_the_pinned_requests_as_pinned() {
    let file = file();
    let case = &file["witness"];
    let known = Some((number(case, "known_size"), array(case, "known_root")));
    let keys = [text(&file["checkpoint"], "vkey").parse::<VerifierKey>().unwrap()];
    let judge = |body: &str| {
        let request = AddCheckpoint::parse(body.as_bytes()).map_err(veilchain::witness::Refusal::from)?;
        assert_eq!(request.encode(), body.as_bytes());
        request.judge(known, &keys)
    };
    let judged = judge(text(case, "body")).unwrap();
    assert_eq!(judged.root, array(&file["checkpoint"], "root"));
    assert_eq!(text(case, "answer"), text(&file["cosignature"], "line"));
    assert_eq!(checkpoint_path(&judged.origin), text(case, "path"));
    for case in list(case, "refused") {
        let refusal = judge(text(case, "body")).unwrap_err();
        assert_eq!(u64::from(refusal.status()), number(case, "status"), "{}", text(case, "why"));
    }
}

#[test]
fn a_head_moves_along_the_pinned_proof_and_never_back() {
    let file = file();
    let case = &file["tree"]["consistency"][0];
    let seen = Head { size: number(case, "old_size"), root: array(case, "old_root") };
    let log = text(&file["checkpoint"], "vkey").parse::<VerifierKey>().unwrap();
    let shown = checkpoint::open(text(&file["checkpoint"], "note").as_bytes(), &[log]).unwrap().0;
    let moved = seen.advance(&shown, &path(case)).unwrap();
    assert_eq!(moved, Head { size: shown.size, root: shown.root });
    let smaller = Checkpoint::new(&shown.origin, seen.size, seen.root).unwrap();
    assert_eq!(moved.advance(&smaller, &[]), Err(HeadError::RolledBack { seen: 7, shown: 3 }));
    assert_eq!(seen.advance(&shown, &[]), Err(HeadError::Forked { seen: 3, shown: 7 }));
    let other = Checkpoint::new(&shown.origin, 7, array(case, "old_root")).unwrap();
    assert_eq!(moved.advance(&other, &[]), Err(HeadError::Forked { seen: 7, shown: 7 }));
}

#[test]
fn the_page_shows_the_pinned_values() {
    const PAGE: &str = include_str!("../../../docs/spec/chain.md");
    let file = file();
    let first = &file["entries"][0];
    let mut shown: Vec<String> = [
        text(&file["proof_file"], "file"),
        text(&file, "policy"),
        text(&file["checkpoint"], "note"),
        text(&file["cosignature"], "line"),
        text(first, "leaf"),
        text(first, "digest"),
        text(first, "actor"),
    ]
    .map(str::to_owned)
    .into();
    shown.extend(
        text(&file["rotation"], "note").lines().filter(|line| line.starts_with('—')).map(str::to_owned),
    );
    shown.extend(path(&file["tree"]["consistency"][0]).iter().map(|hash| HEXLOWER.encode(hash)));
    shown.push(text(&file["witness"], "path").trim_end_matches("checkpoint").to_owned());
    // Of the request everything before the signatures: the page leaves those out.
    shown.push(text(&file["witness"], "body").split("\ndkPw").next().unwrap().to_owned());
    for value in shown {
        assert!(PAGE.contains(&value), "docs/spec/chain.md does not show {value}");
    }
    let roots = list(&file["tree"], "roots");
    for line in PAGE.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |") && line.len() > 70)
    {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(size), Some(root), None) = (cells.next(), cells.next(), cells.next()) else { continue };
        let Ok(size) = size.parse::<u64>() else { continue };
        let pinned = roots.iter().find(|case| number(case, "size") == size).unwrap();
        assert_eq!(root.trim_matches('`'), text(pinned, "root"), "size {size}");
    }
}
