//! Versions and uploads in the database, bytes in the database when small and in files when not.

pub(crate) mod blobs;
pub(crate) mod files;
pub(crate) mod promises;
pub(crate) mod rows;
pub(crate) mod shelf;
pub(crate) mod spare;
pub(crate) mod staging;
pub(crate) mod uploads;
pub(crate) mod usage;

#[cfg(test)]
mod tests;
