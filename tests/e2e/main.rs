//! The running system, from outside: real server, real command, real terminal, curl, age. Nothing here imports the server.

mod crash;
mod disk;
mod docs;
mod escape;
mod journey;
mod large;
mod machines;
mod outside;
mod recovery;
mod rest;
mod sessions;
mod terminal;
mod tls;

#[path = "../security/mod.rs"]
mod security;
