//! A file is one thought: 600 lines is the end. Lines are at most 120 columns.

use std::fs;

use anyhow::Result;

use super::Findings;
use crate::project;

/// Most lines of a source file.
const LINES_MAX: usize = 600;
/// Endings of source files.
const SOURCES: &[&str] = &["rs", "go", "ts", "tsx", "py", "proto"];

/// Files that are too long.
pub fn check() -> Result<Findings> {
    let mut findings = Findings::new();
    for file in project::files()? {
        let source = file.extension().and_then(|e| e.to_str()).is_some_and(|e| SOURCES.contains(&e));
        if !source || file.starts_with("proto/vendor") {
            continue;
        }
        let lines = fs::read_to_string(project::root().join(&file))?.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{} has {lines} lines, at most {LINES_MAX}", file.display()));
        }
    }
    Ok(findings)
}
