//! Speed of the logs beside raw limits of the same run: `cargo bench --workspace --bench log -- --out FILE`. Prints JSON.
//! A raw limit and ours are measured by turns (A B B A), and the ratio of each pair counts, so that whatever else the
//! machine does falls on both. CPU seconds are those of all threads of the process. Nothing is asserted here: figures are
//! data, with the command that made them (tests/load/README.md).

#![allow(clippy::print_stdout, reason = "its output is the result")]

mod append;
mod disk;
mod http;
mod measure;
mod proof;
mod restart;
mod rig;

use std::{fs, path::PathBuf, process::Command};

use clap::Parser;
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the logs.
#[derive(Parser)]
struct Args {
    /// Given by `cargo bench`; without it nothing is measured.
    #[arg(long, hide = true)]
    bench: bool,
    /// Only these parts: integrate, append, syncs, bytes, proof, restart, http.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Tessera's POSIX conformance program, to be measured beside ours.
    #[arg(long)]
    tessera: Option<PathBuf>,
    /// A folder in memory, for what is measured without a disk.
    #[arg(long, default_value = "/dev/shm")]
    memory: PathBuf,
    /// A folder on a disk; the system's folder for temporary files when not given.
    #[arg(long)]
    disk: Option<PathBuf>,
    /// Leaves of the large log that is restarted.
    #[arg(long, default_value_t = 10_000_000)]
    large: u64,
    /// File for the result.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Child: append this many batches in the folder.
    #[arg(long, hide = true)]
    append: Option<u64>,
    /// Child: serve the folder's log on this address.
    #[arg(long, hide = true)]
    serve: Option<String>,
    /// Child: its folder.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

fn main() {
    let args = Args::parse();
    if let (Some(batches), Some(folder)) = (args.append, &args.folder) {
        return disk::append(folder, batches);
    }
    if let (Some(address), Some(folder)) = (&args.serve, &args.folder) {
        return http::serve(folder, address);
    }
    if !args.bench {
        println!("run it with cargo bench");
        return;
    }
    let result = json!({
        "command": "cargo bench --workspace --bench log -- --tessera DIR/posix --out FILE",
        "date": text("date", &["-u", "+%F"]),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": text("sh", &["-c", "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"]),
        "load": fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
        "leaf_bytes": rig::LEAF_LEN,
        "figures": Value::Object(figures(&args)),
    });
    let pretty = serde_json::to_string_pretty(&result).expect("plain data");
    println!("{pretty}");
    if let Some(out) = &args.out {
        fs::write(out, format!("{pretty}\n")).expect("the result is written");
    }
}

fn figures(args: &Args) -> Map<String, Value> {
    let disk = args.disk.clone().unwrap_or_else(std::env::temp_dir);
    let mut figures = Map::new();
    let mut part = |name: &str, measure: &dyn Fn() -> Value| {
        if args.only.is_empty() || args.only.iter().any(|only| only == name) {
            figures.insert(name.to_owned(), measure());
        }
    };
    part("integrate", &append::integrate);
    part("append", &|| append::append(&args.memory));
    part("syncs", &|| disk::syncs(&disk));
    part("bytes", &|| disk::bytes(&args.memory));
    part("proof", &proof::measure);
    part("restart", &|| restart::measure(&disk, &args.memory, args.large));
    part("http", &|| http::measure(&disk, args.tessera.as_deref()));
    figures
}

fn text(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output();
    out.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
}
