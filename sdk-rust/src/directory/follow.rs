//! Following the directory: its new entries are read, the root is rebuilt from them, and two things are looked for: keys
//! that somebody published in this account's name, and new keys of the logs.

use veilchain::entry::Entry;
use veilcore::id::AccountId;
use veilvault::identity::Identity;

use super::Directory;
use crate::error::{Error, IntegrityReason, Result};
use crate::log::{Alarm, Files, LogId, STEP_MAX, Walk, actor_of, decode_entry, kinds};

/// Most entries that one call follows; a machine that is further behind catches up with the next ones. Own keys are
/// proved one by one before anything is wrapped to them, however far behind it is.
pub const FOLLOW_MAX: u64 = 1_000_000;

/// How far the directory was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Followed {
    /// Entries that this machine has read by now, all of them checked.
    pub size: u64,
    /// Entries the directory has.
    pub directory_size: u64,
    /// New keys of the logs that were adopted.
    pub log_keys: u64,
}

/// What one step found.
#[derive(Default)]
struct Found {
    log_keys: Vec<[u8; 32]>,
    /// Leaves about the own account: place, entry.
    own: Vec<(u64, Entry)>,
}

/// What the leaves about the own account come to.
#[derive(Default)]
struct Judged {
    /// The first that is not its owner's.
    unexpected: Option<u64>,
    /// Digest of the keys in force, if they are its owner's.
    own: Option<[u8; 32]>,
    /// Everything after them is judged.
    watched: bool,
}

impl Directory {
    /// Reads what the directory has got since this machine read it last; the first time all of it. Adopts keys of the logs
    /// that it announces, and compares what it says about the own account with what its owner made.
    ///
    /// # Errors
    /// [`Error::NotLoggedIn`]; [`Error::Integrity`] with [`IntegrityReason::KeyUnexpected`] for a leaf in the own account's
    /// name that is not its owner's: from then on nothing is wrapped, until [`Directory::trust_own_key`]; with the name of
    /// the check of the log that failed.
    pub async fn follow(&self) -> Result<Followed> {
        let session = self.client.fresh_session().await?;
        let account = session.account();
        let files = Files::new(self.client.clone(), LogId::Directory);
        let mut walk = Walk::after(self.client.pins().await?.logs.followed);
        let mut followed = Followed { size: walk.size(), directory_size: 0, log_keys: 0 };
        let Some(newest) = files.newest().await? else { return Ok(followed) };
        followed.directory_size = newest.checkpoint.size;
        let end = walk.size().saturating_add(FOLLOW_MAX);
        while walk.size() < newest.checkpoint.size.min(end) {
            let before = walk.clone();
            let entries = walk.step(&files, &newest.checkpoint, STEP_MAX).await?;
            let found = look(&files, before.size(), &entries, account)?;
            let judged = self.judge(&session.identity, &found).await?;
            let walked = (before, walk.clone());
            followed.log_keys += self.note(account, walked, &newest.note, found, judged).await?;
            followed.size = walk.size();
        }
        if followed.size == followed.directory_size {
            self.client
                .change_pins(move |pins| {
                    let before = pins.logs.trust.clone();
                    if let Some(trust) = &mut pins.logs.trust {
                        // Nothing new may have been announced; a key may have ceased to sign all the same.
                        trust.change_keys(&[], &newest.note, false);
                    }
                    Ok(pins.logs.watch(account) || pins.logs.trust != before)
                })
                .await?;
        }
        match self.client.pins().await?.logs.alarm(account) {
            Some(alarm) => {
                let subject = format!("leaf {} of the directory", alarm.index);
                Err(Error::integrity(IntegrityReason::KeyUnexpected, subject))
            }
            None => Ok(followed),
        }
    }

    /// Compares the leaves about the own account with what its owner made.
    async fn judge(&self, identity: &Identity, found: &Found) -> Result<Judged> {
        let Some((last, _)) = found.own.last() else { return Ok(Judged::default()) };
        let account = identity.account();
        let logs = self.client.pins().await?.logs;
        let now = match self.own(identity).await {
            Ok(key) => key.digest,
            Err(Error::Integrity {
                reason: IntegrityReason::KeyUnexpected | IntegrityReason::KeyNotInDirectory,
                ..
            }) => return Ok(Judged { unexpected: Some(*last), ..Judged::default() }),
            Err(e) => return Err(e),
        };
        // What was published before the first keys that this machine knows cannot be judged: its bundle is gone. What is
        // in force now can.
        let mut judged = Judged { own: Some(now), watched: logs.watches(account), unexpected: None };
        for (index, entry) in &found.own {
            let known = entry.digest.is_some_and(|digest| digest == now || logs.is_own(account, &digest));
            if entry.kind == kinds::KEY_REVOKE || (judged.watched && !known) {
                judged.unexpected = Some(*index);
                break;
            }
            judged.watched |= known;
        }
        Ok(judged)
    }

    /// Takes note of a step, unless another process has gone further. Says how many keys of the logs are new.
    async fn note(
        &self,
        account: AccountId,
        (before, after): (Walk, Walk),
        newest: &[u8],
        found: Found,
        judged: Judged,
    ) -> Result<u64> {
        let newest = newest.to_vec();
        self.client
            .change_pins_with(move |pins| {
                let is_first = before.size() == 0;
                let trust = pins.logs.trust.as_mut();
                let adopted = trust.map_or(0, |trust| trust.change_keys(&found.log_keys, &newest, is_first));
                if let Some(index) = judged.unexpected {
                    pins.logs.raise(Alarm { account, index });
                } else if let Some(digest) = judged.own {
                    pins.logs.know_own(account, digest);
                }
                if judged.watched {
                    pins.logs.watch(account);
                }
                if pins.logs.followed == *before.range() {
                    pins.logs.followed = after.range().clone();
                }
                Ok((true, adopted))
            })
            .await
    }
}

fn look(files: &Files, first: u64, entries: &[Vec<u8>], account: AccountId) -> Result<Found> {
    let mut found = Found::default();
    for (index, bytes) in (first..).zip(entries) {
        let entry = decode_entry(files.log(), bytes).map_err(|fault| files.fault(fault))?;
        match (entry.kind, entry.digest) {
            (kinds::LOG_KEY, Some(key)) => found.log_keys.push(key),
            (kinds::KEY_PUBLISH | kinds::KEY_REPLACE | kinds::KEY_REVOKE, _)
                if actor_of(&entry) == Some(account) =>
            {
                found.own.push((index, entry));
            }
            _ => {}
        }
    }
    Ok(found)
}
