//! A closed-loop generator over HTTP/1.1: every connection sends its next request when the last answer has arrived. The
//! same code drives our server and the peer, so that its own cost is in both figures.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Makes the requests of one connection, one after the other; `None` ends it early.
pub trait Source: Send + 'static {
    /// The next request, or nothing when there is no more.
    fn next(&mut self) -> Option<Request<Full<Bytes>>>;
    /// Whether an answer is the one that is measured.
    fn accepts(&self, status: StatusCode) -> bool {
        status.is_success()
    }
}

/// What a run measured.
pub struct Run {
    /// Answers per second.
    pub rate: f64,
    /// Latencies in microseconds, ascending.
    latencies: Vec<u32>,
}

impl Run {
    /// A latency in milliseconds that this share of the answers stayed within.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = ((last as f64) * share).round() as usize;
        f64::from(self.latencies.get(at).copied().unwrap_or(0)) / 1000.0
    }

    /// How many answers there were.
    pub fn answers(&self) -> usize {
        self.latencies.len()
    }

    /// The run as data.
    pub fn json(&self) -> Value {
        let round = |x: f64| (x * 100.0).round() / 100.0;
        json!({
            "requests": self.latencies.len(),
            "per_second": self.rate.round(),
            "p50_ms": round(self.quantile_ms(0.5)),
            "p99_ms": round(self.quantile_ms(0.99)),
        })
    }
}

/// Drives `sources`, one connection each, for `seconds`.
pub async fn run<S: Source>(address: SocketAddr, sources: Vec<S>, seconds: u32) -> Result<Run> {
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let connections: Vec<_> =
        sources.into_iter().map(|s| tokio::spawn(drive(address, s, stop.clone()))).collect();
    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for connection in connections {
        latencies.extend(connection.await.context("a connection panicked")??);
    }
    let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Run { rate, latencies })
}

async fn drive<S: Source>(address: SocketAddr, mut source: S, stop: Arc<AtomicBool>) -> Result<Vec<u32>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut latencies = Vec::with_capacity(1 << 16);
    while !stop.load(Ordering::Relaxed) {
        let Some(request) = source.next() else {
            bail!("the generator ran out of prepared requests: prepare more")
        };
        sender.ready().await?;
        let start = Instant::now();
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
        if !source.accepts(status) {
            bail!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(400)]));
        }
    }
    Ok(latencies)
}
