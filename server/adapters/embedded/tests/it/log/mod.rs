//! The logs on real files: what a crash, a damaged disk and an old database do, and what the check makes of them.

mod bytes;
mod check;
mod crash;
mod grow;
mod model;
