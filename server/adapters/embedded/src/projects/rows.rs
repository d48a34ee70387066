//! Rows of `projects`.

use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    name::Name,
    page::{Page, PageArgs},
    projects::{model::Project, port::Written},
};
use veilcore::id::{AccountId, ProjectId};

use crate::{
    db::{Maybe, fault::Outcome, int, ordered, text_at, u64_at},
    storage::usage,
};

pub(crate) const COLUMNS: &str = "id, owner, name, created_at_ms, environment_count";

/// Inserts a project.
pub(crate) fn insert(conn: &Connection, project: &Project, limit: u32) -> Outcome<Written> {
    let owner = project.owner.as_bytes();
    if !conn.prepare_cached("SELECT 1 FROM accounts WHERE id = ?1")?.exists([owner])? {
        return Ok(Written::Gone);
    }
    let taken = conn
        .prepare_cached("SELECT 1 FROM projects WHERE id = ?1 OR (owner = ?2 AND name = ?3)")?
        .exists(params![project.id.as_bytes(), owner, project.name.as_str()])?;
    if taken {
        return Ok(Written::Taken);
    }
    let count: u32 = conn
        .prepare_cached("SELECT COUNT(*) FROM projects WHERE owner = ?1")?
        .query_row([owner], |r| r.get(0))?;
    if count >= limit {
        return Ok(Written::Limit);
    }
    conn.prepare_cached(
        "INSERT INTO projects (id, owner, name, created_at_ms, environment_count) VALUES (?1, ?2, ?3, ?4, 0)",
    )?
    .execute(params![
        project.id.as_bytes(),
        owner,
        project.name.as_str(),
        int(project.created_at_ms)
    ])?;
    Ok(Written::Done)
}

/// A project.
pub(crate) fn by_id(conn: &Connection, id: ProjectId) -> Outcome<Option<Project>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM projects WHERE id = ?1"))?;
    Ok(statement.query_row([id.as_bytes()], project).maybe()?)
}

/// Projects of an owner by name.
pub(crate) fn page(
    conn: &Connection,
    owner: AccountId,
    only: Option<&Name>,
    page: &PageArgs<Name>,
) -> Outcome<Page<Project, Name>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM projects
         WHERE owner = ?1 AND name > ?2 AND (?3 IS NULL OR name = ?3) ORDER BY name LIMIT ?4"
    ))?;
    // No name is less than or equal to the empty text.
    let after = page.after.as_ref().map_or("", Name::as_str);
    let limit = ordered(page.size as u64 + 1);
    let rows =
        statement.query_map(params![owner.as_bytes(), after, only.map(Name::as_str), limit], project)?;
    let items = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::cut(items, page.size, |project: &Project| project.name.clone()))
}

/// Renames a project.
pub(crate) fn rename(conn: &Connection, id: ProjectId, name: &Name) -> Outcome<Written> {
    let Some(project) = by_id(conn, id)? else { return Ok(Written::Gone) };
    let taken = conn
        .prepare_cached("SELECT 1 FROM projects WHERE owner = ?1 AND name = ?2 AND id <> ?3")?
        .exists(params![project.owner.as_bytes(), name.as_str(), id.as_bytes()])?;
    if taken {
        return Ok(Written::Taken);
    }
    conn.prepare_cached("UPDATE projects SET name = ?2 WHERE id = ?1")?
        .execute(params![id.as_bytes(), name.as_str()])?;
    Ok(Written::Done)
}

/// Deletes a project with everything in it, by foreign key, and keeps whose it was.
pub(crate) fn delete(conn: &Connection, id: ProjectId) -> Outcome<bool> {
    usage::release_project(conn, id)?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO deleted_projects (id, owner) SELECT id, owner FROM projects WHERE id = ?1",
    )?
    .execute([id.as_bytes()])?;
    Ok(conn.prepare_cached("DELETE FROM projects WHERE id = ?1")?.execute([id.as_bytes()])? == 1)
}

/// Whose a deleted project was.
pub(crate) fn last_owner(conn: &Connection, id: ProjectId) -> Outcome<Option<AccountId>> {
    let mut statement = conn.prepare_cached("SELECT owner FROM deleted_projects WHERE id = ?1")?;
    Ok(statement.query_row([id.as_bytes()], |r| Ok(AccountId::from_bytes(r.get(0)?))).maybe()?)
}

/// A project from [`COLUMNS`].
pub(crate) fn project(row: &Row<'_>) -> rusqlite::Result<Project> {
    Ok(Project {
        id: ProjectId::from_bytes(row.get(0)?),
        owner: AccountId::from_bytes(row.get(1)?),
        name: text_at(row, 2)?,
        created_at_ms: u64_at(row, 3)?,
        environment_count: row.get(4)?,
    })
}
