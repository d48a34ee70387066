//! Each thing that can go wrong on the way, done by a real socket on this machine.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::error::TlsFailure;

struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a CA") }
    }

    fn pem(&self) -> Vec<u8> {
        self.issuer.pem().into_bytes()
    }

    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("a server");
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// Listens once: does the handshake if there is a configuration, then says `answer` and hangs up.
async fn listen(tls: Option<ServerConfig>, answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            match tls.clone() {
                Some(tls) => {
                    let _ = tokio_rustls::TlsAcceptor::from(Arc::new(tls)).accept(tcp).await;
                }
                None => {
                    let mut hello = [0; 24];
                    let _ = tcp.read(&mut hello).await;
                    let _ = tcp.write_all(answer).await;
                    let _ = tcp.shutdown().await;
                }
            }
        }
    });
    address
}

fn transport(endpoint: &str, pem: Option<Vec<u8>>) -> Native {
    Native::new(Settings {
        uri: endpoint.parse().expect("an address"),
        ca_certificate_pem: pem,
        connect_timeout: Duration::from_secs(5),
        user_agent: "test".to_owned(),
    })
    .expect("a transport")
}

async fn outcome(transport: &Native) -> NetworkError {
    let call = Call {
        path: "/veilcloud.common.v1.ServerService/GetServerInfo",
        body: Bytes::new(),
        credentials: None,
        bearer: None,
        timeout: Duration::from_secs(10),
    };
    match transport.unary(call).await {
        Err(Failure::Network(e)) => e,
        other => panic!("not a network error: {:?}", other.map(|bytes| bytes.len())),
    }
}

#[tokio::test]
async fn a_port_where_nothing_listens_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let e = outcome(&transport(&format!("http://{address}"), None)).await;
    assert_eq!(e, NetworkError::Refused { address: address.to_string() });
}

#[tokio::test]
async fn a_name_without_an_address_is_told_from_a_closed_port() {
    // RFC 6761: this name never has an address.
    let e = outcome(&transport("http://veilcloud.invalid:7443", None)).await;
    assert_eq!(e, NetworkError::Dns { host: "veilcloud.invalid".into() });
}

#[tokio::test]
async fn a_certificate_that_nobody_here_trusts() {
    let address = listen(Some(Pki::new().server("localhost", |_| {})), b"").await;
    let endpoint = format!("https://localhost:{}", address.port());
    assert_eq!(outcome(&transport(&endpoint, None)).await, NetworkError::Tls(TlsFailure::UnknownCa));
    let other = Pki::new().pem();
    let e = outcome(&transport(&endpoint, Some(other))).await;
    assert_eq!(e, NetworkError::Tls(TlsFailure::UnknownCa), "another CA does not help");
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let pki = Pki::new();
    let address = listen(Some(pki.server("elsewhere.example", |_| {})), b"").await;
    let endpoint = format!("https://localhost:{}", address.port());
    let e = outcome(&transport(&endpoint, Some(pki.pem()))).await;
    assert_eq!(e, NetworkError::Tls(TlsFailure::WrongName));
}

#[tokio::test]
async fn a_certificate_whose_time_is_over() {
    let pki = Pki::new();
    let expired = pki.server("localhost", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let address = listen(Some(expired), b"").await;
    let endpoint = format!("https://localhost:{}", address.port());
    let e = outcome(&transport(&endpoint, Some(pki.pem()))).await;
    assert_eq!(e, NetworkError::Tls(TlsFailure::Expired));
}

#[tokio::test]
async fn a_server_that_speaks_no_http2() {
    let pki = Pki::new();
    for protocols in [vec![b"http/1.1".to_vec()], Vec::new()] {
        let mut config = pki.server("localhost", |_| {});
        config.alpn_protocols = protocols;
        let address = listen(Some(config), b"").await;
        let endpoint = format!("https://localhost:{}", address.port());
        assert_eq!(outcome(&transport(&endpoint, Some(pki.pem()))).await, NetworkError::Alpn);
    }
}

#[tokio::test]
async fn a_port_that_speaks_no_tls() {
    let address = listen(None, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let e = outcome(&transport(&format!("https://localhost:{}", address.port()), None)).await;
    assert_eq!(e, NetworkError::Tls(TlsFailure::NotTls));
}

#[tokio::test]
async fn a_connection_that_breaks_is_lost() {
    let address = listen(None, b"").await;
    let e = outcome(&transport(&format!("http://{address}"), None)).await;
    assert!(matches!(e, NetworkError::Lost { .. }), "{e:?}");
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_when_the_client_is_built() {
    for pem in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(tls::config(Some(pem)), Err(Error::Invalid { .. })), "{pem:?}");
    }
    assert!(tls::config(Some(&Pki::new().pem())).is_ok());
}

#[test]
fn an_answer_that_is_not_grpc_is_a_proxy_s() {
    use http::Response;
    use tonic::body::Body;
    let answer = |status: u16, kind: Option<&str>| {
        let mut builder = Response::builder().status(status);
        if let Some(kind) = kind {
            builder = builder.header("content-type", kind);
        }
        watch::is_grpc(&builder.body(Body::empty()).expect("a response"))
    };
    assert!(answer(200, Some("application/grpc")));
    assert!(answer(200, Some("application/grpc+proto")));
    for (status, kind) in
        [(502, None), (503, Some("application/grpc")), (200, Some("text/html")), (200, None)]
    {
        assert!(!answer(status, kind), "{status} {kind:?}");
    }
}
