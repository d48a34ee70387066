//! What a server says about a version, checked against the author's seal and against what was seen before. Nothing of
//! a [`pb::BlobInfo`] is used before it has passed here.

use std::sync::Arc;

use time::OffsetDateTime;
use veilcloud_proto::storage::v1 as pb;
use veilcore::id::{AccountId, EnvironmentId, ProjectId};
use veilvault::epoch::EpochKey;
use veilvault::identity::Identity;
use veilvault::key::PublicKey;
use veilvault::kind;
use veilvault::seal::{Expected, Seal, check_on_read};

use super::pins::{Pin, Pins, Relation, etag};
use super::{Kind, Storage, Version};
use crate::access::{Home, WRITES};
use crate::environments::{Environment, Environments};
use crate::error::{Error, IntegrityReason, Result};
use crate::keys::KnownKey;
use crate::log::LogId;
use crate::session::Session;
use crate::times;
use crate::transport::rpc;

/// Where content is.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) project: ProjectId,
    /// The project's owner.
    pub(super) owner: AccountId,
    pub(super) environment: EnvironmentId,
    pub(super) name: String,
}

impl Site {
    pub(super) fn of(home: Home, environment: &Environment) -> Self {
        let Home { project, owner } = home;
        Self { project, owner, environment: environment.id, name: environment.name.clone() }
    }

    pub(super) fn home(&self) -> Home {
        Home { project: self.project, owner: self.owner }
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
    /// Who reads; None for a service token, which signs nothing.
    session: Option<Arc<Session>>,
    pub(super) pins: Pins,
}

impl Visit {
    /// Whose keys open what is read; None for a service token.
    pub(super) fn reader(&self) -> Option<&Identity> {
        self.session.as_ref().map(|session| &session.identity)
    }

    /// Who signs what is written.
    pub(super) fn writer(&self) -> Result<&Identity> {
        let refused = || Error::invalid("service token", "it reads and signs nothing: log in to write");
        self.reader().ok_or_else(refused)
    }
}

/// A version whose seal was checked.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) seal: Seal,
    /// The key that the seal was checked with.
    pub(super) author_key: PublicKey,
    pub(super) seal_bytes: Vec<u8>,
    pub(super) created_at: OffsetDateTime,
    pub(super) deleted: bool,
}

/// A version and the epoch of the key that it is sealed to.
pub(crate) struct VersionEpoch {
    pub(crate) version: u64,
    pub(crate) epoch: u32,
}

impl VersionEpoch {
    fn of(checked: &Checked) -> Self {
        Self { version: checked.seal.version, epoch: checked.seal.epoch }
    }
}

impl Checked {
    pub(super) fn etag(&self) -> String {
        etag(self.seal.version, &self.seal.digest)
    }

    pub(super) fn pin(&self) -> Pin {
        Pin { version: self.seal.version, digest: self.seal.digest, epoch: self.seal.epoch, deleted: false }
    }

    pub(super) fn version(&self, key: &EpochKey) -> Version {
        Version { plain_bytes: Some(self.seal.content_len(key)), ..self.closed() }
    }

    /// The same of a version whose key this account does not have.
    pub(super) fn closed(&self) -> Version {
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
            plain_bytes: None,
            ciphertext_bytes: self.seal.ciphertext_len,
            epoch: self.seal.epoch,
            deleted: self.deleted,
            verified: true,
        }
    }
}

impl Storage {
    /// Checks seal, author, ids, epoch, digest and length of what the server says; `version` is the one asked for.
    pub(super) async fn check(
        &self,
        info: &pb::BlobInfo,
        site: &Site,
        reader: impl Into<Option<&Identity>>,
        version: Option<u64>,
    ) -> Result<Checked> {
        let refused = |reason| site.integrity(reason, info.version);
        let author = info.author_id.parse().map_err(|_| refused(IntegrityReason::AuthorUnknown))?;
        let author_key = match self.client.author_key(site.home(), author, WRITES, reader).await {
            Err(Error::Integrity { reason: IntegrityReason::AuthorUnknown, .. }) => {
                return Err(refused(IntegrityReason::AuthorUnknown));
            }
            key => key?,
        };
        let seal = judge(info, site, (author, &author_key), version).map_err(refused)?;
        Ok(Checked {
            seal,
            author_key,
            seal_bytes: info.seal.to_vec(),
            created_at: times::required(info.created_at, &rpc::GET_BLOB)?,
            deleted: info.deleted,
        })
    }
}

fn judge(
    info: &pb::BlobInfo,
    site: &Site,
    (author, author_key): (AccountId, &PublicKey),
    version: Option<u64>,
) -> Result<Seal, IntegrityReason> {
    if info.environment_id != site.environment.to_string() {
        return Err(IntegrityReason::WrongEnvironment);
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
            author,
            author_key,
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
    pub(super) async fn visit(&self, home: Home, name: &str) -> Result<Visit> {
        let session = match self.client.own_token().await? {
            Some(_) => None,
            None => Some(self.client.fresh_session().await?),
        };
        let pins = self.client.pins().await?;
        let environment = Environments::new(self.client.clone(), home).get(name).await?;
        Ok(Visit { site: Site::of(home, &environment), environment, session, pins })
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
        let head = self.check(&receipt.blob, &visit.site, visit.reader(), None).await?;
        self.judge_newest(visit, &head).await?;
        self.prove(&visit.site, &head, &receipt.asked, receipt.proof).await?;
        Ok(Some(head))
    }

    /// The epoch of the newest version, checked; None while there is none.
    pub(crate) async fn newest_epoch(&self, home: Home, name: &str) -> Result<Option<u32>> {
        let visit = self.visit(home, name).await?;
        Ok(self.head(&visit).await?.filter(|head| !head.deleted).map(|head| head.seal.epoch))
    }

    /// The newest version, checked, also when its bytes were deleted; None while there is none.
    pub(crate) async fn newest(&self, home: Home, name: &str) -> Result<Option<VersionEpoch>> {
        let visit = self.visit(home, name).await?;
        Ok(self.head(&visit).await?.as_ref().map(VersionEpoch::of))
    }

    /// Every version, newest first, each checked.
    pub(crate) async fn all_versions(&self, home: Home, name: &str) -> Result<Vec<VersionEpoch>> {
        let visit = self.visit(home, name).await?;
        Ok(self.chain(&visit, 1).await?.iter().map(VersionEpoch::of).collect())
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
    pub(super) async fn key_of(&self, visit: &Visit, epoch: u32) -> Result<KnownKey> {
        let site = &visit.site;
        self.client.epoch_key(site.home(), site.environment, &site.name, epoch, visit.reader()).await
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
