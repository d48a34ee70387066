//! Environments.

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    name::Name,
    page::PageArgs,
    projects::{
        model::{ENVIRONMENTS_MAX, Environment, Origin},
        port::Written,
    },
    storage::model::Precondition,
    testkit::Ports,
};

async fn create(ports: &Ports, environment: &Environment, limit: u32) -> Written {
    let line = line(Trail::Project(environment.project), Kind::EnvironmentCreate);
    let written = ports.catalog.create_environment(environment.clone(), keyring(1), limit, line).await;
    written.expect("the store works")
}

pub async fn an_environment_name_is_unique_in_its_project(ports: Ports) {
    let (alice, app, first) = place(&ports).await;
    let second = environment(app.id, "production");
    assert_eq!(create(&ports, &second, ENVIRONMENTS_MAX).await, Written::Taken);
    assert_eq!(ports.keyrings.keyring(second.id, 1).await.expect("the store works"), None);
    let found = ports.catalog.environment(app.id, &first.name).await.expect("the store works");
    assert_eq!(found, Some(first));
    let other = new_project(&ports, alice.id, "other").await;
    new_environment(&ports, other.id, "production").await;
    let expected = [Kind::ProjectCreate, Kind::EnvironmentCreate];
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await, expected);
}

pub async fn an_environment_id_is_unique_everywhere(ports: Ports) {
    let (_, _, first) = place(&ports).await;
    let bob = new_account(&ports, "bob@example.org").await;
    let others = new_project(&ports, bob.id, "app").await;
    let same_id = Environment { id: first.id, ..environment(others.id, "staging") };
    assert_eq!(create(&ports, &same_id, ENVIRONMENTS_MAX).await, Written::Taken);
    let found = ports.catalog.environment(others.id, &same_id.name).await.expect("the store works");
    assert_eq!(found, None);
}

pub async fn a_project_has_a_limit_of_environments(ports: Ports) {
    let (alice, app, first) = place(&ports).await;
    assert_eq!(create(&ports, &environment(app.id, "two"), 2).await, Written::Done);
    let third = environment(app.id, "three");
    assert_eq!(create(&ports, &third, 2).await, Written::Limit);
    let other = new_project(&ports, alice.id, "other").await;
    assert_eq!(create(&ports, &environment(other.id, "one"), 2).await, Written::Done);
    let delete = line(Trail::Project(app.id), Kind::EnvironmentDelete);
    assert_eq!(
        ports.catalog.delete_environment(first.id, delete).await.expect("the store works"),
        Written::Done
    );
    assert_eq!(create(&ports, &third, 2).await, Written::Done);
}

pub async fn nothing_is_created_in_a_project_that_is_gone(ports: Ports) {
    let (_, app, _) = place(&ports).await;
    let delete = line(Trail::Project(app.id), Kind::ProjectDelete);
    assert!(ports.catalog.delete_project(app.id, delete).await.expect("the store works"));
    let late = environment(app.id, "late");
    assert_eq!(create(&ports, &late, ENVIRONMENTS_MAX).await, Written::Denied);
    assert_eq!(ports.keyrings.keyring(late.id, 1).await.expect("the store works"), None);
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await.last(), Some(&Kind::ProjectDelete));
}

pub async fn environments_are_paged_by_name_at_every_size(ports: Ports) {
    let (alice, app, _) = place(&ports).await;
    for text in ["staging", "dev", "dev-2", "dev.eu", "a"] {
        new_environment(&ports, app.id, text).await;
    }
    let other = new_project(&ports, alice.id, "other").await;
    new_environment(&ports, other.id, "elsewhere").await;
    let mut expected: Vec<Name> = ["a", "dev", "dev-2", "dev.eu", "production", "staging"].map(name).into();
    expected.sort();
    for size in 1..=expected.len() + 1 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = PageArgs { after, size };
            let page = ports.catalog.environments(app.id, page).await.expect("the store works");
            assert!(page.items.len() <= size && !page.items.is_empty(), "size {size}");
            found.extend(page.items.into_iter().map(|e| e.name));
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(after.as_ref(), found.last(), "size {size}");
        }
        assert_eq!(found, expected, "size {size}");
    }
}

pub async fn an_environment_shows_its_head_and_its_origin(ports: Ports) {
    let (_, app, source) = place(&ports).await;
    let mut one = version(source.id, 1, b"one");
    commit(&ports, app.id, &mut one, Precondition::First).await.expect("it is the first");
    let mut two = version(source.id, 2, b"two");
    commit(&ports, app.id, &mut two, Precondition::Match(one.etag())).await.expect("it is the second");
    let origin = Origin { environment: source.id, version: 1 };
    let clone = Environment { cloned_from: Some(origin), ..environment(app.id, "clone") };
    assert_eq!(create(&ports, &clone, ENVIRONMENTS_MAX).await, Written::Done);

    let found = ports.catalog.environment(app.id, &clone.name).await.expect("the store works");
    assert_eq!(found, Some(clone.clone()));
    let expected = Environment { head: Some(two), ..source };
    let found = ports.catalog.environment(app.id, &expected.name).await.expect("the store works");
    assert_eq!(found.as_ref(), Some(&expected));
    let page = ports.catalog.environments(app.id, PageArgs { after: None, size: 10 }).await;
    assert_eq!(page.expect("the store works").items, [clone, expected]);
}

pub async fn a_deleted_environment_takes_its_versions_along(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    let mut one = version(production.id, 1, b"one");
    commit(&ports, app.id, &mut one, Precondition::First).await.expect("it is the first");
    let unfinished = upload(alice.id, &production, 10, crate::storage::model::Digest(bytes32()));
    ports.uploads.start(unfinished.clone(), 8).await.expect("the store works");
    let delete = line(Trail::Project(app.id), Kind::EnvironmentDelete);
    assert_eq!(
        ports.catalog.delete_environment(production.id, delete.clone()).await.expect("the store works"),
        Written::Done
    );
    assert_eq!(
        ports.catalog.delete_environment(production.id, delete).await.expect("the store works"),
        Written::Gone
    );

    let found = ports.catalog.environment(app.id, &production.name).await.expect("the store works");
    assert_eq!(found, None);
    assert_eq!(ports.shelf.version(production.id, None).await.expect("the store works"), None);
    assert_eq!(ports.keyrings.keyring(production.id, 1).await.expect("the store works"), None);
    assert_eq!(ports.uploads.upload(unfinished.id).await.expect("the store works"), None);
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), 0);
    assert_eq!(ports.shelf.referenced(&[one.digest]).await.expect("the store works"), []);
    let again = new_environment(&ports, app.id, "production").await;
    let mut first = version(again.id, 1, b"one");
    commit(&ports, app.id, &mut first, Precondition::First).await.expect("numbering begins anew");
    let counted = ports.catalog.project(app.id).await.expect("the store works").expect("still there");
    assert_eq!(counted.environment_count, 1);
}
