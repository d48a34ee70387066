//! Accounts and sessions in the database; attempts, meters and nullifiers in this process.

pub(crate) mod accounts;
pub(crate) mod api_keys;
pub(crate) mod attempts;
pub(crate) mod capabilities;
pub(crate) mod directory;
pub(crate) mod halves;
pub(crate) mod meter;
pub(crate) mod nullifiers;
pub(crate) mod replies;
pub(crate) mod sessions;
pub(crate) mod unpublished;
