//! TLS 1.3 and nothing older. The pair of certificate and key is looked at again and again; a renewed pair serves new
//! connections, a broken one is reported and the last good pair goes on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::TLS13,
};
use tokio_util::sync::CancellationToken;

/// Most certificates in a chain.
const CHAIN_LEN_MAX: usize = 16;

/// Why a pair does not load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read {what} from {}: {why}", path.display())]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        why: String,
    },
    /// The certificate and the key do not make a server.
    #[error("{} and {} do not serve together: {cause}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        cause: rustls::Error,
    },
}

/// The pair that serves now.
pub struct Tls {
    current: ArcSwap<ServerConfig>,
    cert: PathBuf,
    key: PathBuf,
    /// How the files looked just before they were loaded.
    loaded: (Look, Look),
}

/// What a file looked like: when it was changed, and its length.
type Look = Option<(SystemTime, u64)>;

impl Tls {
    /// Loads the pair.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        // Looked at before they are read: a renewal in between is noticed by the next look.
        let loaded = (look(cert), look(key));
        let current = ArcSwap::from_pointee(read_pair(cert, key)?);
        Ok(Arc::new(Self { current, cert: cert.to_path_buf(), key: key.to_path_buf(), loaded }))
    }

    /// The configuration for one more connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Looks at the files every `interval` until `stop`.
    pub async fn watch(self: Arc<Self>, interval: Duration, stop: CancellationToken) {
        let mut seen = self.loaded;
        while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            let now = (look(&self.cert), look(&self.key));
            if now == seen {
                continue;
            }
            // A pair caught half renewed is refused here and read again when its other half changes.
            seen = now;
            match read_pair(&self.cert, &self.key) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    metrics::counter!("veilcloud_tls_reloads_total", "outcome" => "renewed").increment(1);
                    tracing::info!("the certificate was renewed");
                }
                Err(e) => {
                    metrics::counter!("veilcloud_tls_reloads_total", "outcome" => "refused").increment(1);
                    tracing::warn!(error = %e, "the certificate on disk does not load; the last good one goes on serving");
                }
            }
        }
    }
}

fn look(path: &Path) -> Look {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn read_pair(cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let pem = |what, path: &Path, why: String| TlsError::Pem { what, path: path.to_path_buf(), why };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(|certs| certs.take(CHAIN_LEN_MAX).collect::<Result<Vec<_>, _>>())
        .map_err(|e| pem("a certificate chain", cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(pem("a certificate chain", cert, "there is no certificate in it".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| pem("a private key", key, e.to_string()))?;
    let pair = |cause| TlsError::Pair { cert: cert.to_path_buf(), key: key.to_path_buf(), cause };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Why a handshake failed, in words that carry nothing of the client's.
pub fn handshake_failed(e: &io::Error) -> &'static str {
    match e.kind() {
        io::ErrorKind::InvalidData => "not a TLS 1.3 client",
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "the client left",
        _ => "the handshake failed",
    }
}
