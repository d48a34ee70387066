//! What happened between this machine and the server, one cause each: people lose hours to "failed to connect" when
//! the true cause is a certificate.

use std::time::Duration;

use thiserror::Error;

/// Why the server was not reached.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The host name has no address.
    #[error("the name {host} has no address")]
    Dns {
        /// The name.
        host: String,
    },
    /// Nothing listens there.
    #[error("{address} refuses connections")]
    Refused {
        /// Host and port.
        address: String,
    },
    /// No way to the address.
    #[error("{address} cannot be reached: {detail}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system said.
        detail: String,
    },
    /// The TLS handshake failed.
    #[error("the secure connection failed: {0}")]
    Tls(TlsFailure),
    /// The other side speaks TLS but not HTTP/2.
    #[error("the other side does not speak HTTP/2")]
    Alpn,
    /// No answer in time.
    #[error("no answer within {} s", after.as_secs_f32())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// Something answered that is not this server.
    #[error("something between answered with HTTP status {status}")]
    Proxy {
        /// HTTP status of its answer.
        status: u16,
    },
    /// The connection broke.
    #[error("the connection broke: {detail}")]
    Lost {
        /// What the system said.
        detail: String,
    },
}

/// What the TLS handshake failed at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The certificate's time is over, or has not begun.
    #[error("the server's certificate is not valid at this time")]
    Expired,
    /// Nobody we trust signed the certificate.
    #[error("the server's certificate is signed by nobody this machine trusts")]
    UnknownCa,
    /// The certificate is for another name.
    #[error("the server's certificate is for another name")]
    WrongName,
    /// The other side does not speak TLS 1.3.
    #[error("the other side does not speak TLS 1.3")]
    Version,
    /// The other side does not speak TLS at all.
    #[error("the other side does not speak TLS")]
    NotTls,
    /// Anything else, as the library put it.
    #[error("{0}")]
    Other(String),
}

impl NetworkError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Dns { .. } => "check the spelling of the server's address and this machine's DNS",
            Self::Refused { .. } => "check that the server runs and that host and port are right",
            Self::Unreachable { .. } => "check this machine's network and firewall",
            Self::Tls(TlsFailure::Expired) => {
                "check this machine's clock; if it is right, the operator must renew the certificate"
            }
            Self::Tls(TlsFailure::UnknownCa) => {
                "give the client the CA certificate of the server (ca_certificate_pem), or check who intercepts \
                 the connection"
            }
            Self::Tls(TlsFailure::WrongName) => "use the host name that is in the server's certificate",
            Self::Tls(TlsFailure::Version) => "let the proxy in between pass TLS 1.3, or connect without it",
            Self::Tls(TlsFailure::NotTls) => {
                "check the port; a server without TLS is reached by http://, on this machine only"
            }
            Self::Tls(TlsFailure::Other(_)) => "check what stands between this machine and the server",
            Self::Alpn => "let the proxy in between pass HTTP/2 (ALPN h2)",
            Self::Timeout { .. } => "check the network, then try again",
            Self::Proxy { .. } => "check the proxy in between: it must pass gRPC to the server",
            Self::Lost { .. } => "try again",
        }
    }

    /// Whether the request may have reached the server.
    pub(super) fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Proxy { .. } | Self::Lost { .. })
    }

    /// Whether another try may go better: what gRPC calls UNAVAILABLE.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Lost { .. } => true,
            Self::Proxy { status } => matches!(status, 502..=504),
            _ => false,
        }
    }
}
