//! `cargo xtask test`: every check and every test, in the order in which a mistake is cheapest to find.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{codegen, fuzz, peers, project, services, tidy, wasm};

/// Arguments of `test`.
#[derive(clap::Args)]
pub struct Args {
    /// Only tests whose name contains this text; checks and fuzzing are skipped.
    #[arg(long)]
    only: Option<String>,
    /// Seconds of fuzzing for each target; 0 skips it.
    #[arg(long, value_name = "N", default_value_t = fuzz::SECONDS)]
    fuzz_seconds: u32,
}

impl Default for Args {
    fn default() -> Self {
        Self { only: None, fuzz_seconds: fuzz::SECONDS }
    }
}

/// Sets up and runs everything.
pub fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let tools = services::ensure()?;
    let peers = peers::ensure()?;
    // Everything the locks name, once: what follows needs no network, but for a missing target of rustup's.
    project::step("cargo fetch", &mut project::cargo(&["fetch", "--locked", "--quiet"]))?;
    if args.only.is_none() {
        fuzz::fetch()?;
        tidy::run()?;
        contract(&tools)?;
        project::step("rustfmt", &mut project::cargo(&["fmt", "--all", "--check"]))?;
        fuzz::format()?;
        project::step(
            "clippy",
            &mut project::cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ]),
        )?;
    }
    // The end-to-end tests drive the real binaries, which `cargo test` alone would not always build.
    project::step(
        "build",
        &mut project::cargo(&["build", "--workspace", "--all-targets", "--locked", "--quiet"]),
    )?;
    if args.only.is_none() {
        codegen::check()?;
        wasm::check()?;
        dev_starts()?;
    }
    let mut tests = project::cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--quiet"]);
    tests.env("PATH", tools.path()?).env("VEILCLOUD_TEST_PYTHON", tools.python_tool("python"));
    tests.envs(peers.variables());
    if let Some(only) = &args.only {
        tests.arg(only);
    }
    project::step("tests", &mut tests)?;
    if args.only.is_none() {
        fuzz::run(args.fuzz_seconds)?;
    }
    eprintln!("==> all green after {} s", start.elapsed().as_secs());
    Ok(())
}

/// The README's first command: it builds, starts the platform, prints where to go, and stops cleanly.
fn dev_starts() -> Result<()> {
    eprintln!("==> cargo xtask dev");
    let data = std::env::temp_dir().join(format!("veilcloud-dev-{}", std::process::id()));
    // Not the running program: the build just before has put another file in its place.
    let mut command = Command::new(project::binary("veilcloud-xtask"));
    command.arg("dev").arg("--data-dir").arg(&data);
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).stdin(Stdio::null());
    let mut dev = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut told = String::new();
    let mut lines = BufReader::new(dev.stderr.take().context("a pipe")?).lines();
    // The server's own first line comes last: it says where it serves.
    for line in lines.by_ref() {
        let line = line?;
        told.push_str(&line);
        if line.contains(" serves http://127.0.0.1:") {
            break;
        }
    }
    let stopped = project::step("stop it", Command::new("kill").args(["-TERM", &dev.id().to_string()]));
    let status = dev.wait()?;
    std::fs::remove_dir_all(&data).ok();
    stopped?;
    for said in ["veilcloud register", "veilcloud login", "veilcloud projects create", " serves "] {
        ensure!(told.contains(said), "cargo xtask dev does not say {said:?}: {told}");
    }
    ensure!(status.success(), "cargo xtask dev did not stop cleanly: {status}");
    Ok(())
}

/// The contract's own lints, by buf.
fn contract(tools: &services::Tools) -> Result<()> {
    let buf = |args: &[&str]| {
        let mut command = Command::new(tools.python_tool("buf"));
        command.args(args).current_dir(project::root());
        command
    };
    project::step("buf lint", &mut buf(&["lint"]))?;
    match previous_contract()? {
        Some(reference) => project::step(
            "buf breaking",
            &mut buf(&["breaking", "--against", &format!(".git#ref={reference}")]),
        ),
        None => {
            eprintln!("==> buf breaking: no earlier contract to compare with");
            Ok(())
        }
    }
}

/// The commit before this one, if it has a contract.
fn previous_contract() -> Result<Option<String>> {
    let git = |args: &[&str]| Command::new("git").args(args).current_dir(project::root()).output();
    let parent = git(&["rev-parse", "--verify", "--quiet", "HEAD~1"])?;
    if !parent.status.success() || !project::root().join(".git").is_dir() {
        return Ok(None);
    }
    let parent = String::from_utf8(parent.stdout)?.trim().to_owned();
    let has = git(&["cat-file", "-e", &format!("{parent}:buf.yaml")])?;
    Ok(has.status.success().then_some(parent))
}
