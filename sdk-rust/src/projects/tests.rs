use std::sync::{Arc, Mutex};

use prost::Message;
use prost_types::Timestamp;

use super::*;
use crate::session::tests::{session, store};
use crate::state::MemoryState;
use crate::transport::fake::{Fake, message};

/// Projects of a server by name, as it shows them: names and numbers of ids.
type Shown = Arc<Mutex<Vec<(String, u8)>>>;

fn id(number: u8) -> ProjectId {
    ProjectId::from_bytes([number; 16])
}

fn shown(name: &str, number: u8) -> Option<pb::Project> {
    // Ids from 100 on are said to be somebody else's.
    let own = session(1, 10).account();
    let owner = if number < 100 { own } else { AccountId::from_bytes([2; 16]) };
    Some(pb::Project {
        project_id: id(number).to_string(),
        name: name.to_owned(),
        owner_id: owner.to_string(),
        created_at: Some(Timestamp { seconds: 1_790_000_000, nanos: 0 }),
        ..Default::default()
    })
}

/// A server that lists what it is told to, and answers every change with the first of it.
fn projects(list: &Shown, state: &MemoryState) -> Projects {
    store(state, &session(1, 10));
    let list = Arc::clone(list);
    let fake = Fake::answering(move |call| {
        let list = list.lock().expect("held");
        let first = list.first().and_then(|(name, number)| shown(name, *number));
        match call.path.rsplit('/').next().unwrap_or_default() {
            "ListProjects" => {
                let request = pb::ListProjectsRequest::decode(call.body.clone()).expect("a request");
                let wanted = list.iter().filter(|(name, _)| request.name.is_empty() || *name == request.name);
                let projects = wanted.filter_map(|(name, number)| shown(name, *number)).collect();
                message(&pb::ListProjectsResponse { projects, next_page_token: String::new() })
            }
            "CreateProject" => message(&pb::CreateProjectResponse { project: first }),
            "UpdateProject" => message(&pb::UpdateProjectResponse { project: first }),
            "DeleteProject" => message(&pb::DeleteProjectResponse {}),
            other => panic!("{other} is not expected here"),
        }
    });
    let builder = Client::builder().endpoint("https://host.example").state(Arc::new(state.clone()));
    builder.build_with(fake).expect("a client").projects()
}

fn scene(list: &[(&str, u8)]) -> (Shown, Projects) {
    let shown = Arc::new(Mutex::new(Vec::new()));
    set(&shown, list);
    let projects = projects(&shown, &MemoryState::new());
    (shown, projects)
}

fn set(shown: &Shown, list: &[(&str, u8)]) {
    *shown.lock().expect("held") = list.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
}

fn refused<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Integrity { reason: IntegrityReason::WrongProject, .. }))
}

#[tokio::test]
async fn a_name_that_leads_to_another_project_is_refused_until_it_is_forgotten() {
    let (list, projects) = scene(&[("shop", 1), ("blog", 2)]);
    assert_eq!(projects.by_name("shop").await.expect("believed once").id, id(1));
    assert_eq!(projects.by_name("shop").await.expect("the same again").id, id(1));
    set(&list, &[("shop", 2), ("blog", 1)]);
    assert!(refused(projects.by_name("shop").await));
    assert!(refused(projects.list().await), "nor is it listed");
    projects.forget("shop").await.expect("forgotten");
    assert_eq!(projects.by_name("shop").await.expect("believed anew").id, id(2));
    assert_eq!(projects.list().await.expect("listed").len(), 2);
}

#[tokio::test]
async fn a_name_that_this_client_gave_is_known_from_then_on() {
    let (list, projects) = scene(&[("shop", 1)]);
    let made = projects.create("shop").await.expect("made");
    set(&list, &[("shop", 2)]);
    assert!(refused(projects.by_name("shop").await));
    set(&list, &[("store", 1)]);
    projects.rename(&made, "store").await.expect("renamed");
    set(&list, &[("store", 2), ("shop", 3)]);
    assert!(refused(projects.by_name("store").await));
    set(&list, &[("shop", 3)]);
    assert_eq!(projects.by_name("shop").await.expect("the old name is free").id, id(3));
}

#[tokio::test]
async fn a_deleted_project_leaves_its_name() {
    let (list, projects) = scene(&[("shop", 1)]);
    let made = projects.create("shop").await.expect("made");
    projects.delete(&made).await.expect("deleted");
    set(&list, &[("shop", 2)]);
    assert_eq!(projects.by_name("shop").await.expect("another one").id, id(2));
}

#[tokio::test]
async fn an_answer_about_another_project_is_refused() {
    let (list, projects) = scene(&[("blog", 1)]);
    let blog = projects.by_name("blog").await.expect("there");
    assert!(refused(projects.create("shop").await), "another name");
    set(&list, &[("shop", 1)]);
    assert!(refused(projects.create("shop").await), "one that is known under another name");
    set(&list, &[("news", 2)]);
    assert!(refused(projects.rename(&blog, "news").await), "another id");
    assert!(refused(projects.rename(&blog, "other").await), "another name");
}

#[tokio::test]
async fn a_new_project_and_a_renamed_one_are_nobody_else_s() {
    let state = MemoryState::new();
    let list = Shown::default();
    let projects = projects(&list, &state);
    let foreign =
        |result| matches!(result, Err(Error::Integrity { reason: IntegrityReason::OwnerChanged, .. }));
    set(&list, &[("shop", 100)]);
    assert!(foreign(projects.create("shop").await));
    let own = Project {
        owner_id: session(1, 10).account(),
        ..read(shown("shop", 100), &rpc::GET_PROJECT).expect("one")
    };
    set(&list, &[("store", 100)]);
    assert!(foreign(projects.rename(&own, "store").await));
    // Nothing was noted: neither the name nor the owner.
    set(&list, &[("shop", 1), ("store", 2)]);
    assert_eq!(projects.by_name("shop").await.expect("believed").id, id(1));
    assert_eq!(projects.by_name("store").await.expect("believed").id, id(2));
}

#[tokio::test]
async fn a_name_that_is_none_is_no_answer() {
    for name in ["../x", "a/b", "", "\u{1b}[2J", "Shop"] {
        let (_, projects) = scene(&[(name, 1)]);
        assert!(matches!(projects.list().await, Err(Error::BadAnswer { .. })), "{name:?}");
    }
}
