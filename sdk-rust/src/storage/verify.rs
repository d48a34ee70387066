//! What a server says about a version, checked against the author's seal and against what was seen before. Nothing of
//! a [`pb::BlobInfo`] is used before it has passed here.

use std::sync::Arc;

use time::OffsetDateTime;
use veilcloud_proto::storage::v1 as pb;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};
use veilvault::epoch::EpochKey;
use veilvault::identity::Identity;
use veilvault::kind;
use veilvault::seal::{Expected, Seal, check_on_read};

use super::pins::{Pin, Pins, Relation, etag};
use super::{Kind, Storage, Version};
use crate::environments::{Environment, Environments};
use crate::error::{Error, IntegrityReason, Result};
use crate::log::LogId;
use crate::session::Session;
use crate::times;
use crate::transport::rpc;

/// Where content is.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) project: ProjectId,
    pub(super) environment: EnvironmentId,
    pub(super) name: String,
}

impl Site {
    pub(super) fn of(environment: &Environment) -> Self {
        Self { project: environment.project_id, environment: environment.id, name: environment.name.clone() }
    }

    /// The log that tells of this environment.
    pub(super) fn log(&self) -> LogId {
        LogId::Project(self.project)
    }

    pub(super) fn integrity(&self, reason: IntegrityReason, version: u64) -> Error {
        Error::integrity(reason, format!("version {version} of {}", self.name))
    }
}

/// One look at an environment: what the server says, and what had been seen before it was asked.
pub(super) struct Visit {
    pub(super) site: Site,
    pub(super) environment: Environment,
    pub(super) session: Arc<Session>,
    pub(super) pins: Pins,
}

/// A version whose seal was checked.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) seal: Seal,
    pub(super) seal_bytes: Vec<u8>,
    pub(super) created_at: OffsetDateTime,
    pub(super) deleted: bool,
}

impl Checked {
    pub(super) fn etag(&self) -> String {
        etag(self.seal.version, &self.seal.digest)
    }

    pub(super) fn pin(&self) -> Pin {
        Pin { version: self.seal.version, digest: self.seal.digest, epoch: self.seal.epoch, deleted: false }
    }

    pub(super) fn version(&self, key: &EpochKey) -> Version {
        Version {
            number: self.seal.version,
            etag: self.etag(),
            digest: self.seal.digest,
            author_id: self.seal.author,
            created_at: self.created_at,
            kind: match self.seal.kind {
                kind::Kind::Text => Kind::Text,
                kind::Kind::Binary => Kind::Binary,
            },
            plain_bytes: Some(self.seal.content_len(key)),
            ciphertext_bytes: self.seal.ciphertext_len,
            epoch: self.seal.epoch,
            deleted: self.deleted,
            verified: true,
        }
    }
}

/// Checks seal, author, ids, epoch, digest and length of what the server says; `version` is the one asked for.
pub(super) fn check(
    info: &pb::BlobInfo,
    site: &Site,
    reader: &Identity,
    version: Option<u64>,
) -> Result<Checked> {
    let checked =
        judge(info, site, reader, version).map_err(|reason| site.integrity(reason, info.version))?;
    Ok(Checked {
        seal: checked,
        seal_bytes: info.seal.to_vec(),
        created_at: times::required(info.created_at, &rpc::GET_BLOB)?,
        deleted: info.deleted,
    })
}

fn judge(
    info: &pb::BlobInfo,
    site: &Site,
    reader: &Identity,
    version: Option<u64>,
) -> Result<Seal, IntegrityReason> {
    if info.environment_id != site.environment.to_string() {
        return Err(IntegrityReason::WrongEnvironment);
    }
    // Only the own key is known for sure; keys of others come with teams.
    if info.author_id.parse::<AccountId>() != Ok(reader.account()) {
        return Err(IntegrityReason::AuthorUnknown);
    }
    let digest = <[u8; 32]>::try_from(&info.digest[..]).map_err(|_| IntegrityReason::DigestMismatch)?;
    let seal = check_on_read(
        &info.seal,
        &Expected {
            project: site.project,
            environment: site.environment,
            version,
            parent: None,
            epoch: info.epoch,
            author: reader.account(),
            author_key: &reader.public_key(),
            digest: Some(digest),
        },
    )?;
    if seal.version != info.version {
        return Err(IntegrityReason::WrongVersion);
    }
    if seal.ciphertext_len != info.ciphertext_bytes {
        return Err(IntegrityReason::LengthMismatch);
    }
    Ok(seal)
}

impl Storage {
    /// Looks at an environment.
    pub(super) async fn visit(&self, project: ProjectId, name: &str) -> Result<Visit> {
        let session = self.client.fresh_session().await?;
        let pins = self.client.pins().await?;
        let environment = Environments::new(self.client.clone(), project).get(name).await?;
        Ok(Visit { site: Site::of(&environment), environment, session, pins })
    }

    /// The newest version, checked against what was seen and proved to be in the log; None while there is none.
    pub(super) async fn head(&self, visit: &Visit) -> Result<Option<Checked>> {
        let receipt = match self.stat(&visit.site, 0).await {
            Err(e) if e.is("BLOB_NOT_FOUND") => {
                return match visit.pins.pin(visit.site.environment) {
                    Some(pin) if pin.version > 0 => {
                        Err(visit.site.integrity(IntegrityReason::RolledBack, pin.version))
                    }
                    _ => Ok(None),
                };
            }
            receipt => receipt?,
        };
        let head = check(&receipt.blob, &visit.site, &visit.session.identity, None)?;
        self.judge_newest(visit, &head).await?;
        self.prove(&visit.site, &head, &receipt.asked, receipt.proof).await?;
        Ok(Some(head))
    }

    /// Judges a version that the server shows as the newest; walks the chain back to the pin if there is a gap.
    pub(super) async fn judge_newest(&self, visit: &Visit, head: &Checked) -> Result<()> {
        let relation = visit
            .pins
            .judge_head(visit.site.environment, &head.pin(), &head.seal.parent)
            .map_err(|reason| visit.site.integrity(reason, head.seal.version))?;
        if let Relation::Ahead(pin) = relation {
            let chain = self.chain(visit, pin.version).await?;
            let same = chain.iter().any(|checked| checked.pin() == head.pin());
            if !same {
                return Err(visit.site.integrity(IntegrityReason::Forked, head.seal.version));
            }
        }
        Ok(())
    }

    /// The key that a version is sealed to.
    pub(super) async fn key_of(&self, visit: &Visit, epoch: u32) -> Result<EpochKey> {
        let site = &visit.site;
        let identity = &visit.session.identity;
        self.client.epoch_key(site.project, site.environment, &site.name, epoch, identity).await
    }

    /// Takes note of a version that was read as the newest. False when a newer one was noted meanwhile.
    pub(super) async fn note_newest(&self, site: &Site, checked: &Checked) -> Result<bool> {
        self.client.pin_newest(site.environment, &site.name, checked.pin()).await
    }

    /// Takes note of a version that was read or written.
    pub(super) async fn note(&self, site: &Site, checked: &Checked) -> Result<()> {
        self.client.pin_version(site.environment, &site.name, checked.pin()).await
    }
}
