//! The auth verbs from the outside, over ports in memory, with a client that runs the real protocols.

mod account;
mod authenticate;
mod login;
mod recover;
mod refresh;
mod register;
mod secrets;
