//! Schema changes: numbered files, applied upwards, each once, each with its SHA-256 on record. An edited migration, and
//! a schema from a newer program, refuse to start: guessing would risk what people stored.

use std::path::Path;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::open::OpenError;

struct Migration {
    number: u32,
    name: &'static str,
    sql: &'static str,
}

/// Every migration, in order, numbered from 1.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "0001_first.sql", sql: include_str!("../../migrations/0001_first.sql") },
    Migration {
        number: 2,
        name: "0002_promoted.sql",
        sql: include_str!("../../migrations/0002_promoted.sql"),
    },
    Migration { number: 3, name: "0003_log.sql", sql: include_str!("../../migrations/0003_log.sql") },
    Migration { number: 4, name: "0004_packed.sql", sql: include_str!("../../migrations/0004_packed.sql") },
    Migration {
        number: 5,
        name: "0005_deleted_projects.sql",
        sql: include_str!("../../migrations/0005_deleted_projects.sql"),
    },
    Migration { number: 6, name: "0006_teams.sql", sql: include_str!("../../migrations/0006_teams.sql") },
    Migration { number: 7, name: "0007_access.sql", sql: include_str!("../../migrations/0007_access.sql") },
    Migration {
        number: 8,
        name: "0008_api_keys.sql",
        sql: include_str!("../../migrations/0008_api_keys.sql"),
    },
    Migration {
        number: 9,
        name: "0009_service_tokens.sql",
        sql: include_str!("../../migrations/0009_service_tokens.sql"),
    },
    Migration {
        number: 10,
        name: "0010_issuers.sql",
        sql: include_str!("../../migrations/0010_issuers.sql"),
    },
    Migration { number: 11, name: "0011_own.sql", sql: include_str!("../../migrations/0011_own.sql") },
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER NOT NULL PRIMARY KEY,
    sha256 BLOB    NOT NULL CHECK (length(sha256) = 32)
) STRICT";

/// Brings the schema to this program's, one transaction for each step.
pub(crate) fn migrate(conn: &mut Connection, file: &Path) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::from_sql(file, &error);
    conn.execute(TABLE, []).map_err(failed)?;
    let newest: u32 = conn
        .query_row("SELECT COALESCE(MAX(number), 0) FROM migrations", [], |r| r.get(0))
        .map_err(failed)?;
    let known = MIGRATIONS.last().map_or(0, |m| m.number);
    if newest > known {
        return Err(OpenError::Newer { file: file.to_owned(), found: newest, known });
    }
    for migration in MIGRATIONS {
        let sha256: [u8; 32] = Sha256::digest(migration.sql).into();
        if migration.number <= newest {
            let applied: [u8; 32] = conn
                .query_row("SELECT sha256 FROM migrations WHERE number = ?1", [migration.number], |r| {
                    r.get(0)
                })
                .map_err(failed)?;
            if applied != sha256 {
                return Err(OpenError::MigrationChanged { file: file.to_owned(), name: migration.name });
            }
            continue;
        }
        let tx = conn.transaction().map_err(failed)?;
        tx.execute_batch(migration.sql).map_err(failed)?;
        tx.execute("INSERT INTO migrations VALUES (?1, ?2)", params![migration.number, sha256])
            .map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps_and_named_by_their_number() {
        for (i, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.number as usize, i + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)), "{}", migration.name);
        }
    }

    #[test]
    fn a_second_start_changes_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Path::new("veilcloud.db")).unwrap();
        migrate(&mut conn, Path::new("veilcloud.db")).unwrap();
        let rows: u32 = conn.query_row("SELECT COUNT(*) FROM migrations", [], |r| r.get(0)).unwrap();
        assert_eq!(rows as usize, MIGRATIONS.len());
    }

    #[test]
    fn an_edited_migration_and_a_newer_schema_refuse_to_start() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Path::new("veilcloud.db")).unwrap();
        conn.execute("INSERT INTO migrations VALUES (99, zeroblob(32))", []).unwrap();
        let newer = migrate(&mut conn, Path::new("veilcloud.db"));
        assert!(matches!(newer, Err(OpenError::Newer { found: 99, .. })), "{newer:?}");
        conn.execute("DELETE FROM migrations WHERE number = 99", []).unwrap();
        conn.execute("UPDATE migrations SET sha256 = zeroblob(32)", []).unwrap();
        let changed = migrate(&mut conn, Path::new("veilcloud.db"));
        assert!(matches!(changed, Err(OpenError::MigrationChanged { .. })), "{changed:?}");
    }

    /// Brings an empty database to the schema that a program with the first `count` migrations left.
    fn older(count: usize) -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute(TABLE, []).unwrap();
        for migration in &MIGRATIONS[..count] {
            let sha256: [u8; 32] = Sha256::digest(migration.sql).into();
            conn.execute_batch(migration.sql).unwrap();
            conn.execute("INSERT INTO migrations VALUES (?1, ?2)", params![migration.number, sha256])
                .unwrap();
        }
        conn
    }

    #[test]
    fn versions_from_before_there_was_a_log_find_their_leaves() {
        let mut conn = older(2);
        conn.execute_batch(
            "INSERT INTO accounts VALUES (x'01010101010101010101010101010101', 'a', '', '', x'', x'', x'', x'', 0, 0, 0);
             INSERT INTO projects VALUES (x'02020202020202020202020202020202', x'01010101010101010101010101010101', 'p', 0, 1);
             INSERT INTO environments VALUES
                 (x'03030303030303030303030303030303', x'02020202020202020202020202020202', 'e', 1, 4, 0, NULL, NULL)",
        )
        .unwrap();
        for number in 1..=4_u8 {
            conn.execute(
                "INSERT INTO versions VALUES (?1, ?2, ?3, 1, x'', 1, x'', 0, 0)",
                params![[3_u8; 16], number, [number; 32]],
            )
            .unwrap();
        }
        let line = |idx: u64, trail: (u8, u8), kind: u16, number: u64, digest: u8| {
            let mut entry = vec![1];
            entry.extend_from_slice(&kind.to_be_bytes());
            entry.extend_from_slice(&[3; 1 + 8 + 16 + 16]);
            entry.extend_from_slice(&number.to_be_bytes());
            entry.extend_from_slice(&[digest; 32]);
            assert_eq!(entry.len(), 84);
            let trail = [&[trail.0][..], &[trail.1; 16][..]].concat();
            conn.execute(
                "INSERT INTO outbox VALUES (?1, ?2, ?3, zeroblob(32))",
                params![trail, idx.cast_signed(), entry],
            )
            .unwrap();
        };
        line(0, (1, 2), 30, 1, 1);
        line(1, (1, 2), 40, 1, 1);
        line(2, (1, 2), 40, 2, 2);
        // Another digest, another project's trail, and no line at all for the fourth.
        line(3, (1, 2), 40, 3, 9);
        line(4, (1, 7), 40, 4, 4);
        migrate(&mut conn, Path::new("veilcloud.db")).unwrap();
        let mut statement = conn.prepare("SELECT log_index FROM versions ORDER BY number").unwrap();
        let found: Vec<Option<u32>> =
            statement.query_map([], |r| r.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
        assert_eq!(found, [Some(1), Some(2), None, None]);
    }
}
