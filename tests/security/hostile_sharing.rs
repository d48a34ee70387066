//! A lying server between people who share: its store is edited between two starts. What it breaks in one project stops
//! nothing in another, and nobody takes for done what is not.

use data_encoding::HEXLOWER;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use veilcloud_tests::{cli::Machine, server::Server};
use veilcore::hash::sha256;

/// Exit codes.
const INTEGRITY: i32 = 8;
const INCOMPLETE: i32 = 10;

/// Alice's two projects with a version each, shared with a team that Bob and Carol are in.
struct Scene {
    server: Server,
    alice: Machine,
    bob: Machine,
    carol: Machine,
    /// The projects' ids.
    ids: [String; 2],
}

const PROJECTS: [&str; 2] = ["my-app", "other"];

fn scene() -> Scene {
    let server = Server::start();
    let [alice, bob, carol] = ["alice", "bob", "carol"]
        .map(|who| Machine::with_account(server.endpoint(), &format!("{who}@example.com")));
    alice.ok(&["teams", "create", "crew"]);
    alice.ok(&["teams", "add", "crew", "bob@example.com"]);
    alice.ok(&["teams", "add", "crew", "carol@example.com"]);
    for name in PROJECTS {
        alice.ok(&["projects", "create", name]);
        alice.ok_with(&["storage", "put", name, "production", "-"], content(name).as_bytes());
        let all = "project:read,project:write,audit:read";
        alice.ok(&["share", "add", name, "crew", "--permissions", all, "--yes"]);
    }
    let listed = json_of(&alice, &["projects", "list"]);
    let id = |name: &str| {
        let projects = listed["projects"].as_array().expect("a list");
        let project = projects.iter().find(|project| project["name"] == name).expect("hers");
        project["id"].as_str().expect("an id").to_owned()
    };
    let ids = PROJECTS.map(id);
    Scene { server, alice, bob, carol, ids }
}

fn content(project: &str) -> String {
    format!("PROJECT={project}\n")
}

fn json_of(machine: &Machine, args: &[&str]) -> Value {
    machine.ok(&[&["--output", "json"], args].concat()).json()
}

/// Stops the server, edits its database, starts it again.
fn edit(server: &mut Server, sql: &str, project: &str) {
    server.pause();
    let database = Connection::open(server.data().join("veilcloud.db")).expect("open the database");
    let changed = database.execute(sql, params![project]).unwrap_or_else(|e| panic!("{sql}: {e}"));
    assert!(changed > 0, "{sql} changed nothing");
    drop(database);
    server.revive(&[]);
}

const ENVIRONMENTS: &str =
    "(SELECT e.id FROM environments e JOIN projects p ON p.id = e.project WHERE p.name = ?1)";

/// Exchanges the halves of the signatures under a project's first keyrings of this table, and again back.
fn spoil_seals(server: &mut Server, table: &str, project: &str) {
    let sql = format!(
        "UPDATE {table} SET seal = CAST(substr(seal, 1, length(seal) - 64) || substr(seal, -32) || substr(seal, -64, 32) AS BLOB)
            WHERE epoch = 1 AND environment IN {ENVIRONMENTS}"
    );
    edit(server, &sql, project);
}

#[test]
fn one_project_that_fails_does_not_stop_an_offboarding_and_repeating_it_finishes() {
    let Scene { mut server, alice, bob, carol, ids } = scene();
    spoil_seals(&mut server, "keyrings", "my-app");
    let ran = alice.run(&["--output", "json", "offboard", "bob@example.com", "--yes"]);
    assert_eq!((ran.code, ran.reason()), (INCOMPLETE, "INCOMPLETE".to_owned()), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!(report["complete"], false, "{report}");
    let status = |report: &Value, name: &str| {
        let projects = report["projects"].as_array().expect("a list").clone();
        projects.into_iter().find(|project| project["project"] == name).expect("in the report")
    };
    let (broken, whole) = (status(&report, "my-app"), status(&report, "other"));
    assert_eq!((&whole["status"], &whole["rotated"]), (&json!("done"), &json!(["production"])), "{whole}");
    assert_eq!(broken["status"], "incomplete", "{broken}");
    let failures = broken["unfinished"].as_array().expect("a list");
    assert!(failures.iter().all(|left| left["environment"] == "production"), "{broken}");
    assert!(failures.iter().all(|left| left["reason"] == "SIGNATURE_INVALID"), "{broken}");
    // What he could open is told all the same, as far as it is known.
    assert_eq!(broken["exposure"]["environments"][0]["could_open"], 1, "{broken}");
    // He is out of both.
    for id in &ids {
        bob.refused(&["storage", "get", id, "production"], 5, "PERMISSION_DENIED");
    }
    let epoch = json_of(&alice, &["envs", "show", "my-app", "production"])["epoch"].clone();
    assert_eq!(epoch, 2, "a new key there, too; only the content is left under the old one");
    alice.refused(&["storage", "get", "my-app", "production"], INTEGRITY, "SIGNATURE_INVALID");
    // Whatever was the matter is mended, and it is done again.
    spoil_seals(&mut server, "keyrings", "my-app");
    let report = json_of(&alice, &["offboard", "bob@example.com", "--yes"]);
    let names: Vec<_> =
        report["projects"].as_array().expect("a list").iter().map(|p| &p["project"]).collect();
    assert_eq!((names, &report["complete"]), (vec![&json!("my-app")], &json!(true)), "{report}");
    for (name, id) in PROJECTS.iter().zip(&ids) {
        assert_eq!(carol.ok(&["storage", "get", id, "production"]).text(), content(name));
        let history = json_of(&alice, &["storage", "history", name, "production"]);
        assert_eq!(history["versions"][0]["epoch"], 2, "{history}");
    }
    let again = json_of(&alice, &["offboard", "bob@example.com", "--yes"]);
    assert_eq!((&again["projects"], &again["complete"]), (&json!([]), &json!(true)));
    // The report is to be had again, and says the same: what was sealed anew he cannot open.
    let report = json_of(&alice, &["offboard", "bob@example.com", "--report"]);
    let found = |name: &str| status(&report, name)["exposure"]["environments"][0].clone();
    for name in PROJECTS {
        assert_eq!(
            (&found(name)["could_open"], &found(name)["basis"]),
            (&json!(1), &json!("seal")),
            "{report}"
        );
    }
}

#[test]
fn a_list_that_is_taken_back_is_refused_by_who_saw_the_removal() {
    let Scene { mut server, alice, bob, carol, ids } = scene();
    alice.ok(&["offboard", "bob@example.com", "--yes"]);
    carol.ok(&["access", "list", &ids[0]]);
    edit(&mut server, "UPDATE projects SET access_list = 1, access_floor = 0 WHERE name = ?1", "my-app");
    for (machine, project) in [(&alice, "my-app"), (&carol, &*ids[0])] {
        machine.refused(&["access", "list", project], INTEGRITY, "ROLLED_BACK");
        machine.refused(&["envs", "rotate", project, "production"], INTEGRITY, "ROLLED_BACK");
    }
    // What the server lets him do again opens nothing that was sealed since.
    let his = bob.run(&["--output", "json", "storage", "get", &ids[0], "production"]);
    assert_ne!(his.code, 0, "{}", his.text());
}

#[test]
fn a_keyring_that_was_handed_on_and_does_not_open_is_handed_on_again() {
    let Scene { mut server, alice, bob, carol, ids } = scene();
    let read = |machine: &Machine| machine.ok(&["storage", "get", &ids[0], "production"]).text();
    assert_eq!((read(&bob), read(&carol)), (content("my-app"), content("my-app")));
    spoil_seals(&mut server, "keyring_parts", "my-app");
    bob.refused(&["storage", "get", &ids[0], "production"], INTEGRITY, "SIGNATURE_INVALID");
    // That they have one is all that is asked.
    let synced = json_of(&alice, &["share", "sync", "my-app"]);
    assert_eq!(synced["keys_added"], 0, "{synced}");
    carol.refused(&["storage", "get", &ids[0], "production"], INTEGRITY, "SIGNATURE_INVALID");
    let synced = json_of(&alice, &["share", "sync", "my-app", "--replace-keys"]);
    assert_eq!((&synced["keys_added"], &synced["rotated"]), (&json!(2), &json!([])), "{synced}");
    assert_eq!((read(&bob), read(&carol)), (content("my-app"), content("my-app")));
}

#[test]
fn content_of_somebody_who_left_is_named_when_it_is_signed_again() {
    let Scene { alice, bob, ids, server: _server, .. } = scene();
    bob.ok_with(&["storage", "put", &ids[0], "production", "-"], b"BY=bob\n");
    let bob_id = json_of(&bob, &["whoami"])["account_id"].clone();
    let report = json_of(&alice, &["offboard", "bob@example.com", "--yes"]);
    let projects = report["projects"].as_array().expect("a list");
    let of = |name: &str| projects.iter().find(|project| project["project"] == name).expect("in the report");
    let told = json!([{ "environment": "production", "version": 2, "author_id": bob_id }]);
    assert_eq!((&of("my-app")["vouched"], &of("other")["vouched"]), (&told, &json!([])), "{report}");
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).stdout, b"BY=bob\n");
}

/// The bytes of the machine's account id.
fn account(machine: &Machine) -> Vec<u8> {
    let id = json_of(machine, &["whoami"])["account_id"].as_str().expect("an id").replace('-', "");
    HEXLOWER.decode(id.as_bytes()).expect("hexadecimal")
}

#[test]
fn a_keyring_that_is_added_for_the_owner_and_opens_nothing_is_passed_over_and_replaced() {
    let Scene { mut server, alice, bob, .. } = scene();
    let (hers, his) = (account(&alice), account(&bob));
    server.pause();
    let database = Connection::open(server.data().join("veilcloud.db")).expect("open the database");
    let bundle: Vec<u8> = database
        .query_row("SELECT bundle FROM accounts WHERE id = ?1", params![hers], |row| row.get(0))
        .expect("her keys");
    // What was wrapped for him is said to be for her.
    let sql = "INSERT INTO keyring_parts
        SELECT environment, epoch, CAST(substr(principal, 1, 1) || ?1 AS BLOB), ?2, file, seal, access_list
        FROM keyring_parts WHERE substr(principal, 2) = ?3";
    let added = database.execute(sql, params![hers, sha256(&bundle), his]).expect("added");
    assert_eq!(added, PROJECTS.len());
    drop(database);
    server.revive(&[]);
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).text(), content("my-app"));
    for keys_added in [1, 0] {
        let synced = json_of(&alice, &["share", "sync", "my-app"]);
        assert_eq!(synced["keys_added"], keys_added, "{synced}");
    }
    assert_eq!(alice.ok(&["storage", "get", "my-app", "production"]).text(), content("my-app"));
}
