//! Every RPC of the contract at once. What is asked stands in one table of rows ([`rows`]); who asks, and what they must be
//! answered, follows from the annotations. An RPC without a row fails, and so does a row without an RPC.
//!
//! [`idor`] asks as everybody who must be refused, [`work`] compares what a refusal of somebody else's id costs with one of
//! no id, and [`injection`] puts hostile text into every field.

mod callers;
mod expect;
mod idor;
mod injection;
mod place;
mod rows;
mod send;
mod work;
