use async_trait::async_trait;
use veilcore::id::{AccountId, ApiKeyId};

use super::{MemoryStore, State};
use crate::{
    audit::model::{Kind, Line},
    auth::api_keys::{
        model::{ApiKey, KeyStanding, NextSecret, Overlap, TokenHalf, line_about},
        port::{ApiKeyStore, Created},
    },
    page::{Page, PageArgs},
    store::StoreError,
};

#[async_trait]
impl ApiKeyStore for MemoryStore {
    async fn create_key(
        &self,
        key: ApiKey,
        half: Option<TokenHalf>,
        limit: u32,
        over: u32,
        line: Line,
    ) -> Result<Created, StoreError> {
        let mut state = self.begin("create_key")?;
        if !state.accounts.contains_key(&key.account) {
            return Ok(Created::Gone);
        }
        if state.api_key_ids.contains(&key.id) {
            return Ok(Created::Taken);
        }
        let own = state.api_keys.values().filter(|other| other.account == key.account);
        let (live, mut dead): (Vec<_>, Vec<_>) =
            own.partition(|other| other.revoked_at_ms.is_none() && other.expires_at_ms > key.created_at_ms);
        if live.len() >= limit as usize {
            return Ok(Created::Limit);
        }
        dead.sort_by_key(|other| std::cmp::Reverse((other.created_at_ms, other.id)));
        let surplus: Vec<_> = dead.iter().skip(over as usize).map(|other| other.id).collect();
        for id in surplus {
            state.api_keys.remove(&id);
            state.halves.retain(|(of, _), _| *of != id);
        }
        if let Some(half) = half {
            state.halves.insert((key.id, half.generation), half);
        }
        state.api_key_ids.insert(key.id);
        state.api_keys.insert(key.id, key);
        state.log(line);
        Ok(Created::Done)
    }

    async fn key_standing(&self, id: ApiKeyId) -> Result<Option<KeyStanding>, StoreError> {
        let state = self.begin("key_standing")?;
        let Some(key) = state.api_keys.get(&id).cloned() else { return Ok(None) };
        Ok(state.accounts.get(&key.account).map(|account| KeyStanding { tier: account.tier, key }))
    }

    async fn key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.begin("key")?.api_keys.get(&id).cloned())
    }

    async fn keys(
        &self,
        account: AccountId,
        page: PageArgs<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, StoreError> {
        let state = self.begin("keys")?;
        let own = state.api_keys.values().filter(|key| key.account == account);
        let after = own.filter(|key| page.after.is_none_or(|after| key.id > after));
        Ok(Page::cut(after.take(page.size + 1).cloned().collect(), page.size, |key| key.id))
    }

    async fn half(&self, id: ApiKeyId, generation: u32) -> Result<Option<TokenHalf>, StoreError> {
        let state = self.begin("half")?;
        let half = state.halves.get(&(id, generation));
        let stands = state.api_keys.get(&id).is_some_and(|key| key.revoked_at_ms.is_none());
        Ok(half.filter(|_| stands).cloned())
    }

    async fn records(
        &self,
        keys: Vec<(ApiKeyId, [u8; 32])>,
        now_ms: u64,
    ) -> Result<Vec<(ApiKeyId, Vec<u8>)>, StoreError> {
        let state = self.begin("records")?;
        let record = |(id, digest): (ApiKeyId, [u8; 32])| {
            let key = state.api_keys.get(&id).filter(|key| key.lives(now_ms))?;
            let mut halves = state.halves.range((id, 0)..=(id, u32::MAX)).map(|(_, half)| half);
            let half = halves.find(|half| half.record.digest == digest)?;
            let good = key.digests(now_ms).any(|known| known == digest);
            good.then(|| (id, half.record.bytes.clone()))
        };
        Ok(keys.into_iter().filter_map(record).collect())
    }

    async fn destroy_halves(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        let mut state = self.begin("destroy_halves")?;
        let over = |(id, generation): &(ApiKeyId, u32)| {
            state.api_keys.get(id).is_none_or(|key| {
                let before = key.overlap.is_some_and(|overlap| overlap.until_ms > now_ms);
                !key.lives(now_ms) || (*generation != key.generation && !before)
            })
        };
        let gone: Vec<_> = state.halves.keys().copied().filter(over).take(limit).collect();
        for (id, generation) in &gone {
            state.halves.remove(&(*id, *generation));
            if let Some(key) = state.api_keys.get_mut(id) {
                if *generation == key.generation {
                    key.record = None;
                } else {
                    key.overlap = key.overlap.map(|overlap| Overlap { record: None, ..overlap });
                }
            }
        }
        Ok(gone.len())
    }

    async fn rotate_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        next: NextSecret,
        line: Line,
    ) -> Result<bool, StoreError> {
        let mut state = self.begin("rotate_key")?;
        let key = state.api_keys.get_mut(&id).filter(|key| {
            key.account == account && key.revoked_at_ms.is_none() && key.generation == next.generation
        });
        let Some(key) = key else { return Ok(false) };
        key.generation += 1;
        key.verifier = next.verifier;
        key.record = next.half.as_ref().map(|half| half.record.clone());
        key.overlap = next.overlap;
        key.expires_at_ms = next.expires_at_ms;
        let generation = key.generation;
        let first = if next.overlap.is_some() { generation - 1 } else { generation };
        state.halves.retain(|(of, known), _| *of != id || *known >= first);
        if let Some(half) = next.half {
            state.halves.insert((id, generation), half);
        }
        state.log(line);
        Ok(true)
    }

    async fn revoke_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        at_ms: u64,
        line: Line,
    ) -> Result<bool, StoreError> {
        let mut state = self.begin("revoke_key")?;
        let key = state.api_keys.get(&id);
        if key.is_none_or(|key| key.account != account || key.revoked_at_ms.is_some()) {
            return Ok(false);
        }
        state.revoke(id, at_ms);
        state.log(line);
        Ok(true)
    }

    async fn note_used(&self, used: Vec<(ApiKeyId, u64)>) -> Result<(), StoreError> {
        let mut state = self.begin("note_used")?;
        for (id, at_ms) in used {
            if let Some(key) = state.api_keys.get_mut(&id) {
                key.last_used_at_ms = key.last_used_at_ms.max(Some(at_ms));
            }
        }
        Ok(())
    }
}

impl State {
    fn revoke(&mut self, id: ApiKeyId, at_ms: u64) {
        if let Some(key) = self.api_keys.get_mut(&id) {
            key.revoked_at_ms = Some(at_ms);
            key.record = None;
            key.overlap = key.overlap.map(|overlap| Overlap { record: None, ..overlap });
        }
        self.halves.retain(|(of, _), _| *of != id);
    }

    /// Revokes every key of an account that is neither revoked nor expired.
    pub(super) fn revoke_keys(&mut self, account: AccountId, at_ms: u64) {
        let lives = |key: &&ApiKey| {
            key.account == account && key.revoked_at_ms.is_none() && key.expires_at_ms > at_ms
        };
        let lives = self.api_keys.values().filter(lives).map(|key| (key.id, key.generation));
        for (id, generation) in lives.collect::<Vec<_>>() {
            self.revoke(id, at_ms);
            self.log(line_about(Kind::ApiKeyRevoke, account, id, generation, at_ms));
        }
    }
}
