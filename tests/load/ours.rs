//! Our server, driven over REST: the raw age file as body, seal and precondition as headers, and a fresh proof of
//! possession for every request, as any client must. Sealing is done before the clock starts; signing proofs is not.

use std::{
    fs,
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rand_core::{OsRng, RngCore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use veilcloud_tests::{cli::Machine, files, server::Server};
use veilcore::{
    id::{EnvironmentId, ProjectId},
    secret::Secret,
};
use veilsign::{key::SigningKey, proof};
use veilvault::{
    envelope::{Subject, seal_bytes},
    epoch::EpochKey,
    identity::{Identity, IdentitySecret},
    keyring::{KeyringSubject, seal_keyring},
};

use crate::http::Source;

/// A server with a logged-in account and a project.
pub struct Ours {
    server: Server,
    session: Arc<Session>,
    project: ProjectId,
}

/// What signs requests and versions.
struct Session {
    holder: SigningKey,
    capability: Vec<u8>,
    identity: Identity,
    host: String,
}

impl Session {
    /// A signed request.
    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let mut nonce = [0; 16];
        OsRng.fill_bytes(&mut nonce);
        let target = format!("{method} {path}");
        let proof = proof::prove(&self.holder, &self.capability, &target, &body, now_ms(), nonce)
            .expect("a short target");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("veil-cap", BASE64URL_NOPAD.encode(&self.capability))
            .header("veil-pop", BASE64URL_NOPAD.encode(&proof));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::new(body)).expect("a well-formed request")
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a clock before the year 500,000,000")
}

fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    OsRng.fill_bytes(&mut id);
    // A version 4 UUID, as a client chooses them.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// Most bytes that a row of `log_blocks` takes: trail, six numbers, the row's own head.
const BLOCK_ROW_BYTES: i64 = 64;

impl Ours {
    /// Starts the server, registers and logs in by the real command, and makes a project.
    pub fn start() -> Result<Self> {
        let server = Server::start_with(&[("VEILCLOUD_LOG", "warn")]);
        let machine = Machine::with_account(server.endpoint(), "load@example.com");
        let project = machine.ok(&["--output", "json", "projects", "create", "load"]).json();
        let project = project["id"].as_str().context("a project id")?.parse()?;
        let file = files::below(machine.config()).into_iter().find(|f| f.ends_with("session.json"));
        let session: Value = serde_json::from_slice(&fs::read(file.context("a session file")?)?)?;
        let bytes = |key: &str| -> Result<Vec<u8>> {
            Ok(BASE64URL_NOPAD.decode(session[key].as_str().context("a field of the session")?.as_bytes())?)
        };
        let account = session["account_id"].as_str().context("an account id")?.parse()?;
        let generation = session["generation"].as_u64().context("a generation")?.try_into()?;
        let secret =
            IdentitySecret::from_secret(Secret::from_slice(&bytes("identity")?).context("64 bytes")?);
        let session = Session {
            holder: SigningKey::from_seed(&Secret::from_slice(&bytes("holder")?).context("32 bytes")?),
            capability: bytes("capability")?,
            identity: Identity::restore(account, generation, &secret),
            host: server.endpoint().trim_start_matches("http://").to_owned(),
        };
        Ok(Self { server, session: Arc::new(session), project })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.session.host.parse()?)
    }

    /// Stops it, so that its database can be measured.
    pub fn audit_bytes_per_line(mut self) -> Result<Value> {
        self.server.pause();
        let database = rusqlite::Connection::open(self.server.data().join("veilcloud.db"))?;
        // What the logs keep for good: the segments, and a row for each block of up to 256 entries.
        let sql = "SELECT COALESCE(sum(count), 0), count(*) FROM log_blocks";
        let (lines, rows): (i64, i64) = database.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let mut bytes = rows * BLOCK_ROW_BYTES;
        for entry in std::fs::read_dir(self.server.data().join("log"))? {
            bytes += i64::try_from(entry?.metadata()?.len())?;
        }
        Ok(json!({"lines": lines, "bytes_per_line": bytes / lines.max(1)}))
    }

    /// Environments of this machine's own, one for each connection, each with `versions` sealed in advance.
    /// A value has `len` bytes.
    pub async fn writers(&self, connections: usize, versions: u64, len: usize) -> Result<Vec<Writes>> {
        let mut writers = Vec::new();
        for n in 0..connections {
            writers.push(self.writer(&format!("env-{n}"), versions, len).await?);
        }
        Ok(writers)
    }

    async fn writer(&self, name: &str, versions: u64, len: usize) -> Result<Writes> {
        let environment = EnvironmentId::from_bytes(random_id());
        let key = EpochKey::generate(&mut OsRng);
        let identity = &self.session.identity;
        let subject = KeyringSubject {
            project: self.project,
            environment,
            epoch: 1,
            access_list: 0,
            created_at_ms: now_ms(),
        };
        let keyring = seal_keyring(&key, &subject, &[identity.recipient().clone()], identity)?;
        let body = json!({
            "name": name,
            "environmentId": environment.to_string(),
            "keyring": {"epoch": 1, "file": BASE64.encode(&keyring.file), "seal": BASE64.encode(&keyring.seal)},
        });
        let path = format!("/v1/projects/{}/envs", self.project);
        self.call(self.session.request(
            "POST",
            &path,
            &[("content-type", "application/json")],
            body.to_string().into(),
        ))
        .await?;

        let mut parent = None;
        let mut prepared = Vec::new();
        for version in 1..=versions {
            let value = format!("{version:0len$}");
            let subject = Subject {
                project: self.project,
                environment,
                version,
                parent,
                epoch: 1,
                created_at_ms: now_ms(),
            };
            let sealed = seal_bytes(value.as_bytes(), &subject, &key, identity)?;
            parent = Some(sealed.sealed.digest);
            let short = BASE32_NOPAD.encode(&sealed.sealed.digest[..15]).to_ascii_lowercase();
            prepared.push(Prepared {
                body: sealed.ciphertext.into(),
                seal: BASE64URL_NOPAD.encode(&sealed.sealed.seal),
                etag: format!("\"v{version}-{short}\""),
            });
        }
        let path = format!("/v1/storage/{}/{name}", self.project);
        Ok(Writes { session: self.session.clone(), path, prepared: prepared.into_iter(), etag: None })
    }

    /// Readers of the environments that [`Self::writers`] made.
    pub fn readers(&self, connections: usize) -> Vec<Reads> {
        let path = |n| format!("/v1/storage/{}/env-{n}", self.project);
        (0..connections).map(|n| Reads { session: self.session.clone(), path: path(n) }).collect()
    }

    /// The id of a project of somebody else on the same server.
    pub fn foreign_project(&self) -> Result<String> {
        let machine = Machine::with_account(self.server.endpoint(), "other@example.com");
        let project = machine.ok(&["--output", "json", "projects", "create", "theirs"]).json();
        Ok(project["id"].as_str().context("a project id")?.to_owned())
    }

    /// A signed request without a body.
    pub fn get(&self, path: &str) -> Request<Full<Bytes>> {
        self.session.request("GET", path, &[], Bytes::new())
    }

    /// CPU seconds of the server so far.
    pub fn cpu_s(&self) -> f64 {
        self.server.cpu_s()
    }

    /// Sends one request, which must be answered with success.
    pub async fn call(&self, request: Request<Full<Bytes>>) -> Result<()> {
        let stream = TcpStream::connect(self.address()?).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(())
    }
}

struct Prepared {
    body: Bytes,
    seal: String,
    etag: String,
}

/// Writes of one connection to its own environment, each conditional on the one before.
pub struct Writes {
    session: Arc<Session>,
    path: String,
    prepared: std::vec::IntoIter<Prepared>,
    etag: Option<String>,
}

impl Source for Writes {
    fn next(&mut self) -> Option<Request<Full<Bytes>>> {
        let next = self.prepared.next()?;
        let condition = match &self.etag {
            Some(etag) => ("if-match", etag.as_str()),
            None => ("if-none-match", "*"),
        };
        let headers = [("content-type", "application/octet-stream"), ("veil-seal", &next.seal), condition];
        let request = self.session.request("PUT", &self.path, &headers, next.body);
        self.etag = Some(next.etag);
        Some(request)
    }
}

/// Reads of one connection.
pub struct Reads {
    session: Arc<Session>,
    path: String,
}

impl Source for Reads {
    fn next(&mut self) -> Option<Request<Full<Bytes>>> {
        Some(self.session.request("GET", &self.path, &[], Bytes::new()))
    }
}
