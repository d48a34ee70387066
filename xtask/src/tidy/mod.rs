//! The rules of the house that a compiler does not check.

mod arrows;
mod contract;
mod length;
mod migrations;

use anyhow::{Result, bail};

/// Findings of one rule: what is wrong and where.
type Findings = Vec<String>;

/// A rule of the house.
type Rule = fn() -> Result<Findings>;

/// Runs every rule and reports all findings at once.
pub fn run() -> Result<()> {
    eprintln!("==> tidy");
    let rules: [(&str, Rule); 4] = [
        ("arrows", arrows::check),
        ("length", length::check),
        ("contract", contract::check),
        ("migrations", migrations::check),
    ];
    let mut count = 0;
    for (name, rule) in rules {
        for finding in rule()? {
            eprintln!("    {name}: {finding}");
            count += 1;
        }
    }
    if count > 0 {
        bail!("tidy has {count} findings");
    }
    eprintln!("    tidy: ok");
    Ok(())
}

pub use migrations::write_lock;
