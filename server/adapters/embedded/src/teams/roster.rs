//! The roster: `rows` (teams) and `members` behind one port. Who leaves a team loses the rights that came with it, so
//! the rights in memory are forgotten with every change of who is in one.

use std::sync::Arc;

use async_trait::async_trait;
use veilcloud_domain::{
    audit::model::Line,
    name::Name,
    page::{Page, PageArgs},
    store::StoreError,
    teams::{
        model::{Member, Membership, Role, Seat, Team, TeamChange, TeamKey},
        port::{By, Changed, Roster},
    },
};
use veilcore::id::{AccountId, TeamId};

use super::{members, rows};
use crate::{
    db::{Db, Tx, fault::Outcome},
    projects::catalog::ProjectCaches,
};

/// The roster.
pub(crate) struct SqliteRoster {
    pub db: Db,
    pub caches: Arc<ProjectCaches>,
}

impl SqliteRoster {
    /// Makes a change of who is in a team, with its lines, and forgets what followed from who was.
    async fn change_members<F>(&self, lines: Vec<Line>, change: F) -> Result<Changed, StoreError>
    where
        F: FnOnce(&Tx<'_>) -> Outcome<Changed> + Send + 'static,
    {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                let changed = change(tx)?;
                if changed == Changed::Done {
                    tx.log_all(&lines)?;
                    tx.after(move || caches.rights.forget_all());
                }
                Ok(changed)
            })
            .await
    }
}

#[async_trait]
impl Roster for SqliteRoster {
    async fn create_team(&self, team: Team, limit: u32, line: Line) -> Result<Changed, StoreError> {
        self.db
            .write(move |tx| {
                let changed = rows::insert(tx.conn, &team, limit)?;
                if changed == Changed::Done {
                    tx.log(&line)?;
                }
                Ok(changed)
            })
            .await
    }

    async fn team(&self, id: TeamId, account: AccountId) -> Result<Option<Membership>, StoreError> {
        self.db.read(move |conn| rows::membership(conn, id, account)).await
    }

    async fn teams(
        &self,
        account: AccountId,
        only: Option<&Name>,
        page: PageArgs<TeamKey>,
    ) -> Result<Page<Membership, TeamKey>, StoreError> {
        let only = only.cloned();
        self.db.read(move |conn| rows::page(conn, account, only.as_ref(), &page)).await
    }

    async fn update_team(
        &self,
        id: TeamId,
        by: By,
        change: TeamChange,
        line: Line,
    ) -> Result<Changed, StoreError> {
        self.db
            .write(move |tx| {
                let changed = rows::update(tx.conn, id, by, &change)?;
                if changed == Changed::Done {
                    tx.log(&line)?;
                }
                Ok(changed)
            })
            .await
    }

    async fn delete_team(
        &self,
        id: TeamId,
        by: By,
        line: Line,
    ) -> Result<Option<Vec<AccountId>>, StoreError> {
        let caches = self.caches.clone();
        self.db
            .write(move |tx| {
                let deleted = rows::delete(tx, id, by, &line)?;
                if deleted.is_some() {
                    tx.after(move || caches.rights.forget_all());
                }
                Ok(deleted)
            })
            .await
    }

    async fn add_member(
        &self,
        team: TeamId,
        by: By,
        seat: Seat,
        limit: u32,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        self.change_members(lines, move |tx| members::add(tx.conn, team, by, &seat, limit)).await
    }

    async fn member(&self, team: TeamId, account: AccountId) -> Result<Option<Member>, StoreError> {
        self.db.read(move |conn| members::by_account(conn, team, account)).await
    }

    async fn members(
        &self,
        team: TeamId,
        page: PageArgs<AccountId>,
    ) -> Result<Page<Member, AccountId>, StoreError> {
        self.db.read(move |conn| members::page(conn, team, &page)).await
    }

    async fn set_role(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        role: Role,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        self.change_members(lines, move |tx| members::set_role(tx.conn, team, by, account, role)).await
    }

    async fn remove_member(
        &self,
        team: TeamId,
        by: By,
        account: AccountId,
        lines: Vec<Line>,
    ) -> Result<Changed, StoreError> {
        self.change_members(lines, move |tx| members::remove(tx.conn, team, by, account)).await
    }
}
