//! Outside clients that know gRPC and nothing of us: buf, by reflection, over plaintext HTTP/2.

use std::process::Command;

use serde_json::Value;
use veilcloud_tests::server::Server;

fn buf_curl(server: &Server, protocol: &str, method: &str) -> (bool, String) {
    let url = format!("{}/{method}", server.endpoint());
    let mut command = Command::new("buf");
    command.args([
        "curl",
        "--protocol",
        protocol,
        "--reflect",
        "--reflect-protocol",
        "grpc-v1",
        "--data",
        "{}",
    ]);
    if protocol == "grpc" {
        command.arg("--http2-prior-knowledge");
    }
    let out = command.arg(&url).output().expect("buf is needed (cargo xtask test puts it on the path)");
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

#[test]
fn a_stranger_finds_and_calls_methods_by_reflection() {
    let server = Server::start();
    let (ok, text) = buf_curl(&server, "grpc", "veilcloud.common.v1.ServerService/GetServerInfo");
    assert!(ok, "{text}");
    let info: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(info["limits"]["chunkBytes"], "983280");
    let (ok, text) = buf_curl(&server, "grpc", "grpc.health.v1.Health/Check");
    assert!(ok && text.contains("SERVING"), "{text}");
}

#[test]
fn a_stranger_without_a_credential_gets_a_reason_he_can_read() {
    let server = Server::start();
    let (ok, text) = buf_curl(&server, "grpc", "veilcloud.projects.v1.ProjectService/ListProjects");
    assert!(!ok);
    let error: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(error["code"], "unauthenticated");
    let detail = error["details"][0]["value"].as_str().expect("a detail");
    let detail = data_encoding::BASE64_NOPAD.decode(detail.as_bytes()).expect("base64");
    assert!(String::from_utf8_lossy(&detail).contains("CREDENTIAL_MISSING"), "{text}");
}
