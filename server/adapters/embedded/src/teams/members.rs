//! Rows of `team_members`.

use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    page::{Page, PageArgs},
    teams::{
        model::{Member, Role, Seat, Team},
        port::{By, Changed},
    },
};
use veilcore::id::{AccountId, TeamId};

use super::rows;
use crate::db::{Maybe, fault::Outcome, int, ordered, text_at, u64_at};

const MEMBER: &str = "m.account, a.display_name, m.role, m.added_at_ms
    FROM team_members m JOIN accounts a ON a.id = m.account";

/// Puts the owner into a new team.
pub(crate) fn insert_owner(conn: &Connection, team: &Team) -> Outcome<()> {
    let seat = Seat { account: team.owner, role: Role::Owner, added_at_ms: team.created_at_ms };
    insert(conn, team.id, &seat)
}

/// Puts an account into a team.
pub(crate) fn add(conn: &Connection, team: TeamId, by: By, seat: &Seat, limit: u32) -> Outcome<Changed> {
    let Some(found) = rows::judged(conn, team, by)? else { return Ok(Changed::Denied) };
    let account = seat.account.as_bytes();
    if !conn.prepare_cached("SELECT 1 FROM accounts WHERE id = ?1")?.exists([account])? {
        return Ok(Changed::Unknown);
    }
    if role(conn, team, seat.account)?.is_some() {
        return Ok(Changed::Taken);
    }
    if found.team.member_count >= limit {
        return Ok(Changed::Limit);
    }
    insert(conn, team, seat)?;
    Ok(Changed::Done)
}

/// Gives a member another role.
pub(crate) fn set_role(
    conn: &Connection,
    team: TeamId,
    by: By,
    account: AccountId,
    new: Role,
) -> Outcome<Changed> {
    if let Some(refused) = refusal(conn, team, by, account)? {
        return Ok(refused);
    }
    if new == Role::Owner {
        return Ok(Changed::Owner);
    }
    conn.prepare_cached("UPDATE team_members SET role = ?3 WHERE team = ?1 AND account = ?2")?
        .execute(params![team.as_bytes(), account.as_bytes(), new.as_str()])?;
    Ok(Changed::Done)
}

/// Takes a member out of a team.
pub(crate) fn remove(conn: &Connection, team: TeamId, by: By, account: AccountId) -> Outcome<Changed> {
    if let Some(refused) = refusal(conn, team, by, account)? {
        return Ok(refused);
    }
    conn.prepare_cached("DELETE FROM team_members WHERE team = ?1 AND account = ?2")?
        .execute(params![team.as_bytes(), account.as_bytes()])?;
    Ok(Changed::Done)
}

/// Why a member cannot be changed.
fn refusal(conn: &Connection, team: TeamId, by: By, account: AccountId) -> Outcome<Option<Changed>> {
    if rows::judged(conn, team, by)?.is_none() {
        return Ok(Some(Changed::Denied));
    }
    Ok(match role(conn, team, account)? {
        None => Some(Changed::Unknown),
        Some(Role::Owner) => Some(Changed::Owner),
        Some(_) => None,
    })
}

/// A member.
pub(crate) fn by_account(conn: &Connection, team: TeamId, account: AccountId) -> Outcome<Option<Member>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {MEMBER} WHERE m.team = ?1 AND m.account = ?2"))?;
    Ok(statement.query_row(params![team.as_bytes(), account.as_bytes()], member).maybe()?)
}

/// Members of a team by account.
pub(crate) fn page(
    conn: &Connection,
    team: TeamId,
    page: &PageArgs<AccountId>,
) -> Outcome<Page<Member, AccountId>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MEMBER} WHERE m.team = ?1 AND m.account > ?2 ORDER BY m.account LIMIT ?3"
    ))?;
    // Every id is greater than no bytes.
    let after = page.after.as_ref().map_or(&[][..], |account| account.as_bytes());
    let limit = ordered(page.size as u64 + 1);
    let rows = statement.query_map(params![team.as_bytes(), after, limit], member)?;
    let items = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Page::cut(items, page.size, |member: &Member| member.account))
}

/// Accounts in a team.
pub(crate) fn accounts(conn: &Connection, team: TeamId) -> Outcome<Vec<AccountId>> {
    let mut statement =
        conn.prepare_cached("SELECT account FROM team_members WHERE team = ?1 ORDER BY account")?;
    let rows = statement.query_map([team.as_bytes()], |r| Ok(AccountId::from_bytes(r.get(0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn role(conn: &Connection, team: TeamId, account: AccountId) -> Outcome<Option<Role>> {
    let mut statement =
        conn.prepare_cached("SELECT role FROM team_members WHERE team = ?1 AND account = ?2")?;
    let role = |r: &Row<'_>| text_at(r, 0);
    Ok(statement.query_row(params![team.as_bytes(), account.as_bytes()], role).maybe()?)
}

fn insert(conn: &Connection, team: TeamId, seat: &Seat) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO team_members (team, account, role, added_at_ms) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        team.as_bytes(),
        seat.account.as_bytes(),
        seat.role.as_str(),
        int(seat.added_at_ms)
    ])?;
    Ok(())
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        account: AccountId::from_bytes(row.get(0)?),
        display_name: row.get(1)?,
        role: text_at(row, 2)?,
        added_at_ms: u64_at(row, 3)?,
    })
}
