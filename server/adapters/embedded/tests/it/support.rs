//! One account with a project and an environment, in a folder of its own.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::Digest as _;
use tempfile::TempDir;
use veilcloud_domain::{
    audit::model::{Kind, Line, OutboxKey, Trail},
    auth::model::{Account, Session, Tier},
    name::Name,
    projects::{
        model::{Environment, Keyring, Project},
        port::Written,
    },
    storage::model::{Digest, Precondition, Upload, Version},
};
use veilcloud_embedded::{Embedded, OpenError, Options};
use veilcore::id::{AccountId, EnvironmentId, ProjectId, SessionId, UploadId};

pub const QUOTA: u64 = 10_000;
pub const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
pub const PROJECT: ProjectId = ProjectId::from_bytes([2; 16]);
pub const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([3; 16]);
pub const UPLOAD: UploadId = UploadId::from_bytes([4; 16]);

pub fn key() -> OutboxKey {
    OutboxKey::new([9; 32])
}

pub fn open(folder: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(folder, key(), Options::default())
}

/// The writer of dropped stores ends on its own thread: wait for the lock, however long that takes.
pub fn reopen(folder: &Path) -> Embedded {
    loop {
        match open(folder) {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

/// Opens a folder that has nothing in it yet.
pub fn fresh() -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path()).unwrap();
    (folder, stores)
}

/// With account, project and environment.
pub async fn furnished() -> (TempDir, Embedded) {
    let (folder, stores) = fresh();
    furnish(&stores).await;
    (folder, stores)
}

pub async fn furnish(stores: &Embedded) {
    furnish_for(stores, account()).await;
}

/// With this account, its project and environment.
pub async fn furnish_for(stores: &Embedded, account: Account) {
    assert!(stores.directory().create_account(account, vec![line(Kind::AccountCreate)]).await.unwrap());
    let created = stores.catalog().create_project(project(), 10, line(Kind::ProjectCreate)).await.unwrap();
    assert_eq!(created, Written::Done);
    let line = line(Kind::EnvironmentCreate);
    let created = stores.catalog().create_environment(environment(), keyring(1), 10, line).await.unwrap();
    assert_eq!(created, Written::Done);
}

/// A picture of the folder as a crash at this moment would leave it.
pub fn crash_image(folder: &Path) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    copy(folder, image.path());
    image
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn account() -> Account {
    Account {
        id: ACCOUNT,
        email: "alice@example.com".parse().unwrap(),
        display_name: "Alice".to_owned(),
        tier: Tier::Pro,
        record: vec![1; 192],
        bundle: vec![2; 200],
        password_wrap: vec![3; 74],
        recovery_wrap: vec![4; 74],
        revocation_epoch: 0,
        quota_bytes: QUOTA,
        created_at_ms: 1_000,
        key_index: None,
    }
}

pub fn session(n: u8) -> Session {
    Session {
        id: SessionId::from_bytes([n; 16]),
        account: ACCOUNT,
        holder_pk: [n; 32],
        refresh_hash: [n; 32],
        logged_in_at_ms: 5_000,
        expires_at_ms: 9_000_000,
    }
}

pub fn project() -> Project {
    Project { id: PROJECT, name: name("my-app"), owner: ACCOUNT, created_at_ms: 2_000, environment_count: 0 }
}

pub fn environment() -> Environment {
    Environment {
        id: ENVIRONMENT,
        project: PROJECT,
        name: name("production"),
        epoch: 1,
        head: None,
        created_at_ms: 3_000,
        cloned_from: None,
        rotation_due: false,
    }
}

pub fn keyring(epoch: u32) -> Keyring {
    Keyring { epoch, file: vec![5; 300], seal: vec![6; 200], access_list: 0 }
}

pub fn line(kind: Kind) -> Line {
    Line {
        trail: Trail::Project(PROJECT),
        kind,
        actor: ACCOUNT,
        at_ms: 4_000,
        environment: Some(ENVIRONMENT),
        version: 0,
        digest: None,
        key: None,
        by_number: false,
    }
}

pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(bytes).into())
}

/// Bytes that differ from those of every other seed.
pub fn bytes_of(seed: u64, len: usize) -> Bytes {
    let seed = seed.to_be_bytes();
    (0..len).map(|i| seed[i % 8] ^ (i / 8 % 251) as u8).collect::<Vec<u8>>().into()
}

pub fn version(number: u64, digest: Digest, len: u64) -> Version {
    Version {
        environment: ENVIRONMENT,
        number,
        digest,
        len,
        seal: vec![7; 300],
        epoch: 1,
        author: ACCOUNT,
        created_at_ms: 6_000,
        deleted: false,
        log_index: None,
    }
}

pub fn upload(len: u64, digest: Digest) -> Upload {
    Upload {
        id: UPLOAD,
        account: ACCOUNT,
        project: PROJECT,
        environment: ENVIRONMENT,
        precondition: Precondition::First,
        len,
        digest,
        seal: vec![7; 300],
        expires_at_ms: 50_000,
        received: vec![],
    }
}

/// Where a blob's file is.
pub fn blob_file(folder: &Path, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    folder.join("blobs").join(&name[..2]).join(name)
}
