//! Figures beside a peer, in one run on one machine: `cargo xtask load`. What is compared is a small durable write and a
//! read of it, with audit on, through the same generator, both plaintext on loopback; sealing a large file; and whether
//! the time of a login tells who is registered.

mod bao;
mod foreign;
mod gate;
mod http;
mod login;
mod ours;
mod seal;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};

/// Length of a stored value in bytes.
pub const VALUE_LEN: usize = 1024;
/// Connections, each with one request at a time.
const CONNECTIONS: usize = 16;
/// Most writes a second that versions are sealed for in advance.
const WRITES_PER_SECOND_MAX: u64 = 8_000;

/// Measures our server beside OpenBao.
#[derive(Parser)]
struct Args {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// The `bao` program.
    #[arg(long, required_unless_present_any = ["gate", "foreign"])]
    bao: Option<PathBuf>,
    /// Only what the gate costs of a read, into gate.json.
    #[arg(long)]
    gate: bool,
    /// Only whether the time of a refusal tells a foreign project from an absent one, into foreign.json.
    #[arg(long)]
    foreign: bool,
    /// Folder for the results.
    #[arg(long)]
    results: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if args.gate {
        return write(&args, "gate.json", &gate::measure(args.seconds).await?);
    }
    if args.foreign {
        return write(&args, "foreign.json", &foreign::measure().await?);
    }
    let peer = peer(&args).await?;
    let ours = ours(&args).await?;
    let ratio = |name: &str| {
        let per_second = |side: &Value| side[name]["per_second"].as_f64().unwrap_or(0.0);
        (per_second(&ours) / per_second(&peer) * 100.0).round() / 100.0
    };
    let report = json!({
        "command": "cargo xtask load",
        "date": text("date", &["-u", "+%F"]),
        "cores": std::thread::available_parallelism()?.get(),
        "connections": CONNECTIONS,
        "value_bytes": VALUE_LEN,
        "transport": "HTTP/1.1, plaintext, loopback; generator on the same machine",
        "put_ratio": ratio("put"),
        "get_ratio": ratio("get"),
        "ours": ours,
        "openbao": peer,
        "seal": seal::measure()?,
        "login_start": login::measure().await?,
    });
    write(&args, "storage.json", &report)
}

fn write(args: &Args, file: &str, report: &Value) -> Result<()> {
    fs::create_dir_all(&args.results)?;
    let pretty = serde_json::to_string_pretty(report)?;
    fs::write(args.results.join(file), format!("{pretty}\n"))?;
    println!("{pretty}");
    Ok(())
}

async fn ours(args: &Args) -> Result<Value> {
    let ours = ours::Ours::start()?;
    let each = WRITES_PER_SECOND_MAX * u64::from(args.seconds) / CONNECTIONS as u64;
    let writers = ours.writers(CONNECTIONS, each, VALUE_LEN).await?;
    let put = http::run(ours.address()?, writers, args.seconds).await?;
    let get = http::run(ours.address()?, ours.readers(CONNECTIONS), args.seconds).await?;
    Ok(json!({"put": put.json(), "get": get.json(), "audit": ours.audit_bytes_per_line()?}))
}

async fn peer(args: &Args) -> Result<Value> {
    let program = args.bao.as_ref().context("the path of OpenBao")?;
    let bao = bao::Bao::start(program)?;
    let before = bao.audit_bytes()?;
    let put = http::run(bao.address()?, bao.writers(CONNECTIONS), args.seconds).await?;
    let get = http::run(bao.address()?, bao.readers(CONNECTIONS), args.seconds).await?;
    let (put, get) = (put.json(), get.json());
    let requests = put["requests"].as_u64().unwrap_or(0) + get["requests"].as_u64().unwrap_or(0);
    let audit = (bao.audit_bytes()? - before) / requests.max(1);
    let version = text(&program.display().to_string(), &["version"]);
    Ok(
        json!({"version": version, "setup": "raft storage, file audit", "put": put, "get": get, "audit": {"bytes_per_request": audit}}),
    )
}

fn text(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output();
    out.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
