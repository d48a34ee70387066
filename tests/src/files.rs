//! Files to store.

use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::Path,
};

use rand_core::{OsRng, RngCore};

/// A real-world dotenv of 200 keys: comments, quotes, multi-line values, UTF-8.
///
/// # Panics
/// When the fixture is missing.
pub fn dotenv() -> Vec<u8> {
    std::fs::read(crate::root().join("tests/fixtures/realworld.env")).expect("the fixture is committed")
}

/// Writes a file of `len` random-looking bytes: a random megabyte, repeated with a counter, so that no two are alike.
///
/// # Panics
/// When the disk is full.
pub fn write_binary(path: &Path, len: u64) {
    let mut block = vec![0; 1 << 20];
    OsRng.fill_bytes(&mut block);
    let mut file = BufWriter::new(File::create(path).expect("create the file"));
    let mut left = len;
    let mut count = 0_u64;
    while left > 0 {
        block[..8].copy_from_slice(&count.to_be_bytes());
        let now = left.min(block.len() as u64);
        file.write_all(&block[..usize::try_from(now).expect("at most a megabyte")])
            .expect("room on the disk");
        left -= now;
        count += 1;
    }
    file.flush().expect("room on the disk");
}

/// SHA-256 of a file, by the system's own tool.
///
/// # Panics
/// When the file cannot be read.
pub fn sha256(path: &Path) -> String {
    let out = std::process::Command::new("sha256sum").arg(path).output().expect("sha256sum runs");
    assert!(out.status.success(), "sha256sum {}", path.display());
    String::from_utf8_lossy(&out.stdout).split(' ').next().unwrap_or_default().to_owned()
}

/// True when a file holds these bytes somewhere.
///
/// # Panics
/// When the file cannot be read.
pub fn contains(path: &Path, needle: &[u8]) -> bool {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)).expect("read the file");
    bytes.windows(needle.len()).any(|w| w == needle)
}

/// All files below a folder.
///
/// # Panics
/// When the folder cannot be read.
pub fn below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("read the folder") {
        let path = entry.expect("read the folder").path();
        if path.is_dir() {
            files.extend(below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
