//! The embedded adapters: every port of the domain over one data folder, for a server that needs nothing installed.
//! `veilcloud.db` (SQLite) holds rows, waiting audit lines and small blobs; `blobs/` the larger blobs; `uploads/` what is
//! not complete yet; `log/` the entries and hashes of the logs; `lock` keeps a second process out. docs/data-model.md tells how the rows live.
//!
//! # Trust
//!
//! Whoever owns the folder, or a copy of it, sees what docs/security-model.md says the server sees: addresses, names of
//! projects and environments, sizes, times, who did what, OPAQUE records and wrapped keys. They learn no content and no
//! key: blobs and keyrings are age files, and root keys are wrapped under what only the person has. An OPAQUE record
//! allows guessing a password only together with the server's own keys, which these stores do not hold; the server may
//! keep them in a file beside them, and a copy of both allows it.
//!
//! They can lose or alter anything. An altered, swapped or moved blob, version or keyring is refused by every client:
//! digest, seal and keyring seal say what belongs where. An altered, moved or missing audit line is reported as damage,
//! unless they hold the outbox key too, which is not in the database. An altered entry or hash of a log does not fit the
//! root that the log signed, and the signing key is not here; a database that is older than the segment files or their
//! head is refused before anything is signed. What is *not* noticed by this crate alone: an old copy of the whole folder,
//! lines cut off at the end of a trail before its log took them, a deleted row that nothing points at, a changed quota,
//! tier or session. Clients and witnesses remember the newest head and version that they saw.
//!
//! # What is promised after a crash
//!
//! A change that was answered is on the disk; one that was not answered is there whole, with its audit line, or not at
//! all. A batch of log entries is on the disk before anything over it is signed, and it is committed whole or not at all.
//! Only bytes of at most 64 KiB are answered earlier: they reach the disk no later than the version that names them.
//!
//! Attempts, meters, nullifiers and claims live in this process only: after a restart logins start again, windows are
//! fresh, and proofs older than the process must be refused by the gate.

mod auth;
#[cfg(test)]
mod believed;
mod cache;
mod db;
mod log;
mod open;
mod outbox;
mod projects;
mod storage;
mod teams;
mod witness;

use std::{
    fs::File,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use rusqlite::Connection;
use veilcloud_domain::{
    audit::{
        model::OutboxKey,
        port::{LogStore, Outbox},
    },
    auth::{
        api_keys::port::ApiKeyStore,
        capabilities::port::CapabilityStore,
        port::{Attempts, Directory, Meter, Nullifiers, Replies},
    },
    clock::{Clock, SystemClock},
    projects::port::{Catalog, Grants, Keyrings},
    storage::port::{BlobStore, Shelf, Staging, Uploads},
    store::StoreError,
    teams::port::Roster,
};
use veilcore::id::UploadId;

use self::{
    auth::{
        api_keys::SqliteApiKeys,
        attempts::MemoryAttempts,
        capabilities::SqliteCapabilities,
        directory::{SqliteDirectory, Standings},
        meter::MemoryMeter,
        nullifiers::{MemoryNullifiers, NULLIFIERS_MAX_DEFAULT},
        replies::SqliteReplies,
    },
    db::{Db, fault::STORE, readers::Readers, writer::Writer},
    log::{segments::Segments, store::SegmentLogs},
    outbox::{Outgoing, SqliteOutbox},
    projects::{
        catalog::{ProjectCaches, SqliteCatalog},
        grants::SqliteGrants,
        keyrings::SqliteKeyrings,
    },
    storage::{
        blobs::{BlobFolder, EmbeddedBlobs},
        promises::Promises,
        shelf::SqliteShelf,
        spare::Spare,
        staging::{self, FileStaging},
        uploads::SqliteUploads,
    },
    teams::roster::SqliteRoster,
};
pub use self::{
    log::fsck::{Check, Finding, Problem, Progress, Summary, Verify, fsck},
    open::OpenError,
    witness::SqliteWitness,
};

/// What can be chosen.
#[derive(Clone)]
pub struct Options {
    /// Tells when a blob was stored; default: the system's clock.
    pub clock: Arc<dyn Clock>,
    /// Most request proofs remembered; when there are more, requests are refused. About 100 bytes each; default 2,097,152.
    pub nullifiers_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), nullifiers_max: NULLIFIERS_MAX_DEFAULT }
    }
}

/// All embedded stores of one data folder. It and the ports that it gives share the folder's lock.
pub struct Embedded {
    db: Db,
    lock: Arc<File>,
    directory: Arc<SqliteDirectory>,
    api_keys: Arc<SqliteApiKeys>,
    capabilities: Arc<SqliteCapabilities>,
    attempts: Arc<MemoryAttempts>,
    meter: Arc<MemoryMeter>,
    nullifiers: Arc<MemoryNullifiers>,
    replies: Arc<SqliteReplies>,
    catalog: Arc<SqliteCatalog>,
    grants: Arc<SqliteGrants>,
    keyrings: Arc<SqliteKeyrings>,
    roster: Arc<SqliteRoster>,
    shelf: Arc<SqliteShelf>,
    blobs: Arc<EmbeddedBlobs>,
    staging: Arc<FileStaging>,
    uploads: Arc<SqliteUploads>,
    outbox: Arc<SqliteOutbox>,
    logs: Arc<SegmentLogs>,
}

impl Embedded {
    /// Opens the folder, making it when it is not there. Blocks: checks the database. Must be called before, not
    /// on, a thread that serves requests.
    pub fn open(data_dir: &Path, key: OutboxKey, options: Options) -> Result<Self, OpenError> {
        open::folder(data_dir)?;
        let lock = Arc::new(open::lock(data_dir)?);
        let file = data_dir.join(open::DATABASE);
        let conn = open::database(&file, open::Depth::Daily)?;
        open::clear_aside(data_dir)?;
        clear_uploads(&conn, data_dir)?;
        auth::unpublished::publish(&conn, &key, options.clock.now_ms()).map_err(|fault| {
            OpenError::Corrupt { file: file.clone(), cause: StoreError::from(fault).to_string() }
        })?;
        let readers = Readers::open(&file).map_err(|error| OpenError::from_sql(&file, &error))?;
        let outgoing = Arc::new(Outgoing::new(key));
        let writer = Writer::start(conn, outgoing.clone(), lock.clone())
            .map_err(|error| OpenError::from_io(data_dir, &error))?;
        Ok(Self::build(data_dir, Db { writer, readers }, lock, outgoing, options))
    }

    fn build(data_dir: &Path, db: Db, lock: Arc<File>, outgoing: Arc<Outgoing>, options: Options) -> Self {
        let (caches, standings) = (ProjectCaches::new(), Standings::new());
        let promises = Arc::<Promises>::default();
        let folder = Arc::new(BlobFolder {
            root: data_dir.join(open::BLOBS),
            clock: options.clock,
            spare: Spare::default(),
            promises: promises.clone(),
            aside: AtomicU64::new(0),
        });
        Self {
            api_keys: Arc::new(SqliteApiKeys { db: db.clone(), standings: standings.clone() }),
            capabilities: Arc::new(SqliteCapabilities { db: db.clone(), standings: standings.clone() }),
            directory: Arc::new(SqliteDirectory { db: db.clone(), standings, projects: caches.clone() }),
            attempts: Arc::default(),
            meter: Arc::default(),
            nullifiers: Arc::new(MemoryNullifiers::new(options.nullifiers_max)),
            replies: Arc::new(SqliteReplies::new(db.clone())),
            catalog: Arc::new(SqliteCatalog { db: db.clone(), caches: caches.clone() }),
            grants: Arc::new(SqliteGrants { db: db.clone(), caches: caches.clone() }),
            keyrings: Arc::new(SqliteKeyrings { db: db.clone(), caches: caches.clone() }),
            roster: Arc::new(SqliteRoster { db: db.clone(), caches: caches.clone() }),
            shelf: Arc::new(SqliteShelf { db: db.clone(), caches, promises }),
            blobs: Arc::new(EmbeddedBlobs { db: db.clone(), folder: folder.clone() }),
            staging: Arc::new(FileStaging::new(data_dir.join(open::UPLOADS), folder, db.clone())),
            uploads: Arc::new(SqliteUploads { db: db.clone() }),
            outbox: Arc::new(SqliteOutbox::new(db.clone(), outgoing)),
            logs: Arc::new(SegmentLogs::new(db.clone(), Segments::new(data_dir))),
            db,
            lock,
        }
    }

    /// People and their sessions.
    pub fn directory(&self) -> Arc<dyn Directory> {
        self.directory.clone()
    }

    /// API keys.
    pub fn api_keys(&self) -> Arc<dyn ApiKeyStore> {
        self.api_keys.clone()
    }

    /// Capabilities issued for other keys.
    pub fn capabilities(&self) -> Arc<dyn CapabilityStore> {
        self.capabilities.clone()
    }

    /// Half-finished protocol runs.
    pub fn attempts(&self) -> Arc<dyn Attempts> {
        self.attempts.clone()
    }

    /// Token windows.
    pub fn meter(&self) -> Arc<dyn Meter> {
        self.meter.clone()
    }

    /// Spent request proofs.
    pub fn nullifiers(&self) -> Arc<dyn Nullifiers> {
        self.nullifiers.clone()
    }

    /// Answers of repeatable requests.
    pub fn replies(&self) -> Arc<dyn Replies> {
        self.replies.clone()
    }

    /// Projects and environments.
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        self.catalog.clone()
    }

    /// Shares, access lists and rights.
    pub fn grants(&self) -> Arc<dyn Grants> {
        self.grants.clone()
    }

    /// Keyrings.
    pub fn keyrings(&self) -> Arc<dyn Keyrings> {
        self.keyrings.clone()
    }

    /// Teams.
    pub fn roster(&self) -> Arc<dyn Roster> {
        self.roster.clone()
    }

    /// Versions.
    pub fn shelf(&self) -> Arc<dyn Shelf> {
        self.shelf.clone()
    }

    /// Bytes by digest.
    pub fn blobs(&self) -> Arc<dyn BlobStore> {
        self.blobs.clone()
    }

    /// Bytes of unfinished uploads.
    pub fn staging(&self) -> Arc<dyn Staging> {
        self.staging.clone()
    }

    /// Upload sessions.
    pub fn uploads(&self) -> Arc<dyn Uploads> {
        self.uploads.clone()
    }

    /// Audit lines that no log has taken yet.
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        self.outbox.clone()
    }

    /// The logs.
    pub fn logs(&self) -> Arc<dyn LogStore> {
        self.logs.clone()
    }

    /// Whether requests can be served: the writer takes changes and the database can be read.
    pub async fn ready(&self) -> Result<(), StoreError> {
        if !self.db.writer.is_running() {
            let cause = "the writer has stopped".to_owned();
            return Err(StoreError::Unavailable { store: STORE, cause });
        }
        self.db.read(|conn| Ok(conn.query_row("SELECT 1 FROM migrations LIMIT 1", [], |_| Ok(()))?)).await
    }

    /// Commits what waits, checkpoints the log, closes the files and gives the folder back. Ports that are still held
    /// answer that the store is unavailable.
    pub async fn close(self) {
        self.db.readers.close().await;
        self.db.writer.close().await;
        if let Err(error) = self.lock.unlock() {
            // The system gives it back with the process.
            tracing::warn!(%error, "the data folder's lock was not given back");
        }
    }
}

fn clear_uploads(conn: &Connection, data_dir: &Path) -> Result<(), OpenError> {
    let uploads = data_dir.join(open::UPLOADS);
    let known = |id: UploadId| {
        let row = conn.query_row("SELECT COUNT(*) FROM uploads WHERE id = ?1", [id.as_bytes()], |r| r.get(0));
        // When in doubt it stays.
        row.map_or(true, |count: u32| count > 0)
    };
    staging::clear(&uploads, known).map_err(|error| OpenError::from_io(&uploads, &error))
}
