use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::server::{PATIENCE, Server, binary, eventually, get};

#[test]
fn a_server_starts_from_three_variables_answers_and_stops_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("new/data");
    let server = Server::start(&data);
    assert_eq!(get(server.admin(), "/health/live").0, 200);
    assert_eq!(get(server.admin(), "/health/ready").0, 200);
    let (code, metrics) = get(server.admin(), "/metrics");
    assert_eq!(code, 200);
    assert!(
        metrics.contains("veilcloud_build_info{version=") && metrics.contains("veilcloud_connections_total")
    );
    assert_eq!(get(server.listen(), "/health").0, 200);
    assert_eq!(server.addresses["tls"], false);
    assert_eq!(server.addresses["endpoint"], format!("http://{}", server.listen()));
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("PLAINTEXT"), "{log}");
    assert!(!data.join("server.addr").exists());
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(
        lines
            .iter()
            .any(|line| line["endpoint"].as_str().is_some_and(|e| e.starts_with("http://127.0.0.1:")))
    );
    // The keys stay, so the same folder starts again.
    drop(Server::start(&data));
}

#[test]
fn hints_are_shown_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (_, quiet) = Server::start(dir.path()).stop();
    assert!(!quiet.contains("veilcloud register"), "{quiet}");
    let (_, words) = Server::start_as(binary(dir.path()).arg("--hints"), dir.path()).stop();
    for line in [
        "export VEILCLOUD_ENDPOINT=http://127.0.0.1:",
        "veilcloud register",
        "veilcloud login",
        "projects create",
    ] {
        assert!(words.contains(line), "{words}");
    }
}

#[test]
fn the_admin_port_serves_nothing_else_and_the_public_port_no_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    assert_eq!(get(server.admin(), "/v1/projects").0, 404);
    assert_eq!(get(server.admin(), "/").0, 404);
    assert_ne!(get(server.listen(), "/metrics").0, 200);
}

#[test]
fn a_request_in_flight_is_answered_before_the_server_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut slow = TcpStream::connect(server.listen()).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    // The headers arrived, the body did not: the request is in flight.
    write!(slow, "POST /v1/auth/login/start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        .unwrap();
    write!(slow, "expect: 100-continue\r\ncontent-length: 2\r\n\r\n").unwrap();
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"), "{go_on:?}");
    server.signal("TERM");
    let admin = server.admin();
    eventually("the drain", || get(admin, "/health/ready").0 == 503);
    eventually("the closed port", || TcpStream::connect(server.listen()).is_err());
    assert_eq!(get(admin, "/health/live").0, 200);
    slow.write_all(b"{}").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

#[test]
fn a_request_that_does_not_end_is_cut_off_after_the_drain_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_as(binary(dir.path()).env("VEILCLOUD_DRAIN_TIMEOUT_S", "1"), dir.path());
    let mut stuck = TcpStream::connect(server.listen()).unwrap();
    write!(stuck, "POST /v1/auth/login/start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        .unwrap();
    write!(stuck, "expect: 100-continue\r\ncontent-length: 2\r\n\r\n").unwrap();
    stuck.read_exact(&mut [0; 25]).unwrap();
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("cut off"), "{log}");
}

#[test]
fn a_second_signal_leaves_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_as(binary(dir.path()).env("VEILCLOUD_DRAIN_TIMEOUT_S", "600"), dir.path());
    let mut stuck = TcpStream::connect(server.listen()).unwrap();
    write!(stuck, "POST /v1/auth/login/start HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        .unwrap();
    write!(stuck, "expect: 100-continue\r\ncontent-length: 2\r\n\r\n").unwrap();
    stuck.read_exact(&mut [0; 25]).unwrap();
    server.signal("INT");
    let admin = server.admin();
    eventually("the drain", || get(admin, "/health/ready").0 == 503);
    server.signal("INT");
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(130), "{log}");
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_as(binary(dir.path()).env("VEILCLOUD_MAX_CONNECTIONS", "1"), dir.path());
    let mut first = TcpStream::connect(server.listen()).unwrap();
    write!(first, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    first.read_exact(&mut [0; 12]).unwrap();
    let mut second = TcpStream::connect(server.listen()).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    // Closed without an answer; a reset is one way to see that.
    assert_eq!(second.read(&mut [0; 1]).unwrap_or(0), 0);
    drop(first);
    eventually("room for another", || {
        let mut next = TcpStream::connect(server.listen()).unwrap();
        next.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent = write!(next, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
        sent.is_ok() && next.read_exact(&mut [0; 12]).is_ok()
    });
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = binary(dir.path());
    command.env("VEILCLOUD_HANDSHAKE_TIMEOUT_MS", "100").env("VEILCLOUD_HEADER_READ_TIMEOUT_MS", "100");
    let server = Server::start_as(&mut command, dir.path());
    for first in ["", "PRI * HTTP/2", "GET / HT"] {
        let mut stream = TcpStream::connect(server.listen()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(first.as_bytes()).unwrap();
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{first:?}");
    }
}

#[test]
fn oversized_headers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut stream = TcpStream::connect(server.listen()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(write!(stream, "GET /health HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(64 * 1024)));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(get(server.listen(), "/health").0, 200);
}

#[test]
fn a_server_without_the_api_role_has_no_public_port() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_as(binary(dir.path()).env("VEILCLOUD_ROLES", "sweep"), dir.path());
    assert!(server.addresses["listen"].is_null());
    assert_eq!(get(server.admin(), "/health/ready").0, 200);
    assert_eq!(server.stop().0.code(), Some(0));
}
