//! The server's own keys: `<data>/keys/server.keys`, made at the first start and never again. Whoever holds the file
//! can pose as this server in logins; it opens no environment. What must never happen: new
//! keys beside an old database, because no account could log in any more.
//!
//! File: "VEILKEYS" ‖ version u8 = 1 ‖ u32 length ‖ auth secrets ‖ outbox key[32] ‖ page key[32] ‖ SHA-256 of all
//! before.

pub mod file;
mod issuers;
mod log;

use std::{
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use veilcloud_domain::{
    audit::{LogTokenKey, model::OutboxKey},
    auth::{Secrets, api_keys::Pepper},
    clock::Entropy,
};
use zeroize::Zeroizing;

use self::file::io_error;
pub use self::{issuers::IssuerFile, log::LogKeyFile};

const MAGIC: &[u8; 8] = b"VEILKEYS";
const VERSION: u8 = 1;
const CHECKSUM_LEN: usize = 32;

/// Everything secret that the server itself holds.
pub struct Keys {
    /// Secrets of logins.
    pub auth: Secrets,
    /// Key of the audit outbox's MACs.
    pub outbox: OutboxKey,
    /// Key of page tokens.
    pub page: Zeroizing<[u8; 32]>,
    /// Key of the tokens that read logs; made from the key of page tokens.
    pub log_tokens: LogTokenKey,
    /// Pepper of API keys; made from the key of page tokens.
    pub api_keys: Pepper,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A file system call failed.
    #[error("cannot {step} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// Others than the owner may read or write.
    #[error(
        "{} can be read or written by others than its owner (mode {mode:o}): if nobody did, run chmod {} {}",
        path.display(), if *folder { "700" } else { "600" }, path.display()
    )]
    Permissions {
        /// On what.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
        /// True for a folder.
        folder: bool,
    },
    /// There are accounts but no keys.
    #[error(
        "{} is missing but the folder has a database: new keys would lock every account out. Restore the key file from \
         the backup of this folder, or name an empty folder for a new server",
        path.display()
    )]
    Missing {
        /// Where the keys should be.
        path: PathBuf,
    },
    /// There are no issuer keys yet.
    #[error("{} is not there: start the server once, it makes it", path.display())]
    NoIssuers {
        /// Where they should be.
        path: PathBuf,
    },
    /// The configuration says another name than the logs have.
    #[error(
        "the logs of {} are named {stored:?} and chain.name says {configured:?}: clients and witnesses know them by the \
         first name, so set that one, or none",
        path.display()
    )]
    Renamed {
        /// The file with the name.
        path: PathBuf,
        /// The name they have.
        stored: String,
        /// The name that was configured.
        configured: String,
    },
    /// Not a key file, or not all of it, or not what was written.
    #[error("{} is not a whole key file: {why}. Restore it from the backup of this folder", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

impl Keys {
    /// Reads the keys, or makes them when the folder is new.
    pub fn open(data_dir: &Path, has_database: bool, entropy: &dyn Entropy) -> Result<Self, KeysError> {
        let folder = data_dir.join("keys");
        let path = folder.join("server.keys");
        let present = path.try_exists().map_err(io_error("look for", &path))?;
        let raw = match (present, has_database) {
            (true, _) => Raw::decode(&file::read(&folder, &path)?)
                .map_err(|why| KeysError::Damaged { path: path.clone(), why })?,
            (false, true) => return Err(KeysError::Missing { path }),
            (false, false) => {
                let raw = Raw::generate(entropy);
                file::write(&folder, &path, &raw.encode())?;
                raw
            }
        };
        let auth = Secrets::from_bytes(&raw.auth)
            .map_err(|_| KeysError::Damaged { path, why: "the auth secrets do not decode" })?;
        let derived = |label: &[u8]| Sha256::new_with_prefix(label).chain_update(*raw.page).finalize().into();
        let log_tokens = LogTokenKey::new(derived(b"veilcloud log token key v1"));
        let api_keys = Pepper::new(derived(b"veilcloud api key pepper v1"));
        Ok(Self { auth, outbox: OutboxKey::new(*raw.outbox), page: raw.page, log_tokens, api_keys })
    }
}

/// The file's content.
struct Raw {
    auth: Zeroizing<Vec<u8>>,
    outbox: Zeroizing<[u8; 32]>,
    page: Zeroizing<[u8; 32]>,
}

impl Raw {
    fn generate(entropy: &dyn Entropy) -> Self {
        let mut raw = Self {
            auth: Secrets::generate(entropy).to_bytes(),
            outbox: Zeroizing::new([0; 32]),
            page: Zeroizing::new([0; 32]),
        };
        entropy.fill(&mut *raw.outbox);
        entropy.fill(&mut *raw.page);
        raw
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let len = u32::try_from(self.auth.len()).expect("auth secrets have some hundred bytes");
        // Room for everything at once: growing would leave copies of the keys behind.
        let mut out = Zeroizing::new(Vec::with_capacity(self.auth.len() + 128));
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&self.auth);
        out.extend_from_slice(&*self.outbox);
        out.extend_from_slice(&*self.page);
        let checksum = Sha256::digest(&*out);
        out.extend_from_slice(&checksum);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or("it is too short")?;
        let rest = body.strip_prefix(MAGIC).ok_or("it does not begin like one")?;
        if !bool::from(Sha256::digest(body).as_slice().ct_eq(checksum)) {
            return Err("its checksum does not match: it was cut off or altered");
        }
        let (version, rest) = rest.split_first().ok_or("it is too short")?;
        if *version != VERSION {
            return Err("it was written by another version of this program");
        }
        let (len, rest) = rest.split_first_chunk::<4>().ok_or("it is too short")?;
        let (auth, rest) = usize::try_from(u32::from_be_bytes(*len))
            .ok()
            .and_then(|len| rest.split_at_checked(len))
            .ok_or("a length in it is wrong")?;
        let (outbox, rest) = rest.split_first_chunk::<32>().ok_or("it is too short")?;
        let page = <&[u8; 32]>::try_from(rest).map_err(|_| "its length is wrong")?;
        Ok(Self {
            auth: Zeroizing::new(auth.to_vec()),
            outbox: Zeroizing::new(*outbox),
            page: Zeroizing::new(*page),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    use veilcloud_domain::clock::SystemEntropy;

    use super::*;

    fn open(dir: &Path, has_database: bool) -> Result<Keys, KeysError> {
        Keys::open(dir, has_database, &SystemEntropy)
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_start_makes_keys_and_the_second_reads_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), false).unwrap();
        let second = open(dir.path(), true).unwrap();
        assert_eq!(*first.page, *second.page);
        assert_eq!(first.auth.to_bytes(), second.auth.to_bytes());
        assert_eq!(fs::metadata(dir.path().join("keys")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(dir.path().join("keys/server.keys")).unwrap().mode() & 0o777, 0o600);
        assert!(!dir.path().join("keys/server.keys.new").exists());
    }

    #[test]
    fn two_servers_have_different_keys() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(*open(a.path(), false).unwrap().page, *open(b.path(), false).unwrap().page);
    }

    #[test]
    fn a_database_without_keys_is_refused_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(open(dir.path(), true), Err(KeysError::Missing { .. })));
        assert!(!dir.path().join("keys").exists());
    }

    #[test]
    fn keys_that_others_may_read_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), false).unwrap();
        let (folder, file) = (dir.path().join("keys"), dir.path().join("keys/server.keys"));
        for mode in [0o640, 0o604, 0o660, 0o644] {
            chmod(&file, mode);
            assert!(
                matches!(open(dir.path(), true), Err(KeysError::Permissions { folder: false, .. })),
                "{mode:o}"
            );
        }
        chmod(&file, 0o600);
        chmod(&folder, 0o750);
        assert!(matches!(open(dir.path(), true), Err(KeysError::Permissions { folder: true, .. })));
        chmod(&folder, 0o700);
        open(dir.path(), true).unwrap();
    }

    #[test]
    fn a_file_that_was_cut_or_altered_is_refused() {
        let raw = Raw::generate(&SystemEntropy);
        let whole = raw.encode();
        assert_eq!(*Raw::decode(&whole).ok().unwrap().auth, *raw.auth);
        for len in 0..whole.len() {
            assert!(Raw::decode(&whole[..len]).is_err(), "cut to {len}");
        }
        for at in 0..whole.len() {
            let mut altered = whole.to_vec();
            altered[at] ^= 1;
            assert!(Raw::decode(&altered).is_err(), "altered at {at}");
        }
        let mut longer = whole.to_vec();
        longer.push(0);
        assert!(Raw::decode(&longer).is_err());
    }
}
