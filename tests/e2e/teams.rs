//! Teams from outside: who sees one, who changes it, and what becomes of it when somebody leaves.

use serde_json::{Value, json};
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    server::Server,
};

fn answer(machine: &Machine, args: &[&str]) -> Value {
    machine.ok(&[&["--output", "json"], args].concat()).json()
}

fn account(machine: &Machine) -> String {
    answer(machine, &["whoami"])["account_id"].as_str().expect("an id").to_owned()
}

/// Account ids and roles of a team's members, as somebody in it sees them.
fn members(machine: &Machine, team: &str) -> Vec<(String, String)> {
    let shown = answer(machine, &["teams", "show", team]);
    let text = |member: &Value, field: &str| member[field].as_str().expect("a text").to_owned();
    let list = shown["members"].as_array().expect("a list");
    let mut members: Vec<_> =
        list.iter().map(|member| (text(member, "account_id"), text(member, "role"))).collect();
    members.sort();
    members
}

fn sorted<const N: usize>(mut pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.sort_unstable();
    pairs.map(|(id, role)| (id.to_owned(), role.to_owned())).to_vec()
}

fn kinds(machine: &Machine) -> Vec<String> {
    let listed = answer(machine, &["audit", "list", "--account"]);
    let events = listed["events"].as_array().expect("a list").clone();
    let kinds = events.iter().map(|event| event["kind"].as_str().expect("a kind").to_owned());
    kinds.filter(|kind| kind.starts_with("team.")).collect()
}

#[test]
fn people_are_put_into_a_team_and_leave_it() {
    let server = Server::start();
    let [alice, bob, carol] = ["alice", "bob", "carol"]
        .map(|name| Machine::with_account(server.endpoint(), &format!("{name}@example.com")));
    let (a, b, c) = (account(&alice), account(&bob), account(&carol));
    let created = answer(&alice, &["teams", "create", "crew"]);
    assert_eq!((&created["role"], &created["member_count"]), (&json!("owner"), &json!(1)));
    alice.refused(&["teams", "create", "crew"], 7, "TEAM_NAME_TAKEN");
    alice.refused(&["teams", "add", "crew", "nobody@example.com"], 3, "USER_UNKNOWN");
    assert_eq!(answer(&alice, &["users", "find", "Bob@Example.com"])["account_id"], json!(b));

    alice.ok(&["teams", "add", "crew", "bob@example.com", "--role", "admin"]);
    alice.refused(&["teams", "add", "crew", "bob@example.com"], 7, "MEMBER_EXISTS");
    // An admin manages the members, by account id too, but neither the owner nor the end of the team.
    bob.ok(&["teams", "add", "crew", &c]);
    assert_eq!(members(&carol, "crew"), sorted([(&a, "owner"), (&b, "admin"), (&c, "member")]));
    bob.refused(&["teams", "remove", "crew", "alice@example.com"], 7, "TEAM_OWNER_STAYS");
    bob.refused(&["teams", "delete", "crew", "--yes"], 5, "PERMISSION_DENIED");
    carol.refused(&["teams", "rename", "crew", "mine"], 5, "PERMISSION_DENIED");
    carol.refused(&["teams", "role", "crew", "carol@example.com", "admin"], 5, "PERMISSION_DENIED");
    bob.ok(&["teams", "role", "crew", "carol@example.com", "admin"]);
    carol.ok(&["teams", "rename", "crew", "staff"]);
    let listed = answer(&bob, &["teams", "list"]);
    assert_eq!(listed["teams"][0]["name"], json!("staff"));
    assert!(bob.ok(&["teams", "show", "staff"]).text().contains(&a), "a table for people");

    bob.ok(&["teams", "remove", "staff", "bob@example.com"]);
    bob.refused(&["teams", "show", "staff"], 3, "NOT_FOUND");
    assert_eq!(members(&alice, "staff"), sorted([(&a, "owner"), (&c, "admin")]));
    alice.refused(&["teams", "remove", "staff", "bob@example.com"], 3, "MEMBER_UNKNOWN");
    alice.ok(&["teams", "delete", "staff", "--yes"]);
    carol.refused(&["teams", "show", "staff"], 3, "NOT_FOUND");

    // Everybody's log tells what concerned them.
    assert_eq!(kinds(&bob), ["team.member_add", "team.member_remove"]);
    assert_eq!(kinds(&carol), ["team.member_add", "team.member_update", "team.delete"]);
    let all = kinds(&alice);
    assert_eq!((all.first(), all.last()), (Some(&"team.create".to_owned()), Some(&"team.delete".to_owned())));
    assert_eq!(all.len(), 7, "{all:?}");
}

#[test]
fn a_stranger_cannot_tell_my_team_from_none() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let mallory = Machine::with_account(server.endpoint(), "mallory@example.com");
    let team = answer(&alice, &["teams", "create", "crew"])["id"].as_str().expect("an id").to_owned();
    let words = |id: &str| {
        let answer = mallory.rest("GET", &format!("/v1/teams/{id}"), None, &[]);
        let mut words = answer.json();
        words["trace_id"] = Value::Null;
        words["instance"] = Value::Null;
        (answer.status, words)
    };
    let absent = "0192f3c4-5a6b-7c8d-9e0f-102132435465";
    assert_eq!(words(&team), words(absent));
    mallory.refused(&["teams", "add", &team, "mallory@example.com"], 5, "PERMISSION_DENIED");
    mallory.refused(&["teams", "add", "crew", "mallory@example.com"], 3, "NOT_FOUND");
    let own = mallory.run(&["--output", "json", "teams", "list"]).json();
    assert_eq!(own["teams"], json!([]));
}

#[test]
fn an_account_goes_when_nobody_else_is_in_its_teams() {
    let server = Server::start();
    let alice = Machine::with_account(server.endpoint(), "alice@example.com");
    let bob = Machine::with_account(server.endpoint(), "bob@example.com");
    alice.ok(&["teams", "create", "crew"]);
    alice.ok(&["teams", "add", "crew", "bob@example.com"]);
    let delete = ["--output", "json", "account", "delete", "--yes", "--password-stdin"];
    let kept = alice.run_with(&delete, PASSWORD.as_bytes());
    assert_eq!((kept.code, kept.reason()), (7, "TEAM_HAS_MEMBERS".to_owned()), "{}", kept.stderr);
    // A member's account goes, and its owner's log tells that the member left.
    bob.ok_with(&delete, PASSWORD.as_bytes());
    assert_eq!(members(&alice, "crew").len(), 1);
    assert_eq!(kinds(&alice).last().map(String::as_str), Some("team.member_remove"));
    alice.ok_with(&delete, PASSWORD.as_bytes());
}
