//! Loops that timers and queues drive. Who starts them: the roles in `server/src/roles`. Each has a bounded batch and
//! a drain. What must never be here: a network listener, a rule.

pub mod issuers;
pub mod publish;
pub mod sweep;
