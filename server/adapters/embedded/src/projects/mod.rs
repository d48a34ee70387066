//! Projects, environments and keyrings in the database.

pub(crate) mod catalog;
pub(crate) mod environments;
pub(crate) mod grants;
pub(crate) mod keyrings;
pub(crate) mod rows;
