//! What must hold when the server is back, whatever happened to it.

use std::{collections::BTreeMap, fs, path::Path, process::Stdio};

use serde_json::Value;
use veilchain::{hash::Hash, range::CompactRange};

use super::world::{Outcome, Step, World};

/// What the case was, and what was seen of it.
pub struct Seen<'a> {
    /// Name of the case, for messages.
    pub case: &'a str,
    /// What the user did.
    pub steps: &'a [(Step, Outcome)],
    /// Every checkpoint that was shown.
    pub notes: &'a [String],
}

/// Starts the server without any fault and compares it with what was seen. The folder is closed again afterwards.
pub fn check(world: &World, seen: &Seen<'_>) {
    let case = seen.case;
    let server =
        world.start().unwrap_or_else(|log| panic!("{case}: the server does not start again:\n{log}"));
    let mut digests = Vec::new();
    for environment in ["production", "assets"] {
        digests.extend(versions(world, seen, environment));
    }
    projects(world, seen);

    // One version, one entry: nothing is in the store that is not in the log, and the other way round.
    let events = json(world, case, &["audit", "list", "my-app"]);
    let mut logged: Vec<String> = list(&events, "events")
        .filter(|event| event["kind"] == "blob.put")
        .map(|event| event["digest"].as_str().unwrap_or_default().to_owned())
        .collect();
    logged.sort();
    digests.sort();
    assert_eq!(logged, digests, "{case}: versions and entries differ");
    history(world, seen);

    // And it goes on.
    let ran = world.alice.run_with(&["storage", "put", "my-app", "production", "-"], b"AFTER=1\n");
    assert_eq!(ran.code, 0, "{case}: a write after the restart: {}", ran.stderr);
    let ran = world.alice.run(&["storage", "get", "my-app", "production"]);
    assert_eq!(ran.stdout, b"AFTER=1\n", "{case}: {}", ran.stderr);
    let said = server.log();
    assert!(server.stop().success(), "{case}: the server does not stop cleanly:\n{said}");
    fsck(world, case);
}

/// The versions of an environment are the kept ones and, if it was written, the new one; gives their digests.
fn versions(world: &World, seen: &Seen<'_>, environment: &str) -> Vec<String> {
    let case = seen.case;
    let wrote = if environment == "production" { Step::Small } else { Step::Big };
    let answered = seen.steps.contains(&(wrote, Outcome::Answered));
    let tried = seen.steps.iter().any(|(step, _)| *step == wrote);
    let kept = &world.kept[environment];
    let found = json(world, case, &["storage", "history", "my-app", environment]);
    let found: Vec<&Value> = list(&found, "versions").collect();
    let numbers: Vec<_> = found.iter().filter_map(|version| version["version"].as_u64()).collect();
    let dense: Vec<_> = (1..=numbers.len() as u64).rev().collect();
    assert_eq!(numbers, dense, "{case}: versions of {environment} are not dense");
    let new = numbers.len() == kept.len() + 1;
    assert!(new || numbers.len() == kept.len(), "{case}: {environment} has {} versions", numbers.len());
    assert!(new || !answered, "{case}: a version of {environment} was answered and is lost");
    assert!(tried || !new, "{case}: a version of {environment} comes from nowhere");
    // The command refuses whatever it is not shown a proof for.
    let newest = if new { &world.next[environment] } else { &kept[kept.len() - 1] };
    let older = if new { &kept[kept.len() - 1] } else { &kept[0] };
    let older_number = if new { kept.len() } else { 1 }.to_string();
    for (more, expected) in [(vec![], newest), (vec!["--version", &older_number], older)] {
        let args: Vec<_> = ["storage", "get", "my-app", environment].into_iter().chain(more).collect();
        let ran = world.alice.run(&args);
        assert_eq!(ran.code, 0, "{case}: {args:?}: {}", ran.stderr);
        assert!(ran.stdout == *expected, "{case}: {args:?} gives something else than was put");
    }
    found.iter().map(|version| version["digest"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A project is there with the first entry of its log, or not at all.
fn projects(world: &World, seen: &Seen<'_>) {
    let case = seen.case;
    let answered = seen.steps.contains(&(Step::Project, Outcome::Answered));
    let found = json(world, case, &["projects", "list"]);
    let names: Vec<_> = list(&found, "projects").filter_map(|project| project["name"].as_str()).collect();
    let second = names.iter().filter(|name| **name == "second").count();
    assert!(names.contains(&"my-app") && names.len() == 1 + second && second < 2, "{case}: {names:?}");
    assert!(second == 1 || !answered, "{case}: a project was answered and is lost");
    if second == 1 {
        let events = json(world, case, &["audit", "list", "second"]);
        let kinds: Vec<_> = list(&events, "events").filter_map(|event| event["kind"].as_str()).collect();
        assert_eq!(kinds, ["project.create"], "{case}: the log of the new project");
    }
}

/// The log extends every checkpoint that was ever shown, its entries make sense, and it is whole.
fn history(world: &World, seen: &Seen<'_>) {
    let case = seen.case;
    let ran = world.alice.run(&["--json", "audit", "monitor", "my-app", "--once"]);
    assert_eq!(ran.code, 0, "{case}: the monitor finds something: {}{}", ran.stderr, text(&ran.stdout));
    let bundle = world.path("bundle");
    let _ = fs::remove_dir_all(&bundle);
    let folder = bundle.to_str().expect("plain path");
    let args = ["audit", "export", "my-app", "--format", "bundle", "--output", folder];
    let ran = world.alice.run(&args);
    assert_eq!(ran.code, 0, "{case}: the export: {}", ran.stderr);
    let roots = roots(&bundle);
    let newest = fs::read_to_string(bundle.join("checkpoint")).expect("a checkpoint");
    for note in seen.notes.iter().chain([&world.first_note, &newest]) {
        let (size, root) = head(note);
        let shown = roots.get(&size).map(|root| data_encoding::BASE64.encode(root));
        assert_eq!(shown.as_deref(), Some(root), "{case}: the log does not extend what was shown:\n{note}");
    }
    assert_eq!(Some(&head(&newest).0), roots.keys().last(), "{case}: entries behind the checkpoint");
}

/// The root at every size, made from the entries alone.
fn roots(bundle: &Path) -> BTreeMap<u64, Hash> {
    let partial = bundle.join("tile/entries/000.p");
    let newest = fs::read_dir(&partial).expect("fewer than 256 entries").filter_map(|entry| {
        let width: u16 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        Some(width)
    });
    let width = newest.max().expect("a bundle");
    let bytes = fs::read(partial.join(width.to_string())).expect("just listed");
    let leaves = veilchain::bundle::leaf_hashes(&bytes, width).expect("a bundle of this width");
    let mut range = CompactRange::new();
    let mut roots = BTreeMap::from([(0, range.root())]);
    for leaf in leaves {
        range.push(leaf);
        roots.insert(range.size(), range.root());
    }
    roots
}

/// Size and root that a checkpoint names.
fn head(note: &str) -> (u64, &str) {
    let mut lines = note.lines().skip(1);
    let size = lines.next().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("a size in {note}"));
    (size, lines.next().unwrap_or_default())
}

fn fsck(world: &World, case: &str) {
    let mut command = world.command();
    let out = command.arg("fsck").stdin(Stdio::null()).output().expect("fsck runs");
    let said = text(&out.stdout) + &text(&out.stderr);
    assert!(out.status.success(), "{case}: fsck finds something: {said}");
}

fn json(world: &World, case: &str, args: &[&str]) -> Value {
    let args: Vec<_> = ["--json"].iter().chain(args).copied().collect();
    let ran = world.alice.run(&args);
    assert_eq!(ran.code, 0, "{case}: veilcloud {args:?}: {}", ran.stderr);
    ran.json()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
