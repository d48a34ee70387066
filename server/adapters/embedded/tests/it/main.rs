//! The embedded adapters on real files: the domain's contract suites, and what only files can go through.

// The lint spares test functions only, and these share their helpers.
#![allow(clippy::unwrap_used)]

mod api_keys;
mod audit;
mod contract;
mod crash;
mod directory;
mod early;
mod halves;
mod log;
mod opening;
mod packed;
mod quota;
mod storage;
mod support;
