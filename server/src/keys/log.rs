//! The keys that sign the logs, and the logs' name: `<data>/keys/log.keys`. Whoever holds the file can sign a second
//! history; clients and witnesses that saw the first would notice. What must never happen: a new key or name under logs
//! that clients know by the old one.
//!
//! File: "VEILLOGK" ‖ version u8 = 1 ‖ u16 length ‖ name ‖ u8 count ‖ Ed25519 seeds[32], newest first ‖ SHA-256 of all
//! before.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use veilcloud_domain::{
    audit::{
        model::Trail,
        signer::{GENERATIONS_MAX, LogKeys},
    },
    clock::Entropy,
};
use zeroize::Zeroizing;

use super::{KeysError, file, file::io_error};

const MAGIC: &[u8; 8] = b"VEILLOGK";
const VERSION: u8 = 1;

/// The file and what is in it.
pub struct LogKeyFile {
    folder: PathBuf,
    path: PathBuf,
    name: String,
    seeds: Vec<Zeroizing<[u8; 32]>>,
}

/// A key that is not in use yet.
pub struct NewKey {
    /// Its public key.
    pub public: [u8; 32],
    seed: Zeroizing<[u8; 32]>,
}

impl LogKeyFile {
    /// Reads the file, or makes it when the folder has no log yet. `configured` must be the name it was made with.
    pub fn open(data_dir: &Path, configured: Option<&str>, entropy: &dyn Entropy) -> Result<Self, KeysError> {
        let folder = data_dir.join("keys");
        let path = folder.join("log.keys");
        if !path.try_exists().map_err(io_error("look for", &path))? {
            if has_log(data_dir)? {
                return Err(KeysError::Missing { path });
            }
            let seed = draw(entropy);
            let name = configured.map_or_else(|| own_name(&seed), str::to_owned);
            let made = Self { folder, path, name, seeds: vec![seed] };
            made.write()?;
            return Ok(made);
        }
        let bytes = file::read(&folder, &path)?;
        let (name, seeds) = decode(&bytes)
            .ok_or_else(|| KeysError::Damaged { path: path.clone(), why: "it does not decode" })?;
        match configured {
            Some(configured) if configured != name => {
                Err(KeysError::Renamed { path, stored: name, configured: configured.to_owned() })
            }
            _ => Ok(Self { folder, path, name, seeds }),
        }
    }

    /// The keys, for signing.
    pub fn keys(&self) -> Result<LogKeys, KeysError> {
        LogKeys::new(self.name.clone(), self.seeds.clone())
            .map_err(|_| KeysError::Damaged { path: self.path.clone(), why: "the logs' name is none" })
    }

    /// Draws a key that is not in use yet; its public key can be told before it signs.
    pub fn draw(&self, entropy: &dyn Entropy) -> Result<NewKey, KeysError> {
        if self.seeds.len() >= GENERATIONS_MAX {
            let why = "it holds as many keys as may sign at once: retire the old ones first";
            return Err(KeysError::Damaged { path: self.path.clone(), why });
        }
        let seed = draw(entropy);
        let keys = LogKeys::new(self.name.clone(), vec![seed.clone()])
            .map_err(|_| KeysError::Damaged { path: self.path.clone(), why: "the logs' name is none" })?;
        Ok(NewKey { public: *keys.verifiers(Trail::Directory)[0].public_key(), seed })
    }

    /// Puts a new key before the others: from the next start on all of them sign.
    pub fn add(&mut self, new: NewKey) -> Result<(), KeysError> {
        self.seeds.insert(0, new.seed);
        self.write()
    }

    /// Forgets every key but the newest; says how many.
    pub fn retire(&mut self) -> Result<usize, KeysError> {
        let old = self.seeds.len() - 1;
        self.seeds.truncate(1);
        self.write()?;
        Ok(old)
    }

    fn write(&self) -> Result<(), KeysError> {
        file::write(&self.folder, &self.path, &self.encode())
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(256 + 32 * self.seeds.len()));
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        let len = u16::try_from(self.name.len()).expect("a name has at most 128 bytes");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out.push(u8::try_from(self.seeds.len()).expect("there are few keys"));
        for seed in &self.seeds {
            out.extend_from_slice(&**seed);
        }
        let checksum = Sha256::digest(&*out);
        out.extend_from_slice(&checksum);
        out
    }
}

fn decode(bytes: &[u8]) -> Option<(String, Vec<Zeroizing<[u8; 32]>>)> {
    let (body, checksum) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(body).as_slice() != checksum {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?.strip_prefix(&[VERSION])?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    let (count, seeds) = rest.split_first()?;
    let (seeds, []) = seeds.as_chunks::<32>() else { return None };
    if seeds.len() != usize::from(*count) || seeds.is_empty() || seeds.len() > GENERATIONS_MAX {
        return None;
    }
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some((name, seeds.iter().map(|seed| Zeroizing::new(*seed)).collect()))
}

fn draw(entropy: &dyn Entropy) -> Zeroizing<[u8; 32]> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(&mut *seed);
    seed
}

/// A name of its own for logs that were given none: nobody else's logs are called so.
fn own_name(seed: &[u8; 32]) -> String {
    let mut hash = Sha256::new_with_prefix(b"veilcloud log name v1");
    hash.update(seed);
    let hash = hash.finalize();
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("veilcloud-{hex}")
}

/// True when the folder has segments of logs: their key must be there.
fn has_log(data_dir: &Path) -> Result<bool, KeysError> {
    let log = data_dir.join("log");
    match fs::read_dir(&log) {
        Ok(mut entries) => Ok(entries.any(|entry| {
            entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "seg"))
        })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("look into", &log)(error)),
    }
}

#[cfg(test)]
mod tests {
    use veilcloud_domain::clock::SystemEntropy;

    use super::*;

    fn open(dir: &Path, name: Option<&str>) -> Result<LogKeyFile, KeysError> {
        LogKeyFile::open(dir, name, &SystemEntropy)
    }

    fn publics(file: &LogKeyFile) -> Vec<String> {
        file.keys().unwrap().verifiers(Trail::Directory).iter().map(|key| key.encode()).collect()
    }

    #[test]
    fn the_first_start_fixes_key_and_name() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), Some("cloud.example.org/log")).unwrap();
        assert_eq!(publics(&open(dir.path(), None).unwrap()), publics(&first));
        assert!(publics(&first)[0].starts_with("cloud.example.org/log/directory+"));
        let renamed = open(dir.path(), Some("other.example.org/log"));
        assert!(matches!(renamed, Err(KeysError::Renamed { .. })));
    }

    #[test]
    fn two_servers_have_different_names_and_keys() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(open(a.path(), None).unwrap().name, open(b.path(), None).unwrap().name);
    }

    #[test]
    fn a_log_without_its_key_is_refused_and_no_key_is_made() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        fs::write(dir.path().join("log/0000000001.seg"), b"x").unwrap();
        assert!(matches!(open(dir.path(), None), Err(KeysError::Missing { .. })));
        assert!(!dir.path().join("keys").exists());
    }

    #[test]
    fn a_rotated_key_signs_beside_the_old_one_until_that_is_retired() {
        let dir = tempfile::tempdir().unwrap();
        let old = publics(&open(dir.path(), None).unwrap());
        let mut file = open(dir.path(), None).unwrap();
        let new = file.draw(&SystemEntropy).unwrap();
        let public = new.public;
        file.add(new).unwrap();
        let mut both = open(dir.path(), None).unwrap();
        assert_eq!(publics(&both)[1], old[0]);
        assert_eq!(*both.keys().unwrap().verifiers(Trail::Directory)[0].public_key(), public);
        assert_eq!(both.retire().unwrap(), 1);
        assert_eq!(publics(&open(dir.path(), None).unwrap()).len(), 1);
    }

    #[test]
    fn a_file_that_was_cut_or_altered_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let whole = open(dir.path(), None).unwrap().encode();
        assert!(decode(&whole).is_some());
        for at in 0..whole.len() {
            assert!(decode(&whole[..at]).is_none(), "cut to {at}");
            let mut altered = whole.to_vec();
            altered[at] ^= 1;
            assert!(decode(&altered).is_none(), "altered at {at}");
        }
    }
}
