//! What a server can see, and what a lying one cannot do unseen. The table is docs/security-model.md.

mod hostile_log;
mod hostile_sharing;
mod hostile_store;
mod secrets;
