//! Leaves for each CPU second of a server, single and many in a call, beside Tessera's POSIX log, with one generator. The
//! server is the smallest that a log can have: no accounts, no proofs of possession, as in the peer.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Path as UrlPath, State},
    http::StatusCode,
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};
use veilcloud_domain::{
    audit::{LogReader, log::Log, port::Outbox, sequence::BATCH_LEAVES},
    store::StoreError,
};

use crate::{
    measure::{PAIRS, cpu_s, round, spread},
    rig::{LEAF_LEN, LOG, Rig, keys, line, runtime},
};

/// Connections with single entries, as the peer's own generator has them.
const WRITERS: usize = 1024;
/// Leaves of a sample of single entries.
const LEAVES: u64 = 20_000;
/// Connections with many entries in a call.
const CALLERS: usize = 8;
/// Entries in a call.
const CALL: usize = 1024;
/// Leaves of a sample of calls.
const CALL_LEAVES: u64 = 160 * CALL as u64;
/// Longest wait for a server's first answer.
const START: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Personality {
    outbox: Arc<dyn Outbox>,
    log: Arc<Log>,
    reader: Arc<LogReader>,
}

type Answer = Result<String, StatusCode>;

fn unavailable(_: StoreError) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

/// One entry: answered when it is in the log, with its index.
async fn add(State(to): State<Personality>, body: Bytes) -> Answer {
    let index = to.outbox.record(line(1, Sha256::digest(&body).into())).await.map_err(unavailable)?;
    to.log.settle(LOG).await.map_err(unavailable)?;
    Ok(index.to_string())
}

/// What a request costs before there is a log.
async fn nothing(body: Bytes) -> String {
    body.len().to_string()
}

/// Many entries, [`LEAF_LEN`] bytes each: answered when all are in the log, with the first one's index.
async fn add_batch(State(to): State<Personality>, body: Bytes) -> Answer {
    let lines = body.chunks(LEAF_LEN).map(|entry| line(1, Sha256::digest(entry).into()));
    let indexes = to.outbox.record_all(lines.collect()).await.map_err(unavailable)?;
    to.log.settle(LOG).await.map_err(unavailable)?;
    Ok(indexes.first().map(u64::to_string).unwrap_or_default())
}

async fn file(State(to): State<Personality>, UrlPath(path): UrlPath<String>) -> Result<Bytes, StatusCode> {
    let file = to.reader.file(LOG, &path).await;
    file.map(|file| file.bytes).map_err(|_| StatusCode::NOT_FOUND)
}

/// Child: serves the folder's log. Its verifier key is printed, for other generators.
pub fn serve(folder: &Path, address: &str) {
    let runtime = runtime();
    let rig = Rig::start(&runtime, folder, None, BATCH_LEAVES);
    println!("{}", keys().verifiers(LOG)[0].encode());
    let reader = Arc::new(LogReader::new(rig.stores.logs()));
    let state = Personality { outbox: rig.stores.outbox(), log: rig.log.clone(), reader };
    let router = Router::new()
        .route("/add", post(add))
        .route("/add-batch", post(add_batch))
        .route("/nothing", post(nothing))
        .route("/{*path}", get(file))
        .with_state(state);
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await.expect("the address is free");
        axum::serve(listener, router).await.expect("it serves");
    });
}

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(disk: &Path, command: impl FnOnce(&Path, SocketAddr) -> Command) -> Self {
        let folder = tempfile::tempdir_in(disk).expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let mut command = command(&folder.path().join("log"), address);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let start = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < START, "no server on {address}");
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, address, _folder: folder }
    }

    /// CPU microseconds of the server for each leaf, and leaves per second.
    fn drive(&self, runtime: &Runtime, load: &Load) -> (f64, f64) {
        let pid = self.child.id().to_string();
        let before = cpu_s(&pid);
        let start = Instant::now();
        runtime.block_on(load.run(self.address));
        let wall = start.elapsed().as_secs_f64();
        // What is left to do after the last answer counts too.
        thread::sleep(Duration::from_millis(1200));
        let cpu = cpu_s(&pid) - before;
        (cpu * 1e6 / load.leaves as f64, load.leaves as f64 / wall)
    }
}

/// What is sent.
struct Load {
    path: &'static str,
    connections: usize,
    /// Entries in a request.
    each: usize,
    leaves: u64,
}

/// Numbers of entries: no two are equal in a run.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Load {
    async fn run(&self, address: SocketAddr) {
        let left = Arc::new(AtomicU64::new(self.leaves / self.each as u64));
        let connections = (0..self.connections).map(|_| {
            let (left, path, each) = (left.clone(), self.path, self.each);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                stream.set_nodelay(true).expect("a socket option");
                let take = |left: u64| left.checked_sub(1);
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                    exchange(&mut stream, path, each).await;
                }
            })
        });
        for connection in connections.collect::<Vec<_>>() {
            connection.await.expect("every request is answered");
        }
    }
}

/// Sends one request and reads its answer.
async fn exchange(stream: &mut TcpStream, path: &str, each: usize) {
    let mut request =
        format!("POST {path} HTTP/1.1\r\nhost: log\r\ncontent-length: {}\r\n\r\n", each * LEAF_LEN)
            .into_bytes();
    for _ in 0..each {
        let mut entry = [0x5A; LEAF_LEN];
        entry[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        request.extend_from_slice(&entry);
    }
    stream.write_all(&request).await.expect("it is sent");
    let mut answer = Vec::with_capacity(512);
    loop {
        let read = stream.read_buf(&mut answer).await.expect("an answer");
        assert!(read > 0, "the server closed the connection");
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("http/1.1 200"), "{text}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| body.len() >= length) {
            return;
        }
    }
}

/// Both servers by turns; without the peer, ours alone.
pub fn measure(disk: &Path, tessera: Option<&Path>) -> Value {
    let runtime = runtime();
    let ours = Server::start(disk, |folder, address| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--serve", &address.to_string(), "--folder"]).arg(folder);
        command
    });
    let peer = tessera.map(|program| {
        Server::start(disk, |folder, address| {
            let mut command = Command::new(program);
            command.arg(format!("--storage_dir={}", folder.display())).arg(format!("--listen={address}"));
            command
        })
    });
    let single = Load { path: "/add", connections: WRITERS, each: 1, leaves: LEAVES };
    let calls = Load { path: "/add-batch", connections: CALLERS, each: CALL, leaves: CALL_LEAVES };
    let nothing = Load { path: "/nothing", ..single };
    let sides =
        [(Some(&ours), &single), (Some(&ours), &calls), (peer.as_ref(), &single), (Some(&ours), &nothing)];
    let mut cpu: [Vec<f64>; 4] = Default::default();
    let mut rate: [Vec<f64>; 4] = Default::default();
    // The first turn of each goes unmeasured.
    for turn in 0..=PAIRS {
        let order = if turn % 2 == 0 { [0, 1, 2, 3] } else { [3, 2, 1, 0] };
        for side in order {
            let (Some(server), load) = sides[side] else { continue };
            let (micros, per_second) = server.drive(&runtime, load);
            if turn > 0 {
                cpu[side].push(micros);
                rate[side].push(per_second);
            }
        }
    }
    let side = |side: usize| json!({"server_cpu_us_per_leaf": spread(&cpu[side]), "leaves_per_second": spread(&rate[side])});
    let ratio = |side: usize| {
        let ratios: Vec<_> = cpu[2].iter().zip(&cpu[side]).map(|(peer, ours)| peer / ours).collect();
        if ratios.is_empty() { Value::Null } else { spread(&ratios) }
    };
    json!({
        "goal": "leaves for each CPU second of the server: single at least 3, calls at least 20 of Tessera's",
        "entry_bytes": LEAF_LEN,
        "single": {"connections": WRITERS, "ours": side(0), "ratio": ratio(0)},
        "calls": {"connections": CALLERS, "entries": CALL, "ours": side(1), "ratio": ratio(1)},
        "request_without_a_log": side(3),
        "tessera": if peer.is_some() { side(2) } else { Value::Null },
        "cores_for_100000_per_second_extrapolated": if cpu[1].is_empty() { 0.0 } else { round(crate::measure::median(&cpu[1]) / 10.0) },
    })
}
