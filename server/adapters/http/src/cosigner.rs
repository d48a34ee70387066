//! A witness by its submission prefix: `POST <prefix>/add-checkpoint`, one connection kept for the next request.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;
use veilchain::{
    key::VerifierKey,
    witness::{SIZE_CONTENT_TYPE, parse_size_body},
};
use veilcloud_domain::audit::publish::{Cosigner, CosignerAnswer, CosignerError};

use crate::tls::{self, TlsError};

/// Longest wait for a connection and its handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for a whole answer, the connection included. The publisher's own limit is shorter; this one holds for
/// every caller.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
pub const ANSWER_LEN_MAX: usize = 64 * 1024;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Connections kept for one witness.
const IDLE_MAX: usize = 4;

/// What names a witness.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its submission prefix, for example `https://witness.example/v1`; a slash at the end makes no difference.
    pub url: String,
    /// Its verifier key, as text.
    pub vkey: String,
    /// PEM file of the root certificates to believe instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Plain HTTP to other machines too, not only to this one.
    pub allow_plaintext: bool,
}

/// Why a witness cannot be set up. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Not an absolute `http` or `https` URL without query and user.
    #[error("{url} is not the URL of a witness")]
    Url {
        /// The URL.
        url: String,
    },
    /// Plain HTTP to another machine.
    #[error("{url} is not encrypted: use https, or allow plaintext for this witness")]
    Plaintext {
        /// The URL.
        url: String,
    },
    /// Not a key of a witness.
    #[error("{vkey} is not the key of a witness")]
    Key {
        /// The text.
        vkey: String,
    },
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The way to one witness over HTTP.
pub struct HttpCosigner {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    key: VerifierKey,
}

impl HttpCosigner {
    /// A witness that is not asked yet. Reads root certificates: blocks.
    ///
    /// # Errors
    /// A URL, a key or certificates that cannot be used.
    pub fn new(options: &Options) -> Result<Self, SetupError> {
        let uri = submission(options)?;
        let key = options.vkey.parse::<VerifierKey>().ok();
        let key = key.filter(|key| key.kind() == veilchain::key::KeyType::CosignatureV1);
        let key = key.ok_or_else(|| SetupError::Key { vkey: options.vkey.clone() })?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls::client(options.ca_file.as_deref())?);
        let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Ok(Self { client, uri, key })
    }

    async fn exchange(&self, body: Bytes) -> Result<CosignerAnswer, CosignerError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let sent = self.client.request(request).await;
        let response = sent.map_err(|error| CosignerError::Unreachable { cause: chain(&error) })?;
        answer(response).await
    }
}

#[async_trait]
impl Cosigner for HttpCosigner {
    fn key(&self) -> &VerifierKey {
        &self.key
    }

    async fn add_checkpoint(&self, body: Bytes) -> Result<CosignerAnswer, CosignerError> {
        timeout(ANSWER_TIMEOUT, self.exchange(body)).await.unwrap_or(Err(CosignerError::Timeout))
    }
}

/// `<prefix>/add-checkpoint`.
fn submission(options: &Options) -> Result<Uri, SetupError> {
    let url = options.url.clone();
    let prefix = url.trim_end_matches('/');
    let Ok(uri) = format!("{prefix}/add-checkpoint").parse::<Uri>() else {
        return Err(SetupError::Url { url });
    };
    let host = uri.host().unwrap_or_default();
    // What has a query or names a user is no prefix; a fragment is cut off by the parser, so it is looked for before.
    let plain = uri.query().is_none() && !url.contains(['#', '@']);
    match uri.scheme_str() {
        _ if host.is_empty() || !plain => Err(SetupError::Url { url }),
        Some("https") => Ok(uri),
        Some("http") if options.allow_plaintext || is_here(host) => Ok(uri),
        Some("http") => Err(SetupError::Plaintext { url }),
        _ => Err(SetupError::Url { url }),
    }
}

/// Whether a host is this machine. By its address only: a name may be anybody's, except the one that RFC 6761 keeps.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn answer(response: Response<Incoming>) -> Result<CosignerAnswer, CosignerError> {
    let status = response.status();
    match status {
        StatusCode::OK => Ok(CosignerAnswer::Cosigned(read(response).await?)),
        StatusCode::CONFLICT if is_size(response.headers().get(header::CONTENT_TYPE)) => {
            let body = read(response).await?;
            let size = parse_size_body(&body).map_err(|_| CosignerError::Garbage { what: "the size" })?;
            Ok(CosignerAnswer::Conflict { size })
        }
        StatusCode::CONFLICT => Err(CosignerError::Garbage { what: "a conflict without a size" }),
        // Redirects too: where a witness is, the policy says. The body is not read, and the connection goes with it.
        other => Ok(CosignerAnswer::Refused { status: other.as_u16() }),
    }
}

fn is_size(kind: Option<&HeaderValue>) -> bool {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(SIZE_CONTENT_TYPE)
}

async fn read(response: Response<Incoming>) -> Result<Bytes, CosignerError> {
    match Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(CosignerError::Garbage { what: "it is too long" })
        }
        Err(error) => Err(CosignerError::Unreachable { cause: chain(&*error) }),
    }
}

/// An error and what caused it; the library's own messages say little.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "w+00000000+AAAA";

    fn of(url: &str, allow_plaintext: bool) -> Result<String, SetupError> {
        let options = Options { url: url.to_owned(), vkey: VKEY.to_owned(), ca_file: None, allow_plaintext };
        submission(&options).map(|uri| uri.to_string())
    }

    #[test]
    fn a_prefix_becomes_the_address_of_the_call() {
        for (url, uri) in [
            ("https://w.example", "https://w.example/add-checkpoint"),
            ("https://w.example/", "https://w.example/add-checkpoint"),
            ("https://w.example:8443/a/b/", "https://w.example:8443/a/b/add-checkpoint"),
            ("http://127.0.0.1:99", "http://127.0.0.1:99/add-checkpoint"),
            ("http://[::1]:99/x", "http://[::1]:99/x/add-checkpoint"),
            ("http://localhost", "http://localhost/add-checkpoint"),
        ] {
            assert_eq!(of(url, false).unwrap(), uri);
        }
    }

    #[test]
    fn plaintext_to_other_machines_must_be_asked_for() {
        for url in ["http://w.example", "http://10.0.0.1", "http://localhost.example", "http://128.0.0.1"] {
            assert!(matches!(of(url, false), Err(SetupError::Plaintext { .. })), "{url}");
            assert!(of(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for url in [
            "",
            "w.example",
            "/x",
            "ftp://w.example",
            "https://",
            "https://w.example/?a=b",
            "https://w.example/#a",
            "https://me@w.example",
            "https://w .example",
        ] {
            assert!(matches!(of(url, true), Err(SetupError::Url { .. })), "{url}");
        }
    }

    #[test]
    fn the_type_of_a_size_may_carry_parameters_and_nothing_else() {
        for (kind, is) in [
            ("text/x.tlog.size", true),
            ("Text/X.tlog.Size; charset=utf-8", true),
            ("text/x.tlog.sizes", false),
            ("text/plain", false),
        ] {
            assert_eq!(is_size(Some(&HeaderValue::from_static(kind))), is, "{kind}");
        }
        assert!(!is_size(None));
    }
}
