//! The running system, from outside: real server, real command, real terminal, curl, age. Nothing here imports the server.

mod canary;
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
mod terminal;
mod tls;
mod witness;

#[path = "../security/mod.rs"]
mod security;
