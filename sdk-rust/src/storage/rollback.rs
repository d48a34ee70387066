//! Sealing content again: for a rollback, a clone and a new epoch. The content goes from one seal to the next without
//! touching a disk in the clear.

use veilcloud_proto::projects::v1 as pb;
use veilcore::id::EnvironmentId;

use super::pins::Pin;
use super::put::Slot;
use super::verify::{Checked, Visit};
use super::{DIRECT_BLOB_MAX, Expect, PutOptions, Storage, Version};
use crate::access::{Home, Vouched};
use crate::environments::{Environment, Environments};
use crate::error::{Error, IntegrityReason, Result};
use crate::projects::Project;
use crate::times;
use crate::transport::rpc;

/// How often a key is made anew because the people of the project changed meanwhile.
const TRIES_MAX: u32 = 4;

/// A new key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The environment with it.
    pub environment: Environment,
    /// Content whose author is not in the project any more: it is signed by this account now, look at it.
    pub vouched: Option<Vouched>,
}

impl Storage {
    pub(super) async fn roll_back(&self, project: &Project, name: &str, to: u64) -> Result<Version> {
        let visit = self.visit_to_write(Home::of(project), name).await?;
        let head = self.head(&visit).await?;
        let slot = self.slot(&visit, head.as_ref(), &Expect::Any).await?;
        self.reseal(&visit, Some(to), &visit, &slot).await
    }

    /// Reads a version and seals its content again for a slot, here or in another environment.
    async fn reseal(&self, from: &Visit, version: Option<u64>, to: &Visit, slot: &Slot) -> Result<Version> {
        let download = self.download(from, version).await?;
        let key = self.key_of(from, download.checked.seal.epoch).await?.key;
        if download.checked.seal.ciphertext_len <= DIRECT_BLOB_MAX {
            let (_, content) = self.open_in_memory(from, download, key).await?;
            return self.put_in(to, slot, bytes::Bytes::from_owner(content), &PutOptions::default()).await;
        }
        #[cfg(feature = "native")]
        return self.reseal_stream(from, download, key, to, slot).await;
        #[cfg(not(feature = "native"))]
        {
            let (_, content) = self.open_in_memory(from, download, key).await?;
            self.put_in(to, slot, bytes::Bytes::from_owner(content), &PutOptions::default()).await
        }
    }
}

impl Environments {
    /// Creates the environment `to` with the newest content of `from`, sealed to a key of its own.
    ///
    /// # Errors
    /// [`Error::NotFound`] when `from` holds nothing; [`Error::Api`] with `ENVIRONMENT_EXISTS`. When the content
    /// cannot be written after the environment was made, the environment stays, empty.
    pub async fn clone(&self, from: &str, to: &str) -> Result<Environment> {
        let storage = Storage::new(self.client.clone());
        let source = storage.visit(self.home, from).await?;
        let missing = || Error::NotFound { what: "content in an environment", name: from.to_owned() };
        let head = storage.head(&source).await?.filter(|head| !head.deleted).ok_or_else(missing)?;
        let id = EnvironmentId::from_bytes(times::random_uuid().into_bytes());
        let identity = source.writer()?;
        let (key, keyring) = self.client.new_keyring(self.home, id, 1, identity).await?;
        let made_for = (identity.account(), keyring.access_list);
        let request = pb::CloneEnvironmentRequest {
            project_id: self.project.to_string(),
            name: from.to_owned(),
            source_version: head.seal.version,
            target_name: to.to_owned(),
            environment_id: id.to_string(),
            keyring: Some(keyring),
            request_id: times::request_id(),
        };
        let answer: pb::CloneEnvironmentResponse =
            self.client.call(&rpc::CLONE_ENVIRONMENT, &request).await?;
        let made = self.read(answer.environment, &rpc::CLONE_ENVIRONMENT)?;
        self.welcome(made, to, id, &key, made_for).await?;
        let target = storage.visit(self.home, to).await?;
        if target.environment.id != id {
            return Err(Error::integrity(IntegrityReason::WrongEnvironment, format!("environment {to}")));
        }
        let slot = storage.slot(&target, None, &Expect::First).await?;
        storage.reseal(&source, Some(head.seal.version), &target, &slot).await?;
        self.get(to).await
    }

    /// Starts the next epoch of an environment's key and seals the newest content to it, in this account's name. Earlier
    /// versions stay readable with the keys of their epochs; nothing can be written under those any more.
    ///
    /// # Errors
    /// [`Error::Api`] with `EPOCH_STALE` when somebody else rotates meanwhile. When the content cannot be sealed
    /// again after the epoch began, it stays under the old one until the next write: [`Error::Integrity`] with
    /// [`IntegrityReason::Withheld`] when the server says that its bytes were deleted and this machine did not do so.
    pub async fn rotate(&self, name: &str) -> Result<Rotation> {
        let vouched = self.renew(name).await?;
        Ok(Rotation { environment: self.get(name).await?, vouched })
    }

    /// The next epoch, and the newest content sealed to it.
    pub(crate) async fn renew(&self, name: &str) -> Result<Option<Vouched>> {
        let storage = Storage::new(self.client.clone());
        let before = storage.visit(self.home, name).await?;
        let head = storage.head(&before).await?;
        self.begin_epoch(&before, head.as_ref()).await?;
        match head {
            Some(head) => self.reseal_head(&storage, &before, &head).await,
            None => Ok(None),
        }
    }

    /// Seals the newest content to the current epoch when it is sealed to an older one: somebody began the epoch and was
    /// interrupted.
    pub(crate) async fn reseal(&self, name: &str) -> Result<Option<Vouched>> {
        let storage = Storage::new(self.client.clone());
        let before = storage.visit(self.home, name).await?;
        match storage.head(&before).await? {
            Some(head) if head.seal.epoch < before.environment.epoch => {
                self.reseal_head(&storage, &before, &head).await
            }
            _ => Ok(None),
        }
    }

    /// Starts the next epoch; content stays under the old one until the next write.
    pub(super) async fn begin_epoch(&self, before: &Visit, head: Option<&Checked>) -> Result<()> {
        let mut tries = 1;
        while let Err(e) = self.try_epoch(before).await {
            // Somebody changed who is in the project while the key was being wrapped.
            match e.is("ACCESS_LIST_STALE") && tries < TRIES_MAX {
                true => tries += 1,
                false => return Err(e),
            }
        }
        // Also while there is no version: who saw this epoch must not be shown the one before it.
        let epoch = before.environment.epoch + 1;
        let seen = head.map_or(Pin::NO_VERSION, Checked::pin);
        let site = &before.site;
        self.client.pin_version(site.environment, &site.name, Pin { epoch, ..seen }).await
    }

    async fn try_epoch(&self, before: &Visit) -> Result<()> {
        let epoch = before.environment.epoch + 1;
        let (site, identity) = (&before.site, before.writer()?);
        let (key, keyring) = self.client.new_keyring(self.home, site.environment, epoch, identity).await?;
        let made_for = (identity.account(), keyring.access_list);
        let request = pb::RotateEnvironmentKeyRequest {
            project_id: self.project.to_string(),
            name: site.name.clone(),
            keyring: Some(keyring),
            request_id: times::request_id(),
        };
        let answer: pb::RotateEnvironmentKeyResponse = self.client.call(&rpc::ROTATE_KEY, &request).await?;
        let rotated = self.read(answer.environment, &rpc::ROTATE_KEY)?;
        if rotated.epoch != epoch || rotated.id != site.environment || rotated.name != site.name {
            return Err(Error::BadAnswer { rpc: rpc::ROTATE_KEY.path });
        }
        self.client.keep_key((self.project, site.environment, epoch), &key, made_for);
        self.client.give_to_tokens(self.home, &rotated, &key).await;
        Ok(())
    }

    /// Seals the newest content to the new epoch. That its bytes were deleted is the server's word and in no seal: it is
    /// believed when this machine deleted them, and told otherwise, since content under the old key is left over then.
    async fn reseal_head(
        &self,
        storage: &Storage,
        before: &Visit,
        head: &Checked,
    ) -> Result<Option<Vouched>> {
        let (name, seen) = (&before.site.name, head.pin());
        let deleted_here =
            before.pins.pin(before.site.environment).is_some_and(|pin| pin.deleted_here(&seen));
        if head.deleted && deleted_here {
            return Ok(None);
        }
        if head.deleted {
            let subject = format!("environment {name} has a new key, its content was not sealed to it");
            return Err(Error::integrity(IntegrityReason::Withheld, subject));
        }
        let visit = storage.visit(self.home, name).await?;
        let slot = storage.slot(&visit, Some(head), &Expect::Any).await?;
        storage.reseal(&visit, Some(head.seal.version), &visit, &slot).await?;
        let author = head.seal.author;
        if author == visit.writer()?.account() || self.client.is_writer(self.home, author).await? {
            return Ok(None);
        }
        Ok(Some(Vouched { environment: name.clone(), version: head.seal.version, author_id: author }))
    }
}

#[cfg(feature = "native")]
mod stream;
