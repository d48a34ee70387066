//! Rows of `teams`.

use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    audit::model::{Line, Trail},
    name::Name,
    page::{Page, PageArgs},
    teams::{
        model::{self, Membership, Team, TeamChange, TeamKey},
        port::{By, Changed},
    },
};
use veilcore::id::{AccountId, TeamId};

use super::members;
use crate::db::{Maybe, Tx, fault::Outcome, int, ordered, text_at, u64_at};

/// A team, and the role of the account whose row `m` is.
const MEMBERSHIP: &str = "t.id, t.owner, t.name, t.threshold, t.created_at_ms,
    (SELECT COUNT(*) FROM team_members c WHERE c.team = t.id), m.role
    FROM team_members m JOIN teams t ON t.id = m.team";

/// Inserts a team and its owner as a member.
pub(crate) fn insert(conn: &Connection, team: &Team, limit: u32) -> Outcome<Changed> {
    let owner = team.owner.as_bytes();
    if !conn.prepare_cached("SELECT 1 FROM accounts WHERE id = ?1")?.exists([owner])? {
        return Ok(Changed::Denied);
    }
    let taken = conn
        .prepare_cached("SELECT 1 FROM teams WHERE id = ?1 OR (owner = ?2 AND name = ?3)")?
        .exists(params![team.id.as_bytes(), owner, team.name.as_str()])?;
    if taken {
        return Ok(Changed::Taken);
    }
    let count: u32 = conn
        .prepare_cached("SELECT COUNT(*) FROM teams WHERE owner = ?1")?
        .query_row([owner], |r| r.get(0))?;
    if count >= limit {
        return Ok(Changed::Limit);
    }
    conn.prepare_cached(
        "INSERT INTO teams (id, owner, name, threshold, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        team.id.as_bytes(),
        owner,
        team.name.as_str(),
        team.threshold,
        int(team.created_at_ms)
    ])?;
    members::insert_owner(conn, team)?;
    Ok(Changed::Done)
}

/// A team and the role of an account in it.
pub(crate) fn membership(conn: &Connection, id: TeamId, account: AccountId) -> Outcome<Option<Membership>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {MEMBERSHIP} WHERE m.team = ?1 AND m.account = ?2"))?;
    Ok(statement.query_row(params![id.as_bytes(), account.as_bytes()], row).maybe()?)
}

/// The team, if who asks has the role now.
pub(crate) fn judged(conn: &Connection, id: TeamId, by: By) -> Outcome<Option<Membership>> {
    Ok(membership(conn, id, by.account)?.filter(|membership| membership.role >= by.least))
}

/// Teams of an account by name and id.
pub(crate) fn page(
    conn: &Connection,
    account: AccountId,
    only: Option<&Name>,
    page: &PageArgs<TeamKey>,
) -> Outcome<Page<Membership, TeamKey>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MEMBERSHIP}
         WHERE m.account = ?1 AND (t.name, t.id) > (?2, ?3) AND (?4 IS NULL OR t.name = ?4)
         ORDER BY t.name, t.id LIMIT ?5"
    ))?;
    // No name is less than or equal to the empty text.
    let (name, id) = page.after.as_ref().map_or(("", [0; 16]), |(name, id)| (name.as_str(), *id.as_bytes()));
    let limit = ordered(page.size as u64 + 1);
    let rows =
        statement.query_map(params![account.as_bytes(), name, id, only.map(Name::as_str), limit], row)?;
    let items = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::cut(items, page.size, Membership::key))
}

/// Changes name or threshold.
pub(crate) fn update(conn: &Connection, id: TeamId, by: By, change: &TeamChange) -> Outcome<Changed> {
    let Some(Membership { team, .. }) = judged(conn, id, by)? else { return Ok(Changed::Denied) };
    let name = change.name.as_ref().unwrap_or(&team.name);
    let taken = conn
        .prepare_cached("SELECT 1 FROM teams WHERE owner = ?1 AND name = ?2 AND id <> ?3")?
        .exists(params![team.owner.as_bytes(), name.as_str(), id.as_bytes()])?;
    if taken {
        return Ok(Changed::Taken);
    }
    let threshold = change.threshold.unwrap_or(team.threshold);
    conn.prepare_cached("UPDATE teams SET name = ?2, threshold = ?3 WHERE id = ?1")?.execute(params![
        id.as_bytes(),
        name.as_str(),
        threshold
    ])?;
    Ok(Changed::Done)
}

/// Deletes a team, its members by foreign key, and tells each in their trail; gives the members but the owner.
pub(crate) fn delete(tx: &Tx<'_>, id: TeamId, by: By, line: &Line) -> Outcome<Option<Vec<AccountId>>> {
    let Some(Membership { team, .. }) = judged(tx.conn, id, by)? else { return Ok(None) };
    let mut members = members::accounts(tx.conn, id)?;
    members.retain(|account| *account != team.owner);
    for member in &members {
        tx.log(&Line { trail: Trail::Account(*member), ..line.clone() })?;
    }
    tx.log(line)?;
    tx.conn.prepare_cached("DELETE FROM teams WHERE id = ?1")?.execute([id.as_bytes()])?;
    Ok(Some(members))
}

/// Teams of an owner in which somebody else is.
pub(crate) fn peopled(conn: &Connection, owner: AccountId) -> Outcome<u32> {
    let mut statement = conn.prepare_cached(
        "SELECT COUNT(*) FROM teams t WHERE t.owner = ?1
         AND EXISTS (SELECT 1 FROM team_members m WHERE m.team = t.id AND m.account <> t.owner)",
    )?;
    Ok(statement.query_row([owner.as_bytes()], |r| r.get(0))?)
}

/// Before an account is deleted, which takes it out of its teams by foreign key: tells the owners of those of others;
/// gives them.
pub(crate) fn tell_owners(tx: &Tx<'_>, account: AccountId, at_ms: u64) -> Outcome<Vec<AccountId>> {
    let mut statement = tx.conn.prepare_cached(
        "SELECT t.owner, t.id FROM team_members m JOIN teams t ON t.id = m.team
         WHERE m.account = ?1 AND t.owner <> ?1 ORDER BY t.id",
    )?;
    let pair = |r: &Row<'_>| Ok((AccountId::from_bytes(r.get(0)?), TeamId::from_bytes(r.get(1)?)));
    let rows = statement.query_map([account.as_bytes()], pair)?;
    let left = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for (owner, team) in &left {
        tx.log(&model::left(*owner, *team, account, at_ms))?;
    }
    Ok(left.into_iter().map(|(owner, _)| owner).collect())
}

fn row(row: &Row<'_>) -> rusqlite::Result<Membership> {
    let team = Team {
        id: TeamId::from_bytes(row.get(0)?),
        owner: AccountId::from_bytes(row.get(1)?),
        name: text_at(row, 2)?,
        threshold: row.get(3)?,
        created_at_ms: u64_at(row, 4)?,
        member_count: row.get(5)?,
    };
    Ok(Membership { team, role: text_at(row, 6)? })
}
