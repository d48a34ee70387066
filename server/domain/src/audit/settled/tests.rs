//! Changes against the log, over services as a server wires them.

use super::super::{
    FAILED_ROUNDS_MAX,
    error::AuditError,
    model::{Kind, Line, Trail},
    port::{LogStore, Outbox},
};
use crate::{
    auth::model::Rotation, page::PageArgs, projects::error::ProjectsError, store::StoreError, testkit::World,
};

/// Kinds in the log itself; what still waits in the outbox is not among them.
async fn logged(world: &World, log: Trail) -> Vec<Kind> {
    let size = world.store.peek_log(log, |stored| stored.state.size as usize).unwrap_or(0);
    world.trail(log).await[..size].iter().map(|event| event.line.kind).collect()
}

#[tokio::test]
async fn a_change_is_in_every_log_of_it_before_it_is_answered() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let account = Trail::Account(alice.account);
    assert_eq!(logged(&world, account).await, [Kind::AccountCreate, Kind::SessionOpen]);
    assert_eq!(logged(&world, Trail::Directory).await, [Kind::KeyPublish]);
    let caller = alice.caller(&world).await;
    let access = world.project(&caller, "app").await;
    let project = Trail::Project(access.project());
    assert_eq!(logged(&world, project).await, [Kind::ProjectCreate]);
    world.environment(&alice, &access, "production").await;
    assert_eq!(logged(&world, project).await.last(), Some(&Kind::EnvironmentCreate));
    world.projects.delete(&access).await.unwrap();
    assert_eq!(logged(&world, project).await.last(), Some(&Kind::ProjectDelete));
    world.auth.logout(&caller, true).await.unwrap();
    assert_eq!(logged(&world, account).await.last(), Some(&Kind::SessionEnd));
}

#[tokio::test]
async fn a_version_names_the_leaf_of_its_commit_and_so_does_its_deletion() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let access = world.project(&alice.caller(&world).await, "app").await;
    let (environment, key) = world.environment(&alice, &access, "production").await;
    let put = alice.seal(&environment, &key, b"A=1\n").put();
    let (_, version) = world.storage.put(&access, &environment.name, put).await.unwrap();
    let trail = Trail::Project(access.project());
    assert_eq!(version.log_index, Some(2));
    assert_eq!(logged(&world, trail).await[2], Kind::BlobPut);
    let index = world.storage.delete(&access, &environment.name, version.etag()).await.unwrap();
    assert_eq!(logged(&world, trail).await[index as usize], Kind::BlobDelete);
}

#[tokio::test]
async fn a_change_whose_entry_is_late_is_an_error_and_its_entry_comes_with_the_next() {
    let world = World::default();
    let alice = world.person("alice@example.org").await.caller(&world).await;
    world.store.fill_next("stage");
    let created = world.projects.create(&alice, "app".parse().unwrap()).await;
    assert!(matches!(created, Err(ProjectsError::Store(StoreError::Unlogged { .. }))));
    let page = world.projects.list(&alice, None, PageArgs::new(None, 0)).await.unwrap();
    let access = world.access(&alice, page.items[0].id).await;
    let trail = Trail::Project(access.project());
    assert_eq!(logged(&world, trail).await, []);
    world.projects.rename(&access, "renamed".parse().unwrap()).await.unwrap();
    assert_eq!(logged(&world, trail).await, [Kind::ProjectCreate, Kind::ProjectUpdate]);
}

#[tokio::test]
async fn a_leaf_that_is_on_its_way_is_waited_for_and_one_that_nobody_wrote_is_unknown() {
    let world = World::default();
    let alice = world.person("alice@example.org").await.caller(&world).await;
    let access = world.project(&alice, "app").await;
    let line = Line {
        trail: Trail::Project(access.project()),
        kind: Kind::BlobRead,
        actor: alice.account,
        at_ms: 1,
        environment: None,
        version: 1,
        digest: None,
        key: None,
        by_number: false,
    };
    // Written into the outbox alone: nobody told the log.
    let index = Outbox::record(&world.store, line).await.unwrap();
    assert_eq!(logged(&world, Trail::Project(access.project())).await, [Kind::ProjectCreate]);
    assert_eq!(world.audit.prove_version(&access, index, 0).await.unwrap().index, index);
    let unknown = world.audit.prove_version(&access, index + 1, 0).await;
    assert!(matches!(unknown, Err(AuditError::Index { size: 2, .. })));
}

#[tokio::test]
async fn while_batches_fail_no_change_is_begun_until_one_goes_well() {
    let world = World::default();
    let alice = world.person("alice@example.org").await.caller(&world).await;
    for n in 0..FAILED_ROUNDS_MAX {
        world.store.fill_next("stage");
        let created = world.projects.create(&alice, format!("app{n}").parse().unwrap()).await;
        assert!(matches!(created, Err(ProjectsError::Store(StoreError::Unlogged { .. }))), "{n}");
    }
    let begun = world.projects.create(&alice, "late".parse().unwrap()).await;
    assert!(matches!(begun, Err(ProjectsError::Store(StoreError::Unavailable { store: "log", .. }))));
    // Somebody who still waits, or the worker's poll, tries again.
    world.log.settle(Trail::Account(alice.account)).await.unwrap();
    let page = world.projects.list(&alice, None, PageArgs::new(None, 0)).await.unwrap();
    world.log.settle(Trail::Project(page.items[0].id)).await.unwrap();
    world.projects.create(&alice, "late".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn once_the_logs_are_lost_no_change_is_answered_and_refusals_and_reads_are() {
    let world = World::default();
    let alice = world.person("alice@example.org").await.caller(&world).await;
    let access = world.project(&alice, "app").await;
    LogStore::fence(&world.store).await.unwrap();
    let created = world.projects.create(&alice, "one".parse().unwrap()).await;
    assert!(matches!(created, Err(ProjectsError::Store(StoreError::Unlogged { .. }))));
    // From then on it is known, and nothing is begun.
    let created = world.projects.create(&alice, "two".parse().unwrap()).await;
    assert!(matches!(created, Err(ProjectsError::Store(StoreError::Unavailable { store: "log", .. }))));
    let names = world.projects.list(&alice, None, PageArgs::new(None, 0)).await.unwrap().items;
    assert_eq!(names.iter().map(|project| project.name.to_string()).collect::<Vec<_>>(), ["app", "one"]);
    assert!(world.log.check().is_err());
    world.projects.get(&access).await.unwrap();
}

#[tokio::test]
async fn a_reused_token_is_in_the_log_of_the_account_that_only_the_store_knew() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let trail = Trail::Account(alice.account);
    let line = world.trail(trail).await[1].line.clone();
    let old = veilcore::hash::sha256(&alice.refresh_token()[..]);
    let rotate = |new| world.ports.directory.rotate_refresh(old, new, line.at_ms, line.clone());
    assert!(matches!(rotate([1; 32]).await, Ok(Rotation::Rotated(_))));
    assert!(
        matches!(rotate([2; 32]).await, Ok(Rotation::Reused { account, .. }) if account == alice.account)
    );
    assert_eq!(logged(&world, trail).await.last(), Some(&Kind::SessionReuse));
}
