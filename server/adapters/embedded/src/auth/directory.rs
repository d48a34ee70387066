//! The directory: `accounts` and `sessions` behind one port, with what the gate asks on every request in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use veilcloud_domain::{
    audit::model::{Kind, Line},
    auth::{
        api_keys::model::ApiKey,
        model::{Account, Deletion, Email, Ending, NewCredentials, Rotation, Session, Standing},
        port::Directory,
    },
    store::StoreError,
};
use veilcore::id::{AccountId, ApiKeyId, SessionId};

use super::{
    accounts::{self, AccountStanding},
    api_keys, halves,
    sessions::{self, SessionStanding},
};
use crate::{cache::Cache, db::Db, projects::catalog::ProjectCaches, teams::rows as teams};

/// Accounts and sessions whose standing is kept in memory, each.
pub(crate) const STANDINGS_MAX: usize = 65_536;
/// How long an API key's row is believed without a look at it.
const KEY_LIFE: Duration = Duration::from_secs(300);
/// The same of an account's tier and revocation epoch, and of a session.
const ACCOUNT_LIFE: Duration = Duration::from_secs(60);

/// What the gate asks on every request.
pub(crate) struct Standings {
    pub accounts: Cache<AccountId, AccountStanding>,
    pub sessions: Cache<SessionId, SessionStanding>,
    pub keys: Cache<ApiKeyId, Arc<ApiKey>>,
}

impl Standings {
    /// Empty.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            accounts: Cache::new(STANDINGS_MAX).living(ACCOUNT_LIFE),
            sessions: Cache::new(STANDINGS_MAX).living(ACCOUNT_LIFE),
            keys: Cache::new(STANDINGS_MAX).living(KEY_LIFE),
        })
    }

    /// After an account or some of its sessions changed.
    pub fn forget(&self, account: AccountId, sessions: &[SessionId]) {
        self.accounts.forget(&account);
        sessions.iter().for_each(|session| self.sessions.forget(session));
    }
}

/// The directory.
pub(crate) struct SqliteDirectory {
    pub db: Db,
    pub standings: Arc<Standings>,
    pub projects: Arc<ProjectCaches>,
}

#[async_trait]
impl Directory for SqliteDirectory {
    async fn create_account(&self, account: Account, lines: Vec<Line>) -> Result<bool, StoreError> {
        self.db
            .write(move |tx| {
                let created = accounts::insert(tx.conn, &account)?;
                if created {
                    let leaf = tx.log_all(&lines)?;
                    accounts::set_key_index(tx.conn, account.id, leaf)?;
                }
                Ok(created)
            })
            .await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let email = email.clone();
        self.db.read(move |conn| accounts::by_email(conn, &email)).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.db.read(move |conn| accounts::by_id(conn, id)).await
    }

    async fn rename_account(
        &self,
        id: AccountId,
        display_name: String,
        line: Line,
    ) -> Result<bool, StoreError> {
        self.db
            .write(move |tx| {
                let found = accounts::rename(tx.conn, id, &display_name)?;
                if found {
                    tx.log(&line)?;
                }
                Ok(found)
            })
            .await
    }

    async fn replace_credentials(
        &self,
        id: AccountId,
        record_hash: [u8; 32],
        new: NewCredentials,
        ending: Ending,
        lines: Vec<Line>,
    ) -> Result<bool, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                if !accounts::has_record(tx.conn, id, record_hash)?
                    || !sessions::spares_live(tx.conn, id, ending)?
                {
                    return Ok(false);
                }
                accounts::replace_credentials(tx.conn, id, &new)?;
                let ended = sessions::end(tx.conn, id, ending)?;
                let leaf = tx.log_all(&lines)?;
                accounts::set_key_index(tx.conn, id, leaf)?;
                let revoked = match new.recovery {
                    Some(_) => api_keys::revoke_all(tx, id, lines.first().map_or(0, |line| line.at_ms))?,
                    None => Vec::new(),
                };
                tx.after(move || {
                    standings.forget(id, &ended);
                    revoked.iter().for_each(|key| standings.keys.forget(key));
                });
                Ok(true)
            })
            .await
    }

    async fn delete_account(&self, id: AccountId, lines: Vec<Line>) -> Result<Deletion, StoreError> {
        let (standings, projects) = (self.standings.clone(), self.projects.clone());
        self.db
            .write(move |tx| {
                let peopled = teams::peopled(tx.conn, id)?;
                if peopled > 0 {
                    return Ok(Deletion::OwnsTeams(peopled));
                }
                let ended = sessions::of(tx.conn, id)?;
                let told = teams::tell_owners(tx, id, lines.first().map_or(0, |line| line.at_ms))?;
                halves::destroy_of(tx, id)?;
                if !accounts::delete(tx.conn, id)? {
                    return Ok(Deletion::Unknown);
                }
                tx.log_all(&lines)?;
                tx.after(move || {
                    standings.forget(id, &ended);
                    projects.forget_all();
                });
                Ok(Deletion::Done { told })
            })
            .await
    }

    async fn open_session(
        &self,
        session: Session,
        record_hash: [u8; 32],
        limit: u32,
        line: Line,
    ) -> Result<bool, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                if !accounts::has_record(tx.conn, session.account, record_hash)? {
                    return Ok(false);
                }
                let purged = sessions::purge(tx.conn, &session)?;
                let ended = sessions::end_oldest(tx.conn, session.account, limit.saturating_sub(1))?;
                sessions::open(tx.conn, &session)?;
                for _ in &ended {
                    tx.log(&Line { kind: Kind::SessionEnd, ..line.clone() })?;
                }
                tx.log(&line)?;
                tx.after(move || {
                    standings.forget(session.account, &purged);
                    standings.forget(session.account, &ended);
                });
                Ok(true)
            })
            .await
    }

    async fn rotate_refresh(
        &self,
        old: [u8; 32],
        new: [u8; 32],
        now_ms: u64,
        line: Line,
    ) -> Result<Rotation, StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                let rotation = sessions::rotate(tx, old, new, now_ms, line)?;
                if let Rotation::Reused { session, .. } = rotation {
                    tx.after(move || standings.sessions.forget(&session));
                }
                Ok(rotation)
            })
            .await
    }

    async fn holder_of(&self, refresh_hash: [u8; 32]) -> Result<Option<[u8; 32]>, StoreError> {
        self.db.read(move |conn| sessions::holder_of(conn, refresh_hash)).await
    }

    async fn standing(&self, account: AccountId, session: SessionId) -> Result<Option<Standing>, StoreError> {
        let of_session = self.db.read(move |conn| sessions::standing(conn, session));
        let Some(its) = self.standings.sessions.get(&session, of_session).await? else { return Ok(None) };
        if its.account != account {
            return Ok(None);
        }
        let of_account = self.db.read(move |conn| accounts::standing(conn, account));
        let theirs = self.standings.accounts.get(&account, of_account).await?;
        Ok(theirs.map(|theirs| Standing {
            live: its.live,
            revocation_epoch: theirs.revocation_epoch,
            tier: theirs.tier,
            logged_in_at_ms: its.logged_in_at_ms,
        }))
    }

    async fn end_sessions(&self, account: AccountId, ending: Ending, line: Line) -> Result<(), StoreError> {
        let standings = self.standings.clone();
        self.db
            .write(move |tx| {
                let ended = sessions::end(tx.conn, account, ending)?;
                tx.log(&line)?;
                tx.after(move || standings.forget(account, &ended));
                Ok(())
            })
            .await
    }
}
