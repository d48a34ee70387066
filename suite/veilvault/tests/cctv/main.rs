//! The C2SP test vectors of age (CCTV) through our opener: lint, then decrypt. What age must open we open, unless it
//! needs a passphrase or armor, which no file of ours has; what age must refuse we refuse, for the same reason.
//!
//! The vectors come with the sources of the age crate; `VEILCLOUD_CCTV_AGE` names another folder of them.

mod inflate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use veilcore::hash::sha256;
use veilvault::agefile::{FileError, open};
use veilvault::lint::{LintError, Policy};

/// Vectors of each sort that age 0.12.1 carries: fewer means that the folder is not the one meant.
const X25519_MIN: usize = 66;
const SCRYPT_MIN: usize = 20;
const ARMOR_MIN: usize = 25;

struct Vector {
    name: String,
    fields: BTreeMap<String, String>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let end = bytes.windows(2).position(|two| two == b"\n\n").expect("a blank line after the fields");
        let fields: BTreeMap<_, _> = std::str::from_utf8(&bytes[..end])
            .expect("fields are text")
            .lines()
            .map(|line| line.split_once(": ").expect("name: value"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let body = &bytes[end + 2..];
        let file = match fields.get("compressed").map(String::as_str) {
            None => body.to_vec(),
            Some("zlib") => inflate::inflate(body),
            Some(other) => panic!("{}: compressed with {other}", path.display()),
        };
        Self { name: path.file_name().expect("a file").to_string_lossy().into_owned(), fields, file }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("VEILCLOUD_CCTV_AGE") {
        return folder.into();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Only this platform's packages: a machine that never built for another one does not have theirs.
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--offline",
            "--format-version",
            "1",
            "--filter-platform",
            &host(),
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let manifest = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .find(|package| package["name"] == "age")
        .and_then(|package| package["manifest_path"].as_str())
        .expect("the age crate is a dependency");
    Path::new(manifest).with_file_name("tests").join("testdata").join("testkit")
}

/// The triple of the compiler's own platform.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc starts");
    let text = String::from_utf8(output.stdout).expect("rustc writes text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

fn vectors() -> Vec<Vector> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| {
        panic!("{}: {e}; set VEILCLOUD_CCTV_AGE to the folder of the CCTV age vectors", folder.display())
    });
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| Vector::read(path)).collect()
}

fn check_x25519(vector: &Vector, identity: &str) {
    let opened = open(&vector.file, Policy::ANY, identity);
    let fits = match (vector.field("expect"), &opened) {
        (Some("success"), Ok(plain)) => {
            Some(HEXLOWER.encode(&sha256(plain)).as_str()) == vector.field("payload")
        }
        (Some("no match"), Err(FileError::NotForThisKey | FileError::Lint(LintError::NoX25519))) => true,
        (Some("HMAC failure"), Err(FileError::HeaderChanged)) => true,
        (Some("header failure"), Err(FileError::Lint(_) | FileError::HeaderChanged)) => true,
        (Some("payload failure"), Err(FileError::PayloadChanged)) => true,
        _ => false,
    };
    assert!(fits, "{}: expected {:?}, got {:?}", vector.name, vector.field("expect"), opened.err());
}

#[test]
fn every_x25519_vector_has_the_expected_outcome() {
    let mut seen = 0;
    for vector in vectors() {
        let plain = vector.field("armored").is_none() && vector.field("passphrase").is_none();
        let Some(identity) = vector.field("identity").filter(|_| plain) else { continue };
        if identity.starts_with("AGE-SECRET-KEY-1") {
            check_x25519(&vector, identity);
            seen += 1;
        }
    }
    assert!(seen >= X25519_MIN, "only {seen} X25519 vectors were found");
}

#[test]
fn every_passphrase_vector_is_refused_before_any_work() {
    let mut seen = 0;
    for vector in vectors().iter().filter(|v| v.field("passphrase").is_some() && v.field("armored").is_none())
    {
        let refused = veilvault::lint::lint(&vector.file, Policy::ANY);
        assert!(refused.is_err(), "{}: {refused:?}", vector.name);
        if vector.field("expect") == Some("success") {
            assert!(matches!(refused, Err(LintError::Scrypt { .. })), "{}: {refused:?}", vector.name);
        }
        seen += 1;
    }
    assert!(seen >= SCRYPT_MIN, "only {seen} passphrase vectors were found");
}

#[test]
fn every_armored_vector_is_refused() {
    let mut seen = 0;
    for vector in vectors().iter().filter(|v| v.field("armored").is_some()) {
        let refused = veilvault::lint::lint(&vector.file, Policy::ANY);
        assert!(matches!(refused, Err(LintError::Version)), "{}: {refused:?}", vector.name);
        seen += 1;
    }
    assert!(seen >= ARMOR_MIN, "only {seen} armored vectors were found");
}
