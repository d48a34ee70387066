//! What API keys need from outside.

use async_trait::async_trait;
use veilcore::id::{AccountId, ApiKeyId};

use super::model::{ApiKey, KeyStanding, NextSecret, TokenHalf};
use crate::{
    audit::model::Line,
    page::{Page, PageArgs},
    store::StoreError,
};

/// What the creation of a key met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is done.
    Done,
    /// The id is, or was, another key's.
    Taken,
    /// The account has as many keys as it may.
    Limit,
    /// The account is gone.
    Gone,
}

/// API keys. They go with their account.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Keeps a new key with its audit line, unless the account has `limit` of them that are neither revoked nor expired at
    /// the key's creation. Of those that are over, the newest `over` stay.
    /// A key that opens keyrings comes with the server's half.
    async fn create_key(
        &self,
        key: ApiKey,
        half: Option<TokenHalf>,
        limit: u32,
        over: u32,
        line: Line,
    ) -> Result<Created, StoreError>;
    /// A key, and how its account stands. Asked on every request: must be answered from memory when asked again. A store
    /// of several nodes may say what was true 300 s ago; after a change that this node made, never.
    async fn key_standing(&self, id: ApiKeyId) -> Result<Option<KeyStanding>, StoreError>;
    /// A key as it is now, never from memory.
    async fn key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// Keys of an account by id.
    async fn keys(
        &self,
        account: AccountId,
        page: PageArgs<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, StoreError>;
    /// The server's half of this generation of a key that was not revoked, never from memory.
    async fn half(&self, id: ApiKeyId, generation: u32) -> Result<Option<TokenHalf>, StoreError>;
    /// The records with these digests of keys that live now; those that are over are left out.
    async fn records(
        &self,
        keys: Vec<(ApiKeyId, [u8; 32])>,
        now_ms: u64,
    ) -> Result<Vec<(ApiKeyId, Vec<u8>)>, StoreError>;
    /// Destroys the halves of at most `limit` keys and generations that are over now; gives how many. Their bytes are
    /// nowhere in the store any more when it returns, or as soon as the store can.
    async fn destroy_halves(&self, now_ms: u64, limit: usize) -> Result<usize, StoreError>;
    /// Gives a key its next secret, and destroys every half but the next one and, in an overlap, the one before. `false`, and nothing changes, when the account has no such key, when it was revoked or
    /// when it has another generation.
    async fn rotate_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        next: NextSecret,
        line: Line,
    ) -> Result<bool, StoreError>;
    /// Revokes a key and destroys its halves; effective for every `key_standing` asked after it returns. `false` when the account has no such key
    /// or it was revoked before.
    async fn revoke_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        at_ms: u64,
        line: Line,
    ) -> Result<bool, StoreError>;
    /// Notes when keys were last used; a time before the noted one, and a key that is gone, change nothing.
    async fn note_used(&self, used: Vec<(ApiKeyId, u64)>) -> Result<(), StoreError>;
}
