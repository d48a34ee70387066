//! Whether the time of a refusal tells a project of somebody else from one that does not exist. A figure, not a test: the two
//! are asked by turns, so that whatever else the machine does falls on both. What a test can hold is that both make the same
//! calls (`server/api/src/tests/matrix/work.rs`).

use std::time::Instant;

use anyhow::{Result, ensure};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{ours::Ours, text};

/// Questions about each of the two.
const ROUNDS: usize = 5_000;
/// A project of nobody's.
const ABSENT: &str = "7e000000-0000-4000-8000-000000000000";

/// Median and 95th percentile of a refusal in microseconds, for both, and the median's ratio.
pub async fn measure() -> Result<Value> {
    let ours = Ours::start()?;
    let paths = [ours.foreign_project()?.as_str(), ABSENT].map(|id| format!("/v1/projects/{id}"));
    let stream = TcpStream::connect(ours.address()?).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // Each goes first in every other round.
        for turn in [round % 2, 1 - round % 2] {
            let request = ours.get(&paths[turn]);
            sender.ready().await?;
            let start = Instant::now();
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            ensure!(status == StatusCode::FORBIDDEN, "{status}");
            answer.into_body().collect().await?;
            times[turn].push(start.elapsed().as_micros());
        }
    }
    let [foreign, absent] = times.map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 95 / 100])
    });
    let ratio = (absent.0 as f64 / foreign.0 as f64 * 1000.0).round() / 1000.0;
    Ok(json!({
        "command": "cargo xtask load --foreign",
        "date": text("date", &["-u", "+%F"]),
        "cores": std::thread::available_parallelism()?.get(),
        "rounds": ROUNDS,
        "foreign": {"p50_us": foreign.0, "p95_us": foreign.1},
        "absent": {"p50_us": absent.0, "p95_us": absent.1},
        "p50_ratio": ratio,
    }))
}
