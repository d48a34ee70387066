//! Arguments of the commands about teams and other people.

use clap::{Args, Subcommand, ValueEnum};

/// Manage teams: people whom projects are shared with
///
/// The owner and the admins of a team manage who is in it. Being in a team opens nothing by itself.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud teams create crew
  veilcloud teams add crew bob@example.com
  veilcloud teams show crew
")]
pub struct Teams {
    #[command(subcommand)]
    pub command: TeamsCommand,
}

#[derive(Subcommand)]
pub enum TeamsCommand {
    /// Create a team, with you as its owner
    #[command(before_help = "Examples:\n  veilcloud teams create crew\n")]
    Create {
        /// Name: a-z, 0-9, dot, dash and underscore, at most 63 characters
        name: String,
    },
    /// List the teams that you are in
    #[command(before_help = "Examples:\n  veilcloud teams list\n  veilcloud teams list --json\n")]
    List,
    /// Show a team and who is in it
    #[command(before_help = "Examples:\n  veilcloud teams show crew\n  veilcloud teams show crew --json\n")]
    Show {
        /// Team: its name or id
        team: String,
    },
    /// Rename a team
    #[command(before_help = "Examples:\n  veilcloud teams rename crew staff\n")]
    Rename {
        /// Team: its name or id
        team: String,
        /// Its new name
        name: String,
    },
    /// Delete a team; what was shared with it, its members lose at once
    #[command(
        before_help = "Examples:\n  veilcloud teams delete crew\n  veilcloud teams delete crew --yes\n"
    )]
    Delete {
        /// Team: its name or id
        team: String,
        /// Do not ask to type the name
        #[arg(long)]
        yes: bool,
    },
    /// Put somebody into a team
    #[command(before_help = "\
Examples:
  veilcloud teams add crew bob@example.com
  veilcloud teams add crew bob@example.com --role admin
")]
    Add {
        /// Team: its name or id
        team: String,
        /// Who: e-mail address or account id
        who: String,
        /// What they may do in the team
        #[arg(long, value_enum, default_value = "member")]
        role: Role,
    },
    /// Take somebody out of a team, or leave it
    #[command(before_help = "Examples:\n  veilcloud teams remove crew bob@example.com\n")]
    Remove {
        /// Team: its name or id
        team: String,
        /// Who: e-mail address or account id
        who: String,
    },
    /// Make a member an admin, or an admin a member
    #[command(before_help = "Examples:\n  veilcloud teams role crew bob@example.com admin\n")]
    Role {
        /// Team: its name or id
        team: String,
        /// Who: e-mail address or account id
        who: String,
        /// Their role from now on
        role: Role,
    },
}

/// What somebody may do in a team.
#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// Manages the members and the name
    Admin,
    /// Sees who is in it, and may leave
    Member,
}

/// Find other people
#[derive(Args)]
#[command(before_help = "Examples:\n  veilcloud users find bob@example.com\n")]
pub struct Users {
    #[command(subcommand)]
    pub command: UsersCommand,
}

#[derive(Subcommand)]
pub enum UsersCommand {
    /// Say which account logs in with an e-mail address
    #[command(
        before_help = "Examples:\n  veilcloud users find bob@example.com\n  veilcloud users find bob@example.com --json\n"
    )]
    Find {
        /// E-mail address
        email: String,
    },
}
