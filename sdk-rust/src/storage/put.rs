//! Writing. A new version is sealed for one place in the chain; if somebody else took that place, it has to be
//! sealed again for the next.

#[cfg(feature = "native")]
mod file;

use bytes::Bytes;
use veilcloud_proto::storage::v1 as pb;
use veilvault::envelope::{Sealed, SealedBytes, SealingError, Subject, seal_bytes};
use veilvault::epoch::EpochKey;
use zeroize::Zeroizing;

use super::pins::Pin;
use super::prove::Receipt;
use super::upload::Source;
use super::verify::{Checked, Site, Visit};
use super::{DIRECT_BLOB_MAX, Expect, PutOptions, Storage, Version};
use crate::access::Home;
use crate::environments::Environments;
use crate::error::{Error, IntegrityReason, Result};
use crate::projects::Project;
use crate::times;
use crate::transport::{blocking, rpc};

/// How often a write that replaces whatever is there is sealed anew because somebody was faster.
const PLACES_MAX: u32 = 4;

/// The place of a new version in the chain, and what it is sealed with.
pub(super) struct Slot {
    pub(super) subject: Subject,
    pub(super) key: EpochKey,
    /// The server accepts the version only while this is the newest; empty for the first.
    pub(super) if_match: String,
}

impl Slot {
    /// `*` for the first version.
    pub(super) fn if_none_match(&self) -> String {
        if self.if_match.is_empty() { "*".to_owned() } else { String::new() }
    }
}

impl Storage {
    pub(super) async fn put_bytes(
        &self,
        project: &Project,
        name: &str,
        bytes: Zeroizing<Vec<u8>>,
        options: PutOptions,
    ) -> Result<Version> {
        let bytes = Bytes::from_owner(Wiped(bytes));
        let mut places = 1;
        loop {
            let visit = self.visit_or_create(project, name).await?;
            let head = self.head(&visit).await?;
            let slot = self.slot(&visit, head.as_ref(), &options.expect).await?;
            match self.put_in(&visit, &slot, bytes.clone(), &options).await {
                Err(e) if options.expect == Expect::Any && places < PLACES_MAX && was_taken(&e) => {
                    places += 1
                }
                Err(e) if places < PLACES_MAX && e.is("ROTATION_DUE") => places += 1,
                done => return done,
            }
        }
    }

    /// Seals content that is at hand for a slot and commits it.
    pub(super) async fn put_in(
        &self,
        visit: &Visit,
        slot: &Slot,
        bytes: Bytes,
        options: &PutOptions,
    ) -> Result<Version> {
        let (subject, key, author) = (slot.subject, slot.key.clone(), visit.writer()?.clone());
        let made = blocking(move || seal_bytes(&bytes, &subject, &key, &author)).await;
        let SealedBytes { ciphertext, sealed } = made.map_err(sealing_error)?;
        let ciphertext = Bytes::from(ciphertext);
        let info = if sealed.ciphertext_len <= DIRECT_BLOB_MAX {
            self.put_direct(visit, slot, &sealed, ciphertext, options).await
        } else {
            let source = Source::Bytes(ciphertext);
            self.upload(&visit.site, slot, &sealed, source, options.progress.as_deref(), None).await
        };
        self.committed(visit, slot, &sealed, info).await
    }

    async fn put_direct(
        &self,
        visit: &Visit,
        slot: &Slot,
        sealed: &Sealed,
        ciphertext: Bytes,
        options: &PutOptions,
    ) -> Result<Receipt> {
        let progress = options.progress.as_deref();
        if let Some(progress) = progress {
            progress.start(sealed.ciphertext_len);
        }
        let asked = self.client.ask(visit.site.log()).await?;
        let request = pb::PutBlobRequest {
            project_id: visit.site.project.to_string(),
            env_name: visit.site.name.clone(),
            ciphertext,
            seal: sealed.seal.to_vec().into(),
            if_match: slot.if_match.clone(),
            if_none_match: slot.if_none_match(),
            request_id: times::request_id(),
            log_size: asked.head.size,
        };
        let answer: pb::PutBlobResponse = self.client.call(&rpc::PUT_BLOB, &request).await?;
        if let Some(progress) = progress {
            progress.advance(sealed.ciphertext_len);
            progress.finish();
        }
        let blob = times::present(answer.blob, &rpc::PUT_BLOB)?;
        Ok(Receipt { blob, asked, proof: answer.log_proof })
    }

    /// Takes the server's word that a version is committed, and checks it like any other word.
    pub(super) async fn committed(
        &self,
        visit: &Visit,
        slot: &Slot,
        sealed: &Sealed,
        answer: Result<Receipt>,
    ) -> Result<Version> {
        let receipt = match answer {
            // An answer that was lost on the way: a try before this one has done it.
            Err(e) if e.is("ETAG_MISMATCH") => self.landed(&visit.site, slot, sealed).await?.ok_or(e)?,
            answer => answer?,
        };
        let (identity, version) = (visit.writer()?, Some(slot.subject.version));
        let checked = self.check(&receipt.blob, &visit.site, identity, version).await?;
        if checked.seal.digest != sealed.digest {
            return Err(visit.site.integrity(IntegrityReason::DigestMismatch, slot.subject.version));
        }
        // Without a proof the log is behind; whoever reads the version next sees one or refuses it.
        if receipt.proof.is_some() {
            self.prove(&visit.site, &checked, &receipt.asked, receipt.proof).await?;
        }
        self.note(&visit.site, &checked).await?;
        Ok(checked.version(&slot.key))
    }

    /// The version in this slot, if it is the one that was sealed here.
    async fn landed(&self, site: &Site, slot: &Slot, sealed: &Sealed) -> Result<Option<Receipt>> {
        match self.stat(site, slot.subject.version).await {
            Ok(receipt) => Ok(Some(receipt).filter(|receipt| receipt.blob.digest[..] == sealed.digest)),
            Err(e) if e.is("VERSION_NOT_FOUND") || e.is("BLOB_NOT_FOUND") => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Looks at an environment; makes it if there is none and never was one. One that was seen here and is said to be
    /// missing is not made anew: that would take its pins away, and with them the proof that the server went back.
    pub(super) async fn visit_or_create(&self, project: &Project, name: &str) -> Result<Visit> {
        // Before the server is asked, and again after it: another process may make or delete it meanwhile.
        let home = Home::of(project);
        let before = self.client.pins().await?.leads_to(project.id, name);
        match self.visit_to_write(home, name).await {
            Err(e) if e.is("ENVIRONMENT_NOT_FOUND") => {}
            visit => return visit,
        }
        if before.is_some() && before == self.client.pins().await?.leads_to(project.id, name) {
            let subject = format!("environment {name} was seen here and is said to be missing");
            return Err(Error::integrity(IntegrityReason::RolledBack, subject));
        }
        match Environments::new(self.client.clone(), home).create(name).await {
            Err(e) if !e.is("ENVIRONMENT_EXISTS") => Err(e),
            // Somebody else has just made it: as good.
            _ => self.visit_to_write(home, name).await,
        }
    }

    /// Looks at an environment that something is to be written to. When its key is one of the past, because somebody who
    /// could open it was removed or its maker was, the next epoch begins here.
    pub(super) async fn visit_to_write(&self, home: Home, name: &str) -> Result<Visit> {
        let visit = self.visit(home, name).await?;
        if !self.is_outdated(&visit).await? {
            return Ok(visit);
        }
        let head = self.head(&visit).await?;
        match Environments::new(self.client.clone(), home).begin_epoch(&visit, head.as_ref()).await {
            // Somebody else has just begun it: as good.
            Err(e) if !e.is("EPOCH_STALE") => Err(e),
            _ => self.visit(home, name).await,
        }
    }

    async fn is_outdated(&self, visit: &Visit) -> Result<bool> {
        if visit.environment.rotation_due {
            return Ok(true);
        }
        let known = self.key_of(visit, visit.environment.epoch).await?;
        let may = self.client.may_seal_to(visit.site.home(), &known, visit.writer()?).await?;
        Ok(!may)
    }

    /// The place after the newest version, if that is what the caller expects there.
    pub(super) async fn slot(&self, visit: &Visit, head: Option<&Checked>, expect: &Expect) -> Result<Slot> {
        let current = head.map(Checked::etag);
        let holds = match expect {
            Expect::Any => true,
            Expect::First => head.is_none(),
            Expect::Etag(expected) => current.as_ref() == Some(expected),
        };
        if !holds {
            return Err(Error::Conflict { current });
        }
        let epoch = visit.environment.epoch;
        let subject = Subject {
            project: visit.site.project,
            environment: visit.site.environment,
            version: head.map_or(0, |head| head.seal.version) + 1,
            parent: head.map(|head| head.seal.digest),
            epoch,
            created_at_ms: self.client.now_ms(),
        };
        let known = self.key_of(visit, epoch).await?;
        if !self.client.may_seal_to(visit.site.home(), &known, visit.writer()?).await? {
            return Err(visit.site.integrity(IntegrityReason::KeyOutdated, subject.version));
        }
        Ok(Slot { subject, key: known.key, if_match: current.unwrap_or_default() })
    }

    pub(super) async fn delete_bytes(&self, project: &Project, name: &str) -> Result<()> {
        let visit = self.visit(Home::of(project), name).await?;
        let missing = || Error::NotFound { what: "content", name: name.to_owned() };
        let head = self.head(&visit).await?.ok_or_else(missing)?;
        let asked = self.client.ask(visit.site.log()).await?;
        let request = pb::DeleteBlobRequest {
            project_id: visit.site.project.to_string(),
            env_name: visit.site.name.clone(),
            if_match: head.etag(),
            request_id: times::request_id(),
            log_size: asked.head.size,
        };
        let answer: pb::DeleteBlobResponse = self.client.call(&rpc::DELETE_BLOB, &request).await?;
        if let Some(proof) = answer.log_proof {
            self.prove_deletion(&visit, &head, &asked, proof).await?;
        }
        let pin = Pin { deleted: true, ..head.pin() };
        self.client.pin_version(visit.site.environment, name, pin).await
    }
}

/// Content that is shared while it is sealed, and wiped with the last share.
pub(super) struct Wiped(pub(super) Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Whether somebody else took the place, or the key, that a version was sealed for.
pub(super) fn was_taken(e: &Error) -> bool {
    e.is("ETAG_MISMATCH") || e.is("EPOCH_STALE")
}

pub(super) fn sealing_error(e: SealingError) -> Error {
    match e {
        SealingError::Io(source) => Error::Local { action: "write the ciphertext".to_owned(), source },
        e => Error::invalid("content", e),
    }
}
