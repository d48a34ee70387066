//! Speed of the access check: `cargo bench --workspace --bench access -- --out FILE`. What the gate asks of the domain for
//! each request of a session (who is it, is the proof new, what may they do in this project) over the embedded stores,
//! beside a two-block token of `biscuit-auth` with a comparable policy in the same run. Every call is timed alone and shows
//! a fresh proof. Nothing is asserted here: figures are data, with the command that made them (tests/load/README.md).

#![allow(clippy::print_stdout, reason = "its output is the result")]

mod biscuit;
mod check;
#[path = "../log/measure.rs"]
#[allow(dead_code, reason = "the other bench uses the rest")]
mod measure;

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use clap::Parser;
use criterion::Criterion;
use serde_json::{Value, json};

use crate::check::Rig;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the access check.
#[derive(Parser)]
struct Args {
    /// Given by `cargo bench`; without it nothing is measured.
    #[arg(long, hide = true)]
    bench: bool,
    /// Seconds for each figure.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// File for the result.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() {
    let args = Args::parse();
    if !args.bench {
        println!("run it with cargo bench");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the stores");
    // One thread: its clock can be put forward, which makes what is in memory old.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut rig = runtime.block_on(Rig::new(folder.path()));
    let mut criterion = Criterion::default()
        .output_directory(folder.path())
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(args.seconds))
        .sample_size(50)
        .without_plots();
    let mut group = criterion.benchmark_group("access");
    let mut figures = serde_json::Map::new();
    let mut note = |name: &str, times: Times| figures.insert(name.to_owned(), times.json());

    let mut times = Times::default();
    group.bench_function("warm", |b| {
        b.iter_custom(|count| times.of(count, |clock| runtime.block_on(rig.warm(clock))));
    });
    let warm = times.median();
    note("warm", times);

    let mut times = Times::default();
    group.bench_function("cold_capability", |b| {
        b.iter_custom(|count| times.of(count, |clock| runtime.block_on(rig.cold(clock, false))));
    });
    let cold = times.median();
    note("cold_capability", times);

    let mut times = Times::default();
    group.sample_size(10);
    group.bench_function("cold_all", |b| {
        b.iter_custom(|count| times.of(count, |clock| runtime.block_on(rig.cold(clock, true))));
    });
    note("cold_all", times);
    group.sample_size(50);

    let token = biscuit::Token::new();
    let mut times = Times::default();
    group.bench_function("biscuit", |b| {
        b.iter_custom(|count| times.of(count, |clock| clock.time(|| token.check())));
    });
    let biscuit = times.median();
    note("biscuit", times);
    group.finish();

    let ratio = |ours: f64| measure::round(ours / biscuit);
    let result = json!({
        "command": "cargo bench --workspace --bench access -- --out FILE",
        "date": text("date", &["-u", "+%F"]),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": text("sh", &["-c", "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"]),
        "load": fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
        "goals": {"warm": "p50 <= 60 us", "cold_capability": "p50 <= 250 us"},
        "figures": Value::Object(figures),
        "of_biscuit": {"warm": ratio(warm), "cold_capability": ratio(cold)},
    });
    let pretty = serde_json::to_string_pretty(&result).expect("plain data");
    println!("{pretty}");
    if let Some(out) = &args.out {
        fs::write(out, format!("{pretty}\n")).expect("the result can be written");
    }
}

fn text(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output();
    out.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
}

/// Takes the time of the part of a call that counts.
#[derive(Default)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Times this.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = std::hint::black_box(work());
        self.0 += start.elapsed();
        done
    }

    /// Times this future.
    pub async fn wait<T>(&mut self, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let done = std::hint::black_box(work.await);
        self.0 += start.elapsed();
        done
    }
}

/// The times of single calls, in microseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    /// Makes so many calls; gives the sum of their times.
    fn of(&mut self, count: u64, mut call: impl FnMut(&mut Stopwatch)) -> Duration {
        let mut sum = Duration::ZERO;
        for _ in 0..count {
            let mut watch = Stopwatch::default();
            call(&mut watch);
            self.0.push(watch.0.as_secs_f64() * 1e6);
            sum += watch.0;
        }
        sum
    }

    fn median(&self) -> f64 {
        measure::median(&self.0)
    }

    fn json(mut self) -> Value {
        self.0.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = self.0.len().saturating_sub(1) as f64;
            measure::round(self.0.get((last * share) as usize).copied().unwrap_or(0.0))
        };
        json!({"calls": self.0.len(), "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99)})
    }
}
