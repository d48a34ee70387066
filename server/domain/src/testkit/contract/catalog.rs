//! Projects.

use tokio::task::JoinSet;
use veilcore::id::ProjectId;

use super::sample::*;
use crate::{
    audit::model::{Kind, Trail},
    name::Name,
    page::PageArgs,
    projects::{
        model::{PROJECTS_MAX, Project},
        port::Written,
    },
    testkit::Ports,
};

async fn create(ports: &Ports, project: &Project, limit: u32) -> Written {
    let line = line(Trail::Project(project.id), Kind::ProjectCreate);
    ports.catalog.create_project(project.clone(), limit, line).await.expect("the store works")
}

async fn rename(ports: &Ports, id: ProjectId, text: &str) -> Written {
    let line = line(Trail::Project(id), Kind::ProjectUpdate);
    ports.catalog.rename_project(id, name(text), line).await.expect("the store works")
}

pub async fn a_project_name_is_unique_per_owner(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let first = new_project(&ports, alice.id, "app").await;
    let second = project(alice.id, "app");
    assert_eq!(create(&ports, &second, PROJECTS_MAX).await, Written::Taken);
    let same_id = Project { id: first.id, ..project(alice.id, "other") };
    assert_eq!(create(&ports, &same_id, PROJECTS_MAX).await, Written::Taken);
    new_project(&ports, bob.id, "app").await;
    assert_eq!(ports.catalog.project(second.id).await.expect("the store works"), None);
    assert_eq!(ports.catalog.project(first.id).await.expect("the store works"), Some(first.clone()));
    assert_eq!(kinds(&ports, Trail::Project(first.id)).await, [Kind::ProjectCreate]);
    assert_eq!(kinds(&ports, Trail::Project(second.id)).await, []);
}

pub async fn an_owner_has_a_limit_of_projects(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let first = project(alice.id, "one");
    assert_eq!(create(&ports, &first, 2).await, Written::Done);
    assert_eq!(create(&ports, &project(alice.id, "two"), 2).await, Written::Done);
    let third = project(alice.id, "three");
    assert_eq!(create(&ports, &third, 2).await, Written::Limit);
    assert_eq!(create(&ports, &project(bob.id, "one"), 2).await, Written::Done);
    let delete = line(Trail::Project(first.id), Kind::ProjectDelete);
    assert!(ports.catalog.delete_project(first.id, delete).await.expect("the store works"));
    assert_eq!(create(&ports, &third, 2).await, Written::Done);
    assert_eq!(kinds(&ports, Trail::Project(third.id)).await, [Kind::ProjectCreate]);
}

pub async fn a_rename_respects_other_names(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let app = new_project(&ports, alice.id, "app").await;
    new_project(&ports, alice.id, "taken").await;
    new_project(&ports, bob.id, "free").await;
    assert_eq!(rename(&ports, app.id, "taken").await, Written::Taken);
    assert_eq!(rename(&ports, app.id, "free").await, Written::Done);
    assert_eq!(rename(&ports, app.id, "free").await, Written::Done);
    let unknown = ProjectId::from_bytes(bytes16());
    assert_eq!(rename(&ports, unknown, "new").await, Written::Denied);
    let found = ports.catalog.project(app.id).await.expect("the store works");
    assert_eq!(found, Some(Project { name: name("free"), ..app.clone() }));
    let expected = [Kind::ProjectCreate, Kind::ProjectUpdate, Kind::ProjectUpdate];
    assert_eq!(kinds(&ports, Trail::Project(app.id)).await, expected);
    // The old name is free again.
    new_project(&ports, alice.id, "app").await;
}

pub async fn projects_are_paged_by_name_at_every_size(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let names = ["0", "a", "a-b", "a.b", "ab", "b_", "b1"];
    for text in ["b1", "a", "ab", "a.b", "0", "b_", "a-b"] {
        new_project(&ports, alice.id, text).await;
    }
    new_project(&ports, bob.id, "a0").await;
    let mut expected: Vec<Name> = names.iter().map(|text| name(text)).collect();
    expected.sort();
    for size in 1..=names.len() + 1 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = PageArgs { after, size };
            let page = ports.catalog.projects(alice.id, None, page).await.expect("the store works");
            assert!(page.items.len() <= size && !page.items.is_empty(), "size {size}");
            found.extend(page.items.into_iter().map(|p| p.name));
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(after.as_ref(), found.last(), "size {size}");
        }
        assert_eq!(found, expected, "size {size}");
    }
}

pub async fn one_project_is_found_by_name(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let app = new_project(&ports, alice.id, "app").await;
    new_project(&ports, alice.id, "app2").await;
    for (wanted, expected) in [("app", vec![app]), ("ap", vec![]), ("none", vec![])] {
        let page = PageArgs { after: None, size: 10 };
        let found =
            ports.catalog.projects(alice.id, Some(&name(wanted)), page).await.expect("the store works");
        assert_eq!((found.items, found.next), (expected, None), "{wanted}");
    }
}

pub async fn a_deleted_project_takes_its_environments_along(ports: Ports) {
    let (alice, app, production) = place(&ports).await;
    new_environment(&ports, app.id, "staging").await;
    let other = new_project(&ports, alice.id, "other").await;
    let spared = new_environment(&ports, other.id, "production").await;
    let counted = ports.catalog.project(app.id).await.expect("the store works").expect("still there");
    assert_eq!(counted.environment_count, 2);
    let mut one = version(production.id, 1, b"one");
    commit(&ports, app.id, &mut one, crate::storage::model::Precondition::First)
        .await
        .expect("it is the first");
    let unfinished = upload(alice.id, &production, 10, crate::storage::model::Digest(bytes32()));
    ports.uploads.start(unfinished.clone(), 8).await.expect("the store works");
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), 13);

    let delete = line(Trail::Project(app.id), Kind::ProjectDelete);
    assert!(ports.catalog.delete_project(app.id, delete.clone()).await.expect("the store works"));
    assert!(!ports.catalog.delete_project(app.id, delete).await.expect("the store works"));
    assert_eq!(ports.catalog.project(app.id).await.expect("the store works"), None);
    let production_now = ports.catalog.environment(app.id, &production.name).await.expect("the store works");
    assert_eq!(production_now, None);
    assert_eq!(ports.shelf.version(production.id, Some(1)).await.expect("the store works"), None);
    assert_eq!(ports.keyrings.keyring(production.id, 1).await.expect("the store works"), None);
    assert_eq!(ports.uploads.upload(unfinished.id).await.expect("the store works"), None);
    assert_eq!(ports.shelf.used_bytes(alice.id).await.expect("the store works"), 0);
    let found = ports.catalog.environment(other.id, &spared.name).await.expect("the store works");
    assert_eq!(found, Some(spared));
    let deletions = kinds(&ports, Trail::Project(app.id)).await;
    assert_eq!(deletions.iter().filter(|kind| **kind == Kind::ProjectDelete).count(), 1);
}

pub async fn whose_a_deleted_project_was_is_kept_until_they_are_gone(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let (app, web) = (new_project(&ports, alice.id, "app").await, new_project(&ports, bob.id, "app").await);
    let last_owner = async |id| ports.catalog.last_owner(id).await.expect("the store works");
    assert_eq!(last_owner(app.id).await, None, "it is there");
    for id in [app.id, web.id] {
        let delete = line(Trail::Project(id), Kind::ProjectDelete);
        assert!(ports.catalog.delete_project(id, delete).await.expect("the store works"));
    }
    assert_eq!((last_owner(app.id).await, last_owner(web.id).await), (Some(alice.id), Some(bob.id)));
    // Another one of the same name changes nothing; an id that never was has no owner.
    new_project(&ports, alice.id, "app").await;
    assert_eq!(last_owner(app.id).await, Some(alice.id));
    assert_eq!(last_owner(ProjectId::from_bytes(bytes16())).await, None);
    let end = line(Trail::Account(alice.id), Kind::AccountDelete);
    assert!(ports.directory.delete_account(alice.id, vec![end]).await.expect("the store works").is_done());
    assert_eq!((last_owner(app.id).await, last_owner(web.id).await), (None, Some(bob.id)));
}

pub async fn of_many_creations_of_one_name_one_wins(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let mut race = JoinSet::new();
    for _ in 0..WRITERS {
        let (ports, project) = (ports.clone(), project(alice.id, "app"));
        race.spawn(async move { create(&ports, &project, PROJECTS_MAX).await });
    }
    let outcomes = race.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| **o == Written::Done).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| **o == Written::Taken).count(), WRITERS as usize - 1);
}
