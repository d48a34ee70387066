//! The peers that judge an exported log, those that call the server and those that judge its wire (tests/peers/README.md),
//! built once and kept in the cache. They are other people's code, most of it in other languages: where a toolchain is
//! missing, its peers are left out and the tests say so too.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::project;

/// Lowest Go that the peers' module compiles with.
const GO_MIN: (u32, u32) = (1, 26);
/// The Go modules of the peers: folder and programs. Each has its own locked versions.
const GO_MODULES: &[(&str, &[&str])] = &[
    ("tests/peers/go", &["./fsck", "./sumdb", "./merkle", "./interop"]),
    ("tests/peers/conformance", &["connectrpc.com/conformance/cmd/connectconformance"]),
];
/// The HTTP/2 cases: crate and version. Its package has a lock file of its own.
const HTTPWG: (&str, &str) = ("httpwg-cli", "0.2.5");
/// Exits with 0 if this Python is new enough for `aics-tlog` and can make an environment.
const PYTHON_CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))";
/// Lowest Node.js with the `fetch` and modules that the peers use.
const NODE_MIN: u32 = 20;
/// Names under which a Python that is new enough may be found, best first.
const PYTHONS: &[&str] = &["python3.12", "python3.13", "python3.14", "python3"];

/// What could be made ready.
#[derive(Default)]
pub struct Peers {
    /// Folder of the Go programs.
    go: Option<PathBuf>,
    /// Python that has the packages.
    python: Option<PathBuf>,
    /// Folder of the programs for Node.js, with their packages.
    node: Option<PathBuf>,
    /// The program with the HTTP/2 cases.
    httpwg: Option<PathBuf>,
}

impl Peers {
    /// How the tests find them.
    pub fn variables(&self) -> Vec<(&'static str, &Path)> {
        let all = [
            ("VEILCLOUD_TEST_PEERS", &self.go),
            ("VEILCLOUD_TEST_TLOG_PYTHON", &self.python),
            ("VEILCLOUD_TEST_NODE_PEERS", &self.node),
            ("VEILCLOUD_TEST_HTTPWG", &self.httpwg),
        ];
        all.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?))).collect()
    }
}

/// Builds and installs what is missing.
pub fn ensure() -> Result<Peers> {
    let cache = project::cache_dir()?.join("peers");
    fs::create_dir_all(&cache)?;
    Ok(Peers { go: go(&cache)?, python: python(&cache)?, node: node(&cache)?, httpwg: Some(httpwg(&cache)?) })
}

/// The Go programs, in a folder named after their sources and locks.
fn go(cache: &Path) -> Result<Option<PathBuf>> {
    // Not a newer toolchain that `go` would download by itself.
    let go = |module: &str| {
        let mut command = Command::new("go");
        command.env("GOTOOLCHAIN", "local").current_dir(project::root().join(module));
        command
    };
    let version = go(".").args(["env", "GOVERSION"]).stderr(Stdio::null()).output();
    let version = version.map(|v| String::from_utf8_lossy(&v.stdout).trim().to_owned()).unwrap_or_default();
    if go_version(&version).is_none_or(|v| v < GO_MIN) {
        eprintln!("==> peers in Go: left out, go {}.{} or later is not on the path", GO_MIN.0, GO_MIN.1);
        return Ok(None);
    }
    let mut sources = project::files()?;
    sources.retain(|f| {
        let name = f.file_name().unwrap_or_default().to_string_lossy();
        let go = name.ends_with(".go") || name == "go.mod" || name == "go.sum";
        go && GO_MODULES.iter().any(|(module, _)| f.starts_with(module))
    });
    sources.sort();
    let folder = cache.join(format!("{version}-{}", project::fingerprint(&sources)?));
    if !folder.exists() {
        // A build that is broken off leaves no folder of this name.
        let part = cache.join(format!("part-{}", std::process::id()));
        fs::create_dir_all(&part)?;
        let built = GO_MODULES.iter().try_for_each(|(module, programs)| {
            if programs.iter().all(|program| program.starts_with('.')) {
                project::step("go vet", go(module).args(["vet", "./..."]))?;
            }
            // A folder that exists: each program goes into it under its own name.
            let mut build = go(module);
            build.args(["build", "-o"]).arg(&part).args(*programs);
            project::step(&format!("build the peers of {module}"), &mut build)
        });
        if let Err(error) = built.and_then(|()| Ok(fs::rename(&part, &folder)?)) {
            fs::remove_dir_all(&part).ok();
            return Err(error);
        }
    }
    Ok(Some(folder))
}

/// Major and minor of a version such as `go1.26.8`.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A Python environment with the pinned packages, in a folder named after the pins.
fn python(cache: &Path) -> Result<Option<PathBuf>> {
    let pins = PathBuf::from("tests/peers/python/requirements.txt");
    let folder = cache.join(format!("python-{}", project::fingerprint(std::slice::from_ref(&pins))?));
    let (python, done) = (folder.join("bin/python"), folder.join(".done"));
    // The Python below an environment may have gone since.
    if done.exists() && works(&python) {
        return Ok(Some(python));
    }
    let Some(base) = pythons().into_iter().find(|p| works(p)) else {
        eprintln!("==> peers in Python: left out, no Python 3.12 or later with venv is found");
        return Ok(None);
    };
    project::step(
        "create a Python environment for the peers",
        Command::new(base).args(["-m", "venv", "--clear"]).arg(&folder),
    )?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    project::step("pip install the peers in Python", pip.arg(project::root().join(pins)))?;
    fs::write(done, "")?;
    Ok(Some(python))
}

/// The programs for Node.js beside their locked packages, in a folder named after both.
fn node(cache: &Path) -> Result<Option<PathBuf>> {
    let version = Command::new("node").arg("--version").stderr(Stdio::null()).output();
    let version = version.map(|v| String::from_utf8_lossy(&v.stdout).trim().to_owned()).unwrap_or_default();
    let major = version.strip_prefix('v').and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MIN) {
        eprintln!("==> peers in JavaScript: left out, node {NODE_MIN} or later is not on the path");
        return Ok(None);
    }
    let mut sources = project::files()?;
    sources.retain(|f| f.starts_with("tests/peers/node"));
    sources.sort();
    let folder = cache.join(format!("node-{}", project::fingerprint(&sources)?));
    if !folder.exists() {
        let part = cache.join(format!("part-node-{}", std::process::id()));
        fs::create_dir_all(&part)?;
        for source in &sources {
            let name = source.file_name().context("a file has a name")?;
            fs::copy(project::root().join(source), part.join(name))?;
        }
        let mut install = Command::new("npm");
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]).current_dir(&part);
        let installed = project::step("npm ci for the peers in JavaScript", &mut install);
        if let Err(error) = installed.and_then(|()| Ok(fs::rename(&part, &folder)?)) {
            fs::remove_dir_all(&part).ok();
            return Err(error);
        }
    }
    Ok(Some(folder))
}

/// The HTTP/2 cases, in a folder named after their version.
fn httpwg(cache: &Path) -> Result<PathBuf> {
    let (name, version) = HTTPWG;
    let folder = cache.join(format!("{name}-{version}"));
    let program = folder.join("bin/httpwg");
    if !program.exists() {
        // Not our target folder: its lock names other versions than ours, and what is built stays here anyway.
        let target = cache.join(format!("part-{name}-{}", std::process::id()));
        let mut install = project::cargo(&["install", name, "--locked", "--quiet", "--version"]);
        install.arg(format!("={version}")).arg("--root").arg(&folder).env("CARGO_TARGET_DIR", &target);
        let installed = project::step("cargo install the HTTP/2 cases", &mut install);
        fs::remove_dir_all(&target).ok();
        installed?;
    }
    Ok(program)
}

fn works(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", PYTHON_CHECK]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|s| s.success())
}

/// Every Python worth a try: on the path, then the versions that pyenv keeps, the lowest first.
fn pythons() -> Vec<PathBuf> {
    let mut found: Vec<_> = PYTHONS.iter().map(PathBuf::from).collect();
    let roots = [env::var_os("PYENV_ROOT").map(PathBuf::from), env::home_dir().map(|h| h.join(".pyenv"))];
    for root in roots.into_iter().flatten() {
        let versions = fs::read_dir(root.join("versions")).into_iter().flatten().flatten();
        let mut versions: Vec<_> = versions.map(|v| v.path().join("bin/python3")).collect();
        versions.sort();
        found.extend(versions);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_that_is_too_old_or_says_something_else_is_left_out() {
        for (text, enough) in [
            ("go1.26.8", true),
            ("go1.26", true),
            ("go1.27rc1", true),
            ("go2.0", true),
            ("go1.25.9", false),
            ("go1.9", false),
            ("devel +abc", false),
            ("1.26", false),
            ("", false),
        ] {
            assert_eq!(go_version(text).is_some_and(|v| v >= GO_MIN), enough, "{text}");
        }
    }

    #[test]
    fn a_python_that_is_not_there_does_not_work() {
        assert!(!works(Path::new("python-that-nobody-installed")));
    }
}
