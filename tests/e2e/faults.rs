//! Disks that fail and power that goes, at every call by which a write reaches the disk. The real server runs under
//! `strace`, which kills it at a call or lets the call fail; then it starts again, and everything that was answered must
//! be there and proven, nothing half done, and the logs must extend every checkpoint that was ever shown.
//!
//! Short writes are not among the faults: strace can only make up their results, and then bytes are missing that the
//! kernel would have written. `disk.rs` has a disk that is really full. Where processes cannot be traced the tests say
//! so and pass.

mod check;
mod replay;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsString,
    path::{Path, PathBuf},
    time::Instant,
};

use self::{
    check::{Seen, check},
    world::{Outcome, Step, Watcher, World, now_us, pid},
};
use veilcloud_tests::{
    server::Server,
    strace::{self, Answer, Call, Injection, Strace},
};

/// Most cases of each test; `VEILCLOUD_FAULT_CASES` says otherwise, 0 means all.
const KILLS_MAX: usize = 80;
const ERRORS_MAX: usize = 50;
const SECOND_KILLS_MAX: usize = 24;

/// A step that goes wrong at one call.
struct Case {
    step: Step,
    injection: Injection,
}

impl Case {
    fn name(&self) -> String {
        let Injection { call, when, path, answer } = &self.injection;
        let file =
            path.as_deref().and_then(Path::file_name).map_or_else(Default::default, |n| n.to_string_lossy());
        format!("{:?}, {answer:?} at {call} {when} {file}", self.step)
    }
}

#[test]
fn a_server_killed_at_any_call_of_a_write_keeps_what_it_answered() {
    if !traceable() {
        return;
    }
    let world = World::new();
    let steps = [Step::Small, Step::Big, Step::Project, Step::Stop];
    let all = steps.into_iter().flat_map(|step| cases(&world, step, Answer::Kill)).collect();
    run(&world, "kill", all, KILLS_MAX);
}

#[test]
fn a_disk_that_fails_at_any_call_of_a_write_loses_nothing_that_was_answered() {
    if !traceable() {
        return;
    }
    let world = World::new();
    let mut all = Vec::new();
    for step in [Step::Small, Step::Big, Step::Project, Step::Stop] {
        for error in ["EIO", "ENOSPC"] {
            all.extend(cases(&world, step, Answer::Error(error)));
        }
    }
    run(&world, "error", all, ERRORS_MAX);
}

#[test]
fn a_server_killed_again_while_it_recovers_keeps_what_it_answered() {
    if !traceable() {
        return;
    }
    let world = World::new();
    // The first crash is the worst one: staged and signed, and nobody knows whether it was committed.
    let first = |step: Step, call: &str| {
        let mut at: Vec<_> = cases(&world, step, Answer::Kill)
            .into_iter()
            .filter(|case| case.injection.call == call && on_file(case, "veilcloud.db-wal"))
            .collect();
        at.pop().expect("a commit syncs the database's log")
    };
    let firsts = [first(Step::Small, "fsync"), first(Step::Project, "pwrite64")];
    let (mut ran, mut hit) = (0, 0);
    let start = Instant::now();
    for case in &firsts {
        for injection in sample(recovery(&world, case), most(SECOND_KILLS_MAX) / firsts.len()) {
            let (outcome, notes, _) = broken(&world, case);
            let second = Case { step: case.step, injection };
            let around = Strace::around(&world.command(), &world.path("recovery"), &second.injection.args());
            // Killed while it starts; a server that comes up after all is killed then.
            let killed = Server::spawn(around, world.data()).map(drop).is_err();
            let name = format!("{}, then while it starts: {}", case.name(), second.name());
            check(&world, &Seen { case: &name, steps: &[(case.step, outcome)], notes: &notes });
            ran += 1;
            hit += usize::from(killed);
            if !killed {
                println!("second kill: did not meet its fault: {name}");
            }
        }
    }
    report("second kill", ran, hit, start);
}

/// What a recovery after this case asks for, counted in one that is left alone.
fn recovery(world: &World, case: &Case) -> Vec<Injection> {
    broken(world, case);
    let output = world.path("recovery");
    let server = Server::spawn(Strace::around(&world.command(), &output, &[]), world.data())
        .unwrap_or_else(|log| panic!("the server does not recover:\n{log}"));
    // What it does after it is ready is another matter.
    let ready = now_us();
    drop(server);
    let mut calls = strace::calls(&std::fs::read(&output).expect("a trace"));
    // The sweep looks through the folders of blobs beside the start, sooner or later: it changes nothing by looking.
    calls.retain(|call| call.at_us < ready && !call.has_flag("O_DIRECTORY"));
    injections(world, &calls, Answer::Kill)
}

/// False, and loud, where no process can be traced.
fn traceable() -> bool {
    match strace::possible() {
        Ok(()) => true,
        Err(why) => {
            eprintln!("NOT TESTED: processes cannot be traced here, so no fault was injected: {why}");
            false
        }
    }
}

/// Runs cases and checks after each; at least three of four must have met their fault.
fn run(world: &World, kind: &str, all: Vec<Case>, max: usize) {
    let (mut ran, mut hit) = (0, 0);
    let start = Instant::now();
    for case in choose(all, most(max)) {
        let (outcome, notes, met) = broken(world, &case);
        ran += 1;
        hit += usize::from(met);
        if !met {
            println!("{kind}: did not meet its fault: {}", case.name());
        }
        check(world, &Seen { case: &case.name(), steps: &[(case.step, outcome)], notes: &notes });
    }
    report(kind, ran, hit, start);
}

fn report(kind: &str, ran: usize, hit: usize, start: Instant) {
    println!("{kind}: {ran} cases, {hit} met their fault, {:.0} s", start.elapsed().as_secs_f64());
    assert!(ran > 0 && hit * 4 >= ran * 3, "{kind}: only {hit} of {ran} cases met their fault");
}

/// One case up to the end of its server; also whether the fault was met.
fn broken(world: &World, case: &Case) -> (Outcome, Vec<String>, bool) {
    world.reset();
    let (server, outcome, notes, calls) = traced(world, case.step, &case.injection.args());
    // Whatever it still believes, the power goes now.
    drop(server);
    let met = match case.injection.answer {
        Answer::Kill => calls.iter().any(|call| call.result.is_none() && call.name == case.injection.call),
        Answer::Error(_) => calls.iter().any(|call| call.injected),
    };
    (outcome, notes, met)
}

/// Starts a server, takes hold of it, does a step, lets it go.
fn traced(world: &World, step: Step, args: &[OsString]) -> (Server, Outcome, Vec<String>, Vec<Call>) {
    let server = world.start().unwrap_or_else(|log| panic!("the prepared server does not start:\n{log}"));
    let watcher = Watcher::start(world);
    let mut strace =
        Strace::attach(pid(&server), &world.path("trace"), args).expect("it was possible before");
    let outcome = world.go(step, &server, &mut strace);
    let notes = watcher.stop().into_iter().map(|(_, note)| note).collect();
    let calls = strace.detach();
    (server, outcome, notes, calls)
}

/// Every call of a step that goes well, each as a case.
fn cases(world: &World, step: Step, answer: Answer) -> Vec<Case> {
    world.reset();
    let (server, outcome, _, calls) = traced(world, step, &[]);
    drop(server);
    assert!(step == Step::Stop || outcome == Outcome::Answered, "{step:?} goes well without faults");
    let injections = injections(world, &calls, answer);
    assert!(!injections.is_empty(), "{step:?} reaches the disk");
    injections.into_iter().map(|injection| Case { step, injection }).collect()
}

/// The calls on the data folder, each with what makes strace find it again. Names below `blobs` differ from run to run,
/// so that calls on them are counted over all paths.
fn injections(world: &World, calls: &[Call], answer: Answer) -> Vec<Injection> {
    let blobs = world.data().join("blobs");
    let fixed = [blobs.clone(), blobs.join("tmp"), blobs.join("tmp/0")];
    let mut by_name: HashMap<(u32, &str), usize> = HashMap::new();
    let mut by_path: HashMap<(u32, &str, PathBuf), usize> = HashMap::new();
    let mut found: BTreeMap<(String, Option<PathBuf>, usize), usize> = BTreeMap::new();
    for (order, call) in calls.iter().enumerate() {
        let path = call.path();
        let nth = by_name.entry((call.thread, &call.name)).or_default();
        *nth += 1;
        let nth_of_path = by_path.entry((call.thread, &call.name, path.clone())).or_default();
        *nth_of_path += 1;
        let by_names = ["rename", "mkdir", "unlink"].iter().any(|prefix| call.name.starts_with(prefix));
        if !path.starts_with(world.data()) || path.ends_with("veilcloud.db-shm") {
            continue;
        }
        let varies = path.starts_with(&blobs) && !fixed.contains(&path);
        let key = if varies || by_names {
            (call.name.clone(), None, *nth)
        } else {
            (call.name.clone(), Some(path), *nth_of_path)
        };
        found.entry(key).or_insert(order);
    }
    let mut found: Vec<_> = found.into_iter().map(|(key, order)| (order, key)).collect();
    found.sort();
    let injection = |(_, (call, path, when))| Injection { call, when, path, answer };
    found.into_iter().map(injection).collect()
}

/// Whether a case is about this file.
fn on_file(case: &Case, name: &str) -> bool {
    case.injection.path.as_deref().is_some_and(|path| path.ends_with(name))
}

fn most(max: usize) -> usize {
    let asked = std::env::var("VEILCLOUD_FAULT_CASES").ok().and_then(|text| text.parse().ok());
    asked.map_or(max, |asked: usize| if asked == 0 { usize::MAX } else { asked })
}

/// At most `max` cases, always the same: first the calls that are few, then those that fill the database and its log.
fn choose(all: Vec<Case>, max: usize) -> Vec<Case> {
    let bulk = |case: &Case| {
        let database = on_file(case, "veilcloud.db-wal") || on_file(case, "veilcloud.db");
        case.injection.call == "pwrite64" && database
    };
    let (bulk, few): (Vec<_>, Vec<_>) = all.into_iter().partition(bulk);
    let mut chosen = sample(few, max);
    chosen.extend(sample(bulk, max - chosen.len()));
    chosen
}

/// At most `max` of them, spread evenly, always the same.
fn sample<T>(all: Vec<T>, max: usize) -> Vec<T> {
    let len = all.len();
    if len <= max {
        return all;
    }
    let taken: BTreeSet<usize> = (0..max).map(|n| n * len / max).collect();
    all.into_iter().enumerate().filter(|(at, _)| taken.contains(at)).map(|(_, one)| one).collect()
}
