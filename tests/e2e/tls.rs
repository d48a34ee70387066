//! TLS 1.3 on the public port: the same commands, once the client trusts the certificate, and a plain word when not.

use std::fs;

use tempfile::TempDir;
use veilcloud_tests::{cli::Machine, server::Server};

#[test]
fn everything_works_over_tls_for_who_trusts_the_certificate() {
    let folder = TempDir::new().expect("a folder");
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&cert, pair.cert.pem()).expect("write");
    fs::write(&key, pair.signing_key.serialize_pem()).expect("write");
    let (cert, key) = (cert.to_str().expect("plain path"), key.to_str().expect("plain path"));
    let server = Server::start_with(&[("VEILCLOUD_TLS_CERT", cert), ("VEILCLOUD_TLS_KEY", key)]);
    assert!(server.endpoint().starts_with("https://"));

    let alice = Machine::new(server.endpoint()).trusting(cert);
    alice.register("alice@example.com");
    alice.login("alice@example.com");
    alice.ok(&["projects", "create", "my-app"]);
    alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"A=1\n");
    alice.ok(&["doctor"]);

    let stranger = Machine::new(server.endpoint());
    let ran = stranger
        .run_with(&["login", "alice@example.com", "--password-stdin"], b"correct horse battery staple");
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(ran.stderr.contains("certificate") && ran.stderr.contains("--ca-cert"), "{}", ran.stderr);
    // Somebody who speaks plaintext to it, or an old TLS, gets nowhere.
    let plain = Machine::new(&server.endpoint().replace("https", "http"));
    assert_eq!(plain.run(&["doctor"]).code, 6);
    let url = format!("{}/v1/server", server.endpoint());
    for args in [&["--tls-max", "1.2", "--cacert", cert, url.as_str()][..], &[url.as_str()]] {
        assert!(veilcloud_tests::rest::curl(args).is_err(), "{args:?}");
    }
    let answer =
        veilcloud_tests::rest::curl(&["--tlsv1.3", "--cacert", cert, &url]).expect("curl with TLS 1.3");
    assert_eq!(answer.status, 200);
    assert!(answer.header("strict-transport-security").is_some());
}
