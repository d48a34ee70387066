//! What every request is held to, whichever RPC it is for: generated from the contract, so that a new RPC is held to it
//! without a line here.

use veilcloud_proto::auth::v1 as auth;

use super::*;
use crate::rest::json_routes;

/// A field number that no message has.
const NO_FIELD: u32 = 18_999;

/// A varint field of a number.
fn field(number: u32) -> Vec<u8> {
    let mut key = u64::from(number) << 3;
    let mut bytes = Vec::new();
    while key >= 0x80 {
        bytes.push(key as u8 | 0x80);
        key >>= 7;
    }
    bytes.extend([key as u8, 1]);
    bytes
}

#[tokio::test]
async fn an_unknown_field_is_refused_in_every_json_body() {
    let port = Port::with(Settings { anonymous_per_minute_per_address: 100_000, ..settings() });
    let ada = port.world.person("ada@example.org").await;
    let mut routes = 0;
    for (method, template) in json_routes() {
        let path = template.replace(['{', '}'], "|");
        let path: Vec<&str> =
            path.split('|').enumerate().map(|(n, part)| if n % 2 == 1 { ABSENT } else { part }).collect();
        let line = format!("{method} {}", path.concat());
        let reply = port
            .rest(Some(&ada), &line, &[("content-type", "application/json")], br#"{"nobodyKnows": 1}"#)
            .await;
        assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (400, "MESSAGE_MALFORMED"), "{line}");
        routes += 1;
    }
    assert!(routes > 20);
}

#[tokio::test]
async fn an_unknown_field_is_refused_in_every_message() {
    let port = Port::with(Settings { anonymous_per_minute_per_address: 100_000, ..settings() });
    let ada = port.world.person("ada@example.org").await;
    for path in METHODS.keys() {
        let message = field(NO_FIELD);
        let answer = port.raw(path, port.credentials(&ada, path, &message), frame(&message)).await;
        assert_eq!(answer.reason(), "FIELD_INVALID", "{path}");
        let details = answer.status.get_error_details();
        let named = details.error_info().and_then(|info| info.metadata.get("rule").cloned());
        assert_eq!(named.as_deref(), Some("unknown_field"), "{path}");
    }
}

#[tokio::test]
async fn no_message_of_any_rpc_is_larger_than_the_limit() {
    let port = Port::with(Settings { anonymous_per_minute_per_address: 100_000, ..settings() });
    let ada = port.world.person("ada@example.org").await;
    let limit = usize::try_from(settings().limits.message_bytes).unwrap();
    for path in METHODS.keys() {
        let message = vec![0; limit + 1];
        let answer = port.raw(path, port.credentials(&ada, path, b""), frame(&message)).await;
        assert_eq!(answer.reason(), "MESSAGE_TOO_LARGE", "{path}");
    }
}

#[tokio::test]
async fn a_path_with_its_query_has_a_length() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let long = format!("/v1/projects?page_token={}", "a".repeat(4096));
    let reply = port.rest(None, &format!("GET {long}"), &[], b"").await;
    assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (413, "MESSAGE_TOO_LARGE"));
    let fits = format!("/v1/projects?page_token={}", "a".repeat(512));
    assert_eq!(port.get(&ada, &fits).await.reason(), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn an_address_in_a_url_finds_nobody() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    for path in ["/v1/users?email=bob%40example.org", "/v1/users/find?email=bob%40example.org"] {
        let reply = port.get(&ada, path).await;
        assert!(matches!(reply.status.as_u16(), 404 | 405), "{path}: {reply:?}");
    }
    // Nor does a path with a body take a query beside it.
    let line = "POST /v1/users/find?email=bob%40example.org";
    let reply = port.rest(Some(&ada), line, &[("content-type", "application/json")], b"{}").await;
    assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (400, "FIELD_INVALID"));
    let grpc = auth::FindUserRequest { email: "nobody@example.org".into() };
    let path = "/veilcloud.auth.v1.UserService/FindUser";
    let answer = port.call(&ada, path, &grpc).await;
    assert!(!format!("{:?}", answer.status.metadata()).contains("nobody@"));
}

/// docs/security-model.md says which test shows what: each that it names by its file is there.
#[test]
fn the_security_page_names_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/security-model.md")).unwrap();
    let named = page.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::"));
    let mut count = 0;
    for (file, name) in named {
        let text = std::fs::read_to_string(root.join(format!("{file}.rs")));
        let text = text.unwrap_or_else(|error| panic!("{file}.rs: {error}"));
        assert!(text.contains(&format!("fn {name}(")), "{file}.rs has no test {name}");
        count += 1;
    }
    assert!(count > 40);
}
