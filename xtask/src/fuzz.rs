//! The fuzz targets of VeilChain's parsers, with libFuzzer on the stable compiler. A target that crashes, hangs or eats
//! memory fails the run and leaves the input that did it. What was found interesting is kept for the next run.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{project, services};

/// The crate, a workspace of its own.
const FOLDER: &str = "suite/veilchain/fuzz";
/// Coverage counters and comparisons for libFuzzer. Only for our crates' target: build scripts stay as they are.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Targets that run at the same time: the cores of the smallest machine we test on.
const AT_ONCE: usize = 2;
/// Longest input, bytes: room for every part of a format several times over, and still many inputs in a second.
const INPUT_MAX: u32 = 4096;
/// Longest time for one input, seconds. A parser needs microseconds; a busy machine may be slow.
const INPUT_SECONDS_MAX: u32 = 10;
/// Most memory of a target, MiB.
const MEMORY_MAX: u32 = 1024;
/// Lines of a target's report that are shown when it finds something.
const TAIL_LINES: usize = 40;

/// Seconds for each target: seven targets, two at a time, take about four minutes.
pub const SECONDS: u32 = 60;

/// Arguments of `fuzz`.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds for each target.
    #[arg(long, value_name = "N", default_value_t = SECONDS)]
    seconds: u32,
}

impl Args {
    /// `cargo xtask fuzz`: nothing but this.
    pub fn run(&self) -> Result<()> {
        services::ensure()?;
        run(self.seconds)
    }
}

/// Fetches what its own lock names.
pub fn fetch() -> Result<()> {
    project::step("cargo fetch for the fuzz targets", &mut cargo(&["fetch", "--locked", "--quiet"]))
}

/// Checks the crate's formatting, which `cargo fmt --all` does not see.
pub fn format() -> Result<()> {
    project::step("rustfmt of the fuzz targets", &mut cargo(&["fmt", "--check"]))
}

/// Builds every target and runs each for so many seconds; none at all with 0.
pub fn run(seconds: u32) -> Result<()> {
    if seconds == 0 {
        eprintln!("==> fuzz: skipped");
        return Ok(());
    }
    let host = host()?;
    let folder = project::target_dir().join("fuzz");
    let mut build = cargo(&["build", "--release", "--locked", "--quiet", "--target", &host]);
    build.arg("--target-dir").arg(&folder).env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS");
    project::step("build the fuzz targets", &mut build)?;
    let targets = targets()?;
    eprintln!("==> fuzz: {} targets, {seconds} s each, {AT_ONCE} at a time", targets.len());
    let binaries = folder.join(host).join("release");
    let queue = Mutex::new(targets.into_iter());
    let findings = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = next(&queue) {
                    match run_target(&binaries, &folder, &target, seconds) {
                        Ok(done) => eprintln!("    {target}: ok, {done}"),
                        Err(error) => {
                            eprintln!("    {target}: {error:#}");
                            findings.lock().expect("no thread panics with the lock").push(target);
                        }
                    }
                }
            });
        }
    });
    let findings = findings.into_inner().expect("no thread panics with the lock");
    ensure!(findings.is_empty(), "fuzzing failed: {}", findings.join(", "));
    Ok(())
}

fn next(queue: &Mutex<impl Iterator<Item = String>>) -> Option<String> {
    queue.lock().expect("no thread panics with the lock").next()
}

/// Runs one target over the corpus of earlier runs and the committed seeds; says how much it did.
fn run_target(binaries: &Path, folder: &Path, target: &str, seconds: u32) -> Result<String> {
    let corpus = folder.join("corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let log = folder.join(format!("{target}.log"));
    let mut artifacts = folder.join(target).into_os_string();
    artifacts.push("-");
    let report = File::create(&log)?;
    let mut command = Command::new(binaries.join(target));
    command.arg(&corpus).arg(project::root().join(FOLDER).join("seeds").join(target));
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={INPUT_MAX}"));
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}")).arg(format!("-rss_limit_mb={MEMORY_MAX}"));
    command.arg(format!("-artifact_prefix={}", artifacts.display()));
    command.stdin(Stdio::null()).stdout(report.try_clone()?).stderr(report);
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    let report = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    match work_done(&report) {
        Some(done) if status.success() => Ok(done.to_owned()),
        _ => bail!("{status}\n{}", tail(&report)),
    }
}

/// libFuzzer's last word, which it leaves out when it was stopped early.
fn work_done(report: &str) -> Option<&str> {
    report.lines().rev().find_map(|l| l.strip_prefix("Done "))
}

/// The end of a report: the panic, the stack and where the input lies.
fn tail(report: &str) -> String {
    let lines: Vec<_> = report.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Names of the targets: one source file each.
fn targets() -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for file in project::files()?.into_iter().filter(|f| f.starts_with(format!("{FOLDER}/targets"))) {
        let name = file.file_stem().and_then(|n| n.to_str()).context("a target has a plain name")?;
        let seeds = project::root().join(FOLDER).join("seeds").join(name);
        ensure!(seeds.is_dir(), "the fuzz target {name} has no seeds");
        targets.push(name.to_owned());
    }
    ensure!(!targets.is_empty(), "no fuzz targets in {FOLDER}");
    Ok(targets)
}

/// The compiler's own target triple: with a triple named, flags are not used for build scripts.
fn host() -> Result<String> {
    let version = project::output(Command::new("rustc").arg("-vV").current_dir(project::root()))?;
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).context("rustc says its host")?;
    Ok(host.to_owned())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = project::cargo(args);
    command.current_dir(project::root().join(FOLDER));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_was_stopped_early_has_done_nothing() {
        assert_eq!(work_done("#8 REDUCE\nDone 12 runs in 6 second(s)\n"), Some("12 runs in 6 second(s)"));
        assert_eq!(work_done("#8 REDUCE\n==1== ERROR: libFuzzer: deadly signal\n"), None);
        assert_eq!(work_done(""), None);
    }

    #[test]
    fn the_end_of_a_report_names_the_input() {
        let long = "#1 NEW\n".repeat(1000) + "Test unit written to x/note-crash-00\nBase64: AAA=\n";
        let tail = tail(&long);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("note-crash-00\nBase64: AAA="));
    }

    #[test]
    fn every_target_has_seeds_and_a_binary() {
        let manifest = fs::read_to_string(project::root().join(FOLDER).join("Cargo.toml")).unwrap();
        for target in targets().unwrap() {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        }
    }
}
