//! What is remembered beside the session and is no secret: the last e-mail and the server it belongs to.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

const FILE: &str = "settings.json";

/// Longest file read, in bytes.
const LEN_MAX: u64 = 64 * 1024;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub email: Option<String>,
    pub endpoint: Option<String>,
}

impl Settings {
    /// The settings of a folder; none when there are none.
    pub fn load(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        match fs::metadata(&path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(fault) => return Err(fault),
            Ok(meta) if meta.len() > LEN_MAX => return Err(io::Error::other(format!("{FILE} is too long"))),
            Ok(_) => {}
        }
        serde_json::from_slice(&fs::read(path)?)
            .map_err(|_| io::Error::other(format!("{FILE} is not readable")))
    }

    /// Replaces the settings of a folder as a whole.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.persist(dir.join(FILE))?;
        Ok(())
    }
}
