//! Starting the real binary, waiting for it by what it writes, and talking to its ports without a client library.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for anything; far above what any step takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary with an environment of its own: nothing of the tester's shell leaks in.
pub fn binary(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veilcloud-server"));
    command
        .env_clear()
        .env("VEILCLOUD_DATA_DIR", data)
        .env("VEILCLOUD_LISTEN", "127.0.0.1:0")
        .env("VEILCLOUD_ADMIN_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command that must not stay.
pub fn finish(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, words)
}

/// A running server; killed when it is dropped.
pub struct Server {
    child: Option<Child>,
    pub addresses: serde_json::Value,
}

impl Server {
    /// Starts a server on `data` and waits until it wrote where it listens.
    pub fn start(data: &Path) -> Self {
        Self::start_as(&mut binary(data), data)
    }

    /// The same with a prepared command.
    pub fn start_as(command: &mut Command, data: &Path) -> Self {
        let mut child = command.spawn().unwrap();
        let pid = child.id();
        let started = Instant::now();
        loop {
            // A killed server leaves its file behind; only the one of this process counts.
            let file = std::fs::read(data.join("server.addr")).unwrap_or_default();
            if let Ok(addresses) = serde_json::from_slice::<serde_json::Value>(&file)
                && addresses["pid"] == pid
            {
                return Self { child: Some(child), addresses };
            }
            if let Some(status) = child.try_wait().unwrap() {
                let words = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
                panic!("the server left with {status}: {words}");
            }
            assert!(started.elapsed() < PATIENCE, "the server did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn listen(&self) -> SocketAddr {
        self.addresses["listen"].as_str().unwrap().parse().unwrap()
    }

    pub fn admin(&self) -> SocketAddr {
        self.addresses["admin_listen"].as_str().unwrap().parse().unwrap()
    }

    /// Sends a signal by name, for example `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end; gives the status and everything that was logged.
    pub fn end(mut self) -> (ExitStatus, String) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }

    /// Asks it to stop and waits for the end.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.end()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Status code and the whole answer, headers included.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    ask(&mut stream, path)
}

/// One HTTP/1.1 request on any stream.
pub fn ask(stream: &mut (impl Read + Write), path: &str) -> (u16, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, answer)
}

/// Tries until it holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}
