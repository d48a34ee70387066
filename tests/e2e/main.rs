//! The running system, from outside: real server, real command, real terminal, curl, age. Nothing here imports the server.

mod account_log;
mod api_keys;
mod canary;
mod capabilities;
mod clients;
mod conformance;
mod crash;
mod disk;
mod docs;
mod escape;
mod faults;
mod injection;
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
mod sharing_crowd;
mod sharing_cut;
mod teams;
mod terminal;
mod tls;
mod witness;

#[path = "../security/mod.rs"]
mod security;
