//! Accounts.

use tokio::task::JoinSet;
use veilcore::{hash::sha256, id::AccountId};

use super::sample::*;
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::model::{Account, Ending, NewCredentials, NewRecovery},
    page::PageArgs,
    testkit::Ports,
};

pub async fn an_email_and_an_id_are_taken_once(ports: Ports) {
    let first = new_account(&ports, "alice@example.org").await;
    let lines = |account: &Account| vec![line(Trail::Account(account.id), Kind::AccountCreate)];

    let same_email = account("alice@example.org");
    let created = ports.directory.create_account(same_email.clone(), lines(&same_email)).await;
    assert!(!created.expect("the store works"));
    let same_id = Account { id: first.id, ..account("bob@example.org") };
    let created = ports.directory.create_account(same_id.clone(), lines(&same_id)).await;
    assert!(!created.expect("the store works"));

    assert_eq!(ports.directory.account(first.id).await.expect("the store works"), Some(first.clone()));
    assert_eq!(ports.directory.account_by_email(&same_id.email).await.expect("the store works"), None);
    assert_eq!(kinds(&ports, Trail::Account(first.id)).await, [Kind::AccountCreate]);
    assert_eq!(kinds(&ports, Trail::Account(same_email.id)).await, []);
}

pub async fn an_account_is_found_by_email_and_by_id(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let by_email = ports.directory.account_by_email(&alice.email).await;
    assert_eq!(by_email.expect("the store works"), Some(alice));
    assert_eq!(ports.directory.account(bob.id).await.expect("the store works"), Some(bob));
    let nobody = "nobody@example.org".parse().expect("an address");
    assert_eq!(ports.directory.account_by_email(&nobody).await.expect("the store works"), None);
    let unknown = AccountId::from_bytes(bytes16());
    assert_eq!(ports.directory.account(unknown).await.expect("the store works"), None);
}

pub async fn a_rename_is_seen_and_logged(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let update = |id| line(Trail::Account(id), Kind::AccountUpdate);
    let renamed = ports.directory.rename_account(alice.id, "Älice".to_owned(), update(alice.id)).await;
    assert!(renamed.expect("the store works"));
    let found = ports.directory.account(alice.id).await.expect("the store works");
    assert_eq!(found.map(|a| a.display_name), Some("Älice".to_owned()));
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, [Kind::AccountCreate, Kind::AccountUpdate]);

    let unknown = AccountId::from_bytes(bytes16());
    let renamed = ports.directory.rename_account(unknown, "x".to_owned(), update(unknown)).await;
    assert!(!renamed.expect("the store works"));
    assert_eq!(kinds(&ports, Trail::Account(unknown)).await, []);
}

pub async fn new_credentials_replace_the_old_and_end_other_sessions(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let kept = new_session(&ports, alice.id).await;
    let ended = new_session(&ports, alice.id).await;
    let new = NewCredentials { record: vec![8; 192], password_wrap: vec![9; 74], recovery: None };
    let change = vec![line(Trail::Account(alice.id), Kind::PasswordChange)];
    let ending = Ending::AllBut(kept.id);
    let hash = sha256(&alice.record);
    let directory = &ports.directory;
    let replaced = directory.replace_credentials(alice.id, hash, new.clone(), ending, change.clone()).await;
    assert!(replaced.expect("the store works"));

    let expected = Account { record: vec![8; 192], password_wrap: vec![9; 74], ..alice.clone() };
    assert_eq!(ports.directory.account(alice.id).await.expect("the store works"), Some(expected));
    let standing = |id| ports.directory.standing(alice.id, id);
    assert!(standing(kept.id).await.expect("the store works").is_some_and(|s| s.live));
    assert!(!standing(ended.id).await.expect("the store works").is_some_and(|s| s.live));
    let last = kinds(&ports, Trail::Account(alice.id)).await.pop();
    assert_eq!(last, Some(Kind::PasswordChange));

    let unknown = AccountId::from_bytes(bytes16());
    let replaced = directory.replace_credentials(unknown, hash, new, Ending::All, change).await;
    assert!(!replaced.expect("the store works"));
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await.len(), 4);
}

pub async fn a_recovery_replaces_bundle_and_code_and_ends_every_session(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let recovery = Some(NewRecovery { bundle: vec![10; 185], wrap: vec![11; 74] });
    let new = NewCredentials { record: vec![8; 192], password_wrap: vec![9; 74], recovery };
    let keys = |kind| Line { actor: alice.id, version: 1, ..line(Trail::Directory, kind) };
    let recover = vec![line(Trail::Account(alice.id), Kind::AccountRecover), keys(Kind::KeyReplace)];
    let hash = sha256(&alice.record);
    let replaced = ports.directory.replace_credentials(alice.id, hash, new, Ending::All, recover).await;
    assert!(replaced.expect("the store works"));

    let found = ports.directory.account(alice.id).await.expect("the store works").expect("still there");
    assert_eq!(found.bundle, vec![10; 185]);
    assert_eq!(found.recovery_wrap, vec![11; 74]);
    assert_eq!(found.revocation_epoch, alice.revocation_epoch + 1);
    let standing = ports.directory.standing(alice.id, session.id).await.expect("the store works");
    assert!(!standing.is_some_and(|s| s.live));
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await.last(), Some(&Kind::AccountRecover));
    assert_eq!(events(&ports, Trail::Directory).await[0].line, keys(Kind::KeyReplace));
    assert_eq!(found.key_index, Some(0));
}

/// Credentials with a record of this byte.
fn credentials(byte: u8) -> NewCredentials {
    NewCredentials { record: vec![byte; 192], password_wrap: vec![byte; 74], recovery: None }
}

pub async fn credentials_that_were_replaced_meanwhile_stay(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let session = new_session(&ports, alice.id).await;
    let replace = async |record: &[u8], new| {
        let lines = vec![line(Trail::Account(alice.id), Kind::PasswordChange)];
        let ending = Ending::AllBut(session.id);
        let replaced = ports.directory.replace_credentials(alice.id, sha256(record), new, ending, lines);
        replaced.await.expect("the store works")
    };
    assert!(replace(&alice.record, credentials(8)).await);
    let lines = kinds(&ports, Trail::Account(alice.id)).await;
    let recovery = Some(NewRecovery { bundle: vec![10; 185], wrap: vec![11; 74] });
    for late in [credentials(9), NewCredentials { recovery, ..credentials(9) }] {
        assert!(!replace(&alice.record, late).await);
    }
    let expected = Account { record: vec![8; 192], password_wrap: vec![8; 74], ..alice.clone() };
    assert_eq!(ports.directory.account(alice.id).await.expect("the store works"), Some(expected));
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, lines);
    assert!(replace(&[8; 192], credentials(9)).await);
}

pub async fn an_ended_session_does_not_change_the_password(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let (ended, live) = (new_session(&ports, alice.id).await, new_session(&ports, alice.id).await);
    let others = new_session(&ports, bob.id).await;
    let end = line(Trail::Account(alice.id), Kind::SessionEnd);
    ports.directory.end_sessions(alice.id, Ending::One(ended.id), end).await.expect("the store works");
    for session in [ended.id, others.id] {
        let lines = vec![line(Trail::Account(alice.id), Kind::PasswordChange)];
        let (hash, ending) = (sha256(&alice.record), Ending::AllBut(session));
        let replaced =
            ports.directory.replace_credentials(alice.id, hash, credentials(8), ending, lines).await;
        assert!(!replaced.expect("the store works"));
    }
    assert_eq!(ports.directory.account(alice.id).await.expect("the store works"), Some(alice.clone()));
    let standing = ports.directory.standing(alice.id, live.id).await.expect("the store works");
    assert!(standing.is_some_and(|s| s.live));
}

pub async fn of_many_replacements_of_one_record_one_wins(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let (directory, id, hash) = (ports.directory.clone(), alice.id, sha256(&alice.record));
        race.spawn(async move {
            let lines = vec![line(Trail::Account(id), Kind::AccountRecover)];
            let replaced = directory.replace_credentials(id, hash, credentials(8), Ending::All, lines).await;
            replaced.expect("the store works")
        });
    }
    let won = race.join_all().await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
}

pub async fn a_deleted_account_takes_everything_along(ports: Ports) {
    let (alice, project, environment) = place(&ports).await;
    let session = new_session(&ports, alice.id).await;
    let mut one = version(environment.id, 1, b"one");
    commit(&ports, project.id, &mut one, crate::storage::model::Precondition::First)
        .await
        .expect("it is the first");
    let unfinished = upload(alice.id, &environment, 10, crate::storage::model::Digest(bytes32()));
    ports.uploads.start(unfinished.clone(), 8).await.expect("the store works");
    let other = new_account(&ports, "bob@example.org").await;
    let others = new_project(&ports, other.id, "app").await;

    let delete = vec![line(Trail::Account(alice.id), Kind::AccountDelete)];
    assert!(
        ports.directory.delete_account(alice.id, delete.clone()).await.expect("the store works").is_done()
    );
    assert_eq!(ports.directory.account(alice.id).await.expect("the store works"), None);
    assert_eq!(ports.directory.account_by_email(&alice.email).await.expect("the store works"), None);
    assert_eq!(ports.directory.standing(alice.id, session.id).await.expect("the store works"), None);
    assert_eq!(ports.catalog.project(project.id).await.expect("the store works"), None);
    let page = PageArgs { after: None, size: 10 };
    let projects = ports.catalog.projects(alice.id, None, page).await.expect("the store works");
    assert_eq!(projects.items, []);
    assert_eq!(ports.shelf.version(environment.id, None).await.expect("the store works"), None);
    assert_eq!(ports.keyrings.keyring(environment.id, 1).await.expect("the store works"), None);
    assert_eq!(ports.uploads.upload(unfinished.id).await.expect("the store works"), None);
    let named = ports.shelf.referenced(&[one.digest, unfinished.digest]).await.expect("the store works");
    assert_eq!(named, []);
    assert_eq!(ports.catalog.project(others.id).await.expect("the store works"), Some(others));

    assert!(!ports.directory.delete_account(alice.id, delete).await.expect("the store works").is_done());
    let last = kinds(&ports, Trail::Account(alice.id)).await;
    assert_eq!(last.iter().filter(|kind| **kind == Kind::AccountDelete).count(), 1);
    // The address is free again.
    new_account(&ports, alice.email.as_str()).await;
}

pub async fn of_many_registrations_of_one_email_one_wins(ports: Ports) {
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let directory = ports.directory.clone();
        race.spawn(async move {
            let account = account("alice@example.org");
            let lines = vec![line(Trail::Account(account.id), Kind::AccountCreate)];
            directory.create_account(account, lines).await.expect("the store works")
        });
    }
    let won = race.join_all().await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
}
