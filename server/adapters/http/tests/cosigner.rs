//! The cosigner against small real servers on this machine: every answer that c2sp.org/tlog-witness knows, and everything
//! that a network and a stranger can do instead.

// The lint spares test functions only, and these share their helpers.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect},
    routing::{any, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use veilcloud_domain::{
    audit::{
        publish::{Cosigner, CosignerAnswer, CosignerError},
        witness::WitnessKey,
    },
    testkit::SeededEntropy,
};
use veilcloud_http::{ANSWER_LEN_MAX, HttpCosigner, Options, SetupError, TlsError};

fn vkey() -> String {
    WitnessKey::generate("w.example", &SeededEntropy::default()).unwrap().vkey()
}

fn options(url: String) -> Options {
    Options { url, vkey: vkey(), ca_file: None, allow_plaintext: false }
}

/// Options whose TLS does not depend on the system's certificates.
fn at(address: SocketAddr, dir: &tempfile::TempDir) -> Options {
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, authority("ca.example").pem).unwrap();
    Options { ca_file: Some(ca_file), ..options(format!("http://{address}/prefix/")) }
}

struct Authority {
    pem: String,
    key: rcgen::KeyPair,
    cert: rcgen::Certificate,
}

fn authority(name: &str) -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Authority { pem: cert.pem(), key, cert }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Serves one connection by hand: reads what comes, writes `answer`, then holds the connection open or drops it.
async fn serve_raw(answer: Vec<u8>, hold: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = [0; 4096];
            let _ = stream.read(&mut seen).await;
            let _ = stream.write_all(&answer).await;
            if hold {
                std::future::pending::<()>().await;
            }
        }
    });
    address
}

async fn ask(address: SocketAddr) -> Result<CosignerAnswer, CosignerError> {
    let dir = tempfile::tempdir().unwrap();
    HttpCosigner::new(&at(address, &dir))
        .unwrap()
        .add_checkpoint(Bytes::from_static(b"old 0\n\nnote\n"))
        .await
}

async fn answered(
    response: impl IntoResponse + Clone + Send + Sync + 'static,
) -> Result<CosignerAnswer, CosignerError> {
    let handler = move || std::future::ready(response.clone());
    ask(serve(Router::new().route("/prefix/add-checkpoint", post(handler))).await).await
}

#[tokio::test]
async fn a_cosignature_is_given_as_it_came_and_the_body_arrives_as_it_was() {
    let echo = |body: Bytes| async move { body };
    let answer = ask(serve(Router::new().route("/prefix/add-checkpoint", post(echo))).await).await;
    assert_eq!(answer, Ok(CosignerAnswer::Cosigned(Bytes::from_static(b"old 0\n\nnote\n"))));
}

#[tokio::test]
async fn a_conflict_names_its_size_and_anything_else_is_none() {
    let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
    let larger = answered((StatusCode::CONFLICT, kind.clone(), "4611686018427387904\n")).await;
    assert_eq!(larger, Ok(CosignerAnswer::Conflict { size: 1 << 62 }));
    let zero = answered((StatusCode::CONFLICT, kind.clone(), "0\n")).await;
    assert_eq!(zero, Ok(CosignerAnswer::Conflict { size: 0 }));
    for body in ["", "\n", "1", "01\n", "-1\n", "+1\n", "1\r\n", "1\n\n", "4611686018427387905\n", "one\n"] {
        let answer = answered((StatusCode::CONFLICT, kind.clone(), body)).await;
        assert!(matches!(answer, Err(CosignerError::Garbage { .. })), "{body:?}");
    }
    let untyped = answered((StatusCode::CONFLICT, "1\n")).await;
    assert!(matches!(untyped, Err(CosignerError::Garbage { .. })));
}

#[tokio::test]
async fn every_other_status_is_a_refusal_and_a_redirect_is_not_followed() {
    for status in [400, 403, 404, 413, 422, 429, 500, 503] {
        let answer = answered((StatusCode::from_u16(status).unwrap(), "no")).await;
        assert_eq!(answer, Ok(CosignerAnswer::Refused { status }));
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let other = |State(asked): State<Arc<AtomicUsize>>| async move {
        asked.fetch_add(1, Ordering::SeqCst);
        "— w.example AAAA\n"
    };
    let there = Router::new().route("/elsewhere", any(other)).with_state(asked.clone());
    let router = there.route("/prefix/add-checkpoint", post(|| async { Redirect::temporary("/elsewhere") }));
    assert_eq!(ask(serve(router).await).await, Ok(CosignerAnswer::Refused { status: 307 }));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_cut_off() {
    let longest = "a".repeat(ANSWER_LEN_MAX);
    assert!(matches!(answered(longest.clone()).await, Ok(CosignerAnswer::Cosigned(_))));
    let longer = answered(format!("{longest}a")).await;
    assert_eq!(longer, Err(CosignerError::Garbage { what: "it is too long" }));
    // Without a length, and without an end.
    let endless = || async { Body::from_stream(endless()) };
    let answer = ask(serve(Router::new().route("/prefix/add-checkpoint", post(endless))).await).await;
    assert_eq!(answer, Err(CosignerError::Garbage { what: "it is too long" }));
}

fn endless() -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    futures_util::stream::repeat_with(|| Ok(Bytes::from_static(&[b'a'; 1024])))
}

#[tokio::test]
async fn what_is_not_http_or_breaks_off_is_no_answer() {
    let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
    for answer in [&b""[..], b"SSH-2.0-x\r\n", b"HTTP/1.1 ", b"\0\0\0\0", whole] {
        let answer = ask(serve_raw(answer.to_vec(), false).await).await;
        assert!(matches!(answer, Err(CosignerError::Unreachable { .. })), "{answer:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(matches!(ask(address).await, Err(CosignerError::Unreachable { .. })));
}

#[tokio::test]
async fn a_witness_that_is_silent_or_slow_is_given_up_on() {
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of";
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\n", begun] {
        let address = serve_raw(answer.to_vec(), true).await;
        // The caller's own limit, which drops the request; the publisher does the same.
        assert!(timeout(Duration::from_millis(300), ask(address)).await.is_err());
    }
    // And the adapter's.
    let address = serve_raw(begun.to_vec(), true).await;
    assert_eq!(ask(address).await, Err(CosignerError::Timeout));
}

#[tokio::test]
async fn a_connection_serves_more_than_one_request() {
    let peers = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let seen = peers.clone();
    let note = move |axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<SocketAddr>| async move {
        seen.lock().unwrap().insert(peer);
        "x\n"
    };
    let router = Router::new().route("/prefix/add-checkpoint", post(note));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let dir = tempfile::tempdir().unwrap();
    let cosigner = HttpCosigner::new(&at(address, &dir)).unwrap();
    for _ in 0..5 {
        cosigner.add_checkpoint(Bytes::new()).await.unwrap();
    }
    assert_eq!(peers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn over_tls_only_a_certificate_of_the_given_authority_is_believed() {
    let (ours, others) = (authority("localhost"), authority("localhost"));
    let address = serve_tls(&ours).await;
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, &ours.pem).unwrap();
    let url = format!("https://localhost:{}", address.port());
    let options = Options { ca_file: Some(ca_file.clone()), ..options(url) };
    let answer = HttpCosigner::new(&options).unwrap().add_checkpoint(Bytes::new()).await;
    assert_eq!(answer, Ok(CosignerAnswer::Refused { status: 404 }));
    std::fs::write(&ca_file, &others.pem).unwrap();
    let answer = HttpCosigner::new(&options).unwrap().add_checkpoint(Bytes::new()).await;
    assert!(matches!(answer, Err(CosignerError::Unreachable { .. })), "{answer:?}");
    // The right authority under another name.
    std::fs::write(&ca_file, &ours.pem).unwrap();
    let elsewhere = Options { url: format!("https://127.0.0.1:{}", address.port()), ..options };
    let answer = HttpCosigner::new(&elsewhere).unwrap().add_checkpoint(Bytes::new()).await;
    assert!(matches!(answer, Err(CosignerError::Unreachable { .. })), "{answer:?}");
}

async fn serve_tls(authority: &Authority) -> SocketAddr {
    use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer, version::TLS13};
    let key = PrivateKeyDer::try_from(authority.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![authority.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut seen = [0; 4096];
                let _ = stream.read(&mut seen).await;
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

#[test]
fn a_wrong_key_and_wrong_certificates_are_found_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let good = at("127.0.0.1:1".parse().unwrap(), &dir);
    assert!(HttpCosigner::new(&good).is_ok());
    let log = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    for vkey in ["", "w.example", log] {
        let options = Options { vkey: vkey.to_owned(), ..good.clone() };
        assert!(matches!(HttpCosigner::new(&options), Err(SetupError::Key { .. })), "{vkey}");
    }
    let none = Options { ca_file: Some(dir.path().join("none.pem")), ..good.clone() };
    assert!(matches!(HttpCosigner::new(&none), Err(SetupError::Tls(TlsError::File { .. }))));
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    let empty = Options { ca_file: Some(empty), ..good };
    assert!(matches!(HttpCosigner::new(&empty), Err(SetupError::Tls(TlsError::NoRoots { .. }))));
}
