//! Random sequences of shares, removals, lists and rotations against a simple model of who may do what, and the same at
//! once by many tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{runtime::Builder, task::JoinSet};
use veilcore::id::TeamId;
use veilsign::capability::Actions;
use veilvault::{access::AccessList, epoch::EpochKey};

use crate::{
    projects::{ProjectAccess, error::ProjectsError, model::Environment},
    testkit::{Person, World},
};

const PEOPLE: usize = 5;
const TEAMS: usize = 3;
const PROJECTS: usize = 3;
/// What tests give: reading, writing, sharing.
const GIVEN: [Actions; 3] = [Actions::PROJECT_READ, Actions::PROJECT_WRITE, Actions::PROJECT_SHARE];

/// What somebody tries. Numbers name people, teams, projects; `bits` is a set of [`GIVEN`].
#[derive(Debug, Clone)]
enum Step {
    Share { by: usize, project: usize, team: usize, bits: u8, entries: Vec<(usize, usize, u8)> },
    Unshare { by: usize, project: usize, team: usize, entries: Vec<(usize, usize, u8)> },
    List { by: usize, project: usize, entries: Vec<(usize, usize, u8)> },
    Join { team: usize, who: usize },
    Leave { team: usize, who: usize },
    Rotate { by: usize, project: usize },
    Write { by: usize, project: usize },
}

fn given(bits: u8) -> Actions {
    (0..3).filter(|i| bits & (1 << i) != 0).fold(Actions::NONE, |all, i| all | GIVEN[i])
}

fn entries() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    let bits = prop_oneof![Just(1), Just(3), 1..8_u8];
    prop::collection::vec((0..PEOPLE, 0..TEAMS, bits), 0..3).prop_map(|entries| {
        let unique: BTreeMap<_, _> =
            entries.into_iter().map(|(who, team, bits)| ((who, team), bits)).collect();
        unique.into_iter().map(|((who, team), bits)| (who, team, bits)).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop_oneof![2 => Just(0), 3 => 0..PEOPLE];
    let (project, team) = (|| 0..PROJECTS, || 0..TEAMS);
    prop_oneof![
        5 => (who(), project(), team(), prop_oneof![2 => Just(7), 1 => 1..8_u8], entries())
            .prop_map(|(by, project, team, bits, entries)| Step::Share { by, project, team, bits, entries }),
        1 => (who(), project(), team(), entries())
            .prop_map(|(by, project, team, entries)| Step::Unshare { by, project, team, entries }),
        3 => (who(), project(), entries()).prop_map(|(by, project, entries)| Step::List { by, project, entries }),
        3 => (team(), 0..PEOPLE).prop_map(|(team, who)| Step::Join { team, who }),
        1 => (team(), 1..PEOPLE).prop_map(|(team, who)| Step::Leave { team, who }),
        2 => (who(), project()).prop_map(|(by, project)| Step::Rotate { by, project }),
        2 => (who(), project()).prop_map(|(by, project)| Step::Write { by, project }),
    ]
}

/// One project of the model.
#[derive(Debug, Clone, Default)]
struct Place {
    number: u64,
    floor: u64,
    key: u64,
    epoch: u32,
    shares: BTreeMap<usize, Actions>,
    entries: BTreeMap<(usize, usize), Actions>,
}

/// Who may do what, written as plainly as it can be. Person 0 owns every project and team.
#[derive(Debug, Clone)]
struct Model {
    places: Vec<Place>,
    members: Vec<BTreeSet<usize>>,
}

impl Model {
    fn new() -> Self {
        let place = Place { epoch: 1, ..Place::default() };
        Self { places: vec![place; PROJECTS], members: (0..TEAMS).map(first_members).collect() }
    }

    fn may(&self, who: usize, project: usize) -> Actions {
        if who == 0 {
            return Actions::ALL;
        }
        let place = &self.places[project];
        let own =
            place.entries.iter().filter(|((of, team), _)| *of == who && self.members[*team].contains(&who));
        own.fold(Actions::NONE, |all, ((_, team), actions)| {
            all | place.shares.get(team).map_or(Actions::NONE, |share| share.intersection(*actions))
        })
    }

    /// What the list gives, whoever is in which team.
    fn listed(entries: &BTreeMap<(usize, usize), Actions>, who: usize) -> Actions {
        entries.iter().filter(|((of, _), _)| *of == who).fold(Actions::NONE, |all, (_, a)| all | *a)
    }

    /// Makes the change if the rules allow it.
    fn change(
        &mut self,
        by: usize,
        project: usize,
        share: Option<(usize, Option<Actions>)>,
        entries: &[(usize, usize, u8)],
    ) -> bool {
        if !self.may(by, project).contains(Actions::PROJECT_SHARE) {
            return false;
        }
        let place = &self.places[project];
        let entries: BTreeMap<_, _> =
            entries.iter().map(|(who, team, bits)| ((*who, *team), given(*bits))).collect();
        let mut shares = place.shares.clone();
        match share {
            None => {}
            Some((team, Some(actions))) => {
                let old = shares.insert(team, actions).unwrap_or_default();
                let more = Actions::from_bits(actions.bits() & !old.bits()).unwrap();
                if !self.members[team].contains(&by) || !self.may(by, project).contains(more) {
                    return false;
                }
            }
            Some((team, None)) if shares.remove(&team).is_none() => return false,
            Some((_, None)) => {}
        }
        let held = if by == 0 { Actions::ALL } else { Self::listed(&place.entries, by) };
        for ((who, team), actions) in &entries {
            let kept = place.entries.get(&(*who, *team)).copied().unwrap_or_default();
            let fits = shares.get(team).is_some_and(|share| share.contains(*actions));
            if !fits || !self.members[*team].contains(who) || !(kept | held).contains(*actions) {
                return false;
            }
        }
        let takes =
            (0..PEOPLE).any(|who| !Self::listed(&entries, who).contains(Self::listed(&place.entries, who)));
        let place = &mut self.places[project];
        place.number += 1;
        place.floor = if takes { place.number } else { place.floor };
        (place.shares, place.entries) = (shares, entries);
        true
    }
}

/// Who is in a team at the start.
fn first_members(team: usize) -> BTreeSet<usize> {
    BTreeSet::from([0, team + 1, (team + 1) % (PEOPLE - 1) + 1])
}

/// The world that the model is compared with.
struct Real {
    world: World,
    people: Vec<Person>,
    teams: Vec<TeamId>,
    projects: Vec<ProjectAccess>,
    environments: Vec<(Environment, EpochKey)>,
}

impl Real {
    async fn new() -> Self {
        let world = World::default();
        let mut people = Vec::new();
        for who in 0..PEOPLE {
            people.push(world.person(&format!("p{who}@example.org")).await);
        }
        let (mut teams, mut projects, mut environments) = (Vec::new(), Vec::new(), Vec::new());
        for team in 0..TEAMS {
            let members: Vec<_> = first_members(team).into_iter().skip(1).map(|who| &people[who]).collect();
            teams.push(world.team(&people[0], &format!("team-{team}"), &members).await);
        }
        for project in 0..PROJECTS {
            let access = world.project(&people[0].caller(&world).await, &format!("project-{project}")).await;
            environments.push(world.environment(&people[0], &access, "production").await);
            projects.push(access);
        }
        Self { world, people, teams, projects, environments }
    }

    async fn access(
        &self,
        by: usize,
        project: usize,
        actions: Actions,
    ) -> Result<ProjectAccess, ProjectsError> {
        let caller = self.people[by].caller(&self.world).await;
        self.world.projects.authorize(&caller, self.projects[project].project(), actions).await
    }

    async fn change(
        &self,
        by: usize,
        project: usize,
        share: Option<(usize, Option<Actions>)>,
        entries: &[(usize, usize, u8)],
    ) -> Result<u64, ProjectsError> {
        let access = self.access(by, project, Actions::PROJECT_SHARE).await?;
        let entry =
            |(who, team, bits): &(usize, usize, u8)| self.people[*who].entry(self.teams[*team], given(*bits));
        let entries: Vec<_> = entries.iter().map(entry).collect();
        let (world, person) = (&self.world, &self.people[by]);
        match share {
            None => world.put_list(person, &access, &entries).await,
            Some((team, None)) => world.unshare(person, &access, self.teams[team], &entries).await,
            Some((team, Some(actions))) => {
                world.share(person, &access, self.teams[team], actions, &entries).await
            }
        }
    }

    async fn rotate(&self, by: usize, project: usize) -> Result<Environment, ProjectsError> {
        let access = self.access(by, project, Actions::PROJECT_WRITE).await?;
        let (environment, key) = &self.environments[project];
        let now =
            self.world.projects.environment_for(&access, Actions::PROJECT_WRITE, &environment.name).await?;
        let state = self.world.access_state(access.project()).await;
        let person = &self.people[by];
        let keyring = person.keyring_for(key, environment, now.epoch + 1, state.number, &[person]);
        self.world.projects.rotate_key(&access, &environment.name, keyring).await
    }

    async fn write(&self, by: usize, project: usize) -> bool {
        let Ok(access) = self.access(by, project, Actions::PROJECT_WRITE).await else { return false };
        let (environment, key) = &self.environments[project];
        let now =
            self.world.projects.environment_for(&access, Actions::PROJECT_WRITE, &environment.name).await;
        let blob = self.people[by].seal(&now.unwrap(), key, b"A=1\n");
        self.world.storage.put(&access, &environment.name, blob.put()).await.is_ok()
    }

    /// Changes access in both; the outcomes must be the same.
    async fn compare(
        &self,
        model: &mut Model,
        by: usize,
        project: usize,
        share: Option<(usize, Option<Actions>)>,
        entries: &[(usize, usize, u8)],
    ) {
        let done = self.change(by, project, share, entries).await;
        let expected = model.change(by, project, share, entries);
        assert_eq!(done.is_ok(), expected, "{by} {project} {share:?} {entries:?} {done:?}");
        let count = if expected { &MADE } else { &REFUSED };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Does the same in both; the outcomes must be the same.
    async fn step(&self, model: &mut Model, step: &Step) {
        match step {
            Step::Share { by, project, team, bits, entries } => {
                self.compare(model, *by, *project, Some((*team, Some(given(*bits)))), entries).await;
            }
            Step::Unshare { by, project, team, entries } => {
                self.compare(model, *by, *project, Some((*team, None)), entries).await;
            }
            Step::List { by, project, entries } => self.compare(model, *by, *project, None, entries).await,
            Step::Join { team, who } => {
                if model.members[*team].insert(*who) {
                    self.world.join(&self.people[0], self.teams[*team], self.people[*who].account).await;
                }
            }
            Step::Leave { team, who } => {
                if model.members[*team].remove(who) {
                    self.world.leave(&self.people[0], self.teams[*team], self.people[*who].account).await;
                }
            }
            Step::Rotate { by, project } => {
                let allowed = model.may(*by, *project).contains(Actions::PROJECT_WRITE);
                let done = self.rotate(*by, *project).await;
                assert_eq!(done.is_ok(), allowed, "{step:?} {done:?}");
                if allowed {
                    let place = &mut model.places[*project];
                    (place.key, place.epoch) = (place.number, place.epoch + 1);
                }
            }
            Step::Write { by, project } => {
                let place = &model.places[*project];
                let due = place.key < place.floor;
                let allowed = model.may(*by, *project).contains(Actions::PROJECT_WRITE) && !due;
                assert_eq!(self.write(*by, *project).await, allowed, "{step:?} {place:?}");
            }
        }
    }

    async fn agrees(&self, model: &Model) {
        for project in 0..PROJECTS {
            let place = &model.places[project];
            let id = self.projects[project].project();
            let state = self.world.access_state(id).await;
            assert_eq!((state.number, state.floor), (place.number, place.floor));
            for (who, person) in self.people.iter().enumerate() {
                let rights = self.world.ports.grants.rights(id, person.account).await.unwrap();
                let held = rights.map_or(Actions::NONE, |rights| rights.actions);
                assert_eq!(held, model.may(who, project), "person {who} in project {project}");
            }
        }
    }
}

/// Changes of access that both made, and that both refused.
static MADE: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn any_sequence_agrees_with_the_model() {
    let config = ProptestConfig { cases: 128, max_shrink_iters: 500, ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&prop::collection::vec(step(), 1..40), |steps| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (real, mut model) = (Real::new().await, Model::new());
            for step in &steps {
                real.step(&mut model, step).await;
                real.agrees(&model).await;
            }
        });
        Ok(())
    });
    run.unwrap();
    // The sequences are worth something only when both happen often.
    let (made, refused) = (MADE.load(Ordering::Relaxed), REFUSED.load(Ordering::Relaxed));
    assert!(made >= 100 && refused >= 100, "{made} made, {refused} refused");
}

/// A hundred changes at once: each list follows the one before, and what came out is what the newest list, the shares and
/// the memberships say.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_changes_at_once_leave_one_chain() {
    let real = std::sync::Arc::new(Real::new().await);
    let mut race = JoinSet::new();
    for task in 0..100_usize {
        let real = real.clone();
        race.spawn(async move {
            let (project, team) = (task % PROJECTS, task / 5 % TEAMS);
            let who = first_members(team).into_iter().nth(1 + task % 2).unwrap();
            // As a client does: whoever comes too late looks again.
            for _ in 0..200 {
                let done = match task % 5 {
                    0 | 1 => real.change(0, project, Some((team, Some(given(7)))), &[(who, team, 3)]).await,
                    2 => real.change(0, project, None, &[]).await,
                    3 => real.change(0, project, Some((team, None)), &[]).await,
                    _ => real.rotate(0, project).await.map(|_| 0),
                };
                match done {
                    Ok(_) | Err(ProjectsError::ShareUnknown) => return true,
                    Err(
                        ProjectsError::AccessListStale { .. }
                        | ProjectsError::EpochStale { .. }
                        | ProjectsError::AccessList { .. },
                    ) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            false
        });
    }
    assert!(race.join_all().await.into_iter().all(|done| done));
    for project in 0..PROJECTS {
        let id = real.projects[project].project();
        let state = real.world.access_state(id).await;
        let mut before: Option<(AccessList, Vec<u8>)> = None;
        let mut floor = 0;
        for number in 1..=state.number {
            let bytes = real.world.ports.grants.access_list(id, number).await.unwrap().unwrap();
            let list = AccessList::peek(&bytes).unwrap();
            list.follows(before.as_ref().map(|(list, _)| list), real.people[0].account).unwrap();
            let parent = before.as_ref().map_or([0; 32], |(_, bytes)| AccessList::digest(bytes));
            assert_eq!((list.number, list.parent), (number, parent));
            let taken = crate::projects::access::takes(before.as_ref().map(|(list, _)| list), &list);
            floor = if taken { number } else { floor };
            before = Some((list, bytes));
        }
        assert_eq!(state.floor, floor);
        for who in 1..PEOPLE {
            let person = &real.people[who];
            let listed = before.as_ref().is_some_and(|(list, _)| {
                list.actions_of(veilvault::access::Principal::Account(person.account)) != 0
            });
            let rights = real.world.ports.grants.rights(id, person.account).await.unwrap();
            assert_eq!(rights.is_some(), listed, "person {who} in project {project}");
        }
        // Whatever the race left, a rotation makes the environment writable.
        real.rotate(0, project).await.unwrap();
        assert!(real.write(0, project).await);
    }
}
