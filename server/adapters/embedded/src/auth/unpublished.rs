//! Accounts that are older than the directory log: their keys are told to it when a server with a log first opens the
//! folder. Each account with its line in one transaction, so that a crash leaves none half told.

use rusqlite::{Connection, params};
use veilcloud_domain::audit::model::{Kind, Line, OutboxKey, Trail};
use veilcore::{hash::sha256, id::AccountId};
use veilvault::identity::AccountBundle;

use crate::{
    db::{fault::Outcome, int},
    outbox,
};

/// Accounts in one transaction.
const PAGE: u32 = 256;

/// Tells the directory of every account that it does not know; gives how many there were.
pub(crate) fn publish(conn: &Connection, key: &OutboxKey, now_ms: u64) -> Outcome<u64> {
    let mut told = 0;
    let mut after = vec![];
    loop {
        let page = {
            let mut statement = conn.prepare(
                "SELECT id, bundle FROM accounts WHERE key_index IS NULL AND id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let rows = statement.query_map(params![after, PAGE], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<([u8; 16], Vec<u8>)>>>()?
        };
        let Some((last, _)) = page.last() else { return Ok(told) };
        after = last.to_vec();
        let tx = conn.unchecked_transaction()?;
        for (id, bundle) in &page {
            // A bundle that is none was never accepted by this program; nobody can wrap to it either.
            let Ok(read) = AccountBundle::verify(bundle) else { continue };
            let line = Line {
                trail: Trail::Directory,
                kind: Kind::KeyPublish,
                actor: AccountId::from_bytes(*id),
                at_ms: now_ms,
                environment: None,
                version: u64::from(read.generation),
                digest: Some(sha256(bundle)),
                key: None,
                by_number: false,
            };
            let index = outbox::append(&tx, key, &line)?;
            tx.prepare_cached("UPDATE accounts SET key_index = ?2 WHERE id = ?1")?
                .execute(params![id, int(index)])?;
            told += 1;
        }
        tx.commit()?;
    }
}
