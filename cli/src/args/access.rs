//! Arguments of the commands about who may do what, and about capabilities.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::span;

/// See who may do what, and make capabilities for programs and other people
///
/// A capability says what may be done, where and until when, for whoever has its key. It opens no content: there are no
/// content keys in it. With it names, history, the audit trail and ciphertext can be fetched, or written, as far as it says.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud access list my-app
  veilcloud access explain bob@example.com my-app
  veilcloud access issue deploy my-app --permissions project:read --ttl 90d --file deploy.cap
  veilcloud access attenuate deploy.cap --path p/PROJECT/e/production --expires 30m > job.cap
")]
pub struct Access {
    #[command(subcommand)]
    pub command: AccessCommand,
}

#[derive(Subcommand)]
pub enum AccessCommand {
    /// List the people of a project as its signed access list names them
    #[command(
        before_help = "Examples:\n  veilcloud access list my-app\n  veilcloud access list my-app --json\n"
    )]
    List {
        /// Project: its name, or its id
        project: String,
    },
    /// Say which grant gives somebody what in a project, and what is missing where one gives nothing
    ///
    /// The server's word, beside the access list that this machine has checked itself; where they differ, it says so and
    /// ends with 8.
    #[command(
        before_help = "Examples:\n  veilcloud access explain bob@example.com my-app\n  veilcloud access explain me my-app\n"
    )]
    Explain {
        /// Who: e-mail address, account id, or `me`
        who: String,
        /// Project: its name, or its id
        project: String,
    },
    /// List every permission there is
    #[command(before_help = "Examples:\n  veilcloud access permissions\n")]
    Permissions,
    /// Draw a key and have a capability for it issued
    ///
    /// The file holds both, so keep it as you would a password; it is made readable by its owner alone. One that lives
    /// longer than 15 minutes needs a login within the last five.
    #[command(before_help = "\
Examples:
  veilcloud access issue deploy my-app --permissions project:read --ttl 90d --file deploy.cap
  veilcloud access issue auditor my-app --permissions audit:read --file auditor.cap
")]
    Issue {
        /// Name to tell it by
        name: String,
        /// Project: its name, or its id
        project: String,
        /// Only this environment
        #[arg(long, value_name = "NAME")]
        env: Option<String>,
        /// What it may do: project:read, project:write, project:delete, project:share, audit:read
        #[arg(long, value_delimiter = ',', default_value = "project:read", value_name = "LIST")]
        permissions: Vec<String>,
        /// How long it is good, at most 90d: a number and s, m, h or d
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span::days)]
        ttl: Duration,
        /// New file for it; an existing one is not overwritten
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List the account's issued capabilities
    #[command(before_help = "Examples:\n  veilcloud access capabilities\n")]
    Capabilities,
    /// Make a narrower capability out of one, without asking the server; at most three times
    ///
    /// Writes the new file to standard output, with a new key in it; with --to it is for somebody else's key and has none.
    /// What is left out stays as it is. Revoking the first one ends it too.
    #[command(before_help = "\
Examples:
  veilcloud access attenuate deploy.cap --path p/PROJECT/e/production --action project:read --expires 30m > job.cap
  veilcloud access attenuate deploy.cap --to PUBLIC-KEY --seal > for-bob.cap
")]
    Attenuate {
        /// Capability file
        #[arg(value_name = "FILE")]
        capability: PathBuf,
        /// Only this place: p/<project id> or p/<project id>/e/<environment>; may be repeated
        #[arg(long, value_name = "PLACE")]
        path: Vec<String>,
        /// Only these permissions
        #[arg(long, value_delimiter = ',', value_name = "LIST")]
        action: Vec<String>,
        /// An earlier end, from now: a number and s, m, h or d
        #[arg(long, value_name = "TIME", value_parser = span::days)]
        expires: Option<Duration>,
        /// Public key of whoever gets it, 64 hexadecimal digits; see `access new-key`
        #[arg(long, value_name = "PUBLIC-KEY")]
        to: Option<String>,
        /// Let nobody make a narrower one of it
        #[arg(long)]
        seal: bool,
    },
    /// Make a key that somebody can narrow a capability for, and print its public half
    #[command(before_help = "Examples:\n  veilcloud access new-key my.key\n")]
    NewKey {
        /// New file for the key; an existing one is not overwritten
        file: PathBuf,
    },
    /// Show what a capability file says, without asking the server
    #[command(before_help = "Examples:\n  veilcloud access show deploy.cap\n")]
    Show {
        /// Capability file
        #[arg(value_name = "FILE")]
        capability: PathBuf,
    },
    /// Ask the server whether a capability is good now; ends with 5 when it is not
    #[command(before_help = "\
Examples:
  veilcloud access verify deploy.cap
  veilcloud access verify deploy.cap --permission project:write --project my-app
")]
    Verify {
        /// Capability file
        #[arg(value_name = "FILE")]
        capability: PathBuf,
        /// Whether it allows this
        #[arg(long, value_name = "NAME", requires = "project")]
        permission: Option<String>,
        /// In this project: its name, or its id
        #[arg(long, value_name = "PROJECT", requires = "permission")]
        project: Option<String>,
        /// In this environment of it
        #[arg(long, value_name = "NAME", requires = "project")]
        env: Option<String>,
    },
    /// Revoke an issued capability, and all that was narrowed from it, at once
    #[command(before_help = "\
Examples:
  veilcloud access revoke deploy
  veilcloud access revoke --all
")]
    Revoke {
        /// Which: its name or its token id
        #[arg(required_unless_present = "all")]
        which: Option<String>,
        /// Everything that acts for the account: every session, this one too, and every issued capability
        #[arg(long, conflicts_with = "which")]
        all: bool,
        /// Do not ask to type the address when everything is revoked
        #[arg(long)]
        yes: bool,
    },
    /// List the keys that the server signs capabilities with, each held against the directory's log
    ///
    /// Ends with 8 when the log says something else about a key than the server does.
    #[command(before_help = "Examples:\n  veilcloud access issuers\n")]
    Issuers,
}
