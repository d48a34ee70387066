//! The running system, from outside: real server, real command, real terminal, curl, age. Nothing here imports the server.

mod account_log;
mod canary;
mod clients;
mod crash;
mod disk;
mod docs;
mod escape;
mod faults;
mod journey;
mod keys;
mod large;
mod log;
mod machines;
mod outside;
mod peers;
mod recovery;
mod rest;
mod sessions;
mod sharing;
mod teams;
mod terminal;
mod tls;
mod witness;

#[path = "../security/mod.rs"]
mod security;
