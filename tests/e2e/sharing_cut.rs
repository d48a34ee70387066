//! Sharing and offboarding that are killed at any of their requests: doing it again finishes it. Who should read reads,
//! nobody else does, and nothing is lost.

use serde_json::Value;
use veilcloud_tests::{
    cli::Machine,
    cutter::{Cutter, Side},
    server::Server,
};

/// Most places at which each command is killed; they are spread over all of its requests. `VEILCLOUD_FAULT_CASES` says
/// otherwise, 0 means all.
const CASES_MAX: u64 = 12;

fn most() -> u64 {
    let asked = std::env::var("VEILCLOUD_FAULT_CASES").ok().and_then(|text| text.parse().ok());
    asked.map_or(CASES_MAX, |asked: u64| if asked == 0 { u64::MAX } else { asked })
}

struct World {
    // Last to go.
    _server: Server,
    cutter: Cutter,
    alice: Machine,
    bob: Machine,
    carol: Machine,
    /// The project's id.
    id: String,
    /// The newest content.
    content: Vec<u8>,
}

impl World {
    /// Alice's project with one version; nobody else is in it.
    fn new() -> Self {
        let server = Server::start();
        let cutter = Cutter::before(server.endpoint());
        let alice = Machine::with_account(cutter.endpoint(), "alice@example.com");
        let [bob, carol] =
            ["bob@example.com", "carol@example.com"].map(|who| Machine::with_account(server.endpoint(), who));
        alice.ok(&["projects", "create", "my-app"]);
        alice.ok(&["teams", "create", "crew"]);
        let shown = json(&alice, &["projects", "list"]);
        let id = shown["projects"][0]["id"].as_str().expect("an id").to_owned();
        let mut world = Self { _server: server, cutter, alice, bob, carol, id, content: Vec::new() };
        world.put();
        world
    }

    fn put(&mut self) {
        self.content =
            format!("SECRET={}\n", self.content.len() + 1).repeat(self.content.len() % 7 + 1).into();
        self.alice.ok_with(&["storage", "put", "my-app", "production", "-"], &self.content);
    }

    fn reads(&self, machine: &Machine) -> bool {
        let ran = machine.run(&["--json", "storage", "get", &self.id, "production"]);
        match ran.code {
            0 => assert_eq!(ran.stdout, self.content),
            _ => assert!(
                ["PERMISSION_DENIED", "KEY_NOT_GIVEN"].contains(&ran.reason().as_str()),
                "{}",
                ran.stderr
            ),
        }
        ran.code == 0
    }

    /// Epoch of the key, and of the newest version.
    fn epochs(&self) -> (u64, u64) {
        let shown = json(&self.alice, &["envs", "show", "my-app", "production"]);
        let history = json(&self.alice, &["storage", "history", "my-app", "production"]);
        let versions = history["versions"].as_array().expect("a list");
        assert!(versions.iter().all(|version| version["verified"] == true), "{history}");
        (shown["epoch"].as_u64().expect("a number"), versions[0]["epoch"].as_u64().expect("a number"))
    }

    /// Kills a command at requests spread over all that it makes, in turns before they arrive and after they are answered;
    /// `prepare` makes each case the same, `check` looks at what became of it after it was repeated.
    fn kill_everywhere(
        &mut self,
        args: &[&str],
        mut prepare: impl FnMut(&mut Self),
        mut check: impl FnMut(&mut Self, &str),
    ) {
        prepare(self);
        let count = self.cutter.count(&self.alice, args);
        check(self, "left alone");
        let (mut ran, mut met) = (0, 0);
        let cases = most().min(2 * count);
        for case in 0..cases {
            let side = [Side::Before, Side::After][case as usize % 2];
            let at = 1 + case * count / cases;
            prepare(self);
            met += u64::from(self.cutter.kill(&self.alice, args, at, side));
            ran += 1;
            // Whatever it had done by then, nothing is lost.
            assert!(self.reads(&self.alice), "{args:?} killed {side:?} request {at}");
            self.alice.ok(args);
            check(self, &format!("{args:?} killed {side:?} request {at} of {count}"));
        }
        println!("{args:?}: {count} requests, {met} of {ran} killed");
        assert!(met * 4 >= ran * 3, "{args:?}: only {met} of {ran} were killed where they should be");
    }
}

fn json(machine: &Machine, args: &[&str]) -> Value {
    machine.ok(&[&["--output", "json"], args].concat()).json()
}

#[test]
fn a_share_killed_anywhere_is_finished_by_doing_it_again() {
    let mut world = World::new();
    world.alice.ok(&["teams", "add", "crew", "bob@example.com"]);
    let mut is_shared = false;
    world.kill_everywhere(
        &["share", "add", "my-app", "crew", "--permissions", "project:read", "--yes"],
        |world| {
            if std::mem::replace(&mut is_shared, true) {
                world.alice.ok(&["share", "remove", "my-app", "crew"]);
                assert!(!world.reads(&world.bob));
                world.put();
            }
        },
        |world, case| {
            assert!(world.reads(&world.bob), "{case}");
            assert!(!world.reads(&world.carol), "{case}");
        },
    );
}

#[test]
fn a_sync_killed_anywhere_is_finished_by_doing_it_again() {
    let mut world = World::new();
    world.alice.ok(&["share", "add", "my-app", "crew", "--permissions", "project:read", "--yes"]);
    world.alice.ok(&["teams", "add", "crew", "bob@example.com"]);
    world.alice.ok(&["share", "sync", "my-app", "--yes"]);
    // One comes, the other goes.
    let mut case_number = 0;
    let turn = std::cell::Cell::new(0);
    let names = ["bob@example.com", "carol@example.com"];
    world.kill_everywhere(
        &["share", "sync", "my-app", "--yes"],
        |world| {
            let (goes, comes) = (names[case_number % 2], names[(case_number + 1) % 2]);
            world.alice.ok(&["teams", "add", "crew", comes]);
            world.alice.ok(&["teams", "remove", "crew", goes]);
            case_number += 1;
            turn.set(case_number);
        },
        |world, case| {
            let people = [&world.bob, &world.carol];
            let (out, inside) = (people[(turn.get() + 1) % 2], people[turn.get() % 2]);
            assert!(world.reads(inside), "{case}");
            assert!(!world.reads(out), "{case}");
            let (key, head) = world.epochs();
            assert_eq!(key, head, "{case}: the content is sealed to the new key");
        },
    );
}

#[test]
fn an_offboarding_killed_anywhere_is_finished_by_doing_it_again() {
    let mut world = World::new();
    world.alice.ok(&["share", "add", "my-app", "crew", "--permissions", "project:read", "--yes"]);
    world.alice.ok(&["teams", "add", "crew", "carol@example.com"]);
    let before = std::cell::Cell::new(0);
    world.kill_everywhere(
        &["offboard", "bob@example.com", "--yes"],
        |world| {
            world.alice.ok(&["teams", "add", "crew", "bob@example.com"]);
            world.alice.ok(&["share", "sync", "my-app", "--yes"]);
            assert!(world.reads(&world.bob));
            before.set(world.epochs().0);
        },
        |world, case| {
            assert!(!world.reads(&world.bob), "{case}");
            assert!(world.reads(&world.carol), "{case}");
            let (key, head) = world.epochs();
            assert!(key > before.get() && key == head, "{case}: a new key, and the content sealed to it");
        },
    );
}
