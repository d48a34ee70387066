//! The keys that authors' seals are checked with. A bundle is verified once and its key remembered beside the very bytes:
//! every write asks for it, and the checks of a bundle cost more than those of the write.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use veilcore::id::AccountId;
use veilvault::{identity::AccountBundle, key::PublicKey};

use super::{Projects, error::ProjectsError};
use crate::store::StoreError;

/// Most authors remembered.
const AUTHORS_MAX: usize = 8192;

/// Verified bundles with their keys.
#[derive(Default)]
pub(super) struct AuthorKeys(Mutex<HashMap<AccountId, (Vec<u8>, PublicKey)>>);

impl AuthorKeys {
    fn get(&self, author: AccountId, bundle: &[u8]) -> Option<PublicKey> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(&author).filter(|(known, _)| known == bundle).map(|(_, key)| *key)
    }

    fn put(&self, author: AccountId, bundle: Vec<u8>, key: PublicKey) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= AUTHORS_MAX {
            entries.clear();
        }
        entries.insert(author, (bundle, key));
    }
}

impl Projects {
    /// The key that an author's seals are checked with, from the bundle the author registered.
    pub(crate) async fn author_key(&self, author: AccountId) -> Result<PublicKey, ProjectsError> {
        let account = self.directory.account(author).await?.ok_or(ProjectsError::Denied)?;
        if let Some(key) = self.authors.get(author, &account.bundle) {
            return Ok(key);
        }
        let bundle = AccountBundle::verify(&account.bundle).map_err(|error| StoreError::Damaged {
            store: "directory",
            cause: format!("bundle of account {author}: {error}"),
        })?;
        self.authors.put(author, account.bundle, bundle.public_key);
        Ok(bundle.public_key)
    }
}
