//! Sealing content again: for a rollback, a clone and a new epoch. The content goes from one seal to the next without
//! touching a disk in the clear.

use veilcloud_proto::projects::v1 as pb;
use veilcore::id::EnvironmentId;

use super::pins::Pin;
use super::put::Slot;
use super::verify::{Checked, Visit};
use super::{DIRECT_BLOB_MAX, Expect, PutOptions, Storage, Version};
use crate::environments::{Environment, Environments};
use crate::error::{Error, IntegrityReason, Result};
use crate::projects::Project;
use crate::times;
use crate::transport::rpc;

impl Storage {
    pub(super) async fn roll_back(&self, project: &Project, name: &str, to: u64) -> Result<Version> {
        let visit = self.visit(project.id, name).await?;
        let head = self.head(&visit).await?;
        let slot = self.slot(&visit, head.as_ref(), &Expect::Any).await?;
        self.reseal(&visit, Some(to), &visit, &slot).await
    }

    /// Reads a version and seals its content again for a slot, here or in another environment.
    async fn reseal(&self, from: &Visit, version: Option<u64>, to: &Visit, slot: &Slot) -> Result<Version> {
        let download = self.download(from, version).await?;
        let key = self.key_of(from, download.checked.seal.epoch).await?;
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
        let source = storage.visit(self.project, from).await?;
        let missing = || Error::NotFound { what: "content in an environment", name: from.to_owned() };
        let head = storage.head(&source).await?.filter(|head| !head.deleted).ok_or_else(missing)?;
        let id = EnvironmentId::from_bytes(times::random_uuid().into_bytes());
        let identity = &source.session.identity;
        let (key, keyring) = self.client.new_keyring(self.project, id, 1, identity).await?;
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
        self.welcome(made, to, id, &key).await?;
        let target = storage.visit(self.project, to).await?;
        if target.environment.id != id {
            return Err(Error::integrity(IntegrityReason::WrongEnvironment, format!("environment {to}")));
        }
        let slot = storage.slot(&target, None, &Expect::First).await?;
        storage.reseal(&source, Some(head.seal.version), &target, &slot).await?;
        self.get(to).await
    }

    /// Starts the next epoch of an environment's key and seals the newest content to it. Earlier versions stay
    /// readable with the keys of their epochs; nothing can be written under those any more.
    ///
    /// # Errors
    /// [`Error::Api`] with `EPOCH_STALE` when somebody else rotates meanwhile. When the content cannot be sealed
    /// again after the epoch began, it stays under the old one until the next write: [`Error::Integrity`] with
    /// [`IntegrityReason::Withheld`] when the server says that its bytes were deleted and this machine did not do so.
    pub async fn rotate(&self, name: &str) -> Result<Environment> {
        let storage = Storage::new(self.client.clone());
        let before = storage.visit(self.project, name).await?;
        let head = storage.head(&before).await?;
        let epoch = before.environment.epoch + 1;
        let (site, identity) = (&before.site, &before.session.identity);
        let (key, keyring) = self.client.new_keyring(self.project, site.environment, epoch, identity).await?;
        let request = pb::RotateEnvironmentKeyRequest {
            project_id: self.project.to_string(),
            name: name.to_owned(),
            keyring: Some(keyring),
            request_id: times::request_id(),
        };
        let answer: pb::RotateEnvironmentKeyResponse = self.client.call(&rpc::ROTATE_KEY, &request).await?;
        let rotated = self.read(answer.environment, &rpc::ROTATE_KEY)?;
        if rotated.epoch != epoch || rotated.id != site.environment || rotated.name != name {
            return Err(Error::BadAnswer { rpc: rpc::ROTATE_KEY.path });
        }
        self.client.keep_key(site.environment, epoch, &key);
        // Also while there is no version: who saw this epoch must not be shown the one before it.
        let seen = head.as_ref().map_or(Pin::NO_VERSION, Checked::pin);
        self.client.pin_version(site.environment, name, Pin { epoch, ..seen }).await?;
        if let Some(head) = head {
            let deleted_here = before.pins.pin(site.environment).is_some_and(|pin| pin.deleted_here(&seen));
            self.reseal_head(&storage, name, &head, deleted_here).await?;
        }
        self.get(name).await
    }

    /// Seals the newest content to the new epoch. That its bytes were deleted is the server's word and in no seal: it is
    /// believed when this machine deleted them, and told otherwise, since content under the old key is left over then.
    async fn reseal_head(
        &self,
        storage: &Storage,
        name: &str,
        head: &Checked,
        deleted_here: bool,
    ) -> Result<()> {
        if head.deleted && deleted_here {
            return Ok(());
        }
        if head.deleted {
            let subject = format!("environment {name} has a new key, its content was not sealed to it");
            return Err(Error::integrity(IntegrityReason::Withheld, subject));
        }
        let visit = storage.visit(self.project, name).await?;
        let slot = storage.slot(&visit, Some(head), &Expect::Any).await?;
        storage.reseal(&visit, Some(head.seal.version), &visit, &slot).await?;
        Ok(())
    }
}

#[cfg(feature = "native")]
mod stream;
