//! Rows of `environments`, each read together with its current version.

use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    name::Name,
    page::{Page, PageArgs},
    projects::{
        model::{Environment, Keyring, Origin},
        port::Written,
    },
};
use veilcore::id::{EnvironmentId, ProjectId};

use super::keyrings;
use crate::{
    db::{Maybe, fault::Outcome, int, ordered, text_at, u64_at},
    storage::{rows, usage},
};

const FROM: &str = "FROM environments e JOIN projects p ON p.id = e.project
     LEFT JOIN versions v ON v.environment = e.id AND v.number = e.head";
const COLUMNS: &str =
    "e.id, e.project, e.name, e.epoch, e.created_at_ms, e.origin_environment, e.origin_version,
     e.access_list < p.access_floor";

/// Inserts an environment with its first keyring. It holds no version yet, whatever `environment.head` says.
pub(crate) fn insert(
    conn: &Connection,
    environment: &Environment,
    keyring: &Keyring,
    limit: u32,
) -> Outcome<Written> {
    let project = environment.project.as_bytes();
    let found: Option<(u32, u64)> = conn
        .prepare_cached("SELECT environment_count, access_list FROM projects WHERE id = ?1")?
        .query_row([project], |r| Ok((r.get(0)?, u64_at(r, 1)?)))
        .maybe()?;
    let Some((count, newest)) = found else { return Ok(Written::Gone) };
    let taken = conn
        .prepare_cached("SELECT 1 FROM environments WHERE id = ?1 OR (project = ?2 AND name = ?3)")?
        .exists(params![environment.id.as_bytes(), project, environment.name.as_str()])?;
    if taken {
        return Ok(Written::Taken);
    }
    if count >= limit {
        return Ok(Written::Limit);
    }
    if keyring.access_list != newest {
        return Ok(Written::Stale(newest));
    }
    conn.prepare_cached(
        "INSERT INTO environments (id, project, name, epoch, head, created_at_ms, origin_environment, origin_version,
             access_list)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        environment.id.as_bytes(),
        project,
        environment.name.as_str(),
        environment.epoch,
        int(environment.created_at_ms),
        environment.cloned_from.map(|origin| *origin.environment.as_bytes()),
        environment.cloned_from.map(|origin| int(origin.version)),
        int(keyring.access_list),
    ])?;
    keyrings::insert(conn, environment.id, keyring)?;
    conn.prepare_cached("UPDATE projects SET environment_count = environment_count + 1 WHERE id = ?1")?
        .execute([project])?;
    Ok(Written::Done)
}

/// An environment by name.
pub(crate) fn by_name(conn: &Connection, project: ProjectId, name: &Name) -> Outcome<Option<Environment>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {}, {COLUMNS} {FROM} WHERE e.project = ?1 AND e.name = ?2",
        rows::COLUMNS
    ))?;
    Ok(statement.query_row(params![project.as_bytes(), name.as_str()], environment).maybe()?)
}

/// Environments of a project by name.
pub(crate) fn page(
    conn: &Connection,
    project: ProjectId,
    page: &PageArgs<Name>,
) -> Outcome<Page<Environment, Name>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {}, {COLUMNS} {FROM} WHERE e.project = ?1 AND e.name > ?2 ORDER BY e.name LIMIT ?3",
        rows::COLUMNS
    ))?;
    let after = page.after.as_ref().map_or("", Name::as_str);
    let found = statement
        .query_map(params![project.as_bytes(), after, ordered(page.size as u64 + 1)], environment)?;
    let items = found.collect::<rusqlite::Result<_>>()?;
    Ok(Page::cut(items, page.size, |environment: &Environment| environment.name.clone()))
}

/// Project and name of an environment: the key under which the caches know it.
pub(crate) fn place(conn: &Connection, id: EnvironmentId) -> Outcome<Option<(ProjectId, Name)>> {
    let mut statement = conn.prepare_cached("SELECT project, name FROM environments WHERE id = ?1")?;
    let row = |r: &Row<'_>| Ok((ProjectId::from_bytes(r.get(0)?), text_at(r, 1)?));
    Ok(statement.query_row([id.as_bytes()], row).maybe()?)
}

/// Deletes an environment; its versions, keyrings and uploads go by foreign key.
pub(crate) fn delete(conn: &Connection, id: EnvironmentId) -> Outcome<bool> {
    usage::release_environment(conn, id)?;
    conn.prepare_cached(
        "UPDATE projects SET environment_count = environment_count - 1
         WHERE id = (SELECT project FROM environments WHERE id = ?1)",
    )?
    .execute([id.as_bytes()])?;
    Ok(conn.prepare_cached("DELETE FROM environments WHERE id = ?1")?.execute([id.as_bytes()])? == 1)
}

fn environment(row: &Row<'_>) -> rusqlite::Result<Environment> {
    let at = rows::COLUMN_COUNT;
    let origin: Option<[u8; 16]> = row.get(at + 5)?;
    let cloned_from = match origin {
        Some(id) => {
            Some(Origin { environment: EnvironmentId::from_bytes(id), version: u64_at(row, at + 6)? })
        }
        None => None,
    };
    let has_head = row.get::<_, Option<i64>>(rows::NUMBER)?.is_some();
    Ok(Environment {
        id: EnvironmentId::from_bytes(row.get(at)?),
        project: ProjectId::from_bytes(row.get(at + 1)?),
        name: text_at(row, at + 2)?,
        epoch: row.get(at + 3)?,
        head: if has_head { Some(rows::version(row)?) } else { None },
        created_at_ms: u64_at(row, at + 4)?,
        cloned_from,
        rotation_due: row.get(at + 7)?,
    })
}
