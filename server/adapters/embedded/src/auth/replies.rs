//! Answers of repeatable requests: claims in this process, answers in the database for their 24 hours. An answer is in
//! memory until its row is committed, so a repeat finds it without a gap. A restart forgets claims: a request that was cut
//! off by it may be sent again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rusqlite::{Connection, params};
use veilcloud_domain::{
    auth::port::{Claim, Replies, RequestKey},
    store::StoreError,
};

use crate::db::{Db, Maybe, fault::Outcome, ordered, u64_at};

/// Most claims at one time.
pub(crate) const CLAIMS_MAX: usize = 65_536;
/// A claim that was neither answered nor given back for this long is free again: its call was cut off.
pub(crate) const CLAIM_TTL_MS: u64 = 600_000;
/// Most expired answers deleted with each new one: more than one, so that they become fewer.
const PURGE_MAX: u32 = 16;

struct Entry {
    content: [u8; 32],
    claimed_at_ms: u64,
    /// The answer and when it expires, until its row is committed.
    reply: Option<(Vec<u8>, u64)>,
}

impl Entry {
    /// True when the key is free again.
    fn is_over(&self, now_ms: u64) -> bool {
        match &self.reply {
            Some((_, expires_at_ms)) => *expires_at_ms <= now_ms,
            None => now_ms.saturating_sub(self.claimed_at_ms) >= CLAIM_TTL_MS,
        }
    }
}

type Entries = Arc<Mutex<HashMap<RequestKey, Entry>>>;

/// Claims and answers.
pub(crate) struct SqliteReplies {
    db: Db,
    entries: Entries,
}

impl SqliteReplies {
    /// No claims; the answers that the database has.
    pub fn new(db: Db) -> Self {
        Self { db, entries: Entries::default() }
    }

    /// What is known in memory; without anything, the key is claimed.
    fn claim_in_memory(
        &self,
        key: &RequestKey,
        content: [u8; 32],
        now_ms: u64,
    ) -> Result<Option<Claim>, StoreError> {
        let mut entries = lock(&self.entries);
        if let Some(entry) = entries.get(key).filter(|entry| !entry.is_over(now_ms)) {
            return Ok(Some(match &entry.reply {
                _ if entry.content != content => Claim::OtherContent,
                None => Claim::Busy,
                Some((reply, _)) => Claim::Answered(reply.clone()),
            }));
        }
        if entries.len() >= CLAIMS_MAX {
            entries.retain(|_, entry| !entry.is_over(now_ms));
            if entries.len() >= CLAIMS_MAX {
                return Err(StoreError::Full { store: "claims" });
            }
        }
        entries.insert(key.clone(), Entry { content, claimed_at_ms: now_ms, reply: None });
        Ok(None)
    }
}

#[async_trait]
impl Replies for SqliteReplies {
    async fn claim(&self, key: &RequestKey, content: [u8; 32], now_ms: u64) -> Result<Claim, StoreError> {
        if let Some(known) = self.claim_in_memory(key, content, now_ms)? {
            return Ok(known);
        }
        let mut held = Held { entries: &self.entries, key, keep: false };
        let wanted = key.clone();
        let stored = self.db.read(move |conn| stored(conn, &wanted, now_ms)).await?;
        Ok(match stored {
            Some((hash, _)) if hash != content => Claim::OtherContent,
            Some((_, reply)) => Claim::Answered(reply),
            None => {
                held.keep = true;
                Claim::Fresh
            }
        })
    }

    async fn answer(&self, key: &RequestKey, reply: Vec<u8>, expires_at_ms: u64) -> Result<(), StoreError> {
        let (content, now_ms) = {
            let mut entries = lock(&self.entries);
            // Without a claim there is nobody to whom the answer would mean anything.
            let Some(entry) = entries.get_mut(key) else { return Ok(()) };
            entry.reply = Some((reply.clone(), expires_at_ms));
            (entry.content, entry.claimed_at_ms)
        };
        let (row_key, done_key, entries) = (key.clone(), key.clone(), self.entries.clone());
        let queued = self
            .db
            .writer
            .cast(
                move |tx| insert(tx.conn, &row_key, content, &reply, expires_at_ms, now_ms),
                move |committed| {
                    // Committed, the row answers from now on; failed, the request may be made again.
                    settle(&entries, &done_key, expires_at_ms);
                    if let Err(error) = committed {
                        tracing::warn!(%error, "the answer of a repeatable request was not kept");
                    }
                },
            )
            .await;
        if queued.is_err() {
            settle(&self.entries, key, expires_at_ms);
        }
        queued
    }

    async fn release(&self, key: &RequestKey) -> Result<(), StoreError> {
        let mut entries = lock(&self.entries);
        if entries.get(key).is_some_and(|entry| entry.reply.is_none()) {
            entries.remove(key);
        }
        Ok(())
    }
}

/// A claim that is given back unless it is kept: the answer was in the database, or the caller went away.
struct Held<'a> {
    entries: &'a Entries,
    key: &'a RequestKey,
    keep: bool,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.keep {
            lock(self.entries).remove(self.key);
        }
    }
}

/// Forgets an answer that is in the database, or never will be; a later claim of the key stays.
fn settle(entries: &Entries, key: &RequestKey, expires_at_ms: u64) {
    let mut entries = lock(entries);
    if entries.get(key).is_some_and(|e| e.reply.as_ref().is_some_and(|(_, end)| *end == expires_at_ms)) {
        entries.remove(key);
    }
}

fn lock(entries: &Entries) -> MutexGuard<'_, HashMap<RequestKey, Entry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The column `api_key`: empty for a session.
fn api_key(key: &RequestKey) -> &[u8] {
    key.api_key.as_ref().map_or(&[], |id| id.as_bytes())
}

type Stored = ([u8; 32], Vec<u8>);

fn stored(conn: &Connection, key: &RequestKey, now_ms: u64) -> Outcome<Option<Stored>> {
    let mut statement = conn.prepare_cached(
        "SELECT content, reply, expires_at_ms FROM replies
         WHERE account = ?1 AND api_key = ?2 AND method = ?3 AND request_id = ?4",
    )?;
    let row = statement
        .query_row(params![key.account.as_bytes(), api_key(key), key.method, key.request_id], |r| {
            Ok((r.get(0)?, r.get(1)?, u64_at(r, 2)?))
        })
        .maybe()?;
    Ok(row.filter(|(.., expires_at_ms)| *expires_at_ms > now_ms).map(|(content, reply, _)| (content, reply)))
}

fn insert(
    conn: &Connection,
    key: &RequestKey,
    content: [u8; 32],
    reply: &[u8],
    expires_at_ms: u64,
    now_ms: u64,
) -> Outcome<()> {
    conn.prepare_cached(
        "DELETE FROM replies WHERE rowid IN (SELECT rowid FROM replies WHERE expires_at_ms <= ?1 LIMIT ?2)",
    )?
    .execute(params![ordered(now_ms), PURGE_MAX])?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO replies (account, api_key, method, request_id, content, reply, expires_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        key.account.as_bytes(),
        api_key(key),
        key.method,
        key.request_id,
        content,
        reply,
        ordered(expires_at_ms)
    ])?;
    Ok(())
}
