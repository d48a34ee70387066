use async_trait::async_trait;
use veilcore::id::{AccountId, ApiKeyId};

use super::MemoryStore;
use crate::{
    audit::model::Line,
    auth::api_keys::{
        model::{ApiKey, KeyStanding, NextSecret},
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
        limit: u32,
        over: u32,
        line: Line,
    ) -> Result<Created, StoreError> {
        let mut state = self.begin("create_key")?;
        if !state.accounts.contains_key(&key.account) {
            return Ok(Created::Gone);
        }
        if state.api_keys.contains_key(&key.id) {
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
        }
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
        key.public_key = next.public_key;
        key.overlap = next.overlap;
        key.expires_at_ms = next.expires_at_ms;
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
        let key = state.api_keys.get_mut(&id);
        let Some(key) = key.filter(|key| key.account == account && key.revoked_at_ms.is_none()) else {
            return Ok(false);
        };
        key.revoked_at_ms = Some(at_ms);
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
