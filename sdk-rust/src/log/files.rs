//! A log's files as c2sp.org/tlog-tiles lays them out, read through the session. Nothing in them is believed before it
//! leads to a root that the log's key signed.

use std::collections::BTreeMap;

use veilchain::checkpoint::Checkpoint;
use veilchain::hash::Hash;
use veilchain::proof::Plan;
use veilchain::tile::{BundlePath, Tile, parse_hashes};
use veilcloud_proto::audit::v1 as pb;

use super::prove::never_settled;
use super::{ASKS_MAX, Fault, LogId, Settled};
use crate::client::Client;
use crate::error::{Error, IntegrityReason, Result};
use crate::transport::rpc;

/// Where the checkpoint is.
pub(crate) const CHECKPOINT_PATH: &str = "checkpoint";

/// The files of one log.
#[derive(Clone)]
pub(crate) struct Files {
    client: Client,
    log: LogId,
}

/// The newest checkpoint: signed, seen by a quorum, and shown to continue the head seen before.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Vec<u8>,
}

/// A checkpoint that does not continue the head seen before, or is not shown to.
pub(crate) struct Contradiction {
    pub(crate) fault: Fault,
    /// The checkpoint of the head, if it was kept.
    pub(crate) seen: Option<String>,
    pub(crate) shown: Vec<u8>,
}

/// What asking for the newest checkpoint brought.
enum Look {
    Newest(Newest),
    Nothing,
    Again,
    Contradiction(Contradiction),
}

impl Files {
    pub(crate) fn new(client: Client, log: LogId) -> Self {
        Self { client, log }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn log(&self) -> LogId {
        self.log
    }

    /// One file.
    pub(crate) async fn read(&self, path: String) -> Result<Vec<u8>> {
        match self.log {
            LogId::Project(project) => {
                let request = pb::GetLogFileRequest { project_id: project.to_string(), path };
                let answer: pb::GetLogFileResponse = self.client.call(&rpc::GET_LOG_FILE, &request).await?;
                Ok(answer.data)
            }
            LogId::Account(_) => {
                let request = pb::GetAccountLogFileRequest { path };
                let answer: pb::GetAccountLogFileResponse =
                    self.client.call(&rpc::GET_ACCOUNT_LOG_FILE, &request).await?;
                Ok(answer.data)
            }
            LogId::Directory => {
                let request = pb::GetDirectoryFileRequest { path };
                let answer: pb::GetDirectoryFileResponse =
                    self.client.call(&rpc::GET_DIRECTORY_FILE, &request).await?;
                Ok(answer.data)
            }
        }
    }

    /// The bytes of a bundle.
    pub(crate) async fn bundle(&self, bundle: BundlePath) -> Result<Vec<u8>> {
        self.covered(bundle.path()).await
    }

    /// A file that a checkpoint which was shown covers: that it is missing is a fault of the log.
    async fn covered(&self, path: String) -> Result<Vec<u8>> {
        match self.read(path.clone()).await {
            Err(e) if e.is("LOG_FILE_UNKNOWN") => {
                Err(self.fault(Fault::invalid(format!("{path} is missing, and the checkpoint covers it"))))
            }
            read => read,
        }
    }

    /// The hashes of a plan, built from tiles. They prove nothing before they are verified.
    pub(crate) async fn hashes(&self, plan: &Plan) -> Result<Vec<Hash>> {
        let mut tiles = BTreeMap::new();
        for tile in plan.tiles() {
            tiles.insert(tile, self.tile(tile).await?);
        }
        let hashes = plan.build(|tile| tiles.get(&tile).map(Vec::as_slice));
        hashes.map_err(|e| self.fault(Fault::invalid(e)))
    }

    async fn tile(&self, tile: Tile) -> Result<Vec<Hash>> {
        let bytes = self.covered(tile.path()).await?;
        let hashes = parse_hashes(&bytes, tile.width);
        hashes.map_err(|e| self.fault(Fault::invalid(format!("{}: {e}", tile.path()))))
    }

    /// The newest checkpoint, shown by tiles, not by a proof of the server's making, to continue the head that was seen;
    /// the head is moved to it. None while the log has none.
    pub(crate) async fn newest(&self) -> Result<Option<Newest>> {
        self.newest_or_contradiction().await?.map_err(|contradiction| self.fault(contradiction.fault))
    }

    /// The same, with the evidence when it does not continue the head.
    pub(crate) async fn newest_or_contradiction(&self) -> Result<Result<Option<Newest>, Contradiction>> {
        let mut look = self.look().await?;
        if let Look::Again = look {
            // One at a time, and nobody in this process moves the head meanwhile.
            let _one = self.client.inner().advancing.lock().await;
            for _ in 0..ASKS_MAX {
                look = self.look().await?;
                if !matches!(look, Look::Again) {
                    break;
                }
            }
        }
        match look {
            Look::Newest(newest) => Ok(Ok(Some(newest))),
            Look::Nothing => Ok(Ok(None)),
            Look::Contradiction(contradiction) => Ok(Err(contradiction)),
            Look::Again => Err(never_settled(self.log)),
        }
    }

    async fn look(&self) -> Result<Look> {
        let asked = self.client.ask(self.log).await?;
        let note = match self.read(CHECKPOINT_PATH.to_owned()).await {
            Err(e) if e.is("LOG_FILE_UNKNOWN") && asked.head.size == 0 => return Ok(Look::Nothing),
            Err(e) if e.is("LOG_FILE_UNKNOWN") => {
                let fault = Fault::new(IntegrityReason::LogRolledBack, "it has no checkpoint any more");
                return Err(self.fault(fault));
            }
            note => note?,
        };
        let opened = asked.trust.open(self.log, &note).map_err(|fault| self.fault(fault))?;
        let checkpoint = opened.accepted.checkpoint;
        let seen = self.client.pins().await?.logs.note(self.log).map(str::to_owned);
        let contradicts = |fault: Fault| {
            Look::Contradiction(Contradiction { fault, seen: seen.clone(), shown: note.clone() })
        };
        let consistency = match Plan::consistency(asked.head.size, checkpoint.size) {
            Ok(plan) => match self.hashes(&plan).await {
                Err(Error::Integrity { reason, subject }) => {
                    return Ok(contradicts(Fault::new(reason, subject)));
                }
                hashes => hashes?,
            },
            Err(_) => Vec::new(),
        };
        match self.client.move_head(&asked, &checkpoint, &note, &consistency).await {
            Ok(Settled::Pinned) => Ok(Look::Newest(Newest { checkpoint, note })),
            Ok(Settled::Again) => Ok(Look::Again),
            Err(Error::Integrity { reason, subject }) => {
                // Another call may have seen more since this one asked: only the newest head counts.
                let moved = self.client.ask(self.log).await?.head != asked.head;
                if moved { Ok(Look::Again) } else { Ok(contradicts(Fault::new(reason, subject))) }
            }
            Err(e) => Err(e),
        }
    }

    /// A fault of this log as an error.
    pub(crate) fn fault(&self, fault: Fault) -> Error {
        fault.into_error(format_args!("the log {}", self.log))
    }
}
