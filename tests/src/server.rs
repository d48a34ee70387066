//! A real `veilcloud-server` on a folder of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to start or stop.
const WAIT: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    data: PathBuf,
    endpoint: String,
    admin: String,
    _own: Option<TempDir>,
}

impl Server {
    /// A server on a fresh folder, with generous limits.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server on a fresh folder with these settings on top.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let own = TempDir::new().expect("a temporary folder");
        let data = own.path().join("data");
        let mut server = Self::start_on(&data, settings);
        server._own = Some(own);
        server
    }

    /// A server on this folder.
    ///
    /// # Panics
    /// When it does not become ready; its log is in the message.
    pub fn start_on(data: &Path, settings: &[(&str, &str)]) -> Self {
        let command = Self::command(data, settings);
        Self::spawn(command, data).unwrap_or_else(|log| panic!("the server did not start:\n{log}"))
    }

    /// Runs a command that is or becomes a server on `data`, and waits until it answers; its log when it does not.
    pub fn spawn(mut command: Command, data: &Path) -> Result<Self, String> {
        fs::create_dir_all(data).expect("the data folder");
        let log = data.with_extension("log");
        let address = data.join("server.addr");
        let _ = fs::remove_file(&address);
        let file = File::options().create(true).append(true).open(&log).expect("the log file");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("start the server");
        let start = Instant::now();
        loop {
            // A server in a mount namespace of its own is looked at through its root.
            let inside = Path::new("/proc")
                .join(child.id().to_string())
                .join("root")
                .join(address.strip_prefix("/").unwrap_or(&address));
            let found = read_address(&address).or_else(|| read_address(&inside));
            if let Some((endpoint, admin)) = found.filter(|(_, admin)| ready(admin)) {
                return Ok(Self { child, data: data.to_path_buf(), endpoint, admin, _own: None });
            }
            let ended = child.try_wait().expect("ask for the server");
            if ended.is_some() || start.elapsed() > WAIT {
                let _ = child.kill();
                let _ = child.wait();
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The command of a server on this folder, on free ports, with generous limits.
    pub fn command(data: &Path, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(crate::binary("veilcloud-server"));
        command.env_clear();
        for kept in ["PATH", "HOME", "LANG"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
            .env("VEILCLOUD_DATA_DIR", data)
            .env("VEILCLOUD_LISTEN", "127.0.0.1:0")
            .env("VEILCLOUD_ADMIN_LISTEN", "127.0.0.1:0")
            .env("VEILCLOUD_DEFAULT_TIER", "enterprise")
            .env("VEILCLOUD_ANONYMOUS_PER_MINUTE_PER_ADDRESS", "1000000")
            .env("VEILCLOUD_GUARDED_PER_MINUTE_PER_ADDRESS", "100000")
            .env("VEILCLOUD_GUARDED_PER_MINUTE_PER_EMAIL", "100000");
        command.envs(settings.iter().copied());
        command
    }

    /// Where clients connect, for example `http://127.0.0.1:40001`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where health and metrics are.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything it logged, earlier starts on the same folder included.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.with_extension("log")).expect("the log file")
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// Greatest resident memory so far, in KiB.
    pub fn peak_rss_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// CPU seconds of its process so far, all threads, user and system; to 10 ms.
    pub fn cpu_s(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the server runs");
        // The name in brackets may have spaces; behind it user time is the 12th field and system time the 13th, in
        // hundredths of a second on every Linux.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
        ticks.sum::<f64>() / 100.0
    }

    fn status_kib(&self, key: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        let line = status.lines().find(|l| l.starts_with(key)).expect("the kernel counts memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of KiB")
    }

    /// Kills it without a warning, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("the killed server ends");
    }

    /// Starts it again where it was: same folder, same address, because a session belongs to its address.
    pub fn revive(&mut self, settings: &[(&str, &str)]) {
        let listen = self.endpoint.rsplit('/').next().expect("an address").to_owned();
        let mut command = Self::command(&self.data, settings);
        command.env("VEILCLOUD_LISTEN", listen);
        let next = Self::spawn(command, &self.data)
            .unwrap_or_else(|log| panic!("the server did not start again:\n{log}"));
        let own = self._own.take();
        *self = next;
        self._own = own;
    }

    /// Asks it to stop and waits.
    pub fn stop(mut self) -> ExitStatus {
        signal(self.child.id(), "TERM");
        wait(&mut self.child)
    }

    /// Stops it as its operator would; its folder stays.
    pub fn pause(&mut self) {
        signal(self.child.id(), "TERM");
        assert!(wait(&mut self.child).success(), "the server stops cleanly: {}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.expect("kill runs").success(), "process {pid} takes SIG{name}");
}

/// Waits for a process to end.
///
/// # Panics
/// When it takes too long.
pub fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("ask for the process") {
            return status;
        }
        assert!(start.elapsed() < WAIT, "the process does not end");
        thread::sleep(Duration::from_millis(10));
    }
}

fn read_address(path: &Path) -> Option<(String, String)> {
    let value: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let scheme = if value["tls"].as_bool().unwrap_or(false) { "https" } else { "http" };
    let listen = value["listen"].as_str()?;
    Some((format!("{scheme}://{listen}"), format!("http://{}", value["admin_listen"].as_str()?)))
}

fn ready(admin: &str) -> bool {
    crate::rest::get(&format!("{admin}/health/ready")).is_ok_and(|answer| answer.status == 200)
}
