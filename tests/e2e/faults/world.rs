//! A prepared server and its one user, that each case begins from again: an account, a project, two environments.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;
use veilcloud_tests::{
    cli::Machine,
    files,
    server::{self, Server},
    strace::Strace,
};

/// Longest wait for a command whose server is in trouble; then it counts as not answered.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a command may take to end after its server died: an answer that was sent before counts.
const LAST_WORD: Duration = Duration::from_millis(40);
/// Pause between two looks at the checkpoint.
const LOOK: Duration = Duration::from_millis(3);
/// Above the length up to which contents live in the database: these have files.
pub const BIG: u64 = 100_000;

/// What the user does while something breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A version that fits into the database.
    Small,
    /// A version that has a file.
    Big,
    /// A new project, and so a new log.
    Project,
    /// The operator stops the server, which folds the database's log into it.
    Stop,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The user was told that it is done.
    Answered,
    /// The user was told that it is not, or nothing at all.
    NotAnswered,
}

/// The prepared folders and the ones of the case.
pub struct World {
    own: TempDir,
    data: PathBuf,
    listen: String,
    /// The user.
    pub alice: Machine,
    /// The versions of each environment, from 1.
    pub kept: BTreeMap<&'static str, Vec<Vec<u8>>>,
    /// What [`Step::Small`] and [`Step::Big`] write.
    pub next: BTreeMap<&'static str, Vec<u8>>,
    token: String,
    log_path: String,
    /// The checkpoint from before all cases.
    pub first_note: String,
}

impl World {
    /// Prepares it.
    pub fn new() -> Self {
        let own = TempDir::new().expect("a folder");
        let data = own.path().join("data");
        let server = Server::start_on(&data, &[]);
        let alice = Machine::with_account(server.endpoint(), "alice@example.com");
        alice.ok(&["projects", "create", "my-app"]);
        let mut kept = BTreeMap::from([("production", Vec::new()), ("assets", Vec::new())]);
        let big = |name: &str| {
            let path = own.path().join(name);
            files::write_binary(&path, BIG);
            fs::read(&path).expect("just written")
        };
        for (environment, content) in [
            ("production", b"A=1\n".to_vec()),
            ("assets", big("assets-1")),
            ("production", b"A=2\n".to_vec()),
        ] {
            alice.ok_with(&["storage", "put", "my-app", environment, "-"], &content);
            kept.get_mut(environment).expect("named above").push(content);
        }
        let next = BTreeMap::from([("production", b"A=3\nB=new\n".to_vec()), ("assets", big("assets-2"))]);
        for (environment, content) in &next {
            fs::write(own.path().join(format!("next-{environment}")), content).expect("room");
        }
        let token = alice.ok(&["--json", "audit", "token", "my-app", "--ttl", "8h"]).json();
        let endpoint = server.endpoint().to_owned();
        let text = |key: &str| token[key].as_str().expect("a text").to_owned();
        let mut world = Self {
            data,
            listen: endpoint.rsplit('/').next().expect("an address").to_owned(),
            kept,
            next,
            log_path: text("url").strip_prefix(&endpoint).expect("the server's own").to_owned(),
            token: text("token"),
            first_note: String::new(),
            alice,
            own,
        };
        world.first_note = Reader::open(&world).and_then(|mut r| r.checkpoint()).expect("a checkpoint");
        assert!(server.stop().success(), "the server stops");
        copy(&world.data, &world.path("base.data"));
        copy(world.alice.config(), &world.path("base.config"));
        world
    }

    /// A path beside the data folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.own.path().join(name)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything as it was prepared.
    pub fn reset(&self) {
        copy(&self.path("base.data"), &self.data);
        self.reset_user();
        let _ = fs::remove_file(self.data.with_extension("log"));
    }

    /// The user's folder as it was prepared.
    pub fn reset_user(&self) {
        copy(&self.path("base.config"), self.alice.config());
    }

    /// The server's command: always at the same address, because a session belongs to its address.
    pub fn command(&self) -> Command {
        Server::command(&self.data, &[("VEILCLOUD_LISTEN", &self.listen)])
    }

    /// Starts the server.
    pub fn start(&self) -> Result<Server, String> {
        Server::spawn(self.command(), &self.data)
    }

    /// Does a step while strace stands by.
    pub fn go(&self, step: Step, server: &Server, strace: &mut Strace) -> Outcome {
        let file = |environment: &str| self.path(&format!("next-{environment}"));
        let put = |environment: &str| -> Vec<String> {
            let path = file(environment).to_str().expect("plain path").to_owned();
            ["storage", "put", "my-app", environment].map(str::to_owned).into_iter().chain([path]).collect()
        };
        let args = match step {
            Step::Small => put("production"),
            Step::Big => put("assets"),
            Step::Project => ["projects", "create", "second"].map(str::to_owned).to_vec(),
            Step::Stop => {
                server::signal(pid(server), "TERM");
                let start = Instant::now();
                while !strace.ended() && start.elapsed() < PATIENCE {
                    thread::sleep(LOOK);
                }
                return Outcome::NotAnswered;
            }
        };
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut command = self.alice.start(&args);
        let start = Instant::now();
        let mut died = None;
        loop {
            if let Some(status) = command.try_wait().expect("ask for the command") {
                return if status.success() { Outcome::Answered } else { Outcome::NotAnswered };
            }
            if died.is_none() && strace.ended() {
                died = Some(Instant::now());
            }
            let late = died.is_some_and(|at| at.elapsed() > LAST_WORD) || start.elapsed() > PATIENCE;
            if late {
                // It goes on trying; it must not be the one that writes after the server is back.
                let _ = command.kill();
                let _ = command.wait();
                return Outcome::NotAnswered;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Microseconds since 1970, as strace writes them.
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_micros()).expect("before the year 500,000")
}

/// The process id that the server itself wrote.
pub fn pid(server: &Server) -> u32 {
    let text = fs::read(server.data().join("server.addr")).expect("a running server has it");
    let value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process id")
}

/// A copy of a folder, in place of what is there.
pub fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("make a folder");
    fs::set_permissions(to, fs::metadata(from).expect("it is there").permissions()).expect("set the mode");
    for entry in fs::read_dir(from).expect("read the folder") {
        let entry = entry.expect("read the folder");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copy a file");
        }
    }
}

/// Reads the log's checkpoint as any reader does, over one connection.
struct Reader {
    stream: BufReader<TcpStream>,
    request: String,
}

impl Reader {
    fn open(world: &World) -> Option<Self> {
        let stream = TcpStream::connect(&world.listen).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        let request = format!(
            "GET {}checkpoint HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
            world.log_path, world.listen, world.token
        );
        Some(Self { stream: BufReader::new(stream), request })
    }

    fn checkpoint(&mut self) -> Option<String> {
        self.stream.get_mut().write_all(self.request.as_bytes()).ok()?;
        let mut status = String::new();
        self.stream.read_line(&mut status).ok()?;
        let mut len = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some((_, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                len = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).ok()?;
        status.contains(" 200 ").then(|| String::from_utf8(body).ok()).flatten()
    }
}

/// Somebody who keeps every checkpoint that the server shows.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    watching: JoinHandle<Vec<(u64, String)>>,
}

impl Watcher {
    /// Begins to look. Returns after the first look.
    pub fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut reader = Reader::open(world).expect("the server listens");
        let mut notes: Vec<_> = reader.checkpoint().into_iter().map(|note| (now_us(), note)).collect();
        let asked = stop.clone();
        let watching = thread::spawn(move || {
            while !asked.load(Ordering::Acquire) {
                let Some(note) = reader.checkpoint() else { break };
                if notes.last().is_none_or(|(_, last)| *last != note) {
                    notes.push((now_us(), note));
                }
                thread::sleep(LOOK);
            }
            notes
        });
        Self { stop, watching }
    }

    /// Every checkpoint that was shown, and when, in microseconds since 1970.
    pub fn stop(self) -> Vec<(u64, String)> {
        self.stop.store(true, Ordering::Release);
        self.watching.join().expect("the watcher ends")
    }
}
