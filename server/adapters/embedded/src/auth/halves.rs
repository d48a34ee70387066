//! Rows of `token_halves`: the server's halves of service tokens. A half that is over is overwritten where it lies before its
//! row goes, and the write-ahead log is emptied before anybody is told: after that its bytes are in no file of the folder.

use rusqlite::{Connection, Params, Row, params};
use veilcloud_domain::auth::api_keys::model::{Record, SEALED_SHARE_LEN, SealedShare, TokenHalf};
use veilcore::id::{AccountId, ApiKeyId};

use crate::db::{Maybe, Tx, fault::Outcome, ordered};

/// Zeros before a share: more than a page keeps of a row that goes on in other pages.
const ZEROS: usize = 4096;
/// Length of the column.
const SHARE_LEN: usize = ZEROS + SEALED_SHARE_LEN;

/// Keeps a half.
pub(super) fn insert(conn: &Connection, key: ApiKeyId, half: &TokenHalf) -> Outcome<()> {
    let mut share = vec![0; SHARE_LEN];
    share[ZEROS..].copy_from_slice(&half.share.0);
    conn.prepare_cached(
        "INSERT INTO token_halves (api_key, generation, record, digest, trust, share)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        key.as_bytes(),
        half.generation,
        half.record.bytes,
        half.record.digest,
        half.trust,
        share
    ])?;
    Ok(())
}

/// The half of a generation of a key that was not revoked.
pub(super) fn find(conn: &Connection, key: ApiKeyId, generation: u32) -> Outcome<Option<TokenHalf>> {
    let mut statement = conn.prepare_cached(
        "SELECT h.generation, h.record, h.digest, h.trust, h.share FROM token_halves h
         JOIN api_keys k ON k.id = h.api_key AND k.revoked_at_ms IS NULL
         WHERE h.api_key = ?1 AND h.generation = ?2",
    )?;
    Ok(statement.query_row(params![key.as_bytes(), generation], half).maybe()?)
}

/// The record with this digest of a key that lives.
pub(super) fn record(
    conn: &Connection,
    key: ApiKeyId,
    digest: &[u8; 32],
    now_ms: u64,
) -> Outcome<Option<Vec<u8>>> {
    let mut statement = conn.prepare_cached(
        "SELECT h.record FROM token_halves h
         JOIN api_keys k ON k.id = h.api_key AND k.revoked_at_ms IS NULL AND k.expires_at_ms > ?3
         WHERE h.api_key = ?1 AND h.digest = ?2 AND (h.generation = k.generation OR k.before_until_ms > ?3)",
    )?;
    let values = params![key.as_bytes(), digest, ordered(now_ms)];
    Ok(statement.query_row(values, |row| row.get(0)).maybe()?)
}

/// Destroys the halves of a key but that of `but` and, when it is kept, of the generation before.
pub(super) fn destroy_others(tx: &Tx<'_>, key: ApiKeyId, but: u32, keeps_before: bool) -> Outcome<usize> {
    let first = if keeps_before { but.saturating_sub(1) } else { but };
    destroy(tx, "api_key = ?1 AND generation NOT BETWEEN ?2 AND ?3", params![key.as_bytes(), first, but])
}

/// Destroys every half of a key.
pub(super) fn destroy_all(tx: &Tx<'_>, key: ApiKeyId) -> Outcome<usize> {
    destroy(tx, "api_key = ?1", params![key.as_bytes()])
}

/// Destroys every half of an account's keys. Whoever deletes or revokes them together calls it in the same transaction.
pub(crate) fn destroy_of(tx: &Tx<'_>, account: AccountId) -> Outcome<usize> {
    destroy(tx, "api_key IN (SELECT id FROM api_keys WHERE account = ?1)", params![account.as_bytes()])
}

/// Destroys at most `limit` halves of keys that were revoked or are expired, and of generations that are over.
pub(super) fn destroy_over(tx: &Tx<'_>, now_ms: u64, limit: usize) -> Outcome<usize> {
    destroy(
        tx,
        "id IN (SELECT h.id FROM token_halves h JOIN api_keys k ON k.id = h.api_key
             WHERE k.revoked_at_ms IS NOT NULL OR k.expires_at_ms <= ?1
                 OR (h.generation <> k.generation AND COALESCE(k.before_until_ms, 0) <= ?1)
             ORDER BY h.id LIMIT ?2)",
        params![ordered(now_ms), ordered(limit as u64)],
    )
}

fn destroy(tx: &Tx<'_>, which: &str, values: impl Params + Copy) -> Outcome<usize> {
    // A row of the same length is written over the old one, in the same pages.
    let zeros = format!(
        "UPDATE token_halves SET share = zeroblob({SHARE_LEN}), trust = zeroblob(length(trust)) WHERE {which}"
    );
    let count = tx.conn.prepare_cached(&zeros)?.execute(values)?;
    if count > 0 {
        tx.conn.prepare_cached(&format!("DELETE FROM token_halves WHERE {which}"))?.execute(values)?;
        tx.empty_log();
    }
    Ok(count)
}

fn half(row: &Row<'_>) -> rusqlite::Result<TokenHalf> {
    let share: [u8; SHARE_LEN] = row.get(4)?;
    let mut sealed = [0; SEALED_SHARE_LEN];
    sealed.copy_from_slice(&share[ZEROS..]);
    Ok(TokenHalf {
        generation: row.get(0)?,
        record: Record { bytes: row.get(1)?, digest: row.get(2)? },
        trust: row.get(3)?,
        share: SealedShare(sealed),
    })
}

/// Whether [`destroy_over`] has something to do.
pub(super) fn are_over(conn: &Connection, now_ms: u64) -> Outcome<bool> {
    let mut statement = conn.prepare_cached(
        "SELECT 1 FROM token_halves h JOIN api_keys k ON k.id = h.api_key
         WHERE k.revoked_at_ms IS NOT NULL OR k.expires_at_ms <= ?1
             OR (h.generation <> k.generation AND COALESCE(k.before_until_ms, 0) <= ?1) LIMIT 1",
    )?;
    Ok(statement.exists([ordered(now_ms)])?)
}
