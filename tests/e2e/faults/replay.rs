//! Power cuts as a disk sees them: one good run is traced with everything it wrote, and the folder is put together as it
//! may be after a cut at some call: of each file all that was synced, and of the rest any part, the last piece torn
//! between two sectors; of the names all whose folder was synced, and of the rest any.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    check::{Seen, check},
    traceable,
    world::{Outcome, Step, Watcher, World, copy, now_us, pid},
};
use veilcloud_tests::{
    server::Server,
    strace::{Call, Strace},
};

/// Points at which the power goes; `VEILCLOUD_CRASH_POINTS` says otherwise.
const POINTS: usize = 56;
/// Smallest piece that a disk writes whole.
const SECTOR: u64 = 512;
const STEPS: [Step; 4] = [Step::Small, Step::Big, Step::Project, Step::Stop];

#[test]
fn a_power_cut_that_takes_what_was_not_synced_takes_nothing_that_was_answered() {
    if !traceable() {
        return;
    }
    let world = World::new();
    let run = Run::record(&world);
    let wanted = std::env::var("VEILCLOUD_CRASH_POINTS").ok().and_then(|text| text.parse().ok());
    let points = wanted.unwrap_or(POINTS).max(1);
    let start = Instant::now();
    let mut lost = 0;
    for point in 0..points {
        // From the first call to behind the last; with more points than calls, other pieces are lost each time.
        let at = point * (run.calls.len() + 1) / points;
        let mut dice = Dice(point as u64);
        lost += run.image(at, &mut dice, world.data());
        let (time, next) = match run.calls.get(at) {
            Some(call) => (call.at_us, format!("{} {}", call.name, call.path().display())),
            None => (u64::MAX, "the end".to_owned()),
        };
        let answered = run.answered.iter().filter(|answered| **answered < time).count();
        copy(&world.path(&format!("config.{answered}")), world.alice.config());
        let outcome = |n: usize| if n < answered { Outcome::Answered } else { Outcome::NotAnswered };
        let steps: Vec<_> = STEPS.iter().enumerate().map(|(n, step)| (*step, outcome(n))).collect();
        let shown = run.notes.iter().filter(|(at, _)| *at < time).map(|(_, note)| note.clone());
        let notes: Vec<_> = shown.collect();
        let case = format!("power cut {point} of {points}, before call {at} ({next})");
        check(&world, &Seen { case: &case, steps: &steps, notes: &notes });
    }
    println!(
        "power cuts: {points} points over {} calls, {lost} changes lost, {:.0} s",
        run.calls.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(lost > 0, "some change that was not synced is lost at some point");
}

/// A good run: where it began and all that it did.
struct Run {
    /// The folder when the trace began.
    base: PathBuf,
    data: PathBuf,
    /// The calls on the folder.
    calls: Vec<Call>,
    /// When each step that is answered at all was, in microseconds since 1970.
    answered: Vec<u64>,
    /// When each checkpoint was seen.
    notes: Vec<(u64, String)>,
}

impl Run {
    fn record(world: &World) -> Self {
        world.reset();
        let server: Server =
            world.start().unwrap_or_else(|log| panic!("the prepared server does not start:\n{log}"));
        let watcher = Watcher::start(world);
        let base = world.path("cut.base");
        let mut strace =
            Strace::attach(pid(&server), &world.path("trace"), &[]).expect("it was possible before");
        // Nothing is written while nobody asks for anything, so this is what the trace begins with.
        copy(world.data(), &base);
        let mut answered = Vec::new();
        copy(world.alice.config(), &world.path("config.0"));
        for step in STEPS {
            let outcome = world.go(step, &server, &mut strace);
            if step != Step::Stop {
                assert_eq!(outcome, Outcome::Answered, "{step:?} goes well without faults");
                answered.push(now_us());
                copy(world.alice.config(), &world.path(&format!("config.{}", answered.len())));
            }
        }
        let notes = watcher.stop();
        let mut calls = strace.detach();
        drop(server);
        calls.retain(|call| call.path().starts_with(world.data()) && call.result.is_some_and(|n| n >= 0));
        assert!(calls.iter().any(|call| call.name == "fdatasync"), "the log is synced");
        Self { base, data: world.data().to_owned(), calls, answered, notes }
    }

    /// Puts together what the disk may hold when the power goes before call `at`; gives how many changes are lost.
    fn image(&self, at: usize, dice: &mut Dice, to: &Path) -> usize {
        let line = self.calls.get(at).map_or(usize::MAX, |call| call.begin);
        let mut disk = Disk::read(&self.base, &self.data);
        for (number, call) in self.calls[..at].iter().enumerate() {
            disk.apply(number, call);
        }
        let syncs = self.calls[..at].iter().filter(|call| call.name.contains("sync") && call.end < line);
        let syncs: Vec<_> = syncs.map(|call| (call.path(), call.begin)).collect();
        disk.cut(&self.calls, &syncs, dice, to)
    }
}

/// A change of a file's bytes.
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate { len: u64 },
}

/// A change of names.
enum Naming {
    Create { path: PathBuf, file: usize },
    Folder { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, file: usize },
    Remove { path: PathBuf },
}

/// A file, whatever it is called.
#[derive(Default)]
struct FileState {
    base: Vec<u8>,
    /// Its length as the process sees it.
    len: u64,
    /// Every change with the number of its call, and the name under which a sync reaches it then.
    changes: Vec<(usize, Change)>,
    /// Names it had or has.
    names: BTreeSet<PathBuf>,
}

/// The folder, with everything that was done to it.
struct Disk {
    files: Vec<FileState>,
    /// Names when the trace began.
    base_names: BTreeMap<PathBuf, usize>,
    folders: BTreeSet<PathBuf>,
    /// Names as the process sees them.
    names: BTreeMap<PathBuf, usize>,
    namings: Vec<(usize, Naming)>,
    root: PathBuf,
}

impl Disk {
    /// Reads a copy `from` of the folder `root`. The shared memory file means nothing after a cut.
    fn read(from: &Path, root: &Path) -> Self {
        let mut disk = Self {
            files: Vec::new(),
            base_names: BTreeMap::new(),
            folders: BTreeSet::new(),
            names: BTreeMap::new(),
            namings: Vec::new(),
            root: root.to_owned(),
        };
        disk.read_folder(from, root);
        disk.names = disk.base_names.clone();
        disk
    }

    fn read_folder(&mut self, from: &Path, as_path: &Path) {
        self.folders.insert(as_path.to_owned());
        for entry in fs::read_dir(from).expect("read the folder") {
            let entry = entry.expect("read the folder");
            let path = as_path.join(entry.file_name());
            if entry.path().is_dir() {
                self.read_folder(&entry.path(), &path);
            } else if !path.ends_with("veilcloud.db-shm") {
                let base = fs::read(entry.path()).expect("read a file");
                let names = BTreeSet::from([path.clone()]);
                self.base_names.insert(path, self.files.len());
                self.files.push(FileState { len: base.len() as u64, base, changes: Vec::new(), names });
            }
        }
    }

    /// Notes what a call does.
    fn apply(&mut self, number: usize, call: &Call) {
        let path = call.path();
        let known = self.names.get(&path).copied();
        match call.name.as_str() {
            "openat" if call.has_flag("O_CREAT") && known.is_none() => {
                let names = BTreeSet::from([path.clone()]);
                self.names.insert(path.clone(), self.files.len());
                self.namings.push((number, Naming::Create { path, file: self.files.len() }));
                self.files.push(FileState { names, ..FileState::default() });
            }
            "openat" if call.has_flag("O_TRUNC") => self.change(known, number, Change::Truncate { len: 0 }),
            "pwrite64" | "write" => {
                let Some(file) = known else { return };
                let offset = call.number(1).unwrap_or(self.files[file].len);
                let bytes = call.strings().pop().unwrap_or_default();
                assert_eq!(Some(bytes.len() as i64), call.result, "the trace has the whole write");
                self.change(known, number, Change::Write { offset, bytes });
            }
            "ftruncate" => {
                let len = call.number(0).expect("a length");
                self.change(known, number, Change::Truncate { len });
            }
            name if name.starts_with("rename") => {
                let from = call.strings().first().map(|from| String::from_utf8_lossy(from).into_owned());
                let from = PathBuf::from(from.expect("two paths"));
                let Some(file) = self.names.remove(&from) else { return };
                self.names.insert(path.clone(), file);
                self.files[file].names.insert(path.clone());
                self.namings.push((number, Naming::Rename { from, to: path, file }));
            }
            name if name.starts_with("mkdir") => self.namings.push((number, Naming::Folder { path })),
            name if name.starts_with("unlink") => {
                self.names.remove(&path);
                self.namings.push((number, Naming::Remove { path }));
            }
            _ => {}
        }
    }

    fn change(&mut self, file: Option<usize>, number: usize, change: Change) {
        // A file without a name any more matters to nobody.
        let Some(state) = file.and_then(|file| self.files.get_mut(file)) else { return };
        state.len = match &change {
            Change::Write { offset, bytes } => state.len.max(offset + bytes.len() as u64),
            Change::Truncate { len } => *len,
        };
        state.changes.push((number, change));
    }

    /// Writes what is left into `to`; `syncs` are the finished ones with the line at which each began.
    fn cut(&self, calls: &[Call], syncs: &[(PathBuf, usize)], dice: &mut Dice, to: &Path) -> usize {
        let synced = |number: usize, names: &dyn Fn(&Path) -> bool| {
            syncs.iter().any(|(path, begin)| calls[number].end < *begin && names(path))
        };
        // Nothing, everything, or any part of what was not synced: disks do each of it.
        let mode = dice.below(4);
        let mut lost = 0;
        let mut keep = |dice: &mut Dice| {
            let kept = mode == 1 || (mode > 1 && dice.below(2) == 0);
            lost += usize::from(!kept);
            kept
        };
        let mut names = self.base_names.clone();
        let mut folders = self.folders.clone();
        for (number, naming) in &self.namings {
            let path = match naming {
                Naming::Create { path, .. } | Naming::Folder { path } | Naming::Remove { path } => path,
                Naming::Rename { to, .. } => to,
            };
            let parent = path.parent().unwrap_or(&self.root);
            if !folders.contains(parent) || !(synced(*number, &|folder| folder == parent) || keep(dice)) {
                continue;
            }
            match naming {
                Naming::Create { path, file } => drop(names.insert(path.clone(), *file)),
                Naming::Folder { path } => drop(folders.insert(path.clone())),
                Naming::Rename { from, to, file } => {
                    names.remove(from);
                    names.insert(to.clone(), *file);
                }
                Naming::Remove { path } => drop(names.remove(path)),
            }
        }
        let _ = fs::remove_dir_all(to);
        for folder in &folders {
            fs::create_dir_all(to.join(folder.strip_prefix(&self.root).expect("below the root")))
                .expect("room");
        }
        for (path, file) in &names {
            let state = &self.files[*file];
            let mut bytes = state.base.clone();
            let mut unsynced = Vec::new();
            for (number, change) in &state.changes {
                if synced(*number, &|synced| state.names.contains(synced)) {
                    perform(&mut bytes, change, u64::MAX);
                } else if keep(dice) {
                    unsynced.push(change);
                }
            }
            for (n, change) in unsynced.iter().enumerate() {
                let torn = mode == 3 && n + 1 == unsynced.len();
                perform(&mut bytes, change, if torn { dice.below(9) * SECTOR } else { u64::MAX });
            }
            fs::write(to.join(path.strip_prefix(&self.root).expect("below the root")), bytes).expect("room");
        }
        close(to);
        lost
    }
}

/// Makes a change of which at most `whole` bytes up to a sector's end arrive.
fn perform(bytes: &mut Vec<u8>, change: &Change, whole: u64) {
    match change {
        Change::Truncate { len } => bytes.resize(usize::try_from(*len).expect("a small file"), 0),
        Change::Write { offset, bytes: new } => {
            let len = new.len() as u64;
            let end = (offset / SECTOR * SECTOR).saturating_add(whole).clamp(*offset, offset + len);
            let (from, to) = (usize::try_from(*offset), usize::try_from(end));
            let (from, to) = (from.expect("a small file"), to.expect("a small file"));
            bytes.resize(bytes.len().max(to), 0);
            bytes[from..to].copy_from_slice(&new[..to - from]);
        }
    }
}

/// The modes that the server gives its files.
fn close(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("set the mode");
    for entry in fs::read_dir(folder).expect("read the folder") {
        let path = entry.expect("read the folder").path();
        if path.is_dir() {
            close(&path);
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set the mode");
        }
    }
}

/// Small numbers, always the same ones from the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
