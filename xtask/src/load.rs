//! `cargo xtask load`: our server and its peer, measured in one run on one machine.

use anyhow::Result;

use crate::{project, services};

/// Arguments of `load`.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
}

/// Builds release binaries and runs the load tool beside OpenBao.
pub fn run(args: &Args) -> Result<()> {
    let tools = services::ensure_peers()?;
    project::step(
        "build",
        &mut project::cargo(&["build", "--workspace", "--bins", "--release", "--locked"]),
    )?;
    let release = project::target_dir().join("release");
    let mut load = std::process::Command::new(release.join("veilcloud-load"));
    load.args(["--seconds", &args.seconds.to_string()])
        .arg("--bao")
        .arg(tools.python_tool("bao"))
        .arg("--results")
        .arg(project::root().join("tests/load/results"))
        .current_dir(project::root());
    project::step("measure", &mut load)
}
