//! `<data>/server.addr`: where the server really listens, for tests and tools that let it choose a port. It is there
//! from the moment both ports answer until the server leaves; after a crash it may be stale, so it also names the
//! process.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// The file's content.
#[derive(Debug, Serialize)]
pub struct Addresses {
    /// URL of the public port, if the process has the role `api`.
    pub endpoint: Option<String>,
    /// Address of the public port.
    pub listen: Option<SocketAddr>,
    /// Address of the admin port.
    pub admin_listen: SocketAddr,
    /// True when the public port speaks TLS.
    pub tls: bool,
    /// Process id.
    pub pid: u32,
    /// Version of the server.
    pub version: &'static str,
}

/// The written file; removed when it is dropped.
pub struct AddressFile(PathBuf);

impl AddressFile {
    /// Writes it beside, then renames: a reader finds the whole file or none.
    pub fn write(data_dir: &Path, addresses: &Addresses) -> io::Result<Self> {
        let path = data_dir.join("server.addr");
        let temporary = data_dir.join("server.addr.new");
        let mut text = serde_json::to_vec(addresses)?;
        text.push(b'\n');
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        drop(file);
        fs::rename(&temporary, &path)?;
        Ok(Self(path))
    }

    /// Removes what a crashed server left, so that nobody reads old addresses while this one starts.
    pub fn clear(data_dir: &Path) {
        drop(fs::remove_file(data_dir.join("server.addr")));
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}
