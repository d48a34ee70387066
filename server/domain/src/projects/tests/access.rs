//! Shares, access lists and what follows from them: every refusal, and that what is taken is gone at once.

use veilcore::id::{AccountId, ProjectId, TeamId};
use veilsign::capability::{Actions, Grant, Resource};
use veilvault::access::{AccessEntry, AccessList, GRANTABLE, Principal, SHARE};

use super::{name, refused};
use crate::{
    audit::model::{Kind, Trail},
    page::PageArgs,
    projects::{ProjectAccess, access::SHAREABLE, error::ProjectsError},
    teams::model::subject,
    testkit::{Person, World},
};

const READ: Actions = Actions::PROJECT_READ;
const WRITE: Actions = Actions::PROJECT_WRITE;
const GIVE: Actions = Actions::PROJECT_SHARE;

fn set(of: &[Actions]) -> Actions {
    of.iter().fold(Actions::NONE, |all, one| all | *one)
}

/// Alice's project `app`, and her team with bob in it. Mallory is nobody's.
struct Scene {
    world: World,
    alice: Person,
    bob: Person,
    mallory: Person,
    app: ProjectAccess,
    team: TeamId,
}

async fn scene() -> Scene {
    let world = World::default();
    let alice = world.person("alice@example.org").await;
    let bob = world.person("bob@example.org").await;
    let mallory = world.person("mallory@example.org").await;
    let app = world.project(&alice.caller(&world).await, "app").await;
    let team = world.team(&alice, "ops", &[&bob]).await;
    Scene { world, alice, bob, mallory, app, team }
}

impl Scene {
    /// Shares with the team and lists bob.
    async fn shared(actions: Actions) -> Self {
        let scene = scene().await;
        let entry = scene.bob.entry(scene.team, actions);
        let shared = scene.world.share(&scene.alice, &scene.app, scene.team, actions, &[entry]).await;
        assert_eq!(shared.unwrap(), 1);
        scene
    }

    async fn access(&self, who: &Person, actions: Actions) -> Result<ProjectAccess, ProjectsError> {
        let caller = who.caller(&self.world).await;
        self.world.projects.authorize(&caller, self.app.project(), actions).await
    }

    async fn can(&self, who: &Person, actions: Actions) -> bool {
        match self.access(who, actions).await {
            Ok(access) => access.held().contains(actions),
            Err(ProjectsError::Denied) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn put(&self, entries: &[AccessEntry]) -> Result<u64, ProjectsError> {
        self.world.put_list(&self.alice, &self.app, entries).await
    }

    async fn floor(&self) -> u64 {
        self.world.access_state(self.app.project()).await.floor
    }
}

fn check<T: std::fmt::Debug>(result: Result<T, ProjectsError>) -> String {
    match result {
        Err(ProjectsError::AccessList { check }) => check,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bits_of_a_list_are_the_bits_of_capabilities() {
    assert_eq!(SHARE, Actions::PROJECT_SHARE.bits());
    let all = set(&[READ, WRITE, Actions::PROJECT_DELETE, GIVE, Actions::AUDIT_READ]);
    assert_eq!((GRANTABLE, SHAREABLE), (all.bits(), all));
}

#[tokio::test]
async fn a_share_gives_what_list_share_and_membership_give_together() {
    let scene = Scene::shared(READ).await;
    assert!(scene.can(&scene.bob, READ).await);
    for more in [WRITE, GIVE, Actions::PROJECT_DELETE, Actions::AUDIT_READ, Actions::ALL] {
        assert!(!scene.can(&scene.bob, more).await, "{more}");
    }
    assert!(!scene.can(&scene.mallory, READ).await);
    let access = scene.access(&scene.bob, READ).await.unwrap();
    assert_eq!(
        (access.owner(), access.actor(), access.held()),
        (scene.alice.account, scene.bob.account, READ)
    );
    assert_eq!(scene.world.projects.get(&access).await.unwrap().name, name("app"));
    // A member who is not listed has nothing; listing is not enough without membership either.
    scene.world.join(&scene.alice, scene.team, scene.mallory.account).await;
    assert!(!scene.can(&scene.mallory, READ).await);
    let entries = [scene.bob.entry(scene.team, READ), scene.mallory.entry(scene.team, READ)];
    scene.put(&entries).await.unwrap();
    assert!(scene.can(&scene.mallory, READ).await);
}

#[tokio::test]
async fn what_is_shared_is_listed_for_whom_it_is_shared_with() {
    let scene = Scene::shared(set(&[READ, WRITE])).await;
    let web = scene.world.project(&scene.alice.caller(&scene.world).await, "web").await;
    let entry = scene.bob.entry(scene.team, WRITE);
    scene.world.share(&scene.alice, &web, scene.team, WRITE, &[entry]).await.unwrap();
    let list = async |who: &Person, only: Option<&str>| {
        let (caller, only) = (who.caller(&scene.world).await, only.map(name));
        let page = scene.world.projects.list_shared(&caller, only.as_ref(), PageArgs::new(None, 0)).await;
        page.unwrap().items.into_iter().map(|(p, held)| (p.id, held)).collect::<Vec<_>>()
    };
    // Who may not read a project does not see it in lists.
    assert_eq!(list(&scene.bob, None).await, [(scene.app.project(), set(&[READ, WRITE]))]);
    assert_eq!(list(&scene.bob, Some("app")).await.len(), 1);
    for (who, only) in [(&scene.bob, Some("web")), (&scene.alice, None), (&scene.mallory, None)] {
        assert_eq!(list(who, only).await, []);
    }
    let caller = scene.bob.caller(&scene.world).await;
    let own = scene.world.projects.list(&caller, None, PageArgs::new(None, 0)).await.unwrap();
    assert_eq!(own.items, []);
    let shares = scene.world.projects.shares(&scene.app, PageArgs::new(None, 0)).await.unwrap().items;
    assert_eq!(shares.len(), 1);
    assert_eq!((shares[0].team, shares[0].by), (scene.team, scene.alice.account));
}

#[tokio::test]
async fn a_list_that_does_not_follow_the_newest_is_stale() {
    let scene = Scene::shared(READ).await;
    let project = scene.app.project();
    let first = scene.world.access_state(project).await;
    let entry = scene.bob.entry(scene.team, READ);
    let good = scene.alice.next_list(project, &first, &[entry]);
    let draft = AccessList::peek(&good).unwrap();
    let wrong = [
        AccessList { number: 1, parent: [0; 32], ..draft.clone() },
        AccessList { number: 3, ..draft.clone() },
        AccessList { parent: [9; 32], ..draft.clone() },
    ];
    for list in wrong {
        let stale = scene.world.projects.put_access_list(&scene.app, scene.alice.sign_list(&list)).await;
        assert!(matches!(stale, Err(ProjectsError::AccessListStale { current: 1 })), "{list:?} {stale:?}");
    }
    assert_eq!(scene.world.projects.put_access_list(&scene.app, good.clone()).await.unwrap(), 2);
    let again = scene.world.projects.put_access_list(&scene.app, good).await;
    assert!(matches!(again, Err(ProjectsError::AccessListStale { current: 2 })));
}

#[tokio::test]
async fn a_list_by_somebody_else_or_of_another_project_is_refused() {
    let scene = Scene::shared(set(&[READ, GIVE])).await;
    let project = scene.app.project();
    let state = scene.world.access_state(project).await;
    let put = |list| scene.world.projects.put_access_list(&scene.app, list);
    // Bob may share, and his list would hold if he sent it; alice does not pass it off as hers.
    let by_bob = scene.bob.next_list(project, &state, &[]);
    assert_eq!(check(put(by_bob.clone()).await), "signature");
    let draft = AccessList::peek(&by_bob).unwrap();
    let forged =
        AccessList { author: scene.alice.account, author_key: scene.alice.identity.key_id(), ..draft };
    let mut forged = scene.alice.sign_list(&forged);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(check(put(forged).await), "signature");
    let elsewhere = scene.alice.next_list(ProjectId::from_bytes([7; 16]), &state, &[]);
    assert_eq!(check(put(elsewhere).await), "project");
    assert_eq!(check(put(b"not a list".to_vec()).await), "format");
    assert_eq!(scene.world.access_state(project).await, state);
    let bobs = scene.access(&scene.bob, GIVE).await.unwrap();
    assert_eq!(scene.world.projects.put_access_list(&bobs, by_bob).await.unwrap(), 2);
}

#[tokio::test]
async fn an_entry_names_only_members_of_shared_teams_with_their_own_keys() {
    let scene = Scene::shared(READ).await;
    let bob = scene.bob.entry(scene.team, READ);
    let other = scene.world.team(&scene.alice, "other", &[&scene.bob]).await;
    let foreign = scene.world.team(&scene.mallory, "foreign", &[&scene.bob]).await;
    let unknown = Principal::Account(AccountId::from_bytes([9; 16]));
    for (entry, expected) in [
        (AccessEntry { principal: unknown, ..bob.clone() }, "entry_account"),
        (AccessEntry { key: [9; 32], ..bob.clone() }, "entry_key"),
        (AccessEntry { key: scene.alice.entry(scene.team, READ).key, ..bob.clone() }, "entry_key"),
        (scene.mallory.entry(scene.team, READ), "entry_member"),
        (scene.bob.entry(other, READ), "entry_team"),
        (scene.bob.entry(foreign, READ), "entry_team"),
        (scene.bob.entry(TeamId::from_bytes([9; 16]), READ), "entry_team"),
        (scene.bob.entry(scene.team, set(&[READ, WRITE])), "entry_actions"),
    ] {
        assert_eq!(check(scene.put(std::slice::from_ref(&entry)).await), expected, "{entry:?}");
    }
    assert_eq!(scene.world.access_state(scene.app.project()).await.number, 1);
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_hold() {
    let scene = Scene::shared(set(&[READ, GIVE])).await;
    scene.world.join(&scene.alice, scene.team, scene.mallory.account).await;
    let bobs = scene.access(&scene.bob, GIVE).await.unwrap();
    let all = set(&[READ, WRITE, GIVE]);
    let own = scene.bob.entry(scene.team, set(&[READ, GIVE]));
    // More for the team than bob holds himself.
    let more = scene.world.share(&scene.bob, &bobs, scene.team, all, std::slice::from_ref(&own)).await;
    assert!(matches!(more, Err(ProjectsError::Denied)), "{more:?}");
    // The owner opens the share wider; bob still cannot list anybody with it.
    scene.world.share(&scene.alice, &scene.app, scene.team, all, std::slice::from_ref(&own)).await.unwrap();
    for entry in [scene.mallory.entry(scene.team, WRITE), scene.bob.entry(scene.team, all)] {
        let entries = if entry.principal == own.principal { vec![entry] } else { vec![own.clone(), entry] };
        assert_eq!(check(scene.world.put_list(&scene.bob, &bobs, &entries).await), "exceeds");
    }
    let entries = [own, scene.mallory.entry(scene.team, READ)];
    scene.world.put_list(&scene.bob, &bobs, &entries).await.unwrap();
    assert!(scene.can(&scene.mallory, READ).await);
    // A capability narrowed to sharing gives nothing away that it does not reach.
    let place = Resource::project(scene.app.project());
    let narrow = scene.alice.narrowed_caller(&scene.world, vec![Grant::new(place, GIVE)]).await;
    let narrow = scene.world.projects.authorize(&narrow, scene.app.project(), GIVE).await.unwrap();
    let team = scene.world.team(&scene.alice, "new", &[]).await;
    let denied = scene.world.share(&scene.alice, &narrow, team, READ, &entries).await;
    assert!(matches!(denied, Err(ProjectsError::Denied)));
}

#[tokio::test]
async fn a_project_is_shared_only_with_a_team_one_is_in() {
    let scene = scene().await;
    let foreign = scene.world.team(&scene.mallory, "foreign", &[]).await;
    let share = |team| scene.world.share(&scene.alice, &scene.app, team, READ, &[]);
    let absent = refused(share(TeamId::from_bytes([9; 16])).await);
    assert_eq!(refused(share(foreign).await), absent);
    assert_eq!(absent, ProjectsError::Denied.to_string());
    for actions in [Actions::NONE, Actions::TEAM_MANAGE, Actions::ALL, READ | Actions::ACCOUNT_MANAGE] {
        let odd = scene.world.share(&scene.alice, &scene.app, scene.team, actions, &[]).await;
        assert!(matches!(odd, Err(ProjectsError::Permissions)), "{actions}");
    }
    let never = scene.world.unshare(&scene.alice, &scene.app, scene.team, &[]).await;
    assert!(matches!(never, Err(ProjectsError::ShareUnknown)));
    assert_eq!(scene.world.access_state(scene.app.project()).await.number, 0);
}

#[tokio::test]
async fn whoever_may_not_share_changes_no_list() {
    let scene = Scene::shared(set(&[READ, WRITE])).await;
    assert!(matches!(scene.access(&scene.bob, GIVE).await, Err(ProjectsError::Denied)));
    let reads = scene.access(&scene.bob, READ).await.unwrap();
    let put = scene.world.put_list(&scene.bob, &reads, &[]).await;
    let ended = scene.world.unshare(&scene.bob, &reads, scene.team, &[]).await;
    let shared = scene.world.share(&scene.bob, &reads, scene.team, READ, &[]).await;
    for outcome in [put, ended, shared] {
        assert!(matches!(outcome, Err(ProjectsError::Denied)));
    }
}

#[tokio::test]
async fn a_removal_takes_effect_at_once() {
    // From the team, before anybody signs.
    let scene = Scene::shared(READ).await;
    scene.world.leave(&scene.alice, scene.team, scene.bob.account).await;
    assert!(!scene.can(&scene.bob, READ).await);
    scene.world.join(&scene.alice, scene.team, scene.bob.account).await;
    assert!(scene.can(&scene.bob, READ).await);
    // By the team's deletion.
    scene.world.teams.delete(&scene.alice.caller(&scene.world).await, scene.team).await.unwrap();
    assert!(!scene.can(&scene.bob, READ).await);
    assert_eq!(scene.world.projects.shares(&scene.app, PageArgs::new(None, 0)).await.unwrap().items, []);
    // By the end of the share.
    let scene = Scene::shared(READ).await;
    assert_eq!(
        check(
            scene
                .world
                .unshare(&scene.alice, &scene.app, scene.team, &[scene.bob.entry(scene.team, READ)])
                .await
        ),
        "entry_team"
    );
    scene.world.unshare(&scene.alice, &scene.app, scene.team, &[]).await.unwrap();
    assert!(!scene.can(&scene.bob, READ).await);
    // By a list, and by a narrower share.
    let scene = Scene::shared(set(&[READ, WRITE])).await;
    scene
        .world
        .share(&scene.alice, &scene.app, scene.team, READ, &[scene.bob.entry(scene.team, READ)])
        .await
        .unwrap();
    assert!(scene.can(&scene.bob, READ).await && !scene.can(&scene.bob, WRITE).await);
    scene.put(&[]).await.unwrap();
    assert!(!scene.can(&scene.bob, READ).await);
}

#[tokio::test]
async fn only_what_takes_something_away_raises_the_floor() {
    let scene = Scene::shared(set(&[READ, WRITE])).await;
    let full = scene.bob.entry(scene.team, set(&[READ, WRITE]));
    scene.put(std::slice::from_ref(&full)).await.unwrap();
    scene.world.join(&scene.alice, scene.team, scene.mallory.account).await;
    let both = [full, scene.mallory.entry(scene.team, READ)];
    scene.put(&both).await.unwrap();
    assert_eq!(scene.floor().await, 0);
    // The same through another team is nothing taken.
    let other = scene.world.team(&scene.alice, "other", &[&scene.bob]).await;
    let moved = [scene.bob.entry(other, set(&[READ, WRITE])), both[1].clone()];
    scene.world.share(&scene.alice, &scene.app, other, set(&[READ, WRITE]), &moved).await.unwrap();
    assert_eq!(scene.floor().await, 0);
    // An action, then a person.
    let less = [scene.bob.entry(other, READ), both[1].clone()];
    assert_eq!(scene.put(&less).await.unwrap(), 5);
    assert_eq!(scene.floor().await, 5);
    scene.put(&less).await.unwrap();
    assert_eq!(scene.floor().await, 5);
    assert_eq!(scene.put(&less[..1]).await.unwrap(), 7);
    assert_eq!(scene.floor().await, 7);
}

#[tokio::test]
async fn lists_are_given_by_number() {
    let scene = Scene::shared(READ).await;
    let first = scene.world.access_state(scene.app.project()).await.list;
    scene.put(&[]).await.unwrap();
    let get = |number| scene.world.projects.access_list(&scene.app, number);
    let (state, newest) = get(0).await.unwrap();
    assert_eq!((state.number, &newest), (2, &state.list));
    assert_eq!(get(2).await.unwrap().1, newest);
    assert_eq!(get(1).await.unwrap().1, first);
    for number in [3, u64::MAX] {
        let unknown = get(number).await;
        assert!(matches!(unknown, Err(ProjectsError::AccessListUnknown { current: 2, .. })), "{number}");
    }
    let web = scene.world.project(&scene.alice.caller(&scene.world).await, "web").await;
    let (state, list) = scene.world.projects.access_list(&web, 0).await.unwrap();
    assert_eq!((state.number, state.owner, list.len()), (0, scene.alice.account, 0));
    // A capability for one environment reads them, too.
    let place = Resource::environment(scene.app.project(), "production").unwrap();
    let narrow = scene.alice.narrowed_caller(&scene.world, vec![Grant::new(place, READ)]).await;
    let narrow = scene.world.projects.authorize(&narrow, scene.app.project(), READ).await.unwrap();
    scene.world.projects.access_list(&narrow, 0).await.unwrap();
}

#[tokio::test]
async fn every_change_of_access_is_in_the_trail() {
    let scene = Scene::shared(READ).await;
    scene.put(&[]).await.unwrap();
    scene.world.unshare(&scene.alice, &scene.app, scene.team, &[]).await.unwrap();
    let events = scene.world.trail(Trail::Project(scene.app.project())).await;
    let kinds: Vec<_> = events.iter().map(|event| event.line.kind).collect();
    let expected = [
        Kind::ProjectCreate,
        Kind::Share,
        Kind::AccessList,
        Kind::AccessList,
        Kind::Unshare,
        Kind::AccessList,
    ];
    assert_eq!(kinds, expected);
    let share = &events[1].line;
    assert_eq!((share.environment, share.version), (Some(subject(scene.team)), READ.bits()));
    let state = scene.world.access_state(scene.app.project()).await;
    assert_eq!((events[5].line.version, events[5].line.digest), (3, Some(AccessList::digest(&state.list))));
    assert!(events.iter().all(|event| event.line.actor == scene.alice.account));
}

#[tokio::test]
async fn a_change_that_cannot_be_stored_changes_nothing() {
    let scene = Scene::shared(READ).await;
    scene.world.store.fail_next("change_access");
    assert!(matches!(scene.put(&[]).await, Err(ProjectsError::Store(_))));
    assert_eq!(scene.world.access_state(scene.app.project()).await.number, 1);
    assert!(scene.can(&scene.bob, READ).await);
}

#[tokio::test]
async fn what_an_ended_membership_gave_is_not_given_on() {
    let wide = set(&[READ, WRITE, GIVE]);
    let scene = Scene::shared(wide).await;
    let other = scene.world.team(&scene.alice, "other", &[&scene.bob]).await;
    scene.world.join(&scene.alice, scene.team, scene.mallory.account).await;
    let mut both = [scene.bob.entry(scene.team, wide), scene.bob.entry(other, set(&[READ, GIVE]))];
    both.sort_by_key(|entry| entry.team);
    scene.world.share(&scene.alice, &scene.app, other, set(&[READ, GIVE]), &both).await.unwrap();
    scene.world.leave(&scene.alice, scene.team, scene.bob.account).await;
    // The list still names bob with what the first team gave; he holds only what the other one gives.
    let access = scene.access(&scene.bob, GIVE).await.unwrap();
    let rest = scene.bob.entry(other, set(&[READ, GIVE]));
    let put = async |actions| {
        let entries = [rest.clone(), scene.mallory.entry(scene.team, actions)];
        scene.world.put_list(&scene.bob, &access, &entries).await
    };
    let refused = put(WRITE).await;
    assert!(matches!(refused, Err(ProjectsError::Denied)), "{refused:?}");
    assert!(!scene.can(&scene.mallory, WRITE).await);
    put(READ).await.unwrap();
    assert!(scene.can(&scene.mallory, READ).await);
}

#[tokio::test]
async fn a_list_gives_nothing_that_the_capability_of_its_author_does_not_allow() {
    let scene = Scene::shared(set(&[READ, WRITE])).await;
    let place = Resource::project(scene.app.project());
    let narrow = scene.alice.narrowed_caller(&scene.world, vec![Grant::new(place, set(&[READ, GIVE]))]).await;
    let narrow = scene.world.projects.authorize(&narrow, scene.app.project(), GIVE).await.unwrap();
    scene.world.join(&scene.alice, scene.team, scene.mallory.account).await;
    let bob = scene.bob.entry(scene.team, set(&[READ, WRITE]));
    let put = async |actions| {
        let entries = [bob.clone(), scene.mallory.entry(scene.team, actions)];
        scene.world.put_list(&scene.alice, &narrow, &entries).await
    };
    let refused = put(WRITE).await;
    assert!(matches!(refused, Err(ProjectsError::Denied)), "{refused:?}");
    put(READ).await.unwrap();
}

#[tokio::test]
async fn only_the_owner_renames() {
    let scene = Scene::shared(set(&[READ, WRITE])).await;
    let access = scene.access(&scene.bob, set(&[READ, WRITE])).await.unwrap();
    let refused = scene.world.projects.rename(&access, name("api")).await;
    assert!(matches!(refused, Err(ProjectsError::Denied)), "{refused:?}");
    assert_eq!(scene.world.projects.get(&access).await.unwrap().name, name("app"));
}
