//! Arguments of the commands about who may do what in a project.

use clap::{Args, Subcommand};

/// Share projects with teams
///
/// Sharing signs a list of the team's people and their keys on this machine, and wraps the project's keys for each of
/// them. Nobody gets in by being put into the team alone: run `share sync` after members changed.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud share add my-app crew --permissions project:read,project:write
  veilcloud share sync my-app
")]
pub struct Share {
    #[command(subcommand)]
    pub command: ShareCommand,
}

#[derive(Subcommand)]
pub enum ShareCommand {
    /// Share a project with a team, or change what the team may do
    #[command(
        before_help = "Examples:\n  veilcloud share add my-app crew --permissions project:read,project:write\n"
    )]
    Add {
        /// Project: its name, or its id
        project: String,
        /// Team: its name or id
        team: String,
        /// What its members may do: project:read, project:write, project:delete, project:share, audit:read
        #[arg(long, value_delimiter = ',', default_value = "project:read", value_name = "LIST")]
        permissions: Vec<String>,
        /// Do not ask to type the project's name after the people were shown
        #[arg(long)]
        yes: bool,
    },
    /// List the teams that a project is shared with
    #[command(
        before_help = "Examples:\n  veilcloud share list my-app\n  veilcloud share list my-app --json\n"
    )]
    List {
        /// Project: its name, or its id
        project: String,
    },
    /// Let in who joined the teams, shut out who left, with new keys
    #[command(before_help = "Examples:\n  veilcloud share sync my-app\n")]
    Sync {
        /// Project: its name, or its id
        project: String,
        /// Hand the keys on again, also to who has them: when somebody's do not open
        #[arg(long)]
        replace_keys: bool,
        /// Do not ask to type the project's name after the people to let in were shown
        #[arg(long)]
        yes: bool,
    },
    /// End a share, with new keys, and say what the team could open
    #[command(before_help = "Examples:\n  veilcloud share remove my-app crew\n")]
    Remove {
        /// Project: its name, or its id
        project: String,
        /// Team: its name or id
        team: String,
    },
}

/// Take somebody out of everything you manage, and say what they could open
///
/// Takes them out of every team that you own or are an admin of, then out of the access list of every project that you
/// may share: new list, new keys, present content sealed anew. Lets nobody in. Safe to interrupt and to repeat.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud offboard bob@example.com
  veilcloud offboard bob@example.com --json
  veilcloud offboard bob@example.com --report
")]
pub struct Offboard {
    /// Who: e-mail address or account id
    pub who: String,
    /// Change nothing: only say what they could open, also after they are out
    #[arg(long)]
    pub report: bool,
    /// Do not ask to type the address
    #[arg(long)]
    pub yes: bool,
}
