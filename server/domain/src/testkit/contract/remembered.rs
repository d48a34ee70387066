//! What a store may keep in memory, because every request asks for it: no answer is older than a change that was answered.
//! Everything is read before each change, so that an answer from memory would be found out.

use veilcore::{
    hash::sha256,
    id::{AccountId, ApiKeyId},
};
use veilsign::capability::Actions;

use super::{
    api_keys::{create, key},
    grants::{READ, WRITE, entry, leave, scene},
    sample::*,
};
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::{
        api_keys::port::Created,
        model::{Deletion, Ending, NewCredentials, NewRecovery},
    },
    projects::{
        access::ShareChange,
        model::{Environment, Project},
        port::Written,
    },
    storage::model::Precondition,
    teams::model::Role,
    teams::port::By,
    testkit::Ports,
};

async fn project_of(ports: &Ports, known: &Project) -> Option<Project> {
    ports.catalog.project(known.id).await.expect("the store works")
}

async fn environment_of(ports: &Ports, known: &Environment) -> Option<Environment> {
    ports.catalog.environment(known.project, &known.name).await.expect("the store works")
}

pub async fn a_project_and_its_environments_are_seen_as_they_are_now(ports: Ports) {
    let (_, app, production) = place(&ports).await;
    let line = |kind| line(Trail::Project(app.id), kind);
    let seen = async || {
        let project = project_of(&ports, &app).await.map(|p| (p.name.to_string(), p.environment_count));
        let environment = environment_of(&ports, &production).await;
        (project, environment.map(|e| (e.epoch, e.head.map(|v| (v.number, v.deleted)))))
    };
    let project = |name: &str, count| Some((name.to_owned(), count));
    assert_eq!(seen().await, (project("app", 1), Some((1, None))));
    let staging = new_environment(&ports, app.id, "staging").await;
    assert_eq!(seen().await, (project("app", 2), Some((1, None))));
    ports
        .catalog
        .rename_project(app.id, name("web"), line(Kind::ProjectUpdate))
        .await
        .expect("the store works");
    assert_eq!(seen().await, (project("web", 2), Some((1, None))));
    ports
        .catalog
        .delete_environment(staging.id, line(Kind::EnvironmentDelete))
        .await
        .expect("the store works");
    assert_eq!(seen().await, (project("web", 1), Some((1, None))));
    let mut first = version(production.id, 1, b"one");
    assert_eq!(commit(&ports, app.id, &mut first, Precondition::First).await, Ok(()));
    assert_eq!(seen().await, (project("web", 1), Some((1, Some((1, false))))));
    let deleted = ports.shelf.delete_content(production.id, first.etag(), line(Kind::BlobDelete)).await;
    assert!(deleted.expect("the store works").is_ok());
    assert_eq!(seen().await, (project("web", 1), Some((1, Some((1, true))))));
    let rotated = ports.keyrings.rotate(production.id, keyring(2), line(Kind::KeyRotate)).await;
    assert_eq!(rotated.expect("the store works"), Ok(()));
    assert_eq!(seen().await, (project("web", 1), Some((2, Some((1, true))))));
    let gone = ports.catalog.delete_environment(production.id, line(Kind::EnvironmentDelete)).await;
    assert_eq!(gone.expect("the store works"), Written::Done);
    assert_eq!(seen().await, (project("web", 0), None));
    assert!(ports.catalog.delete_project(app.id, line(Kind::ProjectDelete)).await.expect("the store works"));
    assert_eq!(seen().await, (None, None));
}

pub async fn rights_are_those_of_now_after_every_change_that_they_follow_from(ports: Ports) {
    for what in 0..5 {
        let scene = scene(Ports::clone(&ports)).await;
        let (ports, app, bob) = (&scene.ports, &scene.app, &scene.bob);
        scene.shared(READ | WRITE).await;
        let held = async || {
            let rights = ports.grants.rights(app.id, bob.id).await.expect("the store works");
            rights.map_or(Actions::NONE, |rights| rights.actions)
        };
        for _ in 0..2 {
            assert_eq!(held().await, READ | WRITE);
        }
        let left = match what {
            // Somebody is taken out of the team; the team is deleted.
            0 => {
                leave(ports, scene.alice.id, scene.team, bob.id).await;
                Actions::NONE
            }
            1 => {
                let by = By { account: scene.alice.id, least: Role::Owner };
                let line = line(Trail::Account(scene.alice.id), Kind::TeamDelete);
                let told = ports.roster.delete_team(scene.team, by, line).await.expect("the store works");
                assert!(told.is_some());
                Actions::NONE
            }
            // A list gives less; a share gives less; the share ends.
            2 => {
                let change = scene.change(2, ShareChange::Keep, &[entry(bob, scene.team, READ)]);
                assert_eq!(scene.make(&change).await, Ok(()));
                READ
            }
            3 => {
                let share = scene.share_of(scene.team, READ);
                let change = scene.change(2, share, &[entry(bob, scene.team, READ)]);
                assert_eq!(scene.make(&change).await, Ok(()));
                READ
            }
            _ => {
                let change = scene.change(2, ShareChange::End(scene.team), &[]);
                assert_eq!(scene.make(&change).await, Ok(()));
                Actions::NONE
            }
        };
        assert_eq!(held().await, left, "change {what}");
        // Names and addresses are free for the next one.
        let line = line(Trail::Project(app.id), Kind::ProjectDelete);
        assert!(ports.catalog.delete_project(app.id, line).await.expect("the store works"));
        for account in [bob.id, scene.alice.id] {
            assert!(matches!(delete(ports, account).await, Deletion::Done { .. }));
        }
    }
}

async fn delete(ports: &Ports, account: AccountId) -> Deletion {
    let lines = vec![line(Trail::Account(account), Kind::AccountDelete)];
    ports.directory.delete_account(account, lines).await.expect("the store works")
}

pub async fn an_account_that_is_gone_stands_nowhere(ports: Ports) {
    let (alice, app, _) = place(&ports).await;
    let (session, key) = (new_session(&ports, alice.id).await, key(alice.id));
    assert_eq!(create(&ports, &key, 10, 10).await, Created::Done);
    let seen = async || {
        let session = ports.directory.standing(alice.id, session.id).await.expect("the store works");
        let key = ports.api_keys.key_standing(key.id).await.expect("the store works");
        let rights = ports.grants.rights(app.id, alice.id).await.expect("the store works");
        let project = ports.catalog.project(app.id).await.expect("the store works");
        [session.is_some(), key.is_some(), rights.is_some(), project.is_some()]
    };
    assert_eq!(seen().await, [true; 4]);
    assert!(matches!(delete(&ports, alice.id).await, Deletion::Done { .. }));
    assert_eq!(seen().await, [false; 4]);
}

pub async fn a_session_stands_as_the_last_change_of_credentials_left_it(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let (one, two) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    let seen = async || {
        let mut seen = Vec::new();
        for session in [&one, &two] {
            let standing = ports.directory.standing(alice.id, session.id).await.expect("the store works");
            seen.push(standing.filter(|s| s.live).map(|s| s.revocation_epoch));
        }
        seen
    };
    assert_eq!(seen().await, [Some(0), Some(0)]);
    let replace = async |before: &[u8], after: u8, ending, recovery, kind| {
        let new = NewCredentials { record: vec![after; 192], password_wrap: vec![after; 74], recovery };
        let lines = vec![Line { version: 1, ..line(Trail::Account(alice.id), kind) }];
        let replaced = ports.directory.replace_credentials(alice.id, sha256(before), new, ending, lines);
        assert!(replaced.await.expect("the store works"));
    };
    replace(&alice.record, 8, Ending::AllBut(one.id), None, Kind::PasswordChange).await;
    assert_eq!(seen().await, [Some(0), None]);
    let recovery = Some(NewRecovery { bundle: vec![3; 185], wrap: vec![4; 74] });
    replace(&[8; 192], 9, Ending::All, recovery, Kind::AccountRecover).await;
    assert_eq!(seen().await, [None, None]);
}

pub async fn an_unknown_id_that_was_asked_for_is_found_once_it_is_there(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let (project, session, key) = (project(alice.id, "app"), session(alice.id), key(alice.id));
    let rights = async || ports.grants.rights(project.id, alice.id).await.expect("the store works");
    let standing = async || ports.directory.standing(alice.id, session.id).await.expect("the store works");
    let of_key = async |id: ApiKeyId| ports.api_keys.key_standing(id).await.expect("the store works");
    assert!(rights().await.is_none() && standing().await.is_none() && of_key(key.id).await.is_none());
    let line = line(Trail::Project(project.id), Kind::ProjectCreate);
    let created = ports.catalog.create_project(project.clone(), 10, line).await;
    assert_eq!(created.expect("the store works"), Written::Done);
    assert!(open_session(&ports, session.clone(), 10).await);
    assert_eq!(create(&ports, &key, 10, 10).await, Created::Done);
    assert!(rights().await.is_some() && standing().await.is_some() && of_key(key.id).await.is_some());
}
