use async_trait::async_trait;
use veilcore::id::{AccountId, ApiKeyId};

use super::{Settled, one};
use crate::{
    audit::model::Line,
    auth::api_keys::{
        model::{ApiKey, KeyStanding, NextSecret, TokenHalf},
        port::{ApiKeyStore, Created},
    },
    page::{Page, PageArgs},
    store::StoreError,
};

#[async_trait]
impl ApiKeyStore for Settled<dyn ApiKeyStore> {
    async fn create_key(
        &self,
        key: ApiKey,
        half: Option<TokenHalf>,
        limit: u32,
        over: u32,
        line: Line,
    ) -> Result<Created, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let created = self.port.create_key(key, half, limit, over, line).await?;
        self.settle(created == Created::Done, trails).await?;
        Ok(created)
    }

    async fn key_standing(&self, id: ApiKeyId) -> Result<Option<KeyStanding>, StoreError> {
        self.port.key_standing(id).await
    }

    async fn key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.port.key(id).await
    }

    async fn keys(
        &self,
        account: AccountId,
        page: PageArgs<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, StoreError> {
        self.port.keys(account, page).await
    }

    async fn half(&self, id: ApiKeyId, generation: u32) -> Result<Option<TokenHalf>, StoreError> {
        self.port.half(id, generation).await
    }

    async fn records(
        &self,
        keys: Vec<(ApiKeyId, [u8; 32])>,
        now_ms: u64,
    ) -> Result<Vec<(ApiKeyId, Vec<u8>)>, StoreError> {
        self.port.records(keys, now_ms).await
    }

    async fn destroy_halves(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError> {
        self.port.destroy_halves(now_ms, limit).await
    }

    async fn rotate_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        next: NextSecret,
        line: Line,
    ) -> Result<bool, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let rotated = self.port.rotate_key(account, id, next, line).await?;
        self.settle(rotated, trails).await?;
        Ok(rotated)
    }

    async fn revoke_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        at_ms: u64,
        line: Line,
    ) -> Result<bool, StoreError> {
        let trails = one(&line);
        self.log.check()?;
        let revoked = self.port.revoke_key(account, id, at_ms, line).await?;
        self.settle(revoked, trails).await?;
        Ok(revoked)
    }

    async fn note_used(&self, used: Vec<(ApiKeyId, u64)>) -> Result<(), StoreError> {
        self.port.note_used(used).await
    }
}
