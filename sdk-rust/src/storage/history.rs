//! The chain of versions. Every seal names the digest of the version before it, so that one digest at the top speaks
//! for all below.

use std::collections::BTreeMap;

use veilcloud_proto::storage::v1 as pb;

use super::pins::etag;
use super::verify::{Checked, Site, Visit};
use super::{Kind, Storage, Version};
use crate::access::Home;
use crate::error::{Error, IntegrityReason, Result};
use crate::keys::KnownKey;
use crate::projects::{PAGE_SIZE, PAGES_MAX, Project};
use crate::times;
use crate::transport::rpc;

/// How often a list is read again because somebody has written meanwhile.
const LISTS_MAX: u32 = 5;

impl Storage {
    pub(super) async fn versions_page(
        &self,
        site: &Site,
        page_size: u32,
        page_token: String,
    ) -> Result<pb::ListVersionsResponse> {
        let request = pb::ListVersionsRequest {
            project_id: site.project.to_string(),
            env_name: site.name.clone(),
            page_size,
            page_token,
        };
        self.client.call(&rpc::LIST_VERSIONS, &request).await
    }

    /// Every version from the newest down to `down_to`, newest first, each checked and linked to the next, and the
    /// pinned one found in its place.
    pub(super) async fn chain(&self, visit: &Visit, down_to: u64) -> Result<Vec<Checked>> {
        let mut chain: Vec<Checked> = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.versions_page(&visit.site, PAGE_SIZE, page_token).await?;
            for info in &page.versions {
                let above =
                    chain.last().map_or(Above::Nothing, |checked| Above::Version(Box::new(checked.clone())));
                let checked = self.link(info, visit, &above).await?;
                let last = checked.seal.version <= down_to;
                chain.push(checked);
                if last {
                    return Ok(chain);
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        match chain.last() {
            // The walk ended above version 1: versions are missing.
            Some(last) if last.seal.version > 1 => {
                Err(visit.site.integrity(IntegrityReason::Truncated, last.seal.version))
            }
            _ => Ok(chain),
        }
    }

    pub(super) async fn list_history(&self, project: &Project, name: &str) -> Result<Vec<Version>> {
        for _ in 0..LISTS_MAX {
            if let Some(history) = self.list_below_head(project, name).await? {
                return Ok(history);
            }
        }
        Err(Error::BadAnswer { rpc: rpc::LIST_VERSIONS.path })
    }

    /// The list from the proved newest version down to the first, without a gap. None when somebody has written meanwhile,
    /// so that it begins with a newer one than was proved.
    async fn list_below_head(&self, project: &Project, name: &str) -> Result<Option<Vec<Version>>> {
        let visit = self.visit(Home::of(project), name).await?;
        let head = self.head(&visit).await?;
        if let Some(head) = &head
            && !self.note_newest(&visit.site, head).await?
        {
            return Ok(None);
        }
        let newest = head.as_ref().map_or(0, |head| head.seal.version);
        let mut history: Vec<Version> = Vec::new();
        let mut above = Above::Nothing;
        let mut keys = BTreeMap::new();
        let mut page_token = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.versions_page(&visit.site, PAGE_SIZE, page_token).await?;
            for info in &page.versions {
                if history.is_empty() && info.version > newest {
                    return Ok(None);
                }
                let expected = newest.saturating_sub(history.len() as u64);
                if expected == 0 || info.version != expected {
                    return Err(visit.site.integrity(IntegrityReason::WrongVersion, info.version));
                }
                let linked = match (self.link(info, &visit, &above).await, history.is_empty()) {
                    // Only what was proved speaks for what is below it.
                    (Ok(first), true) if head.as_ref().is_none_or(|head| head.pin() != first.pin()) => {
                        return Err(visit.site.integrity(IntegrityReason::Forked, info.version));
                    }
                    (Err(e), true) => return Err(e),
                    (linked, _) => linked,
                };
                let Ok(checked) = linked else {
                    history.push(unverified(info)?);
                    above = Above::Broken;
                    continue;
                };
                let epoch = checked.seal.epoch;
                if let std::collections::btree_map::Entry::Vacant(room) = keys.entry(epoch) {
                    room.insert(self.key_if_given(&visit, epoch).await?);
                }
                let key = keys[&epoch].as_ref();
                history.push(key.map_or_else(|| checked.closed(), |known| checked.version(&known.key)));
                above = Above::Version(Box::new(checked));
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                let missing = newest.saturating_sub(history.len() as u64);
                return match missing {
                    0 => Ok(Some(history)),
                    _ => Err(visit.site.integrity(IntegrityReason::Truncated, missing)),
                };
            }
        }
        Err(Error::BadAnswer { rpc: rpc::LIST_VERSIONS.path })
    }
}

/// What stands above a version in the list.
enum Above {
    /// It is the first of the list.
    Nothing,
    /// A version that was checked and names it as its parent, or does not.
    Version(Box<Checked>),
    /// A version that failed: nothing shows that what is below it belongs there, but for a pin.
    Broken,
}

impl Storage {
    /// The key of an epoch; None when it was not given to this account, which joined later.
    async fn key_if_given(&self, visit: &Visit, epoch: u32) -> Result<Option<KnownKey>> {
        match self.key_of(visit, epoch).await {
            Err(Error::Integrity { reason: IntegrityReason::KeyNotGiven, .. }) => Ok(None),
            known => known.map(Some),
        }
    }

    /// Checks one version and its place below the one above it.
    async fn link(&self, info: &pb::BlobInfo, visit: &Visit, above: &Above) -> Result<Checked> {
        let expected = match above {
            Above::Version(above) => Some(above.seal.version.saturating_sub(1)),
            _ => None,
        };
        let checked = self.check(info, &visit.site, visit.reader(), expected).await?;
        place(checked, visit, above)
    }
}

fn place(checked: Checked, visit: &Visit, above: &Above) -> Result<Checked> {
    let pin = visit.pins.pin(visit.site.environment);
    let pinned = pin.filter(|pin| pin.version == checked.seal.version);
    let reason = match above {
        _ if pinned.is_some_and(|pin| pin.digest != checked.seal.digest) => Some(IntegrityReason::Forked),
        Above::Nothing => {
            pin.filter(|pin| checked.seal.version < pin.version).map(|_| IntegrityReason::RolledBack)
        }
        Above::Version(above) if above.seal.parent != checked.seal.digest => {
            Some(IntegrityReason::WrongParent)
        }
        Above::Version(above) if above.seal.epoch < checked.seal.epoch => Some(IntegrityReason::WrongEpoch),
        Above::Broken if pinned.is_none() => Some(IntegrityReason::WrongParent),
        _ => None,
    };
    match reason {
        Some(reason) => Err(visit.site.integrity(reason, checked.seal.version)),
        None => Ok(checked),
    }
}

/// A version that failed its check, as the server describes it.
fn unverified(info: &pb::BlobInfo) -> Result<Version> {
    let rpc = &rpc::LIST_VERSIONS;
    let digest = info.digest[..].try_into().map_err(|_| Error::BadAnswer { rpc: rpc.path })?;
    Ok(Version {
        number: info.version,
        etag: etag(info.version, &digest),
        digest,
        author_id: times::id(&info.author_id, rpc)?,
        created_at: times::required(info.created_at, rpc)?,
        kind: Kind::Unknown,
        plain_bytes: None,
        ciphertext_bytes: info.ciphertext_bytes,
        epoch: info.epoch,
        deleted: info.deleted,
        verified: false,
    })
}
