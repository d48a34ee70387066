//! The role `witness`: watches the logs of other servers and cosigns what only grew. Alone in its process, with a data
//! folder of its own. What must never happen: a new key under an old name, or an old key without the records that it
//! signed.

use std::{fmt::Display, path::Path, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use veilcloud_domain::{
    audit::witness::{KnownLogs, Witness, WitnessKey},
    clock::{Clock, Entropy},
};
use veilcloud_embedded::SqliteWitness;
use zeroize::Zeroizing;

use crate::{
    keys::{KeysError, file},
    listen::Port,
    start::StartError,
};

/// Opens key and records of the witness `name`, which trusts the keys `logs`. Blocks: the whole database is checked.
pub fn open(
    data_dir: &Path,
    name: &str,
    logs: &[String],
    clock: Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> Result<Arc<Witness>, StartError> {
    let mut known = KnownLogs::new();
    for log in logs {
        known.add(log).map_err(|error| wire(format!("{log} in witness.logs: {error}")))?;
    }
    let key = open_key(data_dir, name, SqliteWitness::has_records(data_dir), entropy)?;
    let store = Arc::new(SqliteWitness::open(data_dir)?);
    tracing::info!(
        vkey = key.vkey(),
        logs = known.len(),
        "the witness {name} cosigns; logs and their verifiers know it by this verifier key"
    );
    Ok(Arc::new(Witness::new(key, known, store, clock)))
}

/// Starts the role on its port; it ends after `stop`, drained or cut off (then it says false).
pub fn start(port: Port, witness: Arc<Witness>, stop: CancellationToken) -> JoinHandle<bool> {
    tokio::spawn(port.serve(veilcloud_api::witness_router(witness), stop))
}

/// Reads `<data>/keys/witness.key`, or makes it at the first start. The file is the key's text
/// (`PRIVATE+KEY+<name>+<id>+<key>`) and a newline.
fn open_key(
    data_dir: &Path,
    name: &str,
    has_records: bool,
    entropy: &dyn Entropy,
) -> Result<WitnessKey, StartError> {
    let folder = data_dir.join("keys");
    let path = folder.join("witness.key");
    let present = path.try_exists().map_err(file::io_error("look for", &path))?;
    if !present && has_records {
        return Err(wire(format!(
            "{} is missing but the folder has records that it signed: restore it, or name an empty folder and another \
             witness.name",
            path.display()
        )));
    }
    if !present {
        let key =
            WitnessKey::generate(name, entropy).map_err(|error| wire(format!("witness.name: {error}")))?;
        let text = key.to_text();
        // Sized beforehand: a buffer that grows leaves copies of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        file::write(&folder, &path, &bytes)?;
        return Ok(key);
    }
    let bytes = file::read(&folder, &path)?;
    let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let key = text.and_then(|text| WitnessKey::from_text(text).ok());
    let key =
        key.ok_or_else(|| KeysError::Damaged { path: path.clone(), why: "it is not the key of a witness" })?;
    if key.name() != name {
        let made = key.name();
        return Err(wire(format!(
            "{} is the key of {made:?} and witness.name says {name:?}: the name is part of the key; set that one",
            path.display()
        )));
    }
    Ok(key)
}

fn wire(cause: impl Display) -> StartError {
    StartError::Wire(cause.to_string())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    use veilcloud_domain::clock::{SystemClock, SystemEntropy};

    use super::*;

    fn key(dir: &Path, name: &str, has_records: bool) -> Result<String, StartError> {
        open_key(dir, name, has_records, &SystemEntropy).map(|key| key.vkey())
    }

    #[test]
    fn the_first_start_makes_a_key_and_the_second_reads_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let vkey = key(dir.path(), "w.example", false).unwrap();
        assert_eq!(key(dir.path(), "w.example", true).unwrap(), vkey);
        let path = dir.path().join("keys/witness.key");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(key(dir.path(), "w.example", true), Err(StartError::Keys(_))));
    }

    #[test]
    fn a_key_that_is_missing_renamed_or_damaged_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(key(dir.path(), "w.example", true), Err(StartError::Wire(_))));
        assert!(!dir.path().join("keys").exists());
        assert!(matches!(key(dir.path(), "two words", false), Err(StartError::Wire(_))));
        key(dir.path(), "w.example", false).unwrap();
        assert!(matches!(key(dir.path(), "other.example", false), Err(StartError::Wire(_))));
        let path = dir.path().join("keys/witness.key");
        let whole = fs::read(&path).unwrap();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert!(matches!(key(dir.path(), "w.example", true), Err(StartError::Keys(_))), "cut to {len}");
        }
    }

    #[test]
    fn a_witness_opens_twice_with_one_key_and_refuses_logs_that_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let open = |logs: &[String]| {
            open(dir.path(), "w.example", logs, Arc::new(SystemClock), &SystemEntropy)
                .map(|witness| witness.verifier().clone())
        };
        let first = open(&[]).unwrap();
        assert_eq!(open(&[]).unwrap(), first);
        assert!(matches!(open(&["nonsense".to_owned()]), Err(StartError::Wire(_))));
        // A witness watches logs, not witnesses.
        assert!(matches!(open(&[first.encode()]), Err(StartError::Wire(_))));
    }
}
