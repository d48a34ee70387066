//! Whether the time of a login's first step tells a registered address from an unknown one. A figure, not a test: the
//! two are asked by turns, so that whatever else the machine does falls on both.

use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use data_encoding::BASE64;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use veilcloud_tests::{cli::Machine, server::Server};
use veilsign::login::ClientLogin;

/// Questions about each of the two.
const ROUNDS: usize = 1_000;

/// Median and 95th percentile of `LoginStart` in microseconds, for both, and the median's ratio.
pub async fn measure() -> Result<Value> {
    let server = Server::start_with(&[("VEILCLOUD_LOG", "warn")]);
    Machine::new(server.endpoint()).register("known@example.com");
    let host = server.endpoint().trim_start_matches("http://").to_owned();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(&host).await?)).await?;
    tokio::spawn(connection);
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // Each goes first in every other round.
        for turn in [round % 2, 1 - round % 2] {
            let email = ["known@example.com", "unkno@example.com"][turn];
            let (_, ke1) = ClientLogin::start(b"a guess", &mut OsRng).ok().context("a first message")?;
            let body = json!({"email": email, "ke1": BASE64.encode(&ke1)}).to_string();
            let request = Request::post("/v1/auth/login/start")
                .header("host", &host)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body)))?;
            // The connection takes note of the last answer's end in its own time.
            sender.ready().await?;
            let start = Instant::now();
            let answer = sender.send_request(request).await?;
            anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
            answer.into_body().collect().await?;
            times[turn].push(start.elapsed().as_micros());
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 95 / 100])
    });
    let ratio = (unknown.0 as f64 / known.0 as f64 * 1000.0).round() / 1000.0;
    Ok(json!({
        "rounds": ROUNDS,
        "registered": {"p50_us": known.0, "p95_us": known.1},
        "unknown": {"p50_us": unknown.0, "p95_us": unknown.1},
        "p50_ratio": ratio,
    }))
}
