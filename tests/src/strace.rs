//! `strace` on a running server: what it asks the system for, and answers that no healthy disk gives. The tracer is
//! attached when the server is ready, so that the calls are counted from there. strace counts for each thread.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::server;

/// How long strace may take to take hold of a process.
const ATTACH: Duration = Duration::from_secs(20);
/// Every call by which a server changes its folder, or opens what is in it. Not each exists on each machine.
pub const CALLS: &str = "openat,pwrite64,write,fdatasync,fsync,ftruncate,?rename,?renameat,renameat2,?mkdir,mkdirat,?unlink,unlinkat";

/// What happens in place of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The process is killed as it makes the call.
    Kill,
    /// The call fails and does nothing.
    Error(&'static str),
}

/// One call that is answered otherwise.
#[derive(Debug, Clone)]
pub struct Injection {
    /// The call's name.
    pub call: String,
    /// Which one of its thread, from 1.
    pub when: usize,
    /// Only calls on this path count; `None`: all.
    pub path: Option<PathBuf>,
    /// The answer.
    pub answer: Answer,
}

impl Injection {
    /// As strace's arguments.
    pub fn args(&self) -> Vec<OsString> {
        let answer = match self.answer {
            Answer::Kill => "signal=KILL".to_owned(),
            Answer::Error(name) => format!("error={name}"),
        };
        let mut args = vec![OsString::from(format!("--inject={}:{answer}:when={}", self.call, self.when))];
        if let Some(path) = &self.path {
            args.extend(["-P".into(), path.into()]);
        }
        args
    }
}

/// strace at work. Dropping it lets the process go.
pub struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    /// Takes hold of all threads of a process; returns when it has.
    pub fn attach(pid: u32, output: &Path, more: &[OsString]) -> Result<Self, String> {
        let words = output.with_extension("said");
        let said = File::create(&words).map_err(|e| e.to_string())?;
        let mut command = Command::new("strace");
        command.args(arguments(output)).args(more).arg("-p").arg(pid.to_string());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn();
        let mut strace = Self { child: child.map_err(|e| e.to_string())?, output: output.to_owned() };
        let start = Instant::now();
        loop {
            let said = fs::read_to_string(&words).unwrap_or_default();
            if said.contains(" attached") {
                return Ok(strace);
            }
            if strace.ended() || start.elapsed() > ATTACH {
                return Err(said);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// A command that runs `inner` under strace and is it: same process id, same end.
    pub fn around(inner: &Command, output: &Path, more: &[OsString]) -> Command {
        let mut command = Command::new("strace");
        command.arg("-D").args(arguments(output)).args(more).arg("--").arg(inner.get_program());
        command.args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(k, v)| v.map(|v| (k, v))));
        command
    }

    /// True when every traced process is gone.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Lets the process go and gives what it did.
    pub fn detach(mut self) -> Vec<Call> {
        if !self.ended() {
            server::signal(self.child.id(), "TERM");
            server::wait(&mut self.child);
        }
        calls(&fs::read(&self.output).unwrap_or_default())
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn arguments(output: &Path) -> Vec<OsString> {
    let trace = format!("--trace={CALLS}");
    let mut all: Vec<OsString> =
        ["-f", "-y", "-ttt", "-xx", "-s", "16777216", &trace, "-o"].map(OsString::from).to_vec();
    all.push(output.into());
    all
}

/// Why processes cannot be traced here, by trying it.
pub fn possible() -> Result<(), String> {
    let folder = tempfile::TempDir::new().map_err(|e| e.to_string())?;
    let mut child =
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    let tried = Strace::attach(child.id(), &folder.path().join("trace"), &[]).map(drop);
    let _ = child.kill();
    let _ = child.wait();
    tried
}

/// A call that was seen.
#[derive(Debug, Clone)]
pub struct Call {
    /// Thread that made it.
    pub thread: u32,
    /// When it was made, in microseconds since 1970.
    pub at_us: u64,
    /// Its name.
    pub name: String,
    /// Its arguments, as strace writes them with `-xx`.
    args: String,
    /// What it gave; `None`: it did not return.
    pub result: Option<i64>,
    /// True when the answer was made up.
    pub injected: bool,
    /// Place of its end among the lines of the trace; that of its begin is its place in the list.
    pub end: usize,
    /// Place of its begin among the lines.
    pub begin: usize,
}

impl Call {
    /// The strings among the arguments.
    pub fn strings(&self) -> Vec<Vec<u8>> {
        self.args.split('"').skip(1).step_by(2).map(unhex).collect()
    }

    /// The file that the call is about: that of the descriptor, or the last path that is named.
    pub fn path(&self) -> PathBuf {
        let named = match self.name.as_str() {
            "pwrite64" | "write" | "fsync" | "fdatasync" | "ftruncate" => {
                let inner = self.args.split_once('<').map_or("", |(_, rest)| rest);
                inner.split_once('>').map_or_else(Vec::new, |(path, _)| unhex(path))
            }
            _ => self.strings().pop().unwrap_or_default(),
        };
        PathBuf::from(String::from_utf8_lossy(&named).into_owned())
    }

    /// The first number behind the strings: the length of a write, its offset as the second.
    pub fn number(&self, which: usize) -> Option<u64> {
        let tail = self.args.rsplit(['"', '>']).next()?;
        tail.split(',').map(str::trim).filter(|word| !word.is_empty()).nth(which)?.parse().ok()
    }

    /// True when the flags of an open have this one.
    pub fn has_flag(&self, flag: &str) -> bool {
        let tail = self.args.rsplit('"').next().unwrap_or_default();
        tail.split([',', '|', ' ']).any(|word| word == flag)
    }
}

fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|digits| u8::from_str_radix(digits.get(..2)?, 16).ok()).collect()
}

/// Reads a trace. A call that was cut off has no result.
pub fn calls(trace: &[u8]) -> Vec<Call> {
    let trace = String::from_utf8_lossy(trace);
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<u32, usize> = HashMap::new();
    for (line_number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let Ok(thread) = thread.parse::<u32>() else { continue };
        let Some((time, rest)) = rest.trim_start().split_once(' ') else { continue };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            if let Some(call) = open.remove(&thread).and_then(|at| calls.get_mut(at)) {
                let more = resumed.split_once("resumed>").map_or("", |(_, more)| more);
                finish(call, more, line_number);
            }
            continue;
        }
        let Some((name, rest)) = rest.split_once('(') else { continue };
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let at_us = time.replace('.', "").parse().unwrap_or(0);
        let mut call = Call {
            thread,
            at_us,
            name: name.to_owned(),
            args: String::new(),
            result: None,
            injected: false,
            end: usize::MAX,
            begin: line_number,
        };
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            call.args = begun.trim_end().to_owned();
            open.insert(thread, calls.len());
        } else {
            finish(&mut call, rest, line_number);
        }
        calls.push(call);
    }
    calls
}

fn finish(call: &mut Call, rest: &str, line: usize) {
    let (args, result) = rest.rsplit_once(") ").unwrap_or((rest, ""));
    // An error and an injection are said in parentheses behind the result.
    let (args, result) = match args.rsplit_once(") ") {
        Some((args, first)) if first.trim_start().starts_with('=') => (args, format!("{first}) {result}")),
        _ => (args, result.to_owned()),
    };
    call.args.push_str(args);
    call.injected = rest.ends_with("(INJECTED)");
    let number = result.trim_start().trim_start_matches("= ").split([' ', '<']).next().unwrap_or_default();
    call.result = number.parse().ok();
    call.end = if call.result.is_some() { line } else { usize::MAX };
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = concat!(
        r#"7  1.000001 pwrite64(15<\x2f\x61>, "\x01\x02", 2, 40) = 2"#,
        "\n",
        r#"7  1.000002 fsync(15<\x2f\x61>) = -1 EIO (Input/output error) (INJECTED)"#,
        "\n",
        r#"8  1.000003 openat(AT_FDCWD<\x2f>, "\x2f\x62", O_WRONLY|O_CREAT|O_CLOEXEC, 0600 <unfinished ...>"#,
        "\n",
        r#"7  1.000004 rename("\x2f\x61", "\x2f\x63") = 0"#,
        "\n",
        r#"8  1.000005 <... openat resumed>) = 9<\x2f\x62>"#,
        "\n",
        r#"8  1.000006 ftruncate(9<\x2f\x62>, 77) = ?"#,
        "\n",
        "8  1.000007 +++ killed by SIGKILL +++\n",
    );

    #[test]
    fn a_trace_is_read_with_its_cut_off_and_made_up_calls() {
        let calls = calls(TRACE.as_bytes());
        let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["pwrite64", "fsync", "openat", "rename", "ftruncate"]);
        assert_eq!(calls[0].strings(), [[1, 2]]);
        assert_eq!((calls[0].number(0), calls[0].number(1)), (Some(2), Some(40)));
        assert_eq!((calls[0].result, calls[0].path()), (Some(2), PathBuf::from("/a")));
        assert_eq!((calls[1].result, calls[1].injected), (Some(-1), true));
        assert_eq!((calls[2].begin, calls[2].end, calls[2].result), (2, 4, Some(9)));
        assert!(calls[2].has_flag("O_CREAT") && !calls[2].has_flag("O_TRUNC"));
        assert_eq!(calls[3].path(), PathBuf::from("/c"));
        assert_eq!((calls[4].result, calls[4].number(0), calls[4].end), (None, Some(77), usize::MAX));
        assert_eq!(calls[4].at_us, 1_000_006);
    }
}
