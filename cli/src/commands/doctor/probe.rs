//! The steps themselves.

use std::net::SocketAddr;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use veilcloud_sdk::{Client, Error, ErrorKind, NetworkError, ServerInfo};

use super::Report;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

/// Longest wait for a name and for a connection.
const STEP_MAX: Duration = Duration::from_secs(5);

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

pub struct Probe<'a> {
    pub context: &'a Context,
    pub report: &'a mut Report,
}

struct Target {
    host: String,
    port: u16,
    tls: bool,
}

impl Probe<'_> {
    pub async fn all(&mut self) {
        self.folder();
        let reached = match self.target() {
            Some(target) => self.network(&target).await,
            None => None,
        };
        if reached.is_none() {
            for name in ["dns", "tcp", "tls", "http/2", "server", "clock", "session"] {
                if self.report.checks.iter().all(|check| check.name != name) {
                    self.report.skipped(name, "an earlier step failed");
                }
            }
            return;
        }
        if let Some((client, info)) = reached {
            self.clock(&info);
            self.session(&client).await;
        }
    }

    fn folder(&mut self) {
        let dir = &self.context.config_dir;
        match self.context.state() {
            Ok(_) => self.report.ok("folder", format!("{} (from {})", dir.value.display(), dir.source)),
            Err(failure) => self.report.failed("folder", failure),
        }
    }

    fn target(&mut self) -> Option<Target> {
        let endpoint = &self.context.endpoint;
        match parse(&endpoint.value) {
            Some(target) => {
                self.report.ok("address", format!("{} (from {})", endpoint.value, endpoint.source));
                Some(target)
            }
            None => {
                let detail = format!("{} (from {}) is not an address", endpoint.value, endpoint.source);
                self.report.fail("address", Exit::Usage, detail, "give --endpoint https://HOST:PORT");
                None
            }
        }
    }

    async fn network(&mut self, target: &Target) -> Option<(Client, ServerInfo)> {
        let addresses = self.dns(target).await?;
        self.tcp(&addresses).await?;
        let client = match self.context.client() {
            Ok(client) => client,
            Err(failure) => {
                self.report.failed("tls", failure);
                return None;
            }
        };
        match client.server_info().await {
            Ok(info) => {
                self.tls_ok(target);
                self.report.ok("http/2", "spoken");
                self.report.ok("server", format!("version {}", info.version));
                Some((client, info))
            }
            Err(error) => {
                self.refused(target, error);
                None
            }
        }
    }

    async fn dns(&mut self, target: &Target) -> Option<Vec<SocketAddr>> {
        let remedy = "check the spelling of the server's address and this machine's DNS";
        let fault = match timeout(STEP_MAX, lookup_host((target.host.as_str(), target.port))).await {
            Ok(Ok(found)) => {
                let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
                if !addresses.is_empty() {
                    let list: Vec<String> =
                        addresses.iter().map(|address| address.ip().to_string()).collect();
                    self.report.ok("dns", format!("{} is {}", target.host, list.join(", ")));
                    return Some(addresses);
                }
                "it has no address".to_owned()
            }
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => format!("no answer in {} s", STEP_MAX.as_secs()),
        };
        self.report.fail("dns", Exit::Network, format!("{}: {fault}", target.host), remedy);
        None
    }

    async fn tcp(&mut self, addresses: &[SocketAddr]) -> Option<()> {
        let mut faults = Vec::new();
        for address in addresses {
            match timeout(STEP_MAX, TcpStream::connect(address)).await {
                Ok(Ok(_)) => {
                    self.report.ok("tcp", format!("{address} accepts connections"));
                    return Some(());
                }
                Ok(Err(fault)) => faults.push(format!("{address}: {fault}")),
                Err(_) => faults.push(format!("{address}: no answer in {} s", STEP_MAX.as_secs())),
            }
        }
        let remedy =
            "check that the server runs, that host and port are right, and that no firewall is between";
        self.report.fail("tcp", Exit::Network, faults.join("; "), remedy);
        None
    }

    fn tls_ok(&mut self, target: &Target) {
        match target.tls {
            true => self.report.ok("tls", "1.3, certificate trusted"),
            false => {
                self.report.skipped("tls", "http:// on this machine only; nothing on the wire is encrypted")
            }
        }
    }

    /// Puts a failed call at the step where it failed.
    fn refused(&mut self, target: &Target, error: Error) {
        let kind = error.kind();
        let failure = Failure::from(error);
        match kind {
            ErrorKind::Network(NetworkError::Tls(_)) => self.report.failed("tls", failure),
            ErrorKind::Network(_) => {
                self.tls_ok(target);
                self.report.failed("http/2", failure);
            }
            _ => {
                self.tls_ok(target);
                self.report.ok("http/2", "spoken");
                self.report.failed("server", failure);
            }
        }
    }

    fn clock(&mut self, info: &ServerInfo) {
        let skew_ms = (info.now - OffsetDateTime::now_utc()).whole_milliseconds().unsigned_abs();
        let detail = format!("{:.1} s from the server's", skew_ms as f64 / 1000.0);
        match skew_ms <= u128::from(info.limits.proof_window_ms) {
            true => self.report.ok("clock", detail),
            false => {
                let remedy = "set this machine's clock (turn on NTP)";
                self.report.fail("clock", Exit::Auth, detail, remedy);
            }
        }
    }

    async fn session(&mut self, client: &Client) {
        match client.try_session() {
            Ok(Some(_)) => {}
            Ok(None) => return self.report.skipped("session", "nobody is logged in here (veilcloud login)"),
            Err(error) => return self.report.failed("session", error.into()),
        }
        match client.me().await {
            Ok(account) => self.report.ok("session", format!("{} is logged in", account.email)),
            Err(error) => self.report.failed("session", error.into()),
        }
    }
}

fn parse(endpoint: &str) -> Option<Target> {
    let uri: http::Uri = endpoint.parse().ok()?;
    let tls = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Some(Target { host, port, tls })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn endpoints_split_into_host_port_and_tls() {
        let split = |text| parse(text).map(|target| (target.host, target.port, target.tls));
        assert_eq!(split("http://127.0.0.1:8443"), Some(("127.0.0.1".into(), 8443, false)));
        assert_eq!(split("https://vault.example.com"), Some(("vault.example.com".into(), 443, true)));
        assert_eq!(split("https://[::1]:9"), Some(("::1".into(), 9, true)));
        assert!(split("vault.example.com").is_none());
        assert!(split("ftp://x").is_none());
        assert!(split("").is_none());
    }
}
