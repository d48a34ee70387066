use std::sync::Arc;

use prost::Message;
use prost_types::Timestamp;

use super::*;
use crate::session::tests::{session, store};
use crate::state::MemoryState;
use crate::transport::fake::{Fake, message};

fn id(number: u8) -> TeamId {
    TeamId::from_bytes([number; 16])
}

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn shown(name: &str, number: u8, role: &str) -> pb::Team {
    pb::Team {
        team_id: id(number).to_string(),
        name: name.to_owned(),
        owner_id: account(1).to_string(),
        threshold: 0,
        created_at: Some(Timestamp { seconds: 1_790_000_000, nanos: 0 }),
        member_count: 1,
        role: role.to_owned(),
    }
}

/// A server whose teams are these, whose only member is number 2, and that answers every change with the first.
fn teams(list: Vec<pb::Team>) -> Teams {
    let state = MemoryState::new();
    store(&state, &session(1, 10));
    let member = pb::Member {
        account_id: account(2).to_string(),
        display_name: "Bob".to_owned(),
        role: "admin".to_owned(),
        added_at: Some(Timestamp { seconds: 1_790_000_000, nanos: 0 }),
    };
    let fake = Fake::answering(move |call| {
        let team = list.first().cloned();
        let member = Some(member.clone());
        match call.path.rsplit('/').next().unwrap_or_default() {
            "ListTeams" => {
                let request = pb::ListTeamsRequest::decode(call.body.clone()).expect("a request");
                let wanted = |team: &&pb::Team| request.name.is_empty() || team.name == request.name;
                let teams = list.iter().filter(wanted).cloned().collect();
                message(&pb::ListTeamsResponse { teams, next_page_token: String::new() })
            }
            "GetTeam" => message(&pb::GetTeamResponse { team }),
            "UpdateTeam" => message(&pb::UpdateTeamResponse { team }),
            "AddMember" => message(&pb::AddMemberResponse { member }),
            "UpdateMember" => message(&pb::UpdateMemberResponse { member }),
            "ListMembers" => {
                let page = pb::ListMembersResponse { members: vec![], next_page_token: "again".to_owned() };
                message(&page)
            }
            other => panic!("{other} is not expected here"),
        }
    });
    let builder = Client::builder().endpoint("https://host.example").state(Arc::new(state));
    builder.build_with(fake).expect("a client").teams()
}

#[tokio::test]
async fn a_name_leads_to_the_one_team_that_has_it() {
    let teams = teams(vec![shown("ops", 1, "owner"), shown("crew", 2, "admin"), shown("crew", 3, "member")]);
    let ops = teams.by_name("ops").await.expect("there is one");
    assert_eq!((ops.id, ops.role), (id(1), TeamRole::Owner));
    let none = teams.by_name("web").await;
    assert!(matches!(none, Err(Error::NotFound { what: "team", .. })));
    let two = teams.by_name("crew").await;
    assert!(
        matches!(&two, Err(Error::Invalid { what: "team", why }) if why.starts_with("2 teams")),
        "{two:?}"
    );
    assert_eq!(teams.list().await.expect("listed").len(), 3);
}

#[tokio::test]
async fn an_answer_about_another_team_or_member_is_refused() {
    let teams = teams(vec![shown("ops", 1, "owner")]);
    assert!(teams.get(id(1)).await.is_ok());
    assert!(matches!(teams.get(id(2)).await, Err(Error::BadAnswer { .. })));
    assert!(matches!(teams.rename(id(2), "ops").await, Err(Error::BadAnswer { .. })));
    assert_eq!(teams.add(id(1), account(2), TeamRole::Admin).await.expect("added").role, TeamRole::Admin);
    let other = teams.add(id(1), account(3), TeamRole::Admin).await;
    assert!(matches!(other, Err(Error::BadAnswer { .. })));
    let other = teams.set_role(id(1), account(3), TeamRole::Admin).await;
    assert!(matches!(other, Err(Error::BadAnswer { .. })));
}

#[tokio::test]
async fn what_is_no_team_of_the_contract_is_refused() {
    let good = shown("ops", 1, "owner");
    for bad in [
        pb::Team { role: "boss".to_owned(), ..good.clone() },
        pb::Team { role: String::new(), ..good.clone() },
        pb::Team { name: "../x".to_owned(), ..good.clone() },
        pb::Team { team_id: "1".to_owned(), ..good.clone() },
        pb::Team { owner_id: String::new(), ..good.clone() },
        pb::Team { created_at: None, ..good.clone() },
    ] {
        assert!(matches!(teams(vec![bad]).list().await, Err(Error::BadAnswer { .. })));
    }
    // A list of members that never ends.
    assert!(matches!(teams(vec![good]).members(id(1)).await, Err(Error::BadAnswer { .. })));
}

#[test]
fn a_role_is_read_back_from_its_name() {
    for role in [TeamRole::Member, TeamRole::Admin, TeamRole::Owner] {
        assert_eq!(role.as_str().parse::<TeamRole>().expect("a role"), role);
    }
    assert!("Owner".parse::<TeamRole>().is_err());
    assert!(TeamRole::Owner > TeamRole::Admin && TeamRole::Admin > TeamRole::Member);
}
