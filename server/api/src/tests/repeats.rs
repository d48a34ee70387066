use super::{
    api_keys::{drawn, register},
    *,
};

const REQUEST_ID: &str = "7d1f2b0a-4f3e-4c2d-9b1a-0a1b2c3d4e5f";

fn create(name: &str) -> projects::CreateProjectRequest {
    projects::CreateProjectRequest { name: name.into(), request_id: REQUEST_ID.into() }
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_byte_for_byte() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let first = port.call(&ada, CREATE_PROJECT, &create("app")).await;
    assert!(first.headers.get("veil-replayed").is_none());
    let again = port.call(&ada, CREATE_PROJECT, &create("app")).await;
    assert_eq!(again.status.code(), Code::Ok);
    assert_eq!(
        (&again.messages, again.headers["veil-replayed"].to_str().unwrap()),
        (&first.messages, "true")
    );
    let list = port.call(&ada, LIST_PROJECTS, &projects::ListProjectsRequest::default()).await;
    assert_eq!(list.message::<projects::ListProjectsResponse>().projects.len(), 1);
}

#[tokio::test]
async fn rest_and_grpc_share_one_memory() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    port.call(&ada, CREATE_PROJECT, &create("app")).await.message::<projects::CreateProjectResponse>();
    let headers = [("content-type", "application/json"), ("idempotency-key", REQUEST_ID)];
    let reply = port.rest(Some(&ada), "POST /v1/projects", &headers, br#"{"name":"app"}"#).await;
    assert_eq!((reply.status, reply.header("veil-replayed")), (StatusCode::OK, "true"));
    assert_eq!(reply.json()["project"]["name"], "app");
}

#[tokio::test]
async fn the_same_id_with_other_content_is_refused() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    port.call(&ada, CREATE_PROJECT, &create("app")).await.message::<projects::CreateProjectResponse>();
    let other = port.call(&ada, CREATE_PROJECT, &create("other")).await;
    assert_eq!((other.status.code(), other.reason().as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    // Another account's ids are its own.
    let bob = port.world.person("bob@example.org").await;
    assert_eq!(port.call(&bob, CREATE_PROJECT, &create("other")).await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_failed_request_may_be_tried_again_with_its_id() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    port.project(&ada, "taken").await;
    assert_eq!(port.call(&ada, CREATE_PROJECT, &create("taken")).await.reason(), "PROJECT_NAME_TAKEN");
    assert_eq!(port.call(&ada, CREATE_PROJECT, &create("free")).await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_repeated_deletion_gets_its_answer_and_nobody_else_gets_one() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let id = port.project(&ada, "app").await;
    let delete = projects::DeleteProjectRequest { project_id: id.clone(), request_id: REQUEST_ID.into() };
    assert_eq!(port.call(&ada, DELETE_PROJECT, &delete).await.status.code(), Code::Ok);
    let again = port.call(&ada, DELETE_PROJECT, &delete).await;
    assert_eq!((again.status.code(), again.headers["veil-replayed"].to_str().unwrap()), (Code::Ok, "true"));
    let fresh = projects::DeleteProjectRequest { request_id: ABSENT.into(), ..delete.clone() };
    for _ in 0..2 {
        assert_eq!(port.call(&ada, DELETE_PROJECT, &fresh).await.reason(), "PERMISSION_DENIED");
    }
    let bob = port.world.person("bob@example.org").await;
    assert_eq!(port.call(&bob, DELETE_PROJECT, &delete).await.reason(), "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_repeat_waits_for_the_first_answer() {
    use veilcloud_domain::auth::port::{Claim, RequestKey};

    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let request = create("app");
    let request_id = REQUEST_ID.parse::<veilcore::id::ProjectId>().unwrap();
    let key = RequestKey {
        api_key: None,
        account: ada.account,
        method: "veilcloud.projects.v1.ProjectService.CreateProject".to_owned(),
        request_id: *request_id.as_bytes(),
    };
    let replies = port.world.ports.replies.clone();
    let now_ms = port.world.clock.now_ms();
    let content = veilcore::hash::sha256(&request.encode_to_vec());
    assert_eq!(replies.claim(&key, content, now_ms).await.unwrap(), Claim::Fresh);

    let first = projects::CreateProjectResponse::default().encode_to_vec();
    let (answer, answered) = tokio::join!(
        port.call(&ada, CREATE_PROJECT, &request),
        replies.answer(&key, first.clone(), now_ms + 1000),
    );
    answered.unwrap();
    assert_eq!((answer.status.code(), &answer.messages[0][..]), (Code::Ok, &first[..]));
    assert!(answer.headers.contains_key("veil-replayed"));
}

#[tokio::test]
async fn what_an_api_key_was_answered_is_given_to_no_other_key_and_to_no_session() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let keys = [drawn(1), drawn(2)];
    for key in &keys {
        register(&port, &ada, key, &["project:read", "project:write"]).await;
    }
    let first = port.by_key(&keys[0], CREATE_PROJECT, &create("app")).await;
    assert_eq!(first.status.code(), Code::Ok);
    let again = port.by_key(&keys[0], CREATE_PROJECT, &create("app")).await;
    assert_eq!((&again.messages, again.headers.contains_key("veil-replayed")), (&first.messages, true));
    // The same id and content by another key, and by the person, is a request of its own.
    assert_eq!(port.by_key(&keys[1], CREATE_PROJECT, &create("app")).await.reason(), "PROJECT_NAME_TAKEN");
    assert_eq!(port.call(&ada, CREATE_PROJECT, &create("app")).await.reason(), "PROJECT_NAME_TAKEN");
    for name in ["second", "third"] {
        let made = match name {
            "second" => port.by_key(&keys[1], CREATE_PROJECT, &create(name)).await,
            _ => port.call(&ada, CREATE_PROJECT, &create(name)).await,
        };
        assert_eq!((made.status.code(), made.headers.contains_key("veil-replayed")), (Code::Ok, false));
    }
}
