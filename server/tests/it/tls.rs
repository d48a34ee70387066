use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};

use crate::server::{PATIENCE, Server, ask, binary, eventually, finish, get};

/// A self-signed pair on disk.
struct Pair {
    cert: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn in_folder(dir: &Path) -> Self {
        Self { cert: dir.join("cert.pem"), key: dir.join("key.pem") }
    }

    /// Writes a fresh pair; gives its certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let fresh = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&self.key, fresh.signing_key.serialize_pem()).unwrap();
        std::fs::write(&self.cert, fresh.cert.pem()).unwrap();
        fresh.cert.der().clone()
    }

    fn server(&self, data: &Path) -> Command {
        let mut command = binary(data);
        command.env("VEILCLOUD_TLS_CERT", &self.cert).env("VEILCLOUD_TLS_KEY", &self.key);
        command.env("VEILCLOUD_TLS_RELOAD_INTERVAL_MS", "100");
        command
    }
}

/// A connection that trusts exactly this certificate.
fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let mut connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

#[test]
fn the_public_port_speaks_tls_1_3_with_both_http_versions() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(dir.path());
    let cert = pair.renew();
    let data = dir.path().join("data");
    let server = Server::start_as(&mut pair.server(&data), &data);
    assert_eq!(server.addresses["endpoint"], format!("https://{}", server.listen()));
    for (offered, chosen) in [
        (&[b"h2" as &[u8], b"http/1.1"][..], Some(b"h2" as &[u8])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let stream = connect(server.listen(), &cert, offered).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), chosen);
        assert_eq!(stream.conn.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    }
    let mut stream = connect(server.listen(), &cert, &[b"http/1.1"]).unwrap();
    assert_eq!(ask(&mut stream, "/health").0, 200);
    let mut h2 = connect(server.listen(), &cert, &[b"h2"]).unwrap();
    h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut frame = [0; 9];
    h2.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "the first frame is SETTINGS");
    // A client that answers no ping would be waited for.
    drop(h2);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("PLAINTEXT"), "{log}");
}

/// A well-formed ClientHello of TLS 1.2: no supported_versions, ECDHE suites of that version.
fn hello_1_2() -> Vec<u8> {
    let mut extensions = Vec::new();
    // supported_groups: x25519, secp256r1
    extensions.extend([0, 10, 0, 6, 0, 4, 0, 29, 0, 23]);
    // ec_point_formats: uncompressed
    extensions.extend([0, 11, 0, 2, 1, 0]);
    // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256
    extensions.extend([0, 13, 0, 6, 0, 4, 4, 3, 8, 4]);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    body.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut hello = vec![22, 3, 1];
    hello.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    hello.extend([1, 0]);
    hello.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    hello.extend(body);
    hello
}

#[test]
fn a_tls_1_2_client_gets_an_alert() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(dir.path());
    pair.renew();
    let data = dir.path().join("data");
    let server = Server::start_as(&mut pair.server(&data), &data);
    let mut stream = TcpStream::connect(server.listen()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&hello_1_2()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // Record type alert, level fatal, description protocol_version.
    assert_eq!((answer[0], answer[5], answer[6]), (21, 2, 70), "{answer:?}");
}

#[test]
fn plaintext_on_a_tls_port_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(dir.path());
    pair.renew();
    let data = dir.path().join("data");
    let server = Server::start_as(&mut pair.server(&data), &data);
    let mut stream = TcpStream::connect(server.listen()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    // The admin port stays plain.
    assert_eq!(get(server.admin(), "/health/live").0, 200);
}

#[test]
fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(dir.path());
    let old = pair.renew();
    let data = dir.path().join("data");
    let server = Server::start_as(&mut pair.server(&data), &data);
    connect(server.listen(), &old, &[]).unwrap();
    let new = pair.renew();
    eventually("the renewal", || connect(server.listen(), &new, &[]).is_ok());
    assert!(connect(server.listen(), &old, &[]).is_err());
    std::fs::write(&pair.cert, "no certificate").unwrap();
    let refused = |metrics: &str| metrics.contains("veilcloud_tls_reloads_total{outcome=\"refused\"}");
    eventually("the refusal", || refused(&get(server.admin(), "/metrics").1));
    connect(server.listen(), &new, &[]).unwrap();
    let last = pair.renew();
    eventually("the repair", || connect(server.listen(), &last, &[]).is_ok());
}

#[test]
fn a_pair_that_does_not_load_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) =
        (Pair::in_folder(dir.path()), Pair { cert: dir.path().join("c2"), key: dir.path().join("k2") });
    one.renew();
    other.renew();
    let data = dir.path().join("data");
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    for (cert, key, words) in [
        (&one.cert, &other.key, "do not serve together"),
        (&empty, &one.key, "there is no certificate in it"),
        (&one.cert, &empty, "cannot read a private key"),
        (&one.cert, &dir.path().join("nowhere"), "cannot read a private key"),
        (&one.key, &one.key, "there is no certificate in it"),
    ] {
        let (output, said) =
            finish(binary(&data).env("VEILCLOUD_TLS_CERT", cert).env("VEILCLOUD_TLS_KEY", key));
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("cannot serve TLS") && said.contains(words) && said.contains("what to do"),
            "{said}"
        );
    }
    assert!(!data.join("keys").exists());
}
