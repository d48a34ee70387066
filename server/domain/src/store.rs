//! What can go wrong with any store, whatever its technology.

/// A store could not do its part. Nothing was changed, except where a variant says so.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached, is locked or timed out; another try may succeed.
    #[error("{store} is unavailable: {cause}")]
    Unavailable {
        /// Which store.
        store: &'static str,
        /// The technology's own words, for the operator's log; never shown to a caller.
        cause: String,
    },
    /// The change was made and is safe, but the log could not take its entry yet; it will when it can.
    #[error("the change was made, but its entry is not in the log yet: {cause}")]
    Unlogged {
        /// Why, for the operator's log.
        cause: String,
    },
    /// The store's disk or quota is full.
    #[error("{store} is full")]
    Full {
        /// Which store.
        store: &'static str,
    },
    /// The store holds something that it cannot have been given.
    #[error("{store} is damaged: {cause}")]
    Damaged {
        /// Which store.
        store: &'static str,
        /// What is wrong.
        cause: String,
    },
}
