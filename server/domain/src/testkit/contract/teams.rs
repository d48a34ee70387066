//! Teams and who is in them.

use tokio::task::JoinSet;
use veilcore::id::{AccountId, TeamId};

use super::sample::*;
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::model::Deletion,
    page::PageArgs,
    teams::{
        model::{self, MEMBERS_MAX, Member, Membership, Role, Seat, TEAMS_MAX, Team, TeamChange},
        port::{By, Changed},
    },
    testkit::Ports,
};

fn team(owner: AccountId, text: &str) -> Team {
    Team {
        id: TeamId::from_bytes(bytes16()),
        name: name(text),
        owner,
        threshold: 0,
        created_at_ms: NOW_MS,
        member_count: 1,
    }
}

fn by(account: AccountId, least: Role) -> By {
    By { account, least }
}

async fn create(ports: &Ports, team: &Team, limit: u32) -> Changed {
    let line = line(Trail::Account(team.owner), Kind::TeamCreate);
    ports.roster.create_team(team.clone(), limit, line).await.expect("the store works")
}

async fn new_team(ports: &Ports, owner: AccountId, text: &str) -> Team {
    let team = team(owner, text);
    assert_eq!(create(ports, &team, TEAMS_MAX).await, Changed::Done);
    team
}

/// Lines in the trails of the team's owner and of the member.
fn lines(team: &Team, member: AccountId, kind: Kind) -> Vec<Line> {
    [team.owner, member].map(|account| line(Trail::Account(account), kind)).to_vec()
}

async fn add_by(ports: &Ports, team: &Team, by: By, account: AccountId, role: Role, limit: u32) -> Changed {
    let seat = Seat { account, role, added_at_ms: NOW_MS };
    let lines = lines(team, account, Kind::MemberAdd);
    ports.roster.add_member(team.id, by, seat, limit, lines).await.expect("the store works")
}

async fn add(ports: &Ports, team: &Team, account: AccountId, role: Role) -> Changed {
    add_by(ports, team, by(team.owner, Role::Admin), account, role, MEMBERS_MAX).await
}

async fn remove(ports: &Ports, team: &Team, by: By, account: AccountId) -> Changed {
    let lines = lines(team, account, Kind::MemberRemove);
    ports.roster.remove_member(team.id, by, account, lines).await.expect("the store works")
}

async fn set_role(ports: &Ports, team: &Team, by: By, account: AccountId, role: Role) -> Changed {
    let lines = lines(team, account, Kind::MemberUpdate);
    ports.roster.set_role(team.id, by, account, role, lines).await.expect("the store works")
}

async fn update(ports: &Ports, team: &Team, by: By, change: TeamChange) -> Changed {
    let line = line(Trail::Account(team.owner), Kind::TeamUpdate);
    ports.roster.update_team(team.id, by, change, line).await.expect("the store works")
}

async fn delete(ports: &Ports, team: &Team, by: By) -> Option<Vec<AccountId>> {
    let line = line(Trail::Account(team.owner), Kind::TeamDelete);
    ports.roster.delete_team(team.id, by, line).await.expect("the store works")
}

async fn seen(ports: &Ports, team: &Team, account: AccountId) -> Option<Membership> {
    ports.roster.team(team.id, account).await.expect("the store works")
}

async fn members(ports: &Ports, team: &Team) -> Vec<Member> {
    let page = PageArgs { after: None, size: 1000 };
    ports.roster.members(team.id, page).await.expect("the store works").items
}

fn renamed(text: &str) -> TeamChange {
    TeamChange { name: Some(name(text)), threshold: None }
}

pub async fn a_team_name_is_unique_per_owner(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let first = new_team(&ports, alice.id, "crew").await;
    assert_eq!(create(&ports, &team(alice.id, "crew"), TEAMS_MAX).await, Changed::Taken);
    let same_id = Team { id: first.id, ..team(alice.id, "other") };
    assert_eq!(create(&ports, &same_id, TEAMS_MAX).await, Changed::Taken);
    new_team(&ports, bob.id, "crew").await;
    let nobody = team(AccountId::from_bytes(bytes16()), "crew");
    assert_eq!(create(&ports, &nobody, TEAMS_MAX).await, Changed::Denied);
    let expected = Membership { team: first.clone(), role: Role::Owner };
    assert_eq!(seen(&ports, &first, alice.id).await, Some(expected));
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, [Kind::AccountCreate, Kind::TeamCreate]);
}

pub async fn an_owner_has_a_limit_of_teams(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let first = team(alice.id, "one");
    assert_eq!(create(&ports, &first, 1).await, Changed::Done);
    assert_eq!(create(&ports, &team(alice.id, "two"), 1).await, Changed::Limit);
    // Being in the team of somebody else does not count.
    assert_eq!(add(&ports, &first, bob.id, Role::Member).await, Changed::Done);
    assert_eq!(create(&ports, &team(bob.id, "one"), 1).await, Changed::Done);
    assert!(delete(&ports, &first, by(alice.id, Role::Owner)).await.is_some());
    assert_eq!(create(&ports, &team(alice.id, "two"), 1).await, Changed::Done);
}

pub async fn a_team_is_seen_only_from_inside(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    assert_eq!(seen(&ports, &crew, bob.id).await, None);
    assert_eq!(seen(&ports, &team(alice.id, "absent"), alice.id).await, None);
    assert_eq!(add(&ports, &crew, bob.id, Role::Admin).await, Changed::Done);
    let inside = Membership { team: Team { member_count: 2, ..crew.clone() }, role: Role::Admin };
    assert_eq!(seen(&ports, &crew, bob.id).await, Some(inside.clone()));
    let page = PageArgs { after: None, size: 10 };
    let listed = ports.roster.teams(bob.id, None, page.clone()).await.expect("the store works");
    assert_eq!((listed.items, listed.next), (vec![inside], None));
    assert_eq!(remove(&ports, &crew, by(alice.id, Role::Admin), bob.id).await, Changed::Done);
    assert_eq!(seen(&ports, &crew, bob.id).await, None);
    let listed = ports.roster.teams(bob.id, None, page).await.expect("the store works");
    assert_eq!(listed.items, []);
}

pub async fn teams_are_paged_by_name_at_every_size(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    for text in ["web", "api", "ops"] {
        new_team(&ports, alice.id, text).await;
    }
    // Two of one name: by different owners.
    for text in ["ops", "db"] {
        let theirs = new_team(&ports, bob.id, text).await;
        assert_eq!(add(&ports, &theirs, alice.id, Role::Member).await, Changed::Done);
    }
    for size in 1..=6 {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = PageArgs { after, size };
            let page = ports.roster.teams(alice.id, None, page).await.expect("the store works");
            assert!(page.items.len() <= size);
            names.extend(page.items.iter().map(|m| m.team.name.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, ["api", "db", "ops", "ops", "web"], "{size}");
    }
    let page = PageArgs { after: None, size: 10 };
    let only = ports.roster.teams(alice.id, Some(&name("ops")), page).await.expect("the store works");
    let roles: Vec<_> = only.items.iter().map(|m| (m.team.owner == alice.id, m.role)).collect();
    assert!(roles.contains(&(true, Role::Owner)) && roles.contains(&(false, Role::Member)), "{roles:?}");
    assert_eq!(roles.len(), 2);
}

pub async fn a_change_of_a_team_respects_other_names(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    new_team(&ports, alice.id, "taken").await;
    let owner = by(alice.id, Role::Admin);
    assert_eq!(update(&ports, &crew, owner, renamed("taken")).await, Changed::Taken);
    assert_eq!(update(&ports, &crew, owner, renamed("crew")).await, Changed::Done);
    let both = TeamChange { name: Some(name("staff")), threshold: Some(3) };
    assert_eq!(update(&ports, &crew, owner, both).await, Changed::Done);
    let changed = seen(&ports, &crew, alice.id).await.expect("the owner is in it").team;
    assert_eq!(changed, Team { name: name("staff"), threshold: 3, ..crew.clone() });
    assert_eq!(update(&ports, &crew, owner, TeamChange::default()).await, Changed::Done);
    assert_eq!(seen(&ports, &crew, alice.id).await.map(|m| m.team), Some(changed));
    assert_eq!(update(&ports, &team(alice.id, "x"), owner, renamed("y")).await, Changed::Denied);
    let updates = kinds(&ports, Trail::Account(alice.id)).await;
    assert_eq!(updates.iter().filter(|kind| **kind == Kind::TeamUpdate).count(), 3);
}

pub async fn the_role_counts_that_one_has_when_the_change_is_made(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let carol = new_account(&ports, "carol@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    let (owner, admin) = (by(alice.id, Role::Admin), by(bob.id, Role::Admin));
    assert_eq!(add_by(&ports, &crew, admin, carol.id, Role::Member, 9).await, Changed::Denied);
    assert_eq!(add(&ports, &crew, bob.id, Role::Admin).await, Changed::Done);
    assert_eq!(add_by(&ports, &crew, admin, carol.id, Role::Member, 9).await, Changed::Done);
    assert_eq!(delete(&ports, &crew, by(bob.id, Role::Owner)).await, None);
    assert_eq!(set_role(&ports, &crew, owner, bob.id, Role::Member).await, Changed::Done);
    let lines = events(&ports, Trail::Account(alice.id)).await.len();
    assert_eq!(update(&ports, &crew, admin, renamed("mine")).await, Changed::Denied);
    assert_eq!(set_role(&ports, &crew, admin, bob.id, Role::Admin).await, Changed::Denied);
    assert_eq!(remove(&ports, &crew, admin, carol.id).await, Changed::Denied);
    let dora = new_account(&ports, "dora@example.org").await;
    assert_eq!(add_by(&ports, &crew, admin, dora.id, Role::Member, 9).await, Changed::Denied);
    assert_eq!(events(&ports, Trail::Account(alice.id)).await.len(), lines);
    // Everybody may leave.
    assert_eq!(remove(&ports, &crew, by(bob.id, Role::Member), bob.id).await, Changed::Done);
    assert_eq!(remove(&ports, &crew, by(bob.id, Role::Member), bob.id).await, Changed::Denied);
}

pub async fn members_are_added_once_up_to_a_limit(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let carol = new_account(&ports, "carol@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    let owner = by(alice.id, Role::Admin);
    let nobody = AccountId::from_bytes(bytes16());
    assert_eq!(add(&ports, &crew, nobody, Role::Member).await, Changed::Unknown);
    assert_eq!(add(&ports, &crew, alice.id, Role::Member).await, Changed::Taken);
    assert_eq!(add_by(&ports, &crew, owner, bob.id, Role::Admin, 2).await, Changed::Done);
    assert_eq!(add_by(&ports, &crew, owner, bob.id, Role::Member, 2).await, Changed::Taken);
    assert_eq!(add_by(&ports, &crew, owner, carol.id, Role::Member, 2).await, Changed::Limit);
    assert_eq!(remove(&ports, &crew, owner, bob.id).await, Changed::Done);
    assert_eq!(add_by(&ports, &crew, owner, carol.id, Role::Member, 2).await, Changed::Done);
    let member = ports.roster.member(crew.id, carol.id).await.expect("the store works");
    let display_name = carol.display_name.clone();
    let expected = Member { account: carol.id, display_name, role: Role::Member, added_at_ms: NOW_MS };
    assert_eq!(member, Some(expected));
    assert_eq!(ports.roster.member(crew.id, bob.id).await.expect("the store works"), None);
    let expected = [Kind::AccountCreate, Kind::MemberAdd, Kind::MemberRemove];
    assert_eq!(kinds(&ports, Trail::Account(bob.id)).await, expected);
    let expected =
        [Kind::AccountCreate, Kind::TeamCreate, Kind::MemberAdd, Kind::MemberRemove, Kind::MemberAdd];
    assert_eq!(kinds(&ports, Trail::Account(alice.id)).await, expected);
}

pub async fn members_are_paged_by_account_at_every_size(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    let other = new_team(&ports, alice.id, "other").await;
    let mut accounts = vec![alice.id];
    for n in 0..5 {
        let account = new_account(&ports, &format!("member{n}@example.org")).await;
        assert_eq!(add(&ports, &crew, account.id, Role::Member).await, Changed::Done);
        accounts.push(account.id);
    }
    accounts.sort_unstable();
    for size in 1..=7 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = PageArgs { after, size };
            let page = ports.roster.members(crew.id, page).await.expect("the store works");
            assert!(page.items.len() <= size);
            found.extend(page.items.iter().map(|member| member.account));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, accounts, "{size}");
    }
    assert_eq!(members(&ports, &other).await.len(), 1);
}

pub async fn the_owner_stays(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    assert_eq!(add(&ports, &crew, bob.id, Role::Admin).await, Changed::Done);
    let lines = events(&ports, Trail::Account(alice.id)).await.len();
    for who in [by(alice.id, Role::Admin), by(bob.id, Role::Admin)] {
        assert_eq!(remove(&ports, &crew, who, alice.id).await, Changed::Owner);
        assert_eq!(set_role(&ports, &crew, who, alice.id, Role::Member).await, Changed::Owner);
        assert_eq!(set_role(&ports, &crew, who, bob.id, Role::Owner).await, Changed::Owner);
        let nobody = AccountId::from_bytes(bytes16());
        assert_eq!(set_role(&ports, &crew, who, nobody, Role::Member).await, Changed::Unknown);
        assert_eq!(remove(&ports, &crew, who, nobody).await, Changed::Unknown);
    }
    let roles: Vec<_> = members(&ports, &crew).await.iter().map(|m| (m.account, m.role)).collect();
    assert_eq!(roles, [(alice.id, Role::Owner), (bob.id, Role::Admin)]);
    assert_eq!(events(&ports, Trail::Account(alice.id)).await.len(), lines);
}

pub async fn a_deleted_team_tells_each_member(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let carol = new_account(&ports, "carol@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    for account in [bob.id, carol.id] {
        assert_eq!(add(&ports, &crew, account, Role::Admin).await, Changed::Done);
    }
    assert_eq!(delete(&ports, &crew, by(bob.id, Role::Owner)).await, None);
    let deleted = delete(&ports, &crew, by(alice.id, Role::Owner)).await;
    assert_eq!(deleted, Some(vec![bob.id, carol.id]));
    for account in [alice.id, bob.id, carol.id] {
        let told = kinds(&ports, Trail::Account(account)).await;
        assert_eq!(told.iter().filter(|kind| **kind == Kind::TeamDelete).count(), 1);
        assert_eq!(seen(&ports, &crew, account).await, None);
    }
    assert_eq!(members(&ports, &crew).await, []);
    assert_eq!(delete(&ports, &crew, by(alice.id, Role::Owner)).await, None);
    new_team(&ports, alice.id, "crew").await;
}

pub async fn a_deleted_account_leaves_its_teams_and_their_owners_are_told(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let (crew, other) = (new_team(&ports, alice.id, "crew").await, new_team(&ports, alice.id, "other").await);
    let alone = new_team(&ports, bob.id, "alone").await;
    for team in [&crew, &other] {
        assert_eq!(add(&ports, team, bob.id, Role::Admin).await, Changed::Done);
    }
    let end = vec![line(Trail::Account(bob.id), Kind::AccountDelete)];
    let deleted = ports.directory.delete_account(bob.id, end).await.expect("the store works");
    assert_eq!(deleted, Deletion::Done { told: vec![alice.id, alice.id] });
    for team in [&crew, &other] {
        assert_eq!(members(&ports, team).await.len(), 1);
    }
    assert_eq!(seen(&ports, &crew, alice.id).await.map(|m| m.team), Some(crew.clone()));
    assert_eq!(members(&ports, &alone).await, []);
    let told = events(&ports, Trail::Account(alice.id)).await;
    let told: Vec<_> = told.into_iter().map(|e| e.line).filter(|l| l.kind == Kind::MemberRemove).collect();
    let expected = [&crew, &other].map(|team| model::left(alice.id, team.id, bob.id, NOW_MS));
    assert_eq!(told, expected);
}

pub async fn an_account_is_not_deleted_while_others_are_in_its_team(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let bob = new_account(&ports, "bob@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    new_team(&ports, alice.id, "alone").await;
    assert_eq!(add(&ports, &crew, bob.id, Role::Member).await, Changed::Done);
    let end = || vec![line(Trail::Account(alice.id), Kind::AccountDelete)];
    let deleted = ports.directory.delete_account(alice.id, end()).await.expect("the store works");
    assert_eq!(deleted, Deletion::OwnsTeams(1));
    assert_eq!(ports.directory.account(alice.id).await.expect("the store works"), Some(alice.clone()));
    assert_eq!(members(&ports, &crew).await.len(), 2);
    assert!(!kinds(&ports, Trail::Account(alice.id)).await.contains(&Kind::AccountDelete));
    assert_eq!(remove(&ports, &crew, by(bob.id, Role::Member), bob.id).await, Changed::Done);
    let deleted = ports.directory.delete_account(alice.id, end()).await.expect("the store works");
    assert_eq!(deleted, Deletion::Done { told: vec![] });
    assert_eq!(seen(&ports, &crew, alice.id).await, None);
}

pub async fn of_many_who_want_the_last_places_as_many_get_one(ports: Ports) {
    let alice = new_account(&ports, "alice@example.org").await;
    let crew = new_team(&ports, alice.id, "crew").await;
    let mut race = JoinSet::new();
    for n in 0..WRITERS {
        let (ports, crew) = (ports.clone(), crew.clone());
        race.spawn(async move {
            let account = new_account(&ports, &format!("member{n}@example.org")).await.id;
            let admin = by(crew.owner, Role::Admin);
            add_by(&ports, &crew, admin, account, Role::Member, 5).await
        });
    }
    let results = race.join_all().await;
    assert_eq!(results.iter().filter(|changed| **changed == Changed::Done).count(), 4);
    assert!(results.iter().all(|changed| matches!(changed, Changed::Done | Changed::Limit)));
    assert_eq!(members(&ports, &crew).await.len(), 5);
}
