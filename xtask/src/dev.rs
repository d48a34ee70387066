//! `cargo xtask dev`: the whole platform on embedded stores, for one developer on one machine.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::project;

/// Arguments of `dev`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder for the data; kept between starts.
    #[arg(long, default_value = "data")]
    data_dir: PathBuf,
    /// Address for gRPC, gRPC-Web and REST.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: String,
    /// Address for health and metrics.
    #[arg(long, default_value = "127.0.0.1:9443")]
    admin_listen: String,
}

/// Builds server and command line, then becomes the server: Ctrl-C stops it cleanly.
pub fn run(args: &Args) -> Result<()> {
    // The same command line as everywhere: another one would unify features anew and build half the tree again.
    project::step("build", &mut project::cargo(&["build", "--workspace", "--all-targets", "--locked"]))?;
    let cli = project::binary("veilcloud");
    let folder = cli.parent().context("the target folder has a parent")?;
    eprintln!("\nThe server starts on http://{} with its data in {}.", args.listen, args.data_dir.display());
    eprintln!("Plaintext, for this machine only: without TLS it refuses any other address.\n");
    eprintln!("In another terminal:\n");
    eprintln!("  export PATH=\"{}:$PATH\"", folder.display());
    if args.listen != "127.0.0.1:8443" {
        eprintln!("  export VEILCLOUD_ENDPOINT=http://{}", args.listen);
    }
    eprintln!("  veilcloud register you@example.com");
    eprintln!("  veilcloud login");
    eprintln!("  veilcloud projects create my-app\n");
    let mut server = Command::new(project::binary("veilcloud-server"));
    server
        .env("VEILCLOUD_DATA_DIR", &args.data_dir)
        .env("VEILCLOUD_LISTEN", &args.listen)
        .env("VEILCLOUD_ADMIN_LISTEN", &args.admin_listen);
    become_server(&mut server)
}

#[cfg(unix)]
fn become_server(server: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    // Only returns when it fails.
    let error = server.exec();
    bail!("start {server:?}: {error}")
}

#[cfg(not(unix))]
fn become_server(server: &mut Command) -> Result<()> {
    let status = server.status()?;
    if status.success() { Ok(()) } else { bail!("the server stopped: {status}") }
}
