//! Shares, access lists and the rights that follow from them.

use tokio::task::JoinSet;
use veilcore::{
    hash::sha256,
    id::{AccountId, ProjectId, TeamId},
};
use veilsign::capability::Actions;
use veilvault::access::{AccessEntry, Principal};

use super::sample::*;
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::model::{Account, Deletion},
    page::PageArgs,
    projects::{
        access::{
            AccessChange, AccessRefusal, AccessState, EntryFault, Rights, SHAREABLE, SHARES_MAX, Share,
            ShareChange,
        },
        model::Project,
        port::Written,
    },
    teams::{
        model::{MEMBERS_MAX, Role, Seat, TEAMS_MAX, Team},
        port::{By, Changed},
    },
    testkit::Ports,
};

pub(super) const READ: Actions = Actions::PROJECT_READ;
pub(super) const WRITE: Actions = Actions::PROJECT_WRITE;

/// Alice with a project and a team that bob is in.
pub(super) struct Scene {
    pub ports: Ports,
    pub alice: Account,
    pub bob: Account,
    pub app: Project,
    pub team: TeamId,
}

pub(super) async fn scene(ports: Ports) -> Scene {
    let (alice, app, _) = place(&ports).await;
    let bob = new_account(&ports, "bob@example.org").await;
    let team = new_team(&ports, alice.id, "ops").await;
    join(&ports, alice.id, team, bob.id).await;
    Scene { ports, alice, bob, app, team }
}

async fn new_team(ports: &Ports, owner: AccountId, text: &str) -> TeamId {
    let id = TeamId::from_bytes(bytes16());
    let team = Team { id, name: name(text), owner, threshold: 0, created_at_ms: NOW_MS, member_count: 1 };
    let line = line(Trail::Account(owner), Kind::TeamCreate);
    let created = ports.roster.create_team(team, TEAMS_MAX, line).await;
    assert_eq!(created.expect("the store works"), Changed::Done);
    id
}

async fn join(ports: &Ports, owner: AccountId, team: TeamId, account: AccountId) {
    let seat = Seat { account, role: Role::Member, added_at_ms: NOW_MS };
    let by = By { account: owner, least: Role::Admin };
    let lines = vec![line(Trail::Account(owner), Kind::MemberAdd)];
    let added = ports.roster.add_member(team, by, seat, MEMBERS_MAX, lines).await;
    assert_eq!(added.expect("the store works"), Changed::Done);
}

pub(super) async fn leave(ports: &Ports, owner: AccountId, team: TeamId, account: AccountId) {
    let by = By { account: owner, least: Role::Admin };
    let lines = vec![line(Trail::Account(owner), Kind::MemberRemove)];
    let removed = ports.roster.remove_member(team, by, account, lines).await;
    assert_eq!(removed.expect("the store works"), Changed::Done);
}

pub(super) fn entry(account: &Account, team: TeamId, actions: Actions) -> AccessEntry {
    AccessEntry {
        principal: Principal::Account(account.id),
        key: sha256(&account.bundle),
        actions: actions.bits(),
        team: Some(team),
        environments: Vec::new(),
    }
}

impl Scene {
    pub(super) fn share_of(&self, team: TeamId, actions: Actions) -> ShareChange {
        ShareChange::Set(Share { team, actions, by: self.alice.id, at_ms: NOW_MS })
    }

    pub(super) fn change(&self, number: u64, share: ShareChange, entries: &[AccessEntry]) -> AccessChange {
        AccessChange {
            project: self.app.id,
            author: self.alice.id,
            number,
            list: bytes32().to_vec(),
            entries: entries.to_vec(),
            share,
            gives: Actions::NONE,
            takes: false,
            at_ms: NOW_MS,
        }
    }

    fn lines(&self) -> Vec<Line> {
        vec![line(Trail::Project(self.app.id), Kind::AccessList)]
    }

    pub(super) async fn make(&self, change: &AccessChange) -> Result<(), AccessRefusal> {
        self.make_as(change, self.alice.id).await
    }

    /// Makes a change whose lines name this actor.
    pub(super) async fn make_as(&self, change: &AccessChange, actor: AccountId) -> Result<(), AccessRefusal> {
        let lines = self.lines().into_iter().map(|line| Line { actor, ..line }).collect();
        let changed = self.ports.grants.change_access(change.clone(), lines).await;
        changed.expect("the store works")
    }

    /// Shares with the team and lists bob.
    pub(super) async fn shared(&self, actions: Actions) {
        let entries = [entry(&self.bob, self.team, actions)];
        let change = self.change(1, self.share_of(self.team, actions), &entries);
        assert_eq!(self.make(&change).await, Ok(()));
    }

    async fn rights(&self, account: AccountId) -> Option<Rights> {
        self.ports.grants.rights(self.app.id, account).await.expect("the store works")
    }

    async fn held(&self, account: AccountId) -> Actions {
        let rights = self.rights(account).await;
        rights.map_or(Actions::NONE, |rights| rights.actions)
    }

    pub(super) async fn state(&self) -> Option<AccessState> {
        self.ports.grants.access(self.app.id).await.expect("the store works")
    }

    async fn shares(&self) -> Vec<Share> {
        let page = PageArgs { after: None, size: 100 };
        self.ports.grants.shares(self.app.id, page).await.expect("the store works").items
    }
}

pub async fn an_owner_may_do_everything_and_nobody_else_anything(ports: Ports) {
    let scene = scene(ports).await;
    let owner = scene.alice.id;
    for _ in 0..2 {
        assert_eq!(scene.rights(owner).await, Some(Rights { owner, actions: Actions::ALL }));
        assert_eq!(scene.rights(scene.bob.id).await, None);
    }
    let absent = scene.ports.grants.rights(ProjectId::from_bytes(bytes16()), owner).await;
    assert_eq!(absent.expect("the store works"), None);
    let state = AccessState { owner, number: 0, list: Vec::new(), floor: 0 };
    assert_eq!(scene.state().await, Some(state));
    let absent = scene.ports.grants.access(ProjectId::from_bytes(bytes16())).await;
    assert_eq!(absent.expect("the store works"), None);
}

pub async fn rights_are_what_list_share_and_membership_give_together(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ | WRITE).await;
    assert_eq!(scene.held(scene.bob.id).await, READ | WRITE);
    // Through a second team a bit more, together with the first.
    let other = new_team(&scene.ports, scene.alice.id, "other").await;
    join(&scene.ports, scene.alice.id, other, scene.bob.id).await;
    let entries = [entry(&scene.bob, scene.team, READ), entry(&scene.bob, other, Actions::AUDIT_READ)];
    let change = scene.change(2, scene.share_of(other, SHAREABLE), &entries);
    assert_eq!(scene.make(&change).await, Ok(()));
    assert_eq!(scene.held(scene.bob.id).await, READ | Actions::AUDIT_READ);
    leave(&scene.ports, scene.alice.id, scene.team, scene.bob.id).await;
    assert_eq!(scene.held(scene.bob.id).await, Actions::AUDIT_READ);
    leave(&scene.ports, scene.alice.id, other, scene.bob.id).await;
    assert_eq!(scene.rights(scene.bob.id).await, None);
    join(&scene.ports, scene.alice.id, scene.team, scene.bob.id).await;
    assert_eq!(scene.held(scene.bob.id).await, READ);
}

pub async fn what_is_taken_is_gone_at_once(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ | WRITE).await;
    assert_eq!(scene.held(scene.bob.id).await, READ | WRITE);
    let narrower = scene.change(2, scene.share_of(scene.team, READ), &[entry(&scene.bob, scene.team, READ)]);
    assert_eq!(scene.make(&narrower).await, Ok(()));
    assert_eq!(scene.held(scene.bob.id).await, READ);
    assert_eq!(scene.make(&scene.change(3, ShareChange::Keep, &[])).await, Ok(()));
    assert_eq!(scene.rights(scene.bob.id).await, None);
    let again = scene.change(4, ShareChange::Keep, &[entry(&scene.bob, scene.team, READ)]);
    assert_eq!(scene.make(&again).await, Ok(()));
    assert_eq!(scene.held(scene.bob.id).await, READ);
    assert_eq!(scene.make(&scene.change(5, ShareChange::End(scene.team), &[])).await, Ok(()));
    assert_eq!((scene.rights(scene.bob.id).await, scene.shares().await), (None, Vec::new()));
}

pub async fn a_share_goes_with_its_team_and_its_project(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ).await;
    assert_eq!(scene.shares().await.len(), 1);
    let by = By { account: scene.alice.id, least: Role::Owner };
    let end = line(Trail::Account(scene.alice.id), Kind::TeamDelete);
    let told = scene.ports.roster.delete_team(scene.team, by, end).await.expect("the store works");
    assert_eq!(told, Some(vec![scene.bob.id]));
    assert_eq!((scene.rights(scene.bob.id).await, scene.shares().await), (None, Vec::new()));
    let delete = line(Trail::Project(scene.app.id), Kind::ProjectDelete);
    assert!(scene.ports.catalog.delete_project(scene.app.id, delete).await.expect("the store works"));
    assert_eq!((scene.rights(scene.alice.id).await, scene.state().await), (None, None));
    let list = scene.ports.grants.access_list(scene.app.id, 1).await.expect("the store works");
    assert_eq!(list, None);
}

pub async fn an_account_that_is_gone_has_no_rights(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ).await;
    assert_eq!(scene.held(scene.bob.id).await, READ);
    let end = line(Trail::Account(scene.bob.id), Kind::AccountDelete);
    let deleted = scene.ports.directory.delete_account(scene.bob.id, vec![end]).await;
    assert!(matches!(deleted.expect("the store works"), Deletion::Done { .. }));
    assert_eq!(scene.rights(scene.bob.id).await, None);
    // And no list names them any more.
    let named = scene.change(2, ShareChange::Keep, &[entry(&scene.bob, scene.team, READ)]);
    assert_eq!(scene.make(&named).await, Err(AccessRefusal::Entry(EntryFault::Account)));
}

pub async fn only_the_next_list_is_put_in_force(ports: Ports) {
    let scene = scene(ports).await;
    let first = scene.change(1, ShareChange::Keep, &[]);
    assert_eq!(scene.make(&first).await, Ok(()));
    for wrong in [0, 1, 3, u64::MAX] {
        let stale = scene.make(&scene.change(wrong, ShareChange::Keep, &[])).await;
        assert_eq!(stale, Err(AccessRefusal::Stale(1)), "{wrong}");
    }
    let second = AccessChange { takes: true, ..scene.change(2, ShareChange::Keep, &[]) };
    assert_eq!(scene.make(&second).await, Ok(()));
    let third = scene.change(3, ShareChange::Keep, &[]);
    assert_eq!(scene.make(&third).await, Ok(()));
    let state = AccessState { owner: scene.alice.id, number: 3, list: third.list.clone(), floor: 2 };
    assert_eq!(scene.state().await, Some(state));
    for change in [first, second, third] {
        let found = scene.ports.grants.access_list(scene.app.id, change.number).await;
        assert_eq!(found.expect("the store works"), Some(change.list), "{}", change.number);
    }
    for absent in [0, 4, u64::MAX] {
        let found = scene.ports.grants.access_list(scene.app.id, absent).await;
        assert_eq!(found.expect("the store works"), None, "{absent}");
    }
    let logged = kinds(&scene.ports, Trail::Project(scene.app.id)).await;
    assert_eq!(logged.iter().filter(|kind| **kind == Kind::AccessList).count(), 3);
}

pub async fn a_change_that_is_refused_changes_nothing(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ).await;
    let mallory = new_account(&scene.ports, "mallory@example.org").await;
    let foreign = new_team(&scene.ports, mallory.id, "foreign").await;
    let bob = entry(&scene.bob, scene.team, READ);
    let (before, shares) = (scene.state().await, scene.shares().await);
    let keep = |entry| scene.change(2, ShareChange::Keep, &[entry]);
    let by =
        |author| AccessChange { author, ..scene.change(2, ShareChange::Keep, std::slice::from_ref(&bob)) };
    for (change, expected) in [
        (by(scene.bob.id), AccessRefusal::Denied),
        (by(mallory.id), AccessRefusal::Denied),
        (scene.change(2, scene.share_of(foreign, READ), std::slice::from_ref(&bob)), AccessRefusal::Denied),
        (scene.change(2, ShareChange::End(foreign), std::slice::from_ref(&bob)), AccessRefusal::NotShared),
        (keep(AccessEntry { key: bytes32(), ..bob.clone() }), AccessRefusal::Entry(EntryFault::Key)),
        (keep(entry(&mallory, scene.team, READ)), AccessRefusal::Entry(EntryFault::Member)),
        (keep(entry(&scene.bob, foreign, READ)), AccessRefusal::Entry(EntryFault::Team)),
        (keep(AccessEntry { team: None, ..bob.clone() }), AccessRefusal::Entry(EntryFault::Team)),
        (keep(entry(&scene.bob, scene.team, WRITE)), AccessRefusal::Entry(EntryFault::Actions)),
        (
            scene.change(2, ShareChange::End(scene.team), std::slice::from_ref(&bob)),
            AccessRefusal::Entry(EntryFault::Team),
        ),
    ] {
        assert_eq!(scene.make(&change).await, Err(expected), "{change:?}");
    }
    let gone = AccessChange { project: ProjectId::from_bytes(bytes16()), ..by(scene.alice.id) };
    assert_eq!(scene.make(&gone).await, Err(AccessRefusal::Denied));
    assert_eq!((scene.state().await, scene.shares().await), (before, shares));
    assert_eq!(scene.held(scene.bob.id).await, READ);
    let logged = kinds(&scene.ports, Trail::Project(scene.app.id)).await;
    assert_eq!(logged.iter().filter(|kind| **kind == Kind::AccessList).count(), 1);
}

pub async fn shares_are_paged_and_limited(ports: Ports) {
    let scene = scene(ports).await;
    let mut teams = Vec::new();
    for number in 0..SHARES_MAX {
        let team = new_team(&scene.ports, scene.alice.id, &format!("t{number}")).await;
        let change = scene.change(u64::from(number) + 1, scene.share_of(team, READ), &[]);
        assert_eq!(scene.make(&change).await, Ok(()));
        teams.push(team);
    }
    let next = u64::from(SHARES_MAX) + 1;
    let more = scene.change(next, scene.share_of(scene.team, READ), &[]);
    assert_eq!(scene.make(&more).await, Err(AccessRefusal::Limit));
    // One that there is can be changed.
    let wider = scene.change(next, scene.share_of(teams[5], READ | WRITE), &[]);
    assert_eq!(scene.make(&wider).await, Ok(()));
    let grants = &scene.ports.grants;
    let found = grants.share(scene.app.id, teams[5]).await.expect("the store works");
    assert_eq!(found.map(|share| share.actions), Some(READ | WRITE));
    assert_eq!(grants.share(scene.app.id, scene.team).await.expect("the store works"), None);
    teams.sort();
    for size in [1, 7, 64, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = grants.shares(scene.app.id, PageArgs { after, size }).await.expect("the store works");
            assert!(page.items.len() <= size);
            found.extend(page.items.into_iter().map(|share| share.team));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, teams, "size {size}");
    }
}

pub async fn projects_of_others_are_paged_by_id(ports: Ports) {
    let scene = scene(ports).await;
    let mut shared = Vec::new();
    for (number, given) in [READ, READ | WRITE, WRITE, READ].into_iter().enumerate() {
        let app = new_project(&scene.ports, scene.alice.id, &format!("p{number}")).await;
        let there = Scene { app: app.clone(), ports: scene.ports.clone(), ..scene_of(&scene) };
        there.shared(given).await;
        if given.contains(READ) {
            shared.push((app.id, given));
        }
    }
    shared.sort_by_key(|(id, _)| *id);
    let list = async |account, only: Option<&str>, size| {
        let (mut found, mut after) = (Vec::new(), None);
        let only = only.map(name);
        loop {
            let page = PageArgs { after, size };
            let page = scene.ports.grants.shared_with(account, only.as_ref(), page).await;
            let page = page.expect("the store works");
            found.extend(page.items.into_iter().map(|(project, held)| (project.id, held)));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    for size in 1..=4 {
        assert_eq!(list(scene.bob.id, None, size).await, shared, "size {size}");
    }
    assert_eq!(list(scene.bob.id, Some("p1"), 10).await.len(), 1);
    assert_eq!(list(scene.bob.id, Some("p2"), 10).await, []);
    assert_eq!(list(scene.alice.id, None, 10).await, []);
    leave(&scene.ports, scene.alice.id, scene.team, scene.bob.id).await;
    assert_eq!(list(scene.bob.id, None, 10).await, []);
}

fn scene_of(scene: &Scene) -> Scene {
    Scene {
        ports: scene.ports.clone(),
        alice: scene.alice.clone(),
        bob: scene.bob.clone(),
        app: scene.app.clone(),
        team: scene.team,
    }
}

pub async fn keys_are_made_for_the_newest_list(ports: Ports) {
    let scene = scene(ports).await;
    scene.shared(READ).await;
    let before = environment(scene.app.id, "staging");
    let create = async |environment, access_list| {
        let keyring = crate::projects::model::Keyring { access_list, ..keyring(1) };
        let line = line(Trail::Project(scene.app.id), Kind::EnvironmentCreate);
        scene.ports.catalog.create_environment(environment, keyring, 10, line).await.expect("the store works")
    };
    for access_list in [0, 2] {
        assert_eq!(create(before.clone(), access_list).await, Written::Stale(1));
    }
    assert_eq!(create(before.clone(), 1).await, Written::Done);
    let due = async |text| {
        let found = scene.ports.catalog.environment(scene.app.id, &name(text)).await;
        found.expect("the store works").expect("it is there").rotation_due
    };
    assert!(!due("staging").await && !due("production").await);
    let take = AccessChange { takes: true, ..scene.change(2, ShareChange::Keep, &[]) };
    assert_eq!(scene.make(&take).await, Ok(()));
    assert!(due("staging").await && due("production").await);
    let page = PageArgs { after: None, size: 10 };
    let listed = scene.ports.catalog.environments(scene.app.id, page).await.expect("the store works");
    assert!(listed.items.iter().all(|environment| environment.rotation_due));
    assert_eq!(create(environment(scene.app.id, "new"), 2).await, Written::Done);
    assert!(!due("new").await);
}

pub async fn of_many_changes_at_once_one_wins_each_number(ports: Ports) {
    races::of_access_lists(ports, WRITERS).await;
}

/// Races with as many writers as an adapter likes.
pub mod races {
    use super::*;

    /// Puts lists in force with so many writers at once.
    pub async fn of_access_lists(ports: Ports, writers: u32) {
        let scene = std::sync::Arc::new(scene(ports).await);
        let mut race = JoinSet::new();
        for task in 0..writers {
            let scene = scene.clone();
            race.spawn(async move {
                loop {
                    let number = scene.state().await.expect("it is there").number + 1;
                    let entries = [entry(&scene.bob, scene.team, READ)];
                    let entries = if task % 2 == 0 { &entries[..] } else { &[] };
                    let change = scene.change(number, scene.share_of(scene.team, READ), entries);
                    match scene.make(&change).await {
                        Ok(()) => return (number, change.list),
                        Err(refusal) => assert!(matches!(refusal, AccessRefusal::Stale(_)), "{refusal:?}"),
                    }
                }
            });
        }
        let mut won = race.join_all().await;
        won.sort();
        for (place, (number, list)) in (1..).zip(won) {
            assert_eq!(number, place);
            let kept = scene.ports.grants.access_list(scene.app.id, number).await.expect("the store works");
            assert_eq!(kept, Some(list));
        }
        let logged = kinds(&scene.ports, Trail::Project(scene.app.id)).await;
        assert_eq!(logged.iter().filter(|kind| **kind == Kind::AccessList).count(), writers as usize);
    }
}
