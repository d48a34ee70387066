//! Sharing on the wire: codes, REST paths, and that a member sees a project as its owner does, and nobody else.

use veilcloud_domain::{projects::model::Environment, testkit::EpochKey};
use veilcloud_proto::audit::v1 as audit;
use veilcore::id::TeamId;
use veilsign::capability::Actions;

use super::*;

const SHARE: &str = "/veilcloud.projects.v1.ShareService/ShareProject";
const UNSHARE: &str = "/veilcloud.projects.v1.ShareService/UnshareProject";
const PUT_LIST: &str = "/veilcloud.projects.v1.ShareService/PutAccessList";
const GET_LIST: &str = "/veilcloud.projects.v1.ShareService/GetAccessList";
const LIST_SHARES: &str = "/veilcloud.projects.v1.ShareService/ListShares";
const ADD_KEYRING: &str = "/veilcloud.projects.v1.EnvironmentService/AddKeyring";
const GET_KEYRING: &str = "/veilcloud.projects.v1.EnvironmentService/GetKeyring";
const ROTATE: &str = "/veilcloud.projects.v1.EnvironmentService/RotateEnvironmentKey";
const PUT_BLOB: &str = "/veilcloud.storage.v1.StorageService/PutBlob";
const EXPORT: &str = "/veilcloud.audit.v1.AuditService/ExportEvents";
const JSON: (&str, &str) = ("content-type", "application/json");

const READ: Actions = Actions::PROJECT_READ;

/// Ada's project with an environment, and her team with bob in it.
struct Place {
    port: Port,
    ada: Person,
    bob: Person,
    id: String,
    team: TeamId,
    environment: Environment,
    key: EpochKey,
}

async fn place() -> Place {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let bob = port.world.person("bob@example.org").await;
    let access = port.world.project(&ada.caller(&port.world).await, "app").await;
    let (environment, key) = port.world.environment(&ada, &access, "production").await;
    let team = port.world.team(&ada, "ops", &[&bob]).await;
    Place { id: access.project().to_string(), port, ada, bob, team, environment, key }
}

impl Place {
    /// The next list, naming bob with these actions.
    async fn list(&self, by: &Person, bob: Actions) -> Vec<u8> {
        let state = self.port.world.access_state(self.environment.project).await;
        let entries = if bob.is_empty() { vec![] } else { vec![self.bob.entry(self.team, bob)] };
        by.next_list(self.environment.project, &state, &entries)
    }

    async fn share_request(&self, permissions: &[&str], bob: Actions) -> projects::ShareProjectRequest {
        projects::ShareProjectRequest {
            project_id: self.id.clone(),
            team_id: self.team.to_string(),
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            access_list: self.list(&self.ada, bob).await,
            request_id: String::new(),
        }
    }

    async fn shared(permissions: &[&str], bob: Actions) -> Self {
        let place = place().await;
        let request = place.share_request(permissions, bob).await;
        let answer = place.port.call(&place.ada, SHARE, &request).await;
        assert_eq!(answer.message::<projects::ShareProjectResponse>().access_list_number, 1);
        place
    }

    async fn put_list(&self, by: &Person, access_list: Vec<u8>) -> Answer {
        let request = projects::PutAccessListRequest {
            project_id: self.id.clone(),
            access_list,
            request_id: String::new(),
        };
        self.port.call(by, PUT_LIST, &request).await
    }

    fn keyring(&self, epoch: u32, access_list: u64, member: &Person) -> projects::Keyring {
        let made = self.ada.keyring_for(&self.key, &self.environment, epoch, access_list, &[member]);
        projects::Keyring { epoch, file: made.file, seal: made.seal, access_list }
    }
}

#[tokio::test]
async fn a_member_sees_a_shared_project_and_a_stranger_does_not() {
    let place = Place::shared(&["project:read"], READ).await;
    let request = get_project(&place.id);
    let seen = place.port.call(&place.bob, GET_PROJECT, &request).await;
    let project = seen.message::<projects::GetProjectResponse>().project.unwrap();
    assert_eq!(
        (project.owner_id, project.permissions),
        (place.ada.account.to_string(), vec!["project:read".to_owned()])
    );
    let own = place.port.call(&place.ada, GET_PROJECT, &request).await;
    let own = own.message::<projects::GetProjectResponse>().project.unwrap();
    assert_eq!(own.permissions.len(), 5);
    let eve = place.port.world.person("eve@example.org").await;
    let foreign = place.port.call(&eve, GET_PROJECT, &request).await;
    let absent = place.port.call(&eve, GET_PROJECT, &get_project(ABSENT)).await;
    assert_eq!(foreign.reason(), "PERMISSION_DENIED");
    assert_eq!(foreign.status.message(), absent.status.message());
    // What bob was not given is refused as if there were nothing.
    let delete = projects::DeleteProjectRequest { project_id: place.id.clone(), request_id: String::new() };
    assert_eq!(place.port.call(&place.bob, DELETE_PROJECT, &delete).await.reason(), "PERMISSION_DENIED");

    let listed = async |who: &Person, shared| {
        let request = projects::ListProjectsRequest { shared, ..Default::default() };
        let answer = place.port.call(who, LIST_PROJECTS, &request).await;
        answer.message::<projects::ListProjectsResponse>().projects.len()
    };
    assert_eq!((listed(&place.bob, true).await, listed(&place.bob, false).await), (1, 0));
    assert_eq!((listed(&place.ada, true).await, listed(&place.ada, false).await), (0, 1));
    assert_eq!(listed(&eve, true).await, 0);
}

#[tokio::test]
async fn every_refusal_of_a_list_has_its_reason() {
    let place = Place::shared(&["project:read"], READ).await;
    let of = async |answer: Answer| (answer.status.code(), answer.reason());
    let old = place.list(&place.ada, READ).await;
    let put = place.put_list(&place.ada, old.clone()).await;
    assert_eq!(put.message::<projects::PutAccessListResponse>().access_list_number, 2);
    let stale = place.put_list(&place.ada, old).await;
    let details = stale.status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["current_number"], "2");
    assert_eq!(of(stale).await, (Code::Aborted, "ACCESS_LIST_STALE".to_owned()));
    let forged = place.list(&place.bob, READ).await;
    let forged = place.put_list(&place.ada, forged).await;
    assert_eq!(forged.status.get_error_details().error_info().unwrap().metadata["check"], "signature");
    assert_eq!(of(forged).await, (Code::InvalidArgument, "ACCESS_LIST_INVALID".to_owned()));
    let more = place.put_list(&place.ada, place.list(&place.ada, Actions::PROJECT_WRITE).await).await;
    assert_eq!(more.status.get_error_details().error_info().unwrap().metadata["check"], "entry_actions");
    let by_bob = place.put_list(&place.bob, place.list(&place.bob, READ).await).await;
    assert_eq!(of(by_bob).await, (Code::PermissionDenied, "PERMISSION_DENIED".to_owned()));
    let get = projects::GetAccessListRequest { project_id: place.id.clone(), number: 3 };
    let unknown = place.port.call(&place.bob, GET_LIST, &get).await;
    assert_eq!(of(unknown).await, (Code::NotFound, "ACCESS_LIST_UNKNOWN".to_owned()));
    for permissions in [&["project:all"][..], &["team:manage"], &["project:read,project:write"], &[]] {
        let request = place.share_request(permissions, READ).await;
        let odd = place.port.call(&place.ada, SHARE, &request).await;
        assert_eq!(of(odd).await, (Code::InvalidArgument, "FIELD_INVALID".to_owned()), "{permissions:?}");
    }
    let other = projects::UnshareProjectRequest {
        project_id: place.id.clone(),
        team_id: ABSENT.to_owned(),
        access_list: place.list(&place.ada, READ).await,
        request_id: String::new(),
    };
    let unknown = place.port.call(&place.ada, UNSHARE, &other).await;
    assert_eq!(of(unknown).await, (Code::NotFound, "SHARE_UNKNOWN".to_owned()));
}

#[tokio::test]
async fn sharing_works_over_rest() {
    let place = place().await;
    let encode = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
    let (list, team) = (encode(&place.list(&place.ada, READ).await), place.team);
    let body = format!(
        r#"{{"teamId": "{team}", "permissions": ["project:read", "audit:read"], "accessList": "{list}"}}"#
    );
    let line = format!("POST /v1/projects/{}/share", place.id);
    let shared = place.port.rest(Some(&place.ada), &line, &[JSON], body.as_bytes()).await;
    assert_eq!(
        (shared.status, &shared.json()["accessListNumber"]),
        (StatusCode::OK, &"1".into()),
        "{shared:?}"
    );
    let again = place.port.rest(Some(&place.ada), &line, &[JSON], body.as_bytes()).await;
    assert_eq!((again.status, again.reason().as_str()), (StatusCode::CONFLICT, "ACCESS_LIST_STALE"));
    let shares = place.port.get(&place.bob, &format!("/v1/projects/{}/share", place.id)).await;
    assert_eq!(shares.json()["shares"][0]["permissions"][1], "audit:read");
    let seen = place.port.get(&place.bob, &format!("/v1/projects/{}/access", place.id)).await;
    assert_eq!((&seen.json()["accessList"], &seen.json()["number"]), (&list.into(), &"1".into()));
    assert_eq!(
        place.port.get(&place.bob, "/v1/projects?shared=true").await.json()["projects"][0]["name"],
        "app"
    );

    let next = encode(&place.list(&place.ada, READ).await);
    let line = format!("PUT /v1/projects/{}/access", place.id);
    let body = format!(r#"{{"accessList": "{next}"}}"#);
    let put = place.port.rest(Some(&place.ada), &line, &[JSON], body.as_bytes()).await;
    assert_eq!((put.status, &put.json()["accessListNumber"]), (StatusCode::OK, &"2".into()));
    let body = format!(r#"{{"accessList": "{}"}}"#, encode(&place.list(&place.ada, Actions::NONE).await));
    let line = format!("DELETE /v1/projects/{}/share/{team}", place.id);
    let ended = place.port.rest(Some(&place.ada), &line, &[JSON], body.as_bytes()).await;
    assert_eq!((ended.status, &ended.json()["accessListNumber"]), (StatusCode::OK, &"3".into()));
    let gone = place.port.get(&place.bob, &format!("/v1/projects/{}", place.id)).await;
    assert_eq!((gone.status, gone.reason().as_str()), (StatusCode::FORBIDDEN, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn a_keyring_is_added_for_one_and_given_to_them() {
    let place = Place::shared(&["project:read"], READ).await;
    let add = projects::AddKeyringRequest {
        project_id: place.id.clone(),
        name: "production".to_owned(),
        account_id: place.bob.account.to_string(),
        api_key_id: String::new(),
        keyring: Some(place.keyring(1, 1, &place.bob)),
        ..Default::default()
    };
    let by_bob = place.port.call(&place.bob, ADD_KEYRING, &add).await;
    assert_eq!(by_bob.reason(), "PERMISSION_DENIED");
    let both = projects::AddKeyringRequest { api_key_id: ABSENT.to_owned(), ..add.clone() };
    assert_eq!(place.port.call(&place.ada, ADD_KEYRING, &both).await.reason(), "FIELD_INVALID");
    let neither = projects::AddKeyringRequest { account_id: String::new(), ..add.clone() };
    assert_eq!(place.port.call(&place.ada, ADD_KEYRING, &neither).await.reason(), "FIELD_INVALID");
    let key = projects::AddKeyringRequest { account_id: String::new(), ..both };
    assert_eq!(place.port.call(&place.ada, ADD_KEYRING, &key).await.reason(), "KEYRING_INVALID");
    let added = place.port.call(&place.ada, ADD_KEYRING, &add).await;
    added.message::<projects::AddKeyringResponse>();
    let again = place.port.call(&place.ada, ADD_KEYRING, &add).await;
    assert_eq!((again.status.code(), again.reason().as_str()), (Code::AlreadyExists, "KEYRING_EXISTS"));
    let get = projects::GetKeyringRequest {
        project_id: place.id.clone(),
        name: "production".to_owned(),
        ..Default::default()
    };
    let given =
        place.port.call(&place.bob, GET_KEYRING, &get).await.message::<projects::GetKeyringResponse>();
    assert_eq!((&given.keyring, given.added), (&add.keyring, true));
    assert_eq!(given.author_id, place.ada.account.to_string());
    let own = place.port.call(&place.ada, GET_KEYRING, &get).await.message::<projects::GetKeyringResponse>();
    assert!(!own.added && own.keyring != given.keyring);
    // Bob sees whose word the epoch's key is, and gets that keyring too when he asks for it.
    let epochs_own = own.keyring.as_ref().unwrap();
    assert_eq!((&given.epoch_seal, &given.epoch_author_id), (&epochs_own.seal, &own.author_id));
    let whole = format!("/v1/projects/{}/envs/production/keyring?whole=true", place.id);
    let whole = place.port.get(&place.bob, &whole).await.json();
    assert_eq!(whole["keyring"]["seal"], data_encoding::BASE64.encode(&epochs_own.seal), "{whole}");
    assert!(!whole["added"].as_bool().unwrap_or_default(), "{whole}");
    // One that was wrapped wrongly gives way to whoever says so.
    let keyring = place.keyring(1, 1, &place.bob);
    assert_ne!(Some(&keyring), add.keyring.as_ref());
    let replace = projects::AddKeyringRequest { keyring: Some(keyring.clone()), replace: true, ..add };
    place.port.call(&place.ada, ADD_KEYRING, &replace).await.message::<projects::AddKeyringResponse>();
    let given =
        place.port.call(&place.bob, GET_KEYRING, &get).await.message::<projects::GetKeyringResponse>();
    assert_eq!(given.keyring, Some(keyring));
}

#[tokio::test]
async fn a_write_after_a_removal_says_that_a_rotation_is_due() {
    let place = Place::shared(&["project:read"], READ).await;
    let none = place.list(&place.ada, Actions::NONE).await;
    place.put_list(&place.ada, none).await.message::<projects::PutAccessListResponse>();
    let sealed = place.ada.seal(&place.environment, &place.key, b"A=1\n");
    let put = put_request(&place.id, &sealed);
    let due = place.port.call(&place.ada, PUT_BLOB, &put).await;
    assert_eq!((due.status.code(), due.reason().as_str()), (Code::FailedPrecondition, "ROTATION_DUE"));
    let shown = place.port.get(&place.ada, &format!("/v1/projects/{}/envs/production", place.id)).await;
    assert_eq!(shown.json()["environment"]["rotationDue"], true);
    let rotate = |access_list| projects::RotateEnvironmentKeyRequest {
        project_id: place.id.clone(),
        name: "production".to_owned(),
        keyring: Some(place.keyring(2, access_list, &place.ada)),
        request_id: String::new(),
    };
    assert_eq!(place.port.call(&place.ada, ROTATE, &rotate(1)).await.reason(), "ACCESS_LIST_STALE");
    let rotated = place.port.call(&place.ada, ROTATE, &rotate(2)).await;
    let environment = rotated.message::<projects::RotateEnvironmentKeyResponse>().environment.unwrap();
    assert_eq!((environment.epoch, environment.rotation_due), (2, false));
    let caller = place.ada.caller(&place.port.world).await;
    let access = place.port.world.access(&caller, place.environment.project).await;
    let now = place.port.world.projects.environment(&access, &place.environment.name).await.unwrap();
    let sealed = place.ada.seal(&now, &place.key, b"A=1\n");
    let put = place.port.call(&place.ada, PUT_BLOB, &put_request(&place.id, &sealed)).await;
    assert_eq!(put.status.code(), Code::Ok, "{:?}", put.status);
}

#[tokio::test]
async fn shares_are_given_page_by_page() {
    let place = Place::shared(&["project:read"], READ).await;
    let second = place.port.world.team(&place.ada, "more", &[]).await;
    let request = projects::ShareProjectRequest {
        team_id: second.to_string(),
        ..place.share_request(&["project:read"], READ).await
    };
    place.port.call(&place.ada, SHARE, &request).await.message::<projects::ShareProjectResponse>();
    let page = async |page_token: String| {
        let project_id = place.id.clone();
        let request = projects::ListSharesRequest { project_id, page_size: 1, page_token };
        place.port.call(&place.bob, LIST_SHARES, &request).await
    };
    let first = page(String::new()).await.message::<projects::ListSharesResponse>();
    let last = page(first.next_page_token.clone()).await.message::<projects::ListSharesResponse>();
    let mut teams = [&first, &last].map(|page| page.shares[0].team_id.clone());
    teams.sort();
    let mut expected = [place.team.to_string(), second.to_string()];
    expected.sort();
    assert_eq!((teams, last.next_page_token.as_str()), (expected, ""));
    assert_eq!(page("forged".to_owned()).await.reason(), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn a_project_is_shared_with_so_many_teams() {
    let place = Place::shared(&["project:read"], READ).await;
    let world = &place.port.world;
    let access = world.access(&place.ada.caller(world).await, place.environment.project).await;
    let entries = [place.bob.entry(place.team, READ)];
    for number in 1..64 {
        let team = world.team(&place.ada, &format!("t{number}"), &[]).await;
        world.share(&place.ada, &access, team, READ, &entries).await.unwrap();
    }
    let team = world.team(&place.ada, "last", &[]).await;
    let request = place.share_request(&["project:read"], READ).await;
    let request = projects::ShareProjectRequest { team_id: team.to_string(), ..request };
    let more = place.port.call(&place.ada, SHARE, &request).await;
    assert_eq!((more.status.code(), more.reason().as_str()), (Code::ResourceExhausted, "SHARE_LIMIT"));
}

#[tokio::test]
async fn how_full_an_account_is_its_owner_is_told_and_nobody_else() {
    use veilcloud_domain::storage::model::{Digest, Precondition, Upload};
    let all = Actions::PROJECT_READ | Actions::PROJECT_WRITE;
    let place = Place::shared(&["project:read", "project:write"], all).await;
    // An upload of ada's holds all the room there is.
    let filling = Upload {
        id: veilcore::id::UploadId::from_bytes([1; 16]),
        account: place.ada.account,
        project: place.environment.project,
        environment: place.environment.id,
        precondition: Precondition::First,
        len: 64 << 20,
        digest: Digest([1; 32]),
        seal: Vec::new(),
        expires_at_ms: 0,
        received: Vec::new(),
    };
    place.port.world.ports.uploads.start(filling, 64).await.unwrap();
    for (who, told) in [(&place.ada, 2), (&place.bob, 0)] {
        let sealed = who.seal(&place.environment, &place.key, b"A=1\n");
        let full = place.port.call(who, PUT_BLOB, &put_request(&place.id, &sealed)).await;
        assert_eq!(full.reason(), "QUOTA_EXCEEDED");
        let details = full.status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata.len(), told, "{details:?}");
        let text = format!("{:?}", full.status);
        assert_eq!(text.contains(&(64 << 20).to_string()), told > 0, "{text}");
    }
}

#[tokio::test]
async fn an_export_ends_where_its_reader_is_removed() {
    let place = Place::shared(&["project:read", "audit:read"], READ | Actions::AUDIT_READ).await;
    let (world, project) = (&place.port.world, place.environment.project);
    let owner = place.ada.caller(world).await;
    let access = world.access(&owner, project).await;
    for n in 0..500 {
        world.projects.rename(&access, format!("app{n}").parse().unwrap()).await.unwrap();
    }
    let message = audit::ExportEventsRequest { project_id: place.id.clone(), ..Default::default() };
    let message = message.encode_to_vec();
    let ask = async || {
        let mut request = Request::builder().method("POST").uri(EXPORT);
        request.headers_mut().unwrap().extend(place.port.credentials(&place.bob, EXPORT, &message));
        let request = request.header("content-type", "application/grpc");
        place.port.send(request.body(Body::from(frame(&message))).unwrap()).await.into_body()
    };
    let rest = async |mut body: Body| {
        let (mut len, mut trailers) = (0, HeaderMap::new());
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => len += data.len(),
                Err(frame) => trailers = frame.into_trailers().unwrap(),
            }
        }
        (len, Status::from_header_map(&trailers).unwrap())
    };
    let (whole, status) = rest(ask().await).await;
    assert_eq!(status.code(), Code::Ok);
    // The first part is on its way when bob is taken out of the team.
    let mut body = ask().await;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    world.leave(&place.ada, place.team, place.bob.account).await;
    let (more, status) = rest(body).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(first + more < whole, "{first} and {more} of {whole}");
}
