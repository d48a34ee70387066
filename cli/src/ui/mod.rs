//! How the command speaks: answers on standard output, everything else on standard error.

pub mod error;
pub mod exit;
pub mod output;
pub mod progress;
pub mod prompt;
pub mod style;
pub mod table;
