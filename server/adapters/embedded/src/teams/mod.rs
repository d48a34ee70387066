//! Teams and their members.

pub(crate) mod members;
pub(crate) mod roster;
pub(crate) mod rows;
