//! Logs and metrics. Lines go to standard error: JSON for machines, text on a terminal. What must never happen: a
//! secret, a name or an address of a person in a line.

use std::{io::IsTerminal, panic};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Bounds of every duration's histogram, in seconds.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Starts the log.
pub fn start_log(log: &Log) {
    // The configuration checked the filter already.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let text = match log.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = if text {
        let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false)).try_init()
    } else {
        registry.with(fmt::layer().with_writer(std::io::stderr).json().flatten_event(true)).try_init()
    };
    // Only a second log in one process can fail, and then the first one goes on.
    drop(started);
    log_panics();
}

/// A panic is a bug: its place is logged, its message is not, because a message may carry what was being worked on.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |l| format!("{}:{}", l.file(), l.line()));
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        metrics::counter!("veilcloud_panics_total").increment(1);
        tracing::error!(place, thread, "bug: a task panicked");
    }));
}

/// Starts the metrics; the handle renders them.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(SECONDS)?.install_recorder()?;
    metrics::describe_gauge!("veilcloud_build_info", "Always 1; the version is a label.");
    metrics::gauge!("veilcloud_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::describe_counter!("veilcloud_panics_total", "Tasks that panicked: bugs.");
    metrics::describe_gauge!("veilcloud_connections", "Open connections, by port.");
    metrics::describe_counter!("veilcloud_connections_total", "Connections accepted, by port.");
    metrics::describe_counter!(
        "veilcloud_connections_refused_total",
        "Connections closed at once, by port and reason."
    );
    metrics::describe_counter!("veilcloud_tls_reloads_total", "Renewed certificates, by outcome.");
    metrics::counter!("veilcloud_panics_total").absolute(0);
    Ok(handle)
}

/// True when a crash of this process would write its memory, keys included, to a core file.
pub fn core_dumps_on() -> bool {
    let Ok(limits) = std::fs::read_to_string("/proc/self/limits") else { return false };
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    line.and_then(|line| line.split_whitespace().next()).is_some_and(|soft| soft != "0")
}
