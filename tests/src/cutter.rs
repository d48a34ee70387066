//! A way to a server that stops at a chosen request of a command, so that the command can be killed exactly there: before
//! the request reaches the server, or when its answer is on its way back.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{cli::Machine, server};

/// What an HTTP/2 client says before its first frame.
const PREFACE_LEN: usize = 24;
const HEADERS: u8 = 1;
/// How long a command may take to come to its end, or to the place where it is stopped.
const WAIT: Duration = Duration::from_secs(60);

/// On which side of a request the line is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server never sees it.
    Before,
    /// The server has done it, and the command never learns so.
    After,
}

#[derive(Default)]
struct Line {
    /// Requests since the last command began.
    requests: AtomicU64,
    /// The request at which the line is cut; 0 for none.
    at: AtomicU64,
    is_after: AtomicBool,
    is_cut: AtomicBool,
}

/// An endpoint before a server.
pub struct Cutter {
    endpoint: String,
    line: Arc<Line>,
}

impl Cutter {
    /// Passes everything on to this server, which talks HTTP/2 without TLS.
    ///
    /// # Panics
    /// When no port is free.
    pub fn before(endpoint: &str) -> Self {
        let target = endpoint.strip_prefix("http://").expect("without TLS").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let line = Arc::new(Line::default());
        let shared = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                // A server that is gone is the command's to notice.
                let Ok(server) = TcpStream::connect(&target) else { continue };
                connect(&shared, client, server);
            }
        });
        Self { endpoint, line }
    }

    /// Where clients connect.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many requests a command makes that is left alone; it must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub fn count(&self, machine: &Machine, args: &[&str]) -> u64 {
        self.arm(0, Side::Before);
        machine.ok(args);
        self.line.requests.load(Ordering::SeqCst)
    }

    /// Runs a command and kills it at its request of this number. False when it came to its end before.
    ///
    /// # Panics
    /// When it does neither.
    pub fn kill(&self, machine: &Machine, args: &[&str], at: u64, side: Side) -> bool {
        self.arm(at, side);
        let mut child = machine.start(args);
        let is_cut = self.wait(&mut child);
        if is_cut {
            server::signal(child.id(), "KILL");
            server::wait(&mut child);
        }
        self.arm(0, Side::Before);
        is_cut
    }

    fn arm(&self, at: u64, side: Side) {
        self.line.requests.store(0, Ordering::SeqCst);
        self.line.is_cut.store(false, Ordering::SeqCst);
        self.line.is_after.store(side == Side::After, Ordering::SeqCst);
        self.line.at.store(at, Ordering::SeqCst);
    }

    fn wait(&self, child: &mut Child) -> bool {
        let start = Instant::now();
        loop {
            if self.line.is_cut.load(Ordering::SeqCst) {
                return true;
            }
            if child.try_wait().expect("ask for the command").is_some() {
                return false;
            }
            assert!(start.elapsed() < WAIT, "the command neither ends nor gets there");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn connect(line: &Arc<Line>, client: TcpStream, server: TcpStream) {
    let share = |stream: &TcpStream| stream.try_clone().expect("another handle");
    // Set by this connection's request after which the line is cut.
    let is_last = Arc::new(AtomicBool::new(false));
    let (asks, asked) = (Arc::clone(line), Arc::clone(&is_last));
    let (from, to) = (share(&client), share(&server));
    thread::spawn(move || {
        forward(from, to, PREFACE_LEN, |kind| {
            if asks.is_cut.load(Ordering::SeqCst) {
                return false;
            }
            let is_here = kind == HEADERS
                && asks.requests.fetch_add(1, Ordering::SeqCst) + 1 == asks.at.load(Ordering::SeqCst);
            match (is_here, asks.is_after.load(Ordering::SeqCst)) {
                (true, true) => asked.store(true, Ordering::SeqCst),
                (true, false) => asks.is_cut.store(true, Ordering::SeqCst),
                (false, _) => {}
            }
            !asks.is_cut.load(Ordering::SeqCst)
        });
    });
    let answers = Arc::clone(line);
    thread::spawn(move || {
        forward(server, client, 0, |kind| {
            if kind == HEADERS && is_last.load(Ordering::SeqCst) {
                answers.is_cut.store(true, Ordering::SeqCst);
            }
            !answers.is_cut.load(Ordering::SeqCst)
        });
    });
}

/// Passes frames on, each after `look` has seen its kind, until that says no or an end closes. Whole frames only: what is
/// not passed on has not been seen by the other end in part.
fn forward(mut from: TcpStream, mut to: TcpStream, mut skip: usize, mut look: impl FnMut(u8) -> bool) {
    let (mut kept, mut piece) = (Vec::new(), [0; 16 * 1024]);
    'bytes: while let Ok(len @ 1..) = from.read(&mut piece) {
        kept.extend_from_slice(&piece[..len]);
        let mut done = 0;
        loop {
            let rest = &kept[done..];
            let len = match skip {
                0 if rest.len() < 9 => break,
                0 => 9 + u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize,
                preface => preface,
            };
            if rest.len() < len {
                break;
            }
            if skip == 0 && !look(rest[3]) {
                // Nothing more is said on this connection, and it stays open: the command waits until it is killed.
                break 'bytes;
            }
            if to.write_all(&rest[..len]).is_err() {
                break 'bytes;
            }
            skip = 0;
            done += len;
        }
        kept.drain(..done);
    }
    // The command notices the end of a connection only when the other side's end has come.
    let _ = to.shutdown(Shutdown::Write);
}
