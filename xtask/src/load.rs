//! `cargo xtask load`: our server and its peer, measured in one run on one machine.

use anyhow::Result;

use crate::{project, services};

/// Arguments of `load`.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// Only what the gate costs of a read.
    #[arg(long)]
    gate: bool,
    /// Only whether the time of a refusal tells a foreign project from an absent one.
    #[arg(long, conflicts_with = "gate")]
    foreign: bool,
}

/// Builds release binaries and runs the load tool beside OpenBao.
pub fn run(args: &Args) -> Result<()> {
    project::step(
        "build",
        &mut project::cargo(&["build", "--workspace", "--bins", "--release", "--locked"]),
    )?;
    let release = project::target_dir().join("release");
    let mut load = std::process::Command::new(release.join("veilcloud-load"));
    if args.gate {
        load.arg("--gate");
    } else if args.foreign {
        load.arg("--foreign");
    } else {
        load.arg("--bao").arg(services::ensure_peers()?.python_tool("bao"));
    }
    load.args(["--seconds", &args.seconds.to_string()])
        .arg("--results")
        .arg(project::root().join("tests/load/results"))
        .current_dir(project::root());
    project::step("measure", &mut load)
}
