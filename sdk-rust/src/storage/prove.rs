//! Versions and the project's log: what the server gives is used only when it is shown to be in the log, and the log to
//! continue the one this machine has seen.

use veilcloud_proto::audit::v1 as audit;
use veilcloud_proto::storage::v1 as pb;

use super::Storage;
use super::verify::{Checked, Site, Visit};
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{
    ASKS_MAX, Asked, BEHIND_WAIT, BEHIND_WAITS_MAX, Claim, Fault, Leaf, Settled, never_settled,
};
use crate::times;
use crate::transport::rpc;

/// What the server says about a version, with the proof that it came with.
pub(super) struct Receipt {
    pub(super) blob: pb::BlobInfo,
    /// What was known of the log when the server was asked.
    pub(super) asked: Asked,
    pub(super) proof: Option<audit::LogProof>,
}

impl Storage {
    /// The description of a version; 0 for the newest.
    pub(super) async fn stat(&self, site: &Site, version: u64) -> Result<Receipt> {
        let asked = self.client.ask(site.log()).await?;
        let request = pb::StatBlobRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            version,
            log_size: asked.head.size,
        };
        let answer: pb::StatBlobResponse = self.client.call(&rpc::STAT_BLOB, &request).await?;
        let blob = times::present(answer.blob, &rpc::STAT_BLOB)?;
        Ok(Receipt { blob, asked, proof: answer.log_proof })
    }

    /// Accepts a version if it is in the log. A checkpoint that covers it may be a moment away, when witnesses have to see
    /// it first: a missing proof is asked for again a few times, and is the end of it then.
    pub(super) async fn prove(
        &self,
        site: &Site,
        checked: &Checked,
        asked: &Asked,
        proof: Option<audit::LogProof>,
    ) -> Result<()> {
        if let Some(leaf) = open(site, checked, asked, proof)? {
            return match self.client.settle(asked, &leaf).await? {
                Settled::Pinned => Ok(()),
                Settled::Again => self.prove_alone(site, checked).await,
            };
        }
        for _ in 0..BEHIND_WAITS_MAX {
            self.client.inner().transport.sleep(BEHIND_WAIT).await;
            let receipt = self.stat(site, checked.seal.version).await?;
            if let Some(leaf) = open(site, checked, &receipt.asked, receipt.proof)? {
                return match self.client.settle(&receipt.asked, &leaf).await? {
                    Settled::Pinned => Ok(()),
                    Settled::Again => self.prove_alone(site, checked).await,
                };
            }
        }
        Err(site.integrity(IntegrityReason::NotInLog, checked.seal.version))
    }

    /// Asks for the proof of a version again, while no other call of this process moves the head.
    async fn prove_alone(&self, site: &Site, checked: &Checked) -> Result<()> {
        let _one = self.client.inner().advancing.lock().await;
        for _ in 0..ASKS_MAX {
            let receipt = self.stat(site, checked.seal.version).await?;
            let leaf = open(site, checked, &receipt.asked, receipt.proof)?
                .ok_or_else(|| site.integrity(IntegrityReason::NotInLog, checked.seal.version))?;
            if self.client.settle_locked(&receipt.asked, &leaf).await? == Settled::Pinned {
                return Ok(());
            }
        }
        Err(never_settled(site.log()))
    }

    /// Checks the proof that comes with the answer to a deletion. When the head moved meanwhile, the next read proves that
    /// the log continues.
    pub(super) async fn prove_deletion(
        &self,
        visit: &Visit,
        head: &Checked,
        asked: &Asked,
        proof: audit::LogProof,
    ) -> Result<()> {
        let (site, seal) = (&visit.site, &head.seal);
        let claim = Claim::delete(site.environment, seal.version, seal.digest, visit.writer()?.account());
        let leaf = asked.open(proof).and_then(|leaf| claim.judge(&leaf.entry).map(|()| leaf));
        let leaf = leaf.map_err(|fault| refused(site, seal.version, fault))?;
        self.client.settle(asked, &leaf).await.map(|_| ())
    }
}

/// The leaf of a version; None when the server gave no proof.
fn open(
    site: &Site,
    checked: &Checked,
    asked: &Asked,
    proof: Option<audit::LogProof>,
) -> Result<Option<Leaf>> {
    let Some(proof) = proof else { return Ok(None) };
    let seal = &checked.seal;
    let claim = Claim::put(site.environment, seal.version, seal.digest, seal.author);
    let leaf = asked.open(proof).and_then(|leaf| claim.judge(&leaf.entry).map(|()| leaf));
    leaf.map(Some).map_err(|fault| refused(site, seal.version, fault))
}

fn refused(site: &Site, version: u64, fault: Fault) -> Error {
    fault.into_error(format_args!("version {version} of {}", site.name))
}
