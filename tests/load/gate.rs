//! What the gate costs of a read of 4 KiB: CPU seconds of the server's own process for three requests, by turns. A read; the
//! same read whose proof was spent before, which passes every step of the gate but the last; and a request that does nothing
//! (`/health`), which is the cost of HTTP. The gate is the second less the third, the answer's problem included: no less
//! than what it costs a read that it lets through.

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    CONNECTIONS,
    http::{Source, run},
    ours::{Ours, Reads},
    text,
};

/// Length of the value that is read, in bytes.
const READ_LEN: usize = 4096;
/// Turns of the three.
const ROUNDS: usize = 6;

/// One connection's requests.
enum Asks {
    /// Reads, each with its proof.
    Reads(Reads),
    /// One read, as often as it goes: it is answered once and refused from then on.
    Again(Box<Request<Full<Bytes>>>),
    /// Nothing.
    Nothing(String),
}

impl Source for Asks {
    fn next(&mut self) -> Option<Request<Full<Bytes>>> {
        match self {
            Self::Reads(reads) => reads.next(),
            Self::Again(request) => Some(Request::clone(request)),
            Self::Nothing(host) => {
                let request = Request::builder().uri("/health").header("host", host.as_str());
                Some(request.body(Full::default()).expect("a well-formed request"))
            }
        }
    }

    fn accepts(&self, status: StatusCode) -> bool {
        matches!(self, Self::Again(_)) && status == StatusCode::UNAUTHORIZED || status.is_success()
    }
}

/// The figures, with the command that makes them.
pub async fn measure(seconds: u32) -> Result<Value> {
    // A proof is good for a minute: until then it is refused because it was spent, and after that because it is old.
    ensure!(seconds <= 40, "at most 40 seconds for each measurement");
    let ours = Ours::start()?;
    for mut first in ours.writers(CONNECTIONS, 1, READ_LEN).await? {
        if let Some(request) = first.next() {
            ours.call(request).await?;
        }
    }
    let mut micros: [Vec<f64>; 3] = Default::default();
    for round in 0..=ROUNDS {
        for turn in 0..3 {
            let which = (round + turn) % 3;
            let per_request = cpu_micros(&ours, which, seconds).await?;
            // The first round warms up.
            if round > 0 {
                micros[which].push(per_request);
            }
        }
    }
    let [read, refused, nothing] = micros;
    let gate: Vec<_> = refused.iter().zip(&nothing).map(|(refused, nothing)| refused - nothing).collect();
    let shares: Vec<_> = gate.iter().zip(&read).map(|(gate, read)| gate / read).collect();
    Ok(json!({
        "command": "cargo xtask load --gate",
        "date": text("date", &["-u", "+%F"]),
        "cores": std::thread::available_parallelism()?.get(),
        "connections": CONNECTIONS,
        "value_bytes": READ_LEN,
        "goal": "share <= 0.15",
        "server_cpu_us": {
            "read": spread(read),
            "refused_at_the_last_step": spread(refused),
            "health": spread(nothing),
            "gate": spread(gate),
        },
        "share": spread(shares),
    }))
}

/// CPU microseconds of the server for one request.
async fn cpu_micros(ours: &Ours, which: usize, seconds: u32) -> Result<f64> {
    let host = ours.address()?.to_string();
    let asks = |mut reads: Reads| match which {
        0 => Some(Asks::Reads(reads)),
        1 => reads.next().map(Box::new).map(Asks::Again),
        _ => Some(Asks::Nothing(host.clone())),
    };
    let sources: Vec<_> = ours.readers(CONNECTIONS).into_iter().filter_map(asks).collect();
    let before = ours.cpu_s();
    let run = run(ours.address()?, sources, seconds).await?;
    Ok((ours.cpu_s() - before) * 1e6 / run.answers().max(1) as f64)
}

/// Median and range, to three digits that count.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let round = |value: f64| (value * 1000.0).round() / 1000.0;
    let at = |index: usize| round(values.get(index).copied().unwrap_or(0.0));
    json!({"median": at(values.len() / 2), "least": at(0), "most": at(values.len().saturating_sub(1))})
}
