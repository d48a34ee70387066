use std::collections::HashSet;

use async_trait::async_trait;
use veilcore::{
    hash::sha256,
    id::{AccountId, AttemptId, SessionId},
};

use super::{ATTEMPTS_MAX, MemoryStore, SessionRow, State};
use crate::{
    audit::model::{Kind, Line, Trail},
    auth::{
        model::{Account, Attempt, Deletion, Email, Ending, NewCredentials, Rotation, Session, Standing},
        port::{Attempts, Directory},
    },
    store::StoreError,
};

#[async_trait]
impl Directory for MemoryStore {
    async fn create_account(&self, account: Account, lines: Vec<Line>) -> Result<bool, StoreError> {
        let mut state = self.begin("create_account")?;
        let taken = state.accounts.values().any(|a| a.email == account.email || a.id == account.id);
        if !taken {
            let key_index = state.log_all(lines);
            state.accounts.insert(account.id, Account { key_index, ..account });
        }
        Ok(!taken)
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        Ok(self.begin("account_by_email")?.accounts.values().find(|a| a.email == *email).cloned())
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.begin("account")?.accounts.get(&id).cloned())
    }

    async fn rename_account(
        &self,
        id: AccountId,
        display_name: String,
        line: Line,
    ) -> Result<bool, StoreError> {
        let mut state = self.begin("rename_account")?;
        let Some(account) = state.accounts.get_mut(&id) else { return Ok(false) };
        account.display_name = display_name;
        state.log(line);
        Ok(true)
    }

    async fn replace_credentials(
        &self,
        id: AccountId,
        record_hash: [u8; 32],
        new: NewCredentials,
        ending: Ending,
        lines: Vec<Line>,
    ) -> Result<bool, StoreError> {
        let mut state = self.begin("replace_credentials")?;
        if let Ending::AllBut(session) = ending
            && state.sessions.get(&session).is_none_or(|row| !row.live || row.session.account != id)
        {
            return Ok(false);
        }
        let account = state.accounts.get_mut(&id).filter(|account| sha256(&account.record) == record_hash);
        let Some(account) = account else { return Ok(false) };
        account.record = new.record;
        account.password_wrap = new.password_wrap;
        let recovered = new.recovery.is_some();
        if let Some(recovery) = new.recovery {
            account.bundle = recovery.bundle;
            account.recovery_wrap = recovery.wrap;
        }
        state.end(id, ending);
        let at_ms = lines.first().map_or(0, |line| line.at_ms);
        let key_index = state.log_all(lines);
        if recovered {
            state.revoke_keys(id, at_ms);
        }
        if let Some(account) = state.accounts.get_mut(&id) {
            account.key_index = key_index.or(account.key_index);
        }
        Ok(true)
    }

    async fn delete_account(&self, id: AccountId, lines: Vec<Line>) -> Result<Deletion, StoreError> {
        let mut state = self.begin("delete_account")?;
        let peopled = state.peopled_teams(id);
        if peopled > 0 {
            return Ok(Deletion::OwnsTeams(u32::try_from(peopled).unwrap_or(u32::MAX)));
        }
        if state.accounts.remove(&id).is_none() {
            return Ok(Deletion::Unknown);
        }
        let told = state.leave_teams(id, lines.first().map_or(0, |line| line.at_ms));
        state.sessions.retain(|_, row| row.session.account != id);
        state.api_keys.retain(|_, key| key.account != id);
        let keys: Vec<_> = state.api_keys.keys().copied().collect();
        state.halves.retain(|(key, _), _| keys.contains(key));
        let owned = state.projects.values().filter(|p| p.owner == id).map(|p| p.id);
        for project in owned.collect::<Vec<_>>() {
            state.remove_project(project);
        }
        state.uploads.retain(|_, upload| upload.account != id);
        state.log_all(lines);
        Ok(Deletion::Done { told })
    }

    async fn open_session(
        &self,
        session: Session,
        record_hash: [u8; 32],
        limit: u32,
        line: Line,
    ) -> Result<bool, StoreError> {
        let mut state = self.begin("open_session")?;
        let id = session.account;
        if state.accounts.get(&id).is_none_or(|account| sha256(&account.record) != record_hash) {
            return Ok(false);
        }
        let rows = state.sessions.values_mut();
        let mut live: Vec<_> =
            rows.filter(|row| row.live && row.issued.is_none() && row.session.account == id).collect();
        live.sort_by_key(|row| (row.session.logged_in_at_ms, row.session.id));
        let surplus = (live.len() + 1).saturating_sub(limit as usize);
        let ended = live.into_iter().take(surplus).map(|row| row.live = false).count();
        let tokens = HashSet::from([session.refresh_hash]);
        state.sessions.insert(session.id, SessionRow { session, live: true, tokens, issued: None });
        for _ in 0..ended {
            state.log(Line { kind: Kind::SessionEnd, ..line.clone() });
        }
        state.log(line);
        Ok(true)
    }

    async fn rotate_refresh(
        &self,
        old: [u8; 32],
        new: [u8; 32],
        now_ms: u64,
        line: Line,
    ) -> Result<Rotation, StoreError> {
        let mut state = self.begin("rotate_refresh")?;
        let new_is_known = state.sessions.values().any(|row| row.tokens.contains(&new));
        let mut rows = state.sessions.values_mut();
        let Some(row) = rows.find(|row| row.tokens.contains(&old)) else { return Ok(Rotation::Unknown) };
        if !row.live || row.session.expires_at_ms <= now_ms {
            return Ok(Rotation::Unknown);
        }
        let account = row.session.account;
        let line = Line { trail: Trail::Account(account), actor: account, ..line };
        if row.session.refresh_hash == new && old != new {
            return Ok(Rotation::Rotated(row.session.clone()));
        }
        if row.session.refresh_hash != old {
            row.live = false;
            let session = row.session.id;
            state.log(Line { kind: Kind::SessionReuse, ..line });
            return Ok(Rotation::Reused { session, account });
        }
        if new_is_known {
            return Ok(Rotation::Unknown);
        }
        row.session.refresh_hash = new;
        row.tokens.insert(new);
        let session = row.session.clone();
        state.log(line);
        Ok(Rotation::Rotated(session))
    }

    async fn holder_of(&self, refresh_hash: [u8; 32]) -> Result<Option<[u8; 32]>, StoreError> {
        let state = self.begin("holder_of")?;
        let row = state.sessions.values().find(|row| row.tokens.contains(&refresh_hash));
        Ok(row.map(|row| row.session.holder_pk))
    }

    async fn standing(&self, account: AccountId, session: SessionId) -> Result<Option<Standing>, StoreError> {
        let state = self.begin("standing")?;
        let row = state.sessions.get(&session).filter(|row| row.session.account == account);
        let Some((row, account)) = row.zip(state.accounts.get(&account)) else { return Ok(None) };
        Ok(Some(Standing {
            live: row.live,
            revocation_epoch: account.revocation_epoch,
            tier: account.tier,
            logged_in_at_ms: row.session.logged_in_at_ms,
        }))
    }

    async fn end_sessions(&self, account: AccountId, ending: Ending, line: Line) -> Result<(), StoreError> {
        let mut state = self.begin("end_sessions")?;
        state.end(account, ending);
        state.log(line);
        Ok(())
    }
}

impl State {
    fn end(&mut self, account: AccountId, ending: Ending) {
        for row in self.sessions.values_mut().filter(|row| row.session.account == account) {
            row.live &= match ending {
                Ending::One(id) => row.session.id != id,
                Ending::All => false,
                Ending::AllBut(id) => row.session.id == id,
            };
        }
        if let (Ending::All, Some(account)) = (ending, self.accounts.get_mut(&account)) {
            account.revocation_epoch += 1;
        }
    }
}

#[async_trait]
impl Attempts for MemoryStore {
    async fn keep(&self, id: AttemptId, attempt: Attempt, expires_at_ms: u64) -> Result<(), StoreError> {
        let mut state = self.begin("keep")?;
        if state.attempts.len() >= ATTEMPTS_MAX {
            state.attempts.pop_front();
        }
        state.attempts.push_back((id, attempt, expires_at_ms));
        Ok(())
    }

    async fn take(&self, id: AttemptId, now_ms: u64) -> Result<Option<Attempt>, StoreError> {
        let mut state = self.begin("take")?;
        let Some(at) = state.attempts.iter().position(|(other, ..)| *other == id) else { return Ok(None) };
        let taken = state.attempts.remove(at).filter(|(.., expires_at_ms)| now_ms < *expires_at_ms);
        Ok(taken.map(|(_, attempt, _)| attempt))
    }
}
