//! The real binary from outside: how it starts, what it refuses to start with, what its ports answer, how it stops.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, which the lint does not see")]

mod config;
mod folder;
mod http1;
mod http2;
mod life;
mod server;
mod tls;
