//! Values for the suites. Ids never repeat; nothing here is a valid key or seal, because no store looks inside.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use veilcore::{
    hash::sha256,
    id::{AccountId, EnvironmentId, ProjectId, SessionId, UploadId},
};

use crate::{
    audit::model::{Event, Kind, Line, Trail},
    auth::model::{Account, SESSIONS_MAX, Session, Tier},
    name::Name,
    projects::{
        model::{ENVIRONMENTS_MAX, Environment, Keyring, PROJECTS_MAX, Project},
        port::Written,
    },
    storage::{
        model::{Digest, Precondition, Upload, Version},
        port::Refusal,
    },
    testkit::Ports,
};

/// The time of the suites: their stores see no other, except for blobs.
pub(super) const NOW_MS: u64 = 1_767_225_600_000;
/// Quota of an account of the suites.
pub(super) const QUOTA_BYTES: u64 = 1 << 20;
/// Writers in the suites' races.
pub(super) const WRITERS: u32 = 32;

pub(super) fn bytes16() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    id[6] = 0x70;
    id
}

pub(super) fn bytes32() -> [u8; 32] {
    sha256(&bytes16())
}

pub(super) fn name(text: &str) -> Name {
    text.parse().expect("a name of a suite is a name")
}

/// Whose the projects of the suites are: who does what is done in them, unless a test says otherwise.
static OWNERS: Mutex<BTreeMap<ProjectId, AccountId>> = Mutex::new(BTreeMap::new());

pub(super) fn line(trail: Trail, kind: Kind) -> Line {
    let owner = match trail {
        Trail::Project(id) => OWNERS.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied(),
        _ => None,
    };
    let actor = owner.unwrap_or(AccountId::from_bytes([9; 16]));
    Line {
        trail,
        kind,
        actor,
        at_ms: NOW_MS,
        environment: None,
        version: 0,
        digest: None,
        key: None,
        by_number: false,
    }
}

pub(super) fn account(email: &str) -> Account {
    Account {
        id: AccountId::from_bytes(bytes16()),
        email: email.parse().expect("an address of a suite is an address"),
        display_name: "somebody".to_owned(),
        tier: Tier::Pro,
        record: vec![1; 192],
        bundle: vec![2; 185],
        password_wrap: vec![3; 74],
        recovery_wrap: vec![4; 74],
        revocation_epoch: 0,
        quota_bytes: QUOTA_BYTES,
        created_at_ms: NOW_MS,
        key_index: None,
    }
}

pub(super) fn session(account: AccountId) -> Session {
    Session {
        id: SessionId::from_bytes(bytes16()),
        account,
        holder_pk: bytes32(),
        refresh_hash: bytes32(),
        logged_in_at_ms: NOW_MS,
        expires_at_ms: NOW_MS + 1_000_000,
    }
}

pub(super) fn version(environment: EnvironmentId, number: u64, content: &[u8]) -> Version {
    Version {
        environment,
        number,
        digest: Digest(sha256(content)),
        len: content.len() as u64,
        seal: vec![5; 258],
        epoch: 1,
        author: AccountId::from_bytes([9; 16]),
        created_at_ms: NOW_MS,
        deleted: false,
        log_index: None,
    }
}

pub(super) fn upload(account: AccountId, environment: &Environment, len: u64, digest: Digest) -> Upload {
    Upload {
        id: UploadId::from_bytes(bytes16()),
        account,
        project: environment.project,
        environment: environment.id,
        precondition: Precondition::First,
        len,
        digest,
        seal: vec![6; 258],
        expires_at_ms: NOW_MS + 1000,
        received: Vec::new(),
    }
}

pub(super) async fn new_account(ports: &Ports, email: &str) -> Account {
    let account = account(email);
    let lines = vec![line(Trail::Account(account.id), Kind::AccountCreate)];
    assert!(ports.directory.create_account(account.clone(), lines).await.expect("the store works"));
    account
}

pub(super) async fn new_session(ports: &Ports, account: AccountId) -> Session {
    let session = session(account);
    assert!(open_session(ports, session.clone(), SESSIONS_MAX).await);
    session
}

/// Opens a session that was proven against the account's record as it is.
pub(super) async fn open_session(ports: &Ports, session: Session, limit: u32) -> bool {
    let line = line(Trail::Account(session.account), Kind::SessionOpen);
    let account = ports.directory.account(session.account).await.expect("the store works");
    let record_hash = account.map_or([0; 32], |account| sha256(&account.record));
    ports.directory.open_session(session, record_hash, limit, line).await.expect("the store works")
}

pub(super) fn project(owner: AccountId, text: &str) -> Project {
    let id = ProjectId::from_bytes(bytes16());
    OWNERS.lock().unwrap_or_else(PoisonError::into_inner).insert(id, owner);
    Project { id, name: name(text), owner, created_at_ms: NOW_MS, environment_count: 0 }
}

pub(super) async fn new_project(ports: &Ports, owner: AccountId, text: &str) -> Project {
    let project = project(owner, text);
    let line = line(Trail::Project(project.id), Kind::ProjectCreate);
    let written = ports.catalog.create_project(project.clone(), PROJECTS_MAX, line).await;
    assert_eq!(written.expect("the store works"), Written::Done);
    project
}

pub(super) fn environment(project: ProjectId, text: &str) -> Environment {
    Environment {
        id: EnvironmentId::from_bytes(bytes16()),
        project,
        name: name(text),
        epoch: 1,
        head: None,
        created_at_ms: NOW_MS,
        cloned_from: None,
        rotation_due: false,
    }
}

pub(super) fn keyring(epoch: u32) -> Keyring {
    Keyring { epoch, file: bytes32().repeat(8), seal: vec![7; 201], access_list: 0 }
}

pub(super) async fn new_environment(ports: &Ports, project: ProjectId, text: &str) -> Environment {
    let environment = environment(project, text);
    let line = line(Trail::Project(project), Kind::EnvironmentCreate);
    let created = environment.clone();
    let written = ports.catalog.create_environment(environment, keyring(1), ENVIRONMENTS_MAX, line).await;
    assert_eq!(written.expect("the store works"), Written::Done);
    created
}

/// An account with one project and one environment.
pub(super) async fn place(ports: &Ports) -> (Account, Project, Environment) {
    let account = new_account(ports, "place@example.org").await;
    let project = new_project(ports, account.id, "app").await;
    let environment = new_environment(ports, project.id, "production").await;
    (account, project, environment)
}

/// Commits to an environment of this project; the version then says where its line is, as every read will.
pub(super) async fn commit(
    ports: &Ports,
    project: ProjectId,
    version: &mut Version,
    precondition: Precondition,
) -> Result<(), Refusal> {
    let line = Line { version: version.number, ..line(Trail::Project(project), Kind::BlobPut) };
    let committed = ports.shelf.commit(version.clone(), precondition, line).await.expect("the store works");
    version.log_index = committed.as_ref().ok().copied();
    committed.map(drop)
}

/// All lines of a trail: no sequencer runs here, so none has left the outbox.
pub(super) async fn events(ports: &Ports, trail: Trail) -> Vec<Event> {
    ports.outbox.pending(trail, 0, 1000).await.expect("the store works")
}

pub(super) async fn kinds(ports: &Ports, trail: Trail) -> Vec<Kind> {
    events(ports, trail).await.iter().map(|event| event.line.kind).collect()
}
