//! The team verbs from the outside, over ports in memory and a log.

use veilcore::id::{AccountId, TeamId};
use veilsign::capability::{Actions, Grant, Resource};

use super::{
    error::TeamsError,
    model::{self, MEMBERS_MAX, Member, Membership, Role, TEAMS_MAX, TeamChange},
};
use crate::{
    audit::model::{Event, Kind, Trail},
    auth::{Caller, error::AuthError},
    name::Name,
    page::PageArgs,
    store::StoreError,
    testkit::World,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn caller(world: &World, email: &str) -> Caller {
    world.person(email).await.caller(world).await
}

async fn crew(world: &World, owner: &Caller) -> Membership {
    world.teams.create(owner, name("crew"), 0).await.unwrap()
}

async fn members(world: &World, caller: &Caller, team: TeamId) -> Vec<Member> {
    world.teams.members(caller, team, PageArgs::new(None, 0)).await.unwrap().items
}

async fn trail(world: &World, account: AccountId) -> Vec<Event> {
    world.trail(Trail::Account(account)).await
}

fn denied<T>(result: Result<T, TeamsError>) -> bool {
    matches!(result, Err(TeamsError::Denied))
}

#[tokio::test]
async fn a_foreign_team_is_denied_like_an_absent_one() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let mallory = caller(&world, "mallory@example.org").await;
    let foreign = crew(&world, &alice).await.team.id;
    for team in [foreign, TeamId::from_bytes([7; 16])] {
        let teams = &world.teams;
        assert!(denied(teams.get(&mallory, team).await));
        assert!(denied(teams.members(&mallory, team, PageArgs::new(None, 0)).await));
        assert!(denied(teams.update(&mallory, team, TeamChange::default()).await));
        assert!(denied(teams.delete(&mallory, team).await));
        assert!(denied(teams.add_member(&mallory, team, mallory.account, Role::Admin).await));
        assert!(denied(teams.set_role(&mallory, team, alice.account, Role::Member).await));
        assert!(denied(teams.remove_member(&mallory, team, alice.account).await));
        // As little by asking about oneself.
        assert!(denied(teams.remove_member(&mallory, team, mallory.account).await));
    }
    let listed = world.teams.list(&mallory, None, PageArgs::new(None, 0)).await.unwrap();
    assert_eq!(listed.items, []);
    assert_eq!(members(&world, &alice, foreign).await.len(), 1);
}

#[tokio::test]
async fn teams_are_created_renamed_listed_and_deleted() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let crew = crew(&world, &alice).await;
    // The UUID is version 7: its first six bytes are the time.
    assert_eq!(crew.team.id.as_bytes()[6] >> 4, 7);
    assert_eq!((crew.role, crew.team.member_count), (Role::Owner, 1));
    let taken = world.teams.create(&alice, name("crew"), 0).await;
    assert!(matches!(taken, Err(TeamsError::NameTaken { name }) if name == "crew"));
    world.teams.create(&alice, name("ops"), 2).await.unwrap();
    let rename = |text| TeamChange { name: Some(name(text)), threshold: None };
    let taken = world.teams.update(&alice, crew.team.id, rename("ops")).await;
    assert!(matches!(taken, Err(TeamsError::NameTaken { name }) if name == "ops"));
    assert_eq!(
        world.teams.update(&alice, crew.team.id, rename("staff")).await.unwrap().team.name,
        name("staff")
    );
    let page = world.teams.list(&alice, None, PageArgs::new(None, 1)).await.unwrap();
    assert_eq!((page.items[0].team.name.as_str(), page.items[0].team.threshold), ("ops", 2));
    assert!(page.next.is_some());
    world.teams.delete(&alice, crew.team.id).await.unwrap();
    assert!(denied(world.teams.get(&alice, crew.team.id).await));
    assert!(denied(world.teams.delete(&alice, crew.team.id).await));
}

#[tokio::test]
async fn a_threshold_is_at_most_what_a_team_can_have() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let refused = world.teams.create(&alice, name("crew"), MEMBERS_MAX + 1).await;
    assert!(matches!(refused, Err(TeamsError::Threshold { limit: MEMBERS_MAX })));
    let crew = world.teams.create(&alice, name("crew"), MEMBERS_MAX).await.unwrap();
    let change = |threshold| TeamChange { name: None, threshold: Some(threshold) };
    let refused = world.teams.update(&alice, crew.team.id, change(MEMBERS_MAX + 1)).await;
    assert!(matches!(refused, Err(TeamsError::Threshold { .. })));
    let none = world.teams.update(&alice, crew.team.id, change(0)).await.unwrap();
    assert_eq!((none.team.threshold, none.team.name), (0, name("crew")));
}

#[tokio::test]
async fn an_account_owns_a_hundred_teams_and_a_team_has_250_members() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    for n in 0..TEAMS_MAX {
        world.teams.create(&alice, name(&format!("team{n}")), 0).await.unwrap();
    }
    let more = world.teams.create(&alice, name("more"), 0).await;
    assert!(matches!(more, Err(TeamsError::TeamLimit { limit: 100 })));
    let first = world.teams.list(&alice, None, PageArgs::new(None, 1)).await.unwrap().items.remove(0).team;
    for n in 1..MEMBERS_MAX {
        let person = world.person(&format!("member{n}@example.org")).await.account;
        world.teams.add_member(&alice, first.id, person, Role::Member).await.unwrap();
    }
    let last = world.person("last@example.org").await.account;
    let more = world.teams.add_member(&alice, first.id, last, Role::Member).await;
    assert!(matches!(more, Err(TeamsError::MemberLimit { limit: 250 })));
    assert_eq!(world.teams.get(&alice, first.id).await.unwrap().team.member_count, 250);
}

#[tokio::test]
async fn what_each_role_may_do() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let (bob, carol) = (caller(&world, "bob@example.org").await, caller(&world, "carol@example.org").await);
    let dora = world.person("dora@example.org").await.account;
    let team = crew(&world, &alice).await.team.id;
    let teams = &world.teams;
    assert_eq!(teams.add_member(&alice, team, bob.account, Role::Admin).await.unwrap().role, Role::Admin);
    // An admin adds, promotes and renames; it does not delete the team or touch its owner.
    teams.add_member(&bob, team, carol.account, Role::Member).await.unwrap();
    let rename = TeamChange { name: Some(name("staff")), threshold: None };
    assert_eq!(teams.update(&bob, team, rename.clone()).await.unwrap().role, Role::Admin);
    assert!(denied(teams.delete(&bob, team).await));
    let stays = teams.remove_member(&bob, team, alice.account).await;
    assert!(matches!(stays, Err(TeamsError::OwnerStays)));
    let stays = teams.set_role(&bob, team, alice.account, Role::Member).await;
    assert!(matches!(stays, Err(TeamsError::OwnerStays)));
    // A member sees the team and may leave it, nothing else.
    assert_eq!(teams.get(&carol, team).await.unwrap().role, Role::Member);
    assert_eq!(members(&world, &carol, team).await.len(), 3);
    assert!(denied(teams.update(&carol, team, rename).await));
    assert!(denied(teams.add_member(&carol, team, dora, Role::Member).await));
    assert!(denied(teams.set_role(&carol, team, carol.account, Role::Admin).await));
    assert!(denied(teams.remove_member(&carol, team, bob.account).await));
    assert!(denied(teams.delete(&carol, team).await));
    teams.set_role(&bob, team, carol.account, Role::Admin).await.unwrap();
    teams.add_member(&carol, team, dora, Role::Member).await.unwrap();
    teams.set_role(&alice, team, carol.account, Role::Member).await.unwrap();
    teams.remove_member(&carol, team, carol.account).await.unwrap();
    assert!(denied(teams.get(&carol, team).await));
    // The owner does not leave either.
    let stays = teams.remove_member(&alice, team, alice.account).await;
    assert!(matches!(stays, Err(TeamsError::OwnerStays)));
}

#[tokio::test]
async fn what_cannot_be_made_of_a_member() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let bob = world.person("bob@example.org").await.account;
    let team = crew(&world, &alice).await.team.id;
    let teams = &world.teams;
    let owner = teams.add_member(&alice, team, bob, Role::Owner).await;
    assert!(matches!(owner, Err(TeamsError::RoleRefused)));
    let nobody = AccountId::from_bytes([7; 16]);
    let unknown = teams.add_member(&alice, team, nobody, Role::Member).await;
    assert!(matches!(unknown, Err(TeamsError::AccountUnknown)));
    let unknown = teams.set_role(&alice, team, bob, Role::Admin).await;
    assert!(matches!(unknown, Err(TeamsError::MemberUnknown)));
    let unknown = teams.remove_member(&alice, team, bob).await;
    assert!(matches!(unknown, Err(TeamsError::MemberUnknown)));
    teams.add_member(&alice, team, bob, Role::Member).await.unwrap();
    let twice = teams.add_member(&alice, team, bob, Role::Admin).await;
    assert!(matches!(twice, Err(TeamsError::MemberExists)));
    let owner = teams.set_role(&alice, team, bob, Role::Owner).await;
    assert!(matches!(owner, Err(TeamsError::RoleRefused)));
    assert_eq!(members(&world, &alice, team).await.iter().filter(|m| m.role == Role::Owner).count(), 1);
}

#[tokio::test]
async fn a_narrowed_capability_reaches_teams_only_for_the_whole_account() {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let whole = alice.caller(&world).await;
    let access = world.project(&whole, "app").await;
    let team = crew(&world, &whole).await.team.id;
    let read = alice.narrowed_caller(&world, vec![Grant::new(Resource::account(), Actions::TEAM_READ)]).await;
    world.teams.get(&read, team).await.unwrap();
    assert_eq!(members(&world, &read, team).await.len(), 1);
    assert!(denied(world.teams.create(&read, name("more"), 0).await));
    assert!(denied(world.teams.delete(&read, team).await));
    assert!(denied(world.teams.remove_member(&read, team, alice.account).await));
    let project = Grant::new(Resource::project(access.project()), Actions::ALL);
    let inside = alice.narrowed_caller(&world, vec![project]).await;
    assert!(denied(world.teams.get(&inside, team).await));
    assert!(denied(world.teams.list(&inside, None, PageArgs::new(None, 0)).await));
    assert!(denied(world.teams.members(&inside, team, PageArgs::new(None, 0)).await));
}

#[tokio::test]
async fn every_change_is_in_the_logs_of_those_whom_it_concerns() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let bob = caller(&world, "bob@example.org").await;
    let team = crew(&world, &alice).await.team.id;
    let logged = |account| {
        let log = Trail::Account(account);
        world.store.peek_log(log, |stored| stored.state.size as usize).unwrap_or(0)
    };
    world.teams.add_member(&alice, team, bob.account, Role::Admin).await.unwrap();
    world.teams.update(&bob, team, TeamChange { name: None, threshold: Some(2) }).await.unwrap();
    world.teams.set_role(&alice, team, bob.account, Role::Member).await.unwrap();
    world.teams.remove_member(&bob, team, bob.account).await.unwrap();
    world.teams.add_member(&alice, team, bob.account, Role::Member).await.unwrap();
    world.teams.delete(&alice, team).await.unwrap();

    let (owners, members) = (trail(&world, alice.account).await, trail(&world, bob.account).await);
    assert_eq!((logged(alice.account), logged(bob.account)), (owners.len(), members.len()));
    let of_team = |events: &[Event]| {
        let about = |event: &&Event| event.line.environment == Some(model::subject(team));
        let seen = events.iter().filter(about).map(|e| (e.line.kind, e.line.actor, e.line.version));
        seen.collect::<Vec<_>>()
    };
    let (a, b) = (alice.account, bob.account);
    let expected = [
        (Kind::TeamCreate, a, 0),
        (Kind::MemberAdd, a, 2),
        (Kind::TeamUpdate, b, 0),
        (Kind::MemberUpdate, a, 3),
        (Kind::MemberRemove, b, 0),
        (Kind::MemberAdd, a, 3),
        (Kind::TeamDelete, a, 0),
    ];
    assert_eq!(of_team(&owners), expected);
    assert_eq!(
        of_team(&members),
        expected
            .into_iter()
            .filter(|(kind, ..)| !matches!(kind, Kind::TeamCreate | Kind::TeamUpdate))
            .collect::<Vec<_>>()
    );
    // The owner's trail says whom it is about, too.
    let added = owners.iter().find(|event| event.line.kind == Kind::MemberAdd).unwrap();
    assert_eq!(added.line.digest, Some(veilcore::hash::sha256(b.as_bytes())));
}

#[tokio::test]
async fn a_change_is_not_answered_before_its_log_has_it() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let bob = world.person("bob@example.org").await.account;
    let team = crew(&world, &alice).await.team.id;
    world.store.fill_next("stage");
    let added = world.teams.add_member(&alice, team, bob, Role::Member).await;
    assert!(matches!(added, Err(TeamsError::Store(StoreError::Unlogged { .. }))));
    // It was made, and the entry comes with the next.
    let again = world.teams.add_member(&alice, team, bob, Role::Member).await;
    assert!(matches!(again, Err(TeamsError::MemberExists)));
    world.teams.remove_member(&alice, team, bob).await.unwrap();
    let kinds: Vec<_> = trail(&world, bob).await.iter().map(|event| event.line.kind).collect();
    assert_eq!(kinds[kinds.len() - 2..], [Kind::MemberAdd, Kind::MemberRemove]);
}

#[tokio::test]
async fn whoever_leaves_the_platform_leaves_their_teams_but_not_those_who_are_in_them() {
    let world = World::default();
    let (alice, bob) = (world.person("alice@example.org").await, world.person("bob@example.org").await);
    let (a, b) = (alice.caller(&world).await, bob.caller(&world).await);
    let team = crew(&world, &a).await.team.id;
    world.teams.add_member(&a, team, b.account, Role::Admin).await.unwrap();
    let owns = world.auth.delete_account(&a, &alice.email).await;
    assert!(matches!(owns, Err(AuthError::OwnsTeams { teams: 1 })));
    assert_eq!(world.auth.me(&a).await.unwrap().id, a.account);
    // A member goes; the owner is told, in the log, before it is answered.
    world.auth.delete_account(&b, &bob.email).await.unwrap();
    assert_eq!(members(&world, &a, team).await.len(), 1);
    let told = trail(&world, a.account).await;
    let size = world.store.peek_log(Trail::Account(a.account), |stored| stored.state.size as usize);
    assert_eq!(size, Some(told.len()));
    let told = &told.last().unwrap().line;
    assert_eq!((told.kind, told.actor), (Kind::MemberRemove, b.account));
    assert_eq!(told.environment, Some(model::subject(team)));
    // Nobody else is in it now.
    world.auth.delete_account(&a, &alice.email).await.unwrap();
}

#[tokio::test]
async fn a_person_is_found_by_exactly_their_address() {
    let world = World::default();
    let alice = caller(&world, "alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let found = world.auth.find(&alice, &"Bob@Example.org".parse().unwrap()).await.unwrap();
    assert_eq!(found.id, bob.account);
    for other in ["bo@example.org", "bob@example.or", "nobody@example.org"] {
        let unknown = world.auth.find(&alice, &other.parse().unwrap()).await;
        assert!(matches!(unknown, Err(AuthError::UserUnknown)), "{other}");
    }
}
