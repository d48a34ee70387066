//! Arguments of the audit commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::span;

/// Read, prove, export and watch the log of a project or of your account
///
/// Every event of a project is a leaf of a log that only grows; what happens to your account is in one of its own. The log
/// of a deleted project is kept for its last owner, who names it by its id. What these commands show was checked against a checkpoint
/// that the log's key signed, and that continues the one this machine saw before.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud audit list my-app
  veilcloud audit proof my-app 17 > e17.tlog-proof
  veilcloud audit policy my-app > policy.txt
  veilcloud audit verify e17.tlog-proof --policy policy.txt
  veilcloud audit export my-app --format bundle --output ./my-app.log
  veilcloud audit monitor my-app --interval 1m
  veilcloud audit list --account
")]
pub struct Audit {
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// Whose log.
#[derive(Args)]
pub struct Whose {
    /// Project: its name, or the id of one that was deleted
    #[arg(required_unless_present = "account")]
    pub project: Option<String>,
    /// The log of your own account instead of a project's
    #[arg(long, conflicts_with = "project")]
    pub account: bool,
}

#[derive(Subcommand)]
pub enum AuditCommand {
    /// List the events of a project or of your account, oldest first
    #[command(before_help = "\
Examples:
  veilcloud audit list my-app
  veilcloud audit list my-app --json
  veilcloud audit list --account
")]
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Print the proof of one event, for anyone to check without a server
    ///
    /// The proof is a c2sp.org/tlog-proof file: the event, its path to the root, and the signed checkpoint.
    #[command(
        before_help = "\
Examples:
  veilcloud audit proof my-app 17 > e17.tlog-proof
  veilcloud audit proof my-app 17 --json
  veilcloud audit proof --account 3
",
        allow_missing_positional = true
    )]
    Proof {
        #[command(flatten)]
        whose: Whose,
        /// Place of the event in the log, as `audit list` shows it
        index: u64,
    },
    /// Check a proof file, or an exported log, without a network
    ///
    /// Says what was proven, with the event. Without --policy a proof is held against what this machine keeps of the
    /// server from the first contact, and a folder against the policy in it.
    #[command(before_help = "\
Examples:
  veilcloud audit verify e17.tlog-proof --policy policy.txt
  veilcloud audit verify - < e17.tlog-proof
  veilcloud audit verify ./my-app.log --policy policy.txt --json
")]
    Verify {
        /// Proof file, folder of `audit export --format bundle`, or - for standard input
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// What to trust: a c2sp.org/tlog-policy text
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Export the whole log: as text, or as a folder that outside tools verify
    ///
    /// `--output` says where to: a file, or a folder for the form `bundle`, which it needs; - is standard output. A bundle
    /// holds `checkpoint`, `tile/...` (c2sp.org/tlog-tiles), `key.vkey` and `policy.txt`. One that is there is brought up
    /// to date; an interrupted export goes on where it stopped.
    #[command(before_help = "\
Examples:
  veilcloud audit export my-app --format ndjson > events.ndjson
  veilcloud audit export my-app --format json --output events.json
  veilcloud audit export my-app --format bundle --output ./my-app.log
  veilcloud audit export --account --format bundle --output ./my-account.log
")]
    Export {
        #[command(flatten)]
        whose: Whose,
        /// What to write: one array, one event a line, or the log itself
        #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
        format: ExportFormat,
    },
    /// Watch a log: check that it only grows, and tell what should not be there
    ///
    /// Reads every entry and checks that versions are dense, epochs rise, and reads name the newest version; follows the
    /// directory of keys, too. A log that forks or goes back is told with both signed checkpoints, which are kept as
    /// evidence. Without --once it goes on until it is interrupted. With --once it ends with 8 when it found something.
    #[command(before_help = "\
Examples:
  veilcloud audit monitor my-app
  veilcloud audit monitor my-app --interval 1m --json >> monitor.ndjson
  veilcloud audit monitor my-app --once
  veilcloud audit monitor --account
")]
    Monitor {
        #[command(flatten)]
        whose: Whose,
        /// How long to wait between two looks: a number and s, m or h
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span::hours)]
        interval: Duration,
        /// Look once
        #[arg(long)]
        once: bool,
        /// Folder for evidence [default: evidence in the config folder]
        #[arg(long, value_name = "DIR")]
        evidence: Option<PathBuf>,
    },
    /// Check every byte of an exported log, without a network
    ///
    /// Names the first bad file and byte, and ends with 8 when there is one.
    #[command(before_help = "\
Examples:
  veilcloud audit fsck ./my-app.log
  veilcloud audit fsck ./my-app.log --policy policy.txt --json
")]
    Fsck {
        /// Folder of `audit export --format bundle`
        dir: PathBuf,
        /// What to trust, instead of the policy in the folder: a c2sp.org/tlog-policy text
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Make a token with which outside tools read a project's log, and print it with the log's address
    #[command(before_help = "\
Examples:
  veilcloud audit token my-app
  veilcloud audit token my-app --ttl 10m --json
")]
    Token {
        /// Project: its name, or the id of one that was deleted
        project: String,
        /// How long it is good, at most 24h: a number and s, m or h
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span::hours)]
        ttl: Duration,
    },
    /// Print what a verifier of a log has to trust: a c2sp.org/tlog-policy text
    ///
    /// Made from what this machine keeps of the server from the first contact, not from what the server says now.
    #[command(before_help = "\
Examples:
  veilcloud audit policy my-app > policy.txt
  veilcloud audit policy --account > my-policy.txt
")]
    Policy {
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Json,
    Ndjson,
    Bundle,
}
