//! The peer: OpenBao with Raft storage on disk and a file audit device, as its documentation sets up a single server.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Source;

/// Where it listens.
const ADDRESS: &str = "127.0.0.1:18200";

/// A running OpenBao.
pub struct Bao {
    child: Child,
    folder: TempDir,
    program: PathBuf,
    token: String,
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bao {
    /// Starts, initialises and unseals it, with a versioned key-value store at `secret/`.
    pub fn start(program: &Path) -> Result<Self> {
        let folder = TempDir::new()?;
        let at = folder.path().display();
        fs::create_dir(folder.path().join("raft"))?;
        // Audit devices are declared in the configuration since 2.4.
        let config = format!(
            "storage \"raft\" {{\n path = \"{at}/raft\"\n node_id = \"n1\"\n}}\nlistener \"tcp\" {{\n address = \"{ADDRESS}\"\n tls_disable = true\n}}\naudit \"file\" \"to-file\" {{\n options {{\n file_path = \"{at}/audit.log\"\n }}\n}}\napi_addr = \"http://{ADDRESS}\"\ncluster_addr = \"http://127.0.0.1:18201\"\n"
        );
        fs::write(folder.path().join("bao.hcl"), config)?;
        let log = fs::File::create(folder.path().join("bao.log"))?;
        let mut command = Command::new(program);
        command.arg("server").arg(format!("-config={at}/bao.hcl")).stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("start OpenBao")?;
        let mut bao = Self { child, folder, program: program.to_path_buf(), token: String::new() };
        bao.initialise()?;
        Ok(bao)
    }

    fn initialise(&mut self) -> Result<()> {
        let start = Instant::now();
        let init = loop {
            match self.command(&["operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"]) {
                Ok(text) => break text,
                Err(error) if start.elapsed() > Duration::from_secs(30) => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(200)),
            }
        };
        let init: Value = serde_json::from_str(&init)?;
        let key = init["unseal_keys_b64"][0].as_str().context("an unseal key")?.to_owned();
        self.token = init["root_token"].as_str().context("a root token")?.to_owned();
        self.command(&["operator", "unseal", &key])?;
        let start = Instant::now();
        while let Err(error) = self.command(&["secrets", "enable", "-path=secret", "-version=2", "kv"]) {
            if start.elapsed() > Duration::from_secs(30) {
                return Err(error);
            }
            thread::sleep(Duration::from_millis(200));
        }
        // The versioned store upgrades itself in the background after it is enabled.
        thread::sleep(Duration::from_secs(2));
        Ok(())
    }

    fn command(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(args).env("BAO_ADDR", format!("http://{ADDRESS}")).env("BAO_TOKEN", &self.token);
        let out = command.output()?;
        if !out.status.success() {
            bail!("bao {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        }
        Ok(String::from_utf8(out.stdout)?)
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(ADDRESS.parse()?)
    }

    /// Size of its audit file in bytes.
    pub fn audit_bytes(&self) -> Result<u64> {
        Ok(fs::metadata(self.folder.path().join("audit.log"))?.len())
    }

    /// Writers of 1 KiB values, a key for each connection.
    pub fn writers(&self, connections: usize) -> Vec<Values> {
        (0..connections)
            .map(|n| Values { token: self.token.clone(), key: n, write: true, count: 0 })
            .collect()
    }

    /// Readers of the same keys.
    pub fn readers(&self, connections: usize) -> Vec<Values> {
        (0..connections)
            .map(|n| Values { token: self.token.clone(), key: n, write: false, count: 0 })
            .collect()
    }
}

/// Requests of one connection.
pub struct Values {
    token: String,
    key: usize,
    write: bool,
    count: u64,
}

impl Source for Values {
    fn next(&mut self) -> Option<Request<Full<Bytes>>> {
        self.count += 1;
        let (method, body) = if self.write {
            let value = format!("{:0width$}", self.count, width = crate::VALUE_LEN);
            ("PUT", Bytes::from(json!({"data": {"v": value}}).to_string()))
        } else {
            ("GET", Bytes::new())
        };
        Request::builder()
            .method(method)
            .uri(format!("/v1/secret/data/k{}", self.key))
            .header("host", ADDRESS)
            .header("x-vault-token", &self.token)
            .body(Full::new(body))
            .ok()
    }
}
