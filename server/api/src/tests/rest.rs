use super::*;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn refused(
    port: &Port,
    who: Option<&Person>,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String) {
    let reply = port.rest(who, line, headers, body).await;
    (reply.status.as_u16(), reply.reason())
}

fn because(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[tokio::test]
async fn json_goes_both_ways() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let created = port.rest(Some(&ada), "POST /v1/projects", &[JSON], br#"{"name": "app"}"#).await;
    assert_eq!((created.status, created.header("content-type")), (StatusCode::OK, "application/json"));
    let id = created.json()["project"]["projectId"].as_str().unwrap().to_owned();
    let renamed = br#"{"name": "web", "updateMask": "name"}"#;
    let reply = port.rest(Some(&ada), &format!("PATCH /v1/projects/{id}"), &[JSON], renamed).await;
    assert_eq!(reply.json()["project"]["name"], "web");
    let list = port.get(&ada, "/v1/projects?page_size=10&name=web").await;
    assert_eq!(list.json()["projects"][0]["projectId"], id.as_str());
    assert_eq!(list.json()["nextPageToken"], "");
    assert_eq!(port.get(&ada, "/v1/projects?pageSize=10").await.status, StatusCode::OK);
    let me = port.get(&ada, "/v1/users/me").await;
    assert_eq!(
        (me.json()["user"]["email"].as_str(), me.json()["user"]["usedBytes"].as_str()),
        (Some("ada@example.org"), Some("0"))
    );
    let gone = port.rest(Some(&ada), &format!("DELETE /v1/projects/{id}"), &[], b"").await;
    assert_eq!((gone.status, &gone.body[..]), (StatusCode::OK, &b"{}"[..]));
    // What is left of it is its log, for the owner it had.
    let events = port.get(&ada, &format!("/v1/audit/{id}")).await.json();
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["kind"], "project.delete");
    let bob = port.world.person("bob@example.org").await;
    let hidden = port.get(&bob, &format!("/v1/audit/{id}")).await;
    assert_eq!(hidden.reason(), "PERMISSION_DENIED");
    let server = port.rest(None, "GET /v1/server", &[], b"").await;
    assert_eq!(server.json()["limits"]["chunkBytes"], "983280");
}

#[tokio::test]
async fn bodies_that_are_not_the_request_are_refused() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let line = "POST /v1/projects";
    for body in [
        &b"{"[..],
        b"[]",
        b"null",
        b"\xff",
        br#"{"name": "a", "nme": "b"}"#,
        br#"{"name": 1}"#,
        br#"{"name": "a"} x"#,
        br#"{"name": "a", "name": "b"}"#,
    ] {
        let text = String::from_utf8_lossy(body).into_owned();
        assert_eq!(
            refused(&port, Some(&ada), line, &[JSON], body).await,
            because(400, "MESSAGE_MALFORMED"),
            "{text}"
        );
    }
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(
        refused(&port, Some(&ada), line, &[JSON], deep.as_bytes()).await,
        because(400, "MESSAGE_MALFORMED")
    );
    let good = br#"{"name": "a"}"#;
    assert_eq!(refused(&port, Some(&ada), line, &[], good).await, because(415, "CONTENT_TYPE_UNSUPPORTED"));
    let text = ("content-type", "text/plain");
    assert_eq!(
        refused(&port, Some(&ada), line, &[text], good).await,
        because(415, "CONTENT_TYPE_UNSUPPORTED")
    );
    let large = vec![b' '; (1 << 20) + (1 << 19) + 1];
    assert_eq!(refused(&port, Some(&ada), line, &[JSON], &large).await, because(413, "MESSAGE_TOO_LARGE"));
    assert_eq!(
        refused(&port, Some(&ada), "GET /v1/projects", &[], b"x").await,
        because(400, "MESSAGE_MALFORMED")
    );
    let twice = [JSON, ("idempotency-key", ABSENT)];
    let other = br#"{"name": "a", "requestId": "7d1f2b0a-4f3e-4c2d-9b1a-0a1b2c3d4e5f"}"#;
    assert_eq!(refused(&port, Some(&ada), line, &twice, other).await, because(400, "FIELD_INVALID"));
    let path = format!("PATCH /v1/projects/{ABSENT}");
    let moved = br#"{"projectId": "7d1f2b0a-4f3e-4c2d-9b1a-0a1b2c3d4e5f", "name": "a"}"#;
    assert_eq!(refused(&port, Some(&ada), &path, &[JSON], moved).await, because(400, "FIELD_INVALID"));
}

#[tokio::test]
async fn queries_name_fields_that_are_theirs() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    for query in [
        "colour=red",
        "page_size=10&page_size=10",
        "page_size=-1",
        "page_size=1001",
        "page_size=010",
        "page_size=%",
        "name=a%2fb",
        "page_token=a%00",
        "request_id=x",
        "PAGE_SIZE=1",
    ] {
        let line = format!("GET /v1/projects?{query}");
        assert_eq!(
            refused(&port, Some(&ada), &line, &[], b"").await,
            because(400, "FIELD_INVALID"),
            "{query}"
        );
    }
    let path = format!("/v1/storage/{ABSENT}/production");
    for query in ["offset=1", "length=1", "if_none_match=x", "project_id=x", "env_name=production"] {
        let line = format!("GET {path}?{query}");
        assert_eq!(
            refused(&port, Some(&ada), &line, &[], b"").await,
            because(400, "FIELD_INVALID"),
            "{query}"
        );
    }
    let json = refused(&port, Some(&ada), "POST /v1/projects?name=a", &[JSON], b"{}").await;
    assert_eq!(json, because(400, "FIELD_INVALID"));
    let token = refused(&port, Some(&ada), "GET /v1/projects?page_token=AAAA", &[], b"").await;
    assert_eq!(token, because(400, "PAGE_TOKEN_INVALID"));
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems() {
    let port = Port::new();
    let nothing = port.rest(None, "GET /v1/nothing", &[], b"").await;
    assert_eq!((nothing.status.as_u16(), nothing.reason().as_str()), (404, "METHOD_UNKNOWN"));
    let body = nothing.json();
    assert_eq!(
        (body["type"].as_str(), body["status"].as_u64()),
        (Some("/docs/errors/METHOD_UNKNOWN"), Some(404))
    );
    assert_eq!(body["trace_id"], nothing.header("veil-trace-id"));
    let other = port.rest(None, "DELETE /v1/server", &[], b"").await;
    assert_eq!((other.status.as_u16(), other.header("allow")), (405, "GET"));
    for line in [
        "GET /v1/projects/%2e%2e",
        "GET /v1/projects/..",
        "GET /v1/projects/a%2fb",
        "GET /v1/projects/a%00b",
        "GET /v1/projects/%",
    ] {
        assert_eq!(refused(&port, None, line, &[], b"").await, because(400, "FIELD_INVALID"), "{line}");
    }
    let long = format!("GET /v1/projects/{}", "a".repeat(5000));
    assert_eq!(refused(&port, None, &long, &[], b"").await, because(413, "MESSAGE_TOO_LARGE"));
    let missing = port.rest(None, "GET /v1/projects", &[], b"").await;
    assert_eq!((missing.status.as_u16(), missing.reason().as_str()), (401, "CREDENTIAL_MISSING"));
    assert!(missing.header("www-authenticate").starts_with("Veil"));
}

#[tokio::test]
async fn a_rest_proof_is_for_method_path_query_and_raw_body() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let send = async |made_for: &str, line: &str, made_body: &[u8], body: &[u8]| {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request =
            Request::builder().method(method).uri(path).body(Body::from(body.to_vec())).unwrap();
        request.headers_mut().extend(port.credentials(&ada, made_for, made_body));
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        port.send(request).await.status().as_u16()
    };
    let line = "GET /v1/projects?page_size=5";
    assert_eq!(send(line, line, b"", b"").await, 200);
    assert_eq!(send("GET /v1/projects?page_size=6", line, b"", b"").await, 401);
    assert_eq!(send("POST /v1/projects?page_size=5", line, b"", b"").await, 401);
    assert_eq!(send(LIST_PROJECTS, line, b"", b"").await, 401);
    let post = "POST /v1/projects";
    assert_eq!(send(post, post, br#"{"name":"a"}"#, br#"{ "name":"a"}"#).await, 401);
    assert_eq!(send(post, post, br#"{"name":"a"}"#, br#"{"name":"a"}"#).await, 200);
}

#[tokio::test]
async fn pages_go_on_where_they_ended_and_tokens_belong_to_their_list() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    for name in ["a", "b", "c"] {
        port.project(&ada, name).await;
    }
    let first = port.get(&ada, "/v1/projects?page_size=2").await.json();
    assert_eq!(first["projects"].as_array().unwrap().len(), 2);
    let token = first["nextPageToken"].as_str().unwrap().to_owned();
    let second = port.get(&ada, &format!("/v1/projects?page_size=2&page_token={token}")).await.json();
    assert_eq!(
        (second["projects"][0]["name"].as_str(), second["nextPageToken"].as_str()),
        (Some("c"), Some(""))
    );

    let bob = port.world.person("bob@example.org").await;
    let id = first["projects"][0]["projectId"].as_str().unwrap();
    for (who, path) in [
        (&bob, format!("/v1/projects?page_token={token}")),
        (&ada, format!("/v1/projects?name=a&page_token={token}")),
        (&ada, format!("/v1/projects/{id}/envs?page_token={token}")),
    ] {
        assert_eq!(port.get(who, &path).await.reason(), "PAGE_TOKEN_INVALID", "{path}");
    }
}
