//! Teams and the search for a person over gRPC and REST.

use veilcloud_domain::auth::Caller;
use veilcloud_proto::{auth::v1 as auth, teams::v1 as teams};

use super::*;

const JSON: (&str, &str) = ("content-type", "application/json");
const TEAM_SERVICE: &str = "/veilcloud.teams.v1.TeamService";
const FIND_USER: &str = "/veilcloud.auth.v1.UserService/FindUser";
const DELETE_ME: &str = "/veilcloud.auth.v1.UserService/DeleteMe";

fn path(method: &str) -> String {
    format!("{TEAM_SERVICE}/{method}")
}

async fn caller(port: &Port, person: &Person) -> std::sync::Arc<Caller> {
    std::sync::Arc::new(person.caller(&port.world).await)
}

/// A team of this person.
async fn crew(port: &Port, owner: &Person) -> String {
    let request = teams::CreateTeamRequest { name: "crew".into(), threshold: 0, request_id: String::new() };
    let answer = port.call(owner, &path("CreateTeam"), &request).await;
    answer.message::<teams::CreateTeamResponse>().team.unwrap().team_id
}

async fn add(port: &Port, by: &Person, team: &str, account: &str, role: &str) -> Answer {
    let request = teams::AddMemberRequest {
        team_id: team.into(),
        account_id: account.into(),
        role: role.into(),
        request_id: String::new(),
    };
    port.call(by, &path("AddMember"), &request).await
}

async fn remove(port: &Port, by: &Person, team: &str, account: &str) -> Answer {
    let request = teams::RemoveMemberRequest {
        team_id: team.into(),
        account_id: account.into(),
        request_id: String::new(),
    };
    port.call(by, &path("RemoveMember"), &request).await
}

#[tokio::test]
async fn teams_go_both_ways_on_rest() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let bob = port.world.person("bob@example.org").await;
    let created =
        port.rest(Some(&ada), "POST /v1/teams", &[JSON], br#"{"name": "crew", "threshold": 2}"#).await;
    let team = created.json()["team"].clone();
    assert_eq!(
        (&team["name"], &team["threshold"], &team["role"]),
        (&"crew".into(), &2.into(), &"owner".into())
    );
    assert_eq!((&team["ownerId"], &team["memberCount"]), (&ada.account.to_string().into(), &1.into()));
    let place = format!("/v1/teams/{}", team["teamId"].as_str().unwrap());

    let find = br#"{"email": "bob@example.org"}"#;
    let found = port.rest(Some(&ada), "POST /v1/users/find", &[JSON], find).await.json();
    assert_eq!(found["accountId"], bob.account.to_string());
    let add = format!(r#"{{"accountId": {}}}"#, found["accountId"]);
    let added = port.rest(Some(&ada), &format!("POST {place}/members"), &[JSON], add.as_bytes()).await;
    assert_eq!(added.json()["member"]["role"], "member");
    let member = format!("{place}/members/{}", bob.account);
    let patched = port.rest(Some(&ada), &format!("PATCH {member}"), &[JSON], br#"{"role": "admin"}"#).await;
    assert_eq!(patched.json()["member"]["role"], "admin");
    let listed = port.get(&bob, &format!("{place}/members?page_size=1")).await.json();
    let next = listed["nextPageToken"].as_str().unwrap();
    let rest = port.get(&bob, &format!("{place}/members?page_size=1&page_token={next}")).await.json();
    let mut roles = [&listed, &rest].map(|page| page["members"][0]["role"].as_str().unwrap());
    roles.sort_unstable();
    assert_eq!(roles, ["admin", "owner"]);

    let renamed = br#"{"name": "staff", "threshold": 0, "updateMask": "name,threshold"}"#;
    let renamed = port.rest(Some(&bob), &format!("PATCH {place}"), &[JSON], renamed).await.json();
    assert_eq!((&renamed["team"]["name"], &renamed["team"]["threshold"]), (&"staff".into(), &0.into()));
    assert_eq!(port.get(&bob, &place).await.json()["team"]["role"], "admin");
    let left = port.rest(Some(&bob), &format!("DELETE {member}"), &[], b"").await;
    assert_eq!((left.status, &left.body[..]), (StatusCode::OK, &b"{}"[..]));
    assert_eq!(port.get(&bob, &place).await.reason(), "PERMISSION_DENIED");
    let gone = port.rest(Some(&ada), &format!("DELETE {place}"), &[], b"").await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(port.get(&ada, "/v1/teams").await.json()["teams"], serde_json::json!([]));
}

#[tokio::test]
async fn every_refusal_of_a_team_has_its_reason() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let bob = port.world.person("bob@example.org").await;
    let (owner, member) = (ada.account.to_string(), bob.account.to_string());
    let team = crew(&port, &ada).await;
    let again = teams::CreateTeamRequest { name: "crew".into(), threshold: 0, request_id: String::new() };
    assert_eq!(port.call(&ada, &path("CreateTeam"), &again).await.reason(), "TEAM_NAME_TAKEN");
    assert_eq!(add(&port, &ada, &team, ABSENT, "").await.reason(), "USER_UNKNOWN");
    assert_eq!(remove(&port, &ada, &team, &member).await.reason(), "MEMBER_UNKNOWN");
    for role in ["owner", "Admin", "boss"] {
        assert_eq!(add(&port, &ada, &team, &member, role).await.reason(), "FIELD_INVALID", "{role}");
    }
    assert_eq!(add(&port, &ada, &team, &member, "").await.status.code(), Code::Ok);
    assert_eq!(add(&port, &ada, &team, &member, "admin").await.reason(), "MEMBER_EXISTS");
    assert_eq!(remove(&port, &ada, &team, &owner).await.reason(), "TEAM_OWNER_STAYS");
    let unknown = teams::UpdateTeamRequest {
        team_id: team.clone(),
        name: "staff".into(),
        threshold: 0,
        update_mask: Some(prost_types::FieldMask { paths: vec!["owner_id".into()] }),
        request_id: String::new(),
    };
    assert_eq!(port.call(&ada, &path("UpdateTeam"), &unknown).await.reason(), "FIELD_INVALID");
    let large = teams::UpdateTeamRequest { threshold: 251, update_mask: None, ..unknown };
    assert_eq!(port.call(&ada, &path("UpdateTeam"), &large).await.reason(), "FIELD_INVALID");

    let me = auth::DeleteMeRequest { confirm_email: "ada@example.org".into() };
    let kept = port.call(&ada, DELETE_ME, &me).await;
    assert_eq!((kept.status.code(), kept.reason().as_str()), (Code::FailedPrecondition, "TEAM_HAS_MEMBERS"));
    let details = kept.status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["teams"], "1");
    assert_eq!(remove(&port, &bob, &team, &member).await.status.code(), Code::Ok);
    assert_eq!(port.call(&ada, DELETE_ME, &me).await.status.code(), Code::Ok);
}

#[tokio::test]
async fn the_limits_of_teams_are_told() {
    use veilcloud_domain::teams::model::{MEMBERS_MAX, Role, TEAMS_MAX};
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let team = crew(&port, &ada).await;
    let owner = caller(&port, &ada).await;
    for n in 1..TEAMS_MAX {
        port.world.teams.create(&owner, format!("team{n}").parse().unwrap(), 0).await.unwrap();
    }
    let more = teams::CreateTeamRequest { name: "more".into(), threshold: 0, request_id: String::new() };
    let refused = port.call(&ada, &path("CreateTeam"), &more).await;
    assert_eq!((refused.status.code(), refused.reason().as_str()), (Code::ResourceExhausted, "TEAM_LIMIT"));
    for n in 1..MEMBERS_MAX {
        let person = port.world.person(&format!("p{n}@example.org")).await.account;
        port.world.teams.add_member(&owner, team.parse().unwrap(), person, Role::Member).await.unwrap();
    }
    let last = port.world.person("last@example.org").await.account.to_string();
    let refused = add(&port, &ada, &team, &last, "").await;
    assert_eq!((refused.status.code(), refused.reason().as_str()), (Code::ResourceExhausted, "MEMBER_LIMIT"));
    assert_eq!(refused.status.get_error_details().error_info().unwrap().metadata["limit"], "250");
}

#[tokio::test]
async fn a_foreign_team_answers_like_one_that_is_not_there() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let mallory = port.world.person("mallory@example.org").await;
    let team = crew(&port, &ada).await;
    for (method, tail, body) in [
        ("GET", "", ""),
        ("PATCH", "", r#"{"name": "mine"}"#),
        ("DELETE", "", ""),
        ("GET", "/members", ""),
        ("POST", "/members", r#"{"accountId": "0192f3c4-5a6b-7c8d-9e0f-102132435465"}"#),
        ("PATCH", "/members/0192f3c4-5a6b-7c8d-9e0f-102132435465", r#"{"role": "admin"}"#),
        ("DELETE", "/members/0192f3c4-5a6b-7c8d-9e0f-102132435465", ""),
    ] {
        let mut seen = Vec::new();
        for id in [team.as_str(), ABSENT] {
            let line = format!("{method} /v1/teams/{id}{tail}");
            let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
            let reply = port.rest(Some(&mallory), &line, headers, body.as_bytes()).await;
            let mut json = reply.json();
            // Where and when it was, but nothing else, differs.
            for own in ["instance", "traceId", "trace_id"] {
                json.as_object_mut().unwrap().remove(own);
            }
            assert_eq!(reply.reason(), "PERMISSION_DENIED", "{line}");
            seen.push((reply.status, json));
        }
        assert_eq!(seen[0], seen[1], "{method} {tail}");
    }
}

#[tokio::test]
async fn a_page_of_teams_continues_only_its_own_list() {
    let port = Port::new();
    let ada = port.world.person("ada@example.org").await;
    let owner = caller(&port, &ada).await;
    for name in ["a", "b", "c"] {
        port.world.teams.create(&owner, name.parse().unwrap(), 0).await.unwrap();
    }
    let first = port.get(&ada, "/v1/teams?page_size=2").await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    let rest = port.get(&ada, &format!("/v1/teams?page_size=2&page_token={token}")).await.json();
    let names: Vec<_> = [&first, &rest]
        .into_iter()
        .flat_map(|page| page["teams"].as_array().unwrap())
        .map(|team| team["name"].as_str().unwrap())
        .collect();
    assert_eq!((names, rest["nextPageToken"].as_str()), (vec!["a", "b", "c"], Some("")));
    let other = port.get(&ada, &format!("/v1/teams?name=a&page_token={token}")).await;
    assert_eq!(other.reason(), "PAGE_TOKEN_INVALID");
    let other = port.get(&ada, &format!("/v1/projects?page_token={token}")).await;
    assert_eq!(other.reason(), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn a_person_is_found_by_address_and_guesses_are_metered() {
    let port = Port::with(Settings {
        guarded_per_minute_per_address: 6,
        guarded_per_minute_per_email: 2,
        ..settings()
    });
    let ada = port.world.person("ada@example.org").await;
    let bob = port.world.person("bob@example.org").await;
    let find = async |email: &str| {
        let request = auth::FindUserRequest { email: email.into() };
        port.call(&ada, FIND_USER, &request).await
    };
    let found = find("Bob@Example.org").await.message::<auth::FindUserResponse>();
    assert_eq!(found.account_id, bob.account.to_string());
    let unknown = find("nobody@example.org").await;
    assert_eq!((unknown.status.code(), unknown.reason().as_str()), (Code::NotFound, "USER_UNKNOWN"));
    assert!(!unknown.status.message().contains("nobody@"), "an address is in no message");
    assert_eq!(find("no address").await.reason(), "FIELD_INVALID");
    let anonymous =
        port.anonymous(FIND_USER, &auth::FindUserRequest { email: "bob@example.org".into() }).await;
    assert_eq!(anonymous.reason(), "CREDENTIAL_MISSING");
    find("bob@example.org").await;
    // Two a minute for one address, six for all.
    assert_eq!(find("bob@example.org").await.reason(), "RATE_LIMITED");
    let mut guesses = 0;
    while find(&format!("guess{guesses}@example.org")).await.reason() == "USER_UNKNOWN" {
        guesses += 1;
        assert!(guesses < 6);
    }
}
