//! Who may do what in projects: shares, access lists, and the rights that follow from them, which every request asks for.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use veilcloud_domain::{
    audit::model::Line,
    auth::api_keys::model::ApiKey,
    name::Name,
    page::{Page, PageArgs},
    projects::{
        access::{AccessChange, AccessFacts, AccessRefusal, AccessState, Rights, Share, ShareChange},
        model::Project,
        port::Grants,
        stands as rule,
    },
    store::StoreError,
};
use veilcore::{
    hash::sha256,
    id::{AccountId, ApiKeyId, EnvironmentId, ProjectId, TeamId},
};
use veilsign::capability::Actions;

use super::{catalog::ProjectCaches, rows};
use crate::auth::api_keys;
use crate::db::{
    Db, Maybe,
    fault::{Fault, Outcome},
    int, ordered, text_at, u64_at,
};

/// Shares and access lists in the database.
pub(crate) struct SqliteGrants {
    pub db: Db,
    pub caches: Arc<ProjectCaches>,
}

#[async_trait]
impl Grants for SqliteGrants {
    async fn rights(&self, project: ProjectId, account: AccountId) -> Result<Option<Rights>, StoreError> {
        let read = self.db.read(move |conn| rights(conn, project, account));
        // Only rights are kept: who has none in a project of somebody else is asked again, as for one that is not there.
        self.caches.rights.get(&(project, account), read).await
    }

    async fn shared_with(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<ProjectId>,
    ) -> Result<Page<(Project, Actions), ProjectId>, StoreError> {
        let only = only.cloned();
        self.db.read(move |conn| shared_with(conn, account, only.as_ref(), &page)).await
    }

    async fn shares(
        &self,
        project: ProjectId,
        page: PageArgs<TeamId>,
    ) -> Result<Page<Share, TeamId>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT team, actions, author, at_ms FROM shares WHERE project = ?1 AND team > ?2
                     ORDER BY team LIMIT ?3",
                )?;
                // An empty value comes before every id.
                let after = page.after.map_or(Vec::new(), |team| team.as_bytes().to_vec());
                let limit = ordered(page.size as u64 + 1);
                let rows = statement.query_map(params![project.as_bytes(), after, limit], share)?;
                let items = rows.collect::<rusqlite::Result<_>>()?;
                Ok(Page::cut(items, page.size, |share: &Share| share.team))
            })
            .await
    }

    async fn share(&self, project: ProjectId, team: TeamId) -> Result<Option<Share>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT team, actions, author, at_ms FROM shares WHERE project = ?1 AND team = ?2",
                )?;
                Ok(statement.query_row(params![project.as_bytes(), team.as_bytes()], share).maybe()?)
            })
            .await
    }

    async fn access(&self, project: ProjectId) -> Result<Option<AccessState>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT p.owner, p.access_list, p.access_floor, l.list FROM projects p
                     LEFT JOIN access_lists l ON l.project = p.id AND l.number = p.access_list WHERE p.id = ?1",
                )?;
                let row = |r: &Row<'_>| {
                    Ok(AccessState {
                        owner: AccountId::from_bytes(r.get(0)?),
                        number: u64_at(r, 1)?,
                        floor: u64_at(r, 2)?,
                        list: r.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default(),
                    })
                };
                Ok(statement.query_row([project.as_bytes()], row).maybe()?)
            })
            .await
    }

    async fn access_list(&self, project: ProjectId, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.db
            .read(move |conn| {
                let mut statement =
                    conn.prepare_cached("SELECT list FROM access_lists WHERE project = ?1 AND number = ?2")?;
                let row = |r: &Row<'_>| r.get(0);
                Ok(statement.query_row(params![project.as_bytes(), ordered(number)], row).maybe()?)
            })
            .await
    }

    async fn change_access(
        &self,
        change: AccessChange,
        lines: Vec<Line>,
    ) -> Result<Result<(), AccessRefusal>, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                for line in &lines {
                    if !stands(tx.conn, line)? {
                        return Ok(Err(AccessRefusal::Denied));
                    }
                }
                if let Err(refusal) = change.judge(&mut Facts(tx.conn))? {
                    return Ok(Err(refusal));
                }
                apply(tx.conn, &change)?;
                tx.log_all(&lines)?;
                tx.after(move || {
                    caches.rights.forget_all();
                    if change.takes {
                        caches.environments.forget_all();
                    }
                });
                Ok(Ok(()))
            })
            .await
    }
}

/// Whether the one whom a line names may do what it says, by the rows as they are.
pub(crate) fn stands(conn: &Connection, line: &Line) -> Outcome<bool> {
    rule::stands(line, &mut Facts(conn))
}

/// Whether the account may write to the project, by the rows as they are.
pub(crate) fn may_write(conn: &Connection, project: ProjectId, account: AccountId) -> Outcome<bool> {
    rule::may(project, account, Actions::PROJECT_WRITE, &mut Facts(conn))
}

/// What an account may do in a project, by the rows as they are.
fn rights(conn: &Connection, project: ProjectId, account: AccountId) -> Outcome<Option<Rights>> {
    let mut statement = conn.prepare_cached(
        "SELECT p.owner, e.actions & s.actions FROM projects p
         LEFT JOIN (access_entries e
             JOIN shares s ON s.project = e.project AND s.team = e.team
             JOIN team_members m ON m.team = e.team AND m.account = e.account)
         ON e.project = p.id AND e.account = ?2
         WHERE p.id = ?1",
    )?;
    let mut rows = statement.query(params![project.as_bytes(), account.as_bytes()])?;
    let (mut owner, mut given) = (None, Actions::NONE);
    while let Some(row) = rows.next()? {
        owner = Some(AccountId::from_bytes(row.get(0)?));
        if let Some(bits) = row.get::<_, Option<i64>>(1)? {
            given = given | actions(bits)?;
        }
    }
    Ok(owner.and_then(|owner| Rights::of(account, owner, given)))
}

fn shared_with(
    conn: &Connection,
    account: AccountId,
    only: Option<&Name>,
    page: &PageArgs<ProjectId>,
) -> Outcome<Page<(Project, Actions), ProjectId>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} FROM projects p
         WHERE p.id IN (
             SELECT e.project FROM access_entries e
             JOIN shares s ON s.project = e.project AND s.team = e.team
             JOIN team_members m ON m.team = e.team AND m.account = e.account
             WHERE e.account = ?1 AND (e.actions & s.actions & ?5) <> 0)
         AND p.owner <> ?1 AND p.id > ?2 AND (?3 IS NULL OR p.name = ?3) ORDER BY p.id LIMIT ?4",
        rows::COLUMNS
    ))?;
    let after = page.after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
    let read = int(Actions::PROJECT_READ.bits());
    let limit = ordered(page.size as u64 + 1);
    let found = statement
        .query_map(params![account.as_bytes(), after, only.map(Name::as_str), limit, read], rows::project)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut items = Vec::new();
    for project in found {
        let held = rights(conn, project.id, account)?.map_or(Actions::NONE, |rights| rights.actions);
        items.push((project, held));
    }
    Ok(Page::cut(items, page.size, |(project, _)| project.id))
}

/// Writes what was judged.
fn apply(conn: &Connection, change: &AccessChange) -> Outcome<()> {
    let project = change.project.as_bytes();
    match change.share {
        ShareChange::Keep => {}
        ShareChange::Set(share) => {
            conn.prepare_cached(
                "INSERT OR REPLACE INTO shares (project, team, actions, author, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                project,
                share.team.as_bytes(),
                int(share.actions.bits()),
                share.by.as_bytes(),
                int(share.at_ms)
            ])?;
        }
        ShareChange::End(team) => {
            conn.prepare_cached("DELETE FROM shares WHERE project = ?1 AND team = ?2")?
                .execute(params![project, team.as_bytes()])?;
        }
    }
    conn.prepare_cached("INSERT INTO access_lists (project, number, list) VALUES (?1, ?2, ?3)")?
        .execute(params![project, int(change.number), change.list])?;
    conn.prepare_cached("DELETE FROM access_entries WHERE project = ?1")?.execute([project])?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO access_entries (project, account, team, actions) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (account, team, actions) in change.grants() {
        insert.execute(params![project, account.as_bytes(), team.as_bytes(), int(actions.bits())])?;
    }
    let floor = if change.takes { "access_list = ?2, access_floor = ?2" } else { "access_list = ?2" };
    conn.prepare_cached(&format!("UPDATE projects SET {floor} WHERE id = ?1"))?
        .execute(params![project, int(change.number)])?;
    Ok(())
}

/// Number of the project's newest list, 0 for none; `None` when there is no such project.
pub(crate) fn newest(conn: &Connection, project: ProjectId) -> Outcome<Option<u64>> {
    let mut statement = conn.prepare_cached("SELECT access_list FROM projects WHERE id = ?1")?;
    Ok(statement.query_row([project.as_bytes()], |r| u64_at(r, 0)).maybe()?)
}

/// The rows of an open transaction.
struct Facts<'a>(&'a Connection);

impl AccessFacts for Facts<'_> {
    type Error = Fault;

    fn newest(&mut self, project: ProjectId) -> Outcome<Option<u64>> {
        newest(self.0, project)
    }

    fn rights(&mut self, project: ProjectId, account: AccountId) -> Outcome<Option<Rights>> {
        rights(self.0, project, account)
    }

    fn shares(&mut self, project: ProjectId) -> Outcome<BTreeMap<TeamId, Actions>> {
        let mut statement = self.0.prepare_cached("SELECT team, actions FROM shares WHERE project = ?1")?;
        let mut rows = statement.query([project.as_bytes()])?;
        let mut shares = BTreeMap::new();
        while let Some(row) = rows.next()? {
            shares.insert(TeamId::from_bytes(row.get(0)?), actions(row.get(1)?)?);
        }
        Ok(shares)
    }

    fn bundle_digest(&mut self, account: AccountId) -> Outcome<Option<[u8; 32]>> {
        let mut statement = self.0.prepare_cached("SELECT bundle FROM accounts WHERE id = ?1")?;
        let bundle = statement.query_row([account.as_bytes()], |r| r.get::<_, Vec<u8>>(0)).maybe()?;
        Ok(bundle.map(|bundle| sha256(&bundle)))
    }

    fn api_key(&mut self, id: ApiKeyId) -> Outcome<Option<ApiKey>> {
        api_keys::by_id(self.0, id)
    }

    fn environment_name(&mut self, project: ProjectId, environment: EnvironmentId) -> Outcome<Option<Name>> {
        let mut statement =
            self.0.prepare_cached("SELECT name FROM environments WHERE id = ?1 AND project = ?2")?;
        let key = params![environment.as_bytes(), project.as_bytes()];
        Ok(statement.query_row(key, |row| text_at(row, 0)).maybe()?)
    }

    fn key_lives(&mut self, key: ApiKeyId, account: AccountId, now_ms: u64) -> Outcome<bool> {
        let mut statement = self.0.prepare_cached(
            "SELECT 1 FROM api_keys
             WHERE id = ?1 AND account = ?2 AND revoked_at_ms IS NULL AND expires_at_ms > ?3",
        )?;
        Ok(statement.exists(params![key.as_bytes(), account.as_bytes(), ordered(now_ms)])?)
    }

    fn is_member(&mut self, team: TeamId, account: AccountId) -> Outcome<bool> {
        let mut statement =
            self.0.prepare_cached("SELECT 1 FROM team_members WHERE team = ?1 AND account = ?2")?;
        Ok(statement.exists(params![team.as_bytes(), account.as_bytes()])?)
    }
}

fn share(row: &Row<'_>) -> rusqlite::Result<Share> {
    let bits = row.get::<_, i64>(1)?;
    let actions = Actions::from_bits(bits.cast_unsigned());
    Ok(Share {
        team: TeamId::from_bytes(row.get(0)?),
        actions: actions.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, bits))?,
        by: AccountId::from_bytes(row.get(2)?),
        at_ms: u64_at(row, 3)?,
    })
}

fn actions(bits: i64) -> Outcome<Actions> {
    let known = Actions::from_bits(bits.cast_unsigned());
    known.ok_or_else(|| Fault::Damaged(format!("actions without names: {bits:#x}")))
}
