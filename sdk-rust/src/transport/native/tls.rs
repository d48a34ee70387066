//! TLS: version 1.3 only, ALPN h2, the machine's certificate authorities and one more if the caller names it.

use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::{Error, Result, TlsFailure};

/// The client's TLS configuration.
pub(super) fn config(ca_certificate_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    // A machine without a certificate store is fine as long as the caller brings the one certificate that counts.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = ca_certificate_pem {
        add_pem(&mut roots, pem)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| Error::invalid("TLS", e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn add_pem(roots: &mut RootCertStore, pem: &[u8]) -> Result<()> {
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| Error::invalid("CA certificate", e))?;
        roots.add(certificate).map_err(|e| Error::invalid("CA certificate", e))?;
        found += 1;
    }
    if found == 0 { Err(Error::invalid("CA certificate", "no certificate in the PEM text")) } else { Ok(()) }
}

/// What a failed handshake failed at. ALPN is told apart by the caller.
pub(super) fn classify(e: &rustls::Error) -> TlsFailure {
    use rustls::Error as E;
    match e {
        E::InvalidCertificate(reason) => classify_certificate(reason),
        E::PeerIncompatible(_) | E::AlertReceived(rustls::AlertDescription::ProtocolVersion) => {
            TlsFailure::Version
        }
        E::InvalidMessage(_) => TlsFailure::NotTls,
        other => TlsFailure::Other(other.to_string()),
    }
}

fn classify_certificate(reason: &CertificateError) -> TlsFailure {
    match reason {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsFailure::Expired,
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFailure::UnknownCa,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::WrongName
        }
        other => TlsFailure::Other(format!("the server's certificate is refused: {other}")),
    }
}
