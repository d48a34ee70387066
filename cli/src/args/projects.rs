//! Arguments of the project and environment commands.

use clap::{Args, Subcommand};

/// Manage projects
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud projects create my-app
  veilcloud projects list --json
")]
pub struct Projects {
    #[command(subcommand)]
    pub command: ProjectsCommand,
}

#[derive(Subcommand)]
pub enum ProjectsCommand {
    /// Create a project
    #[command(before_help = "Examples:\n  veilcloud projects create my-app\n")]
    Create {
        /// Name: a-z, 0-9, dot, dash and underscore, at most 63 characters
        project: String,
    },
    /// List the projects
    #[command(before_help = "Examples:\n  veilcloud projects list\n  veilcloud projects list --json\n")]
    List,
    /// Show a project and its environments
    #[command(before_help = "Examples:\n  veilcloud projects show my-app\n")]
    Show {
        /// Project
        project: String,
    },
    /// Rename a project
    #[command(before_help = "Examples:\n  veilcloud projects rename my-app shop\n")]
    Rename {
        /// Project
        project: String,
        /// Its new name
        name: String,
    },
    /// Forget which project a name leads to
    ///
    /// Needed only when a project was deleted or renamed elsewhere and made anew under the same name: this machine
    /// then refuses the new one, because a lying server would look the same.
    #[command(before_help = "Examples:\n  veilcloud projects forget my-app\n")]
    Forget {
        /// Project
        project: String,
        /// Do not ask to type the name
        #[arg(long)]
        yes: bool,
    },
    /// Delete a project with all its environments, for good
    #[command(
        before_help = "Examples:\n  veilcloud projects delete my-app\n  veilcloud projects delete my-app --yes\n"
    )]
    Delete {
        /// Project
        project: String,
        /// Do not ask to type the name
        #[arg(long)]
        yes: bool,
    },
}

/// Manage environments
///
/// An environment is one encrypted text (dotenv) or one file, with all its versions.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud envs list my-app
  veilcloud envs clone my-app production staging
")]
pub struct Envs {
    #[command(subcommand)]
    pub command: EnvsCommand,
}

#[derive(Subcommand)]
pub enum EnvsCommand {
    /// Create an empty environment (`storage put` also does so on first use)
    #[command(before_help = "Examples:\n  veilcloud envs create my-app production\n")]
    Create {
        /// Project
        project: String,
        /// Environment
        env: String,
    },
    /// List the environments of a project
    #[command(before_help = "Examples:\n  veilcloud envs list my-app\n")]
    List {
        /// Project
        project: String,
    },
    /// Show an environment
    #[command(before_help = "Examples:\n  veilcloud envs show my-app production\n")]
    Show {
        /// Project
        project: String,
        /// Environment
        env: String,
    },
    /// Copy the present content of an environment into a new one with a key of its own
    #[command(before_help = "Examples:\n  veilcloud envs clone my-app production staging\n")]
    Clone {
        /// Project
        project: String,
        /// Environment to copy
        from: String,
        /// Environment to create
        to: String,
    },
    /// Give an environment a new key and seal its present content under it
    #[command(before_help = "Examples:\n  veilcloud envs rotate my-app production\n")]
    Rotate {
        /// Project
        project: String,
        /// Environment
        env: String,
    },
    /// Delete an environment with all its versions, for good
    #[command(
        before_help = "Examples:\n  veilcloud envs delete my-app staging\n  veilcloud envs delete my-app staging --yes\n"
    )]
    Delete {
        /// Project
        project: String,
        /// Environment
        env: String,
        /// Do not ask to type the name
        #[arg(long)]
        yes: bool,
    },
    /// Forget what this machine has seen of an environment
    ///
    /// Needed only when an environment was deleted elsewhere and made anew under the same name: this machine
    /// then refuses the new one, because a lying server would look the same.
    #[command(before_help = "Examples:\n  veilcloud envs forget my-app staging\n")]
    Forget {
        /// Project
        project: String,
        /// Environment
        env: String,
        /// Do not ask to type the name
        #[arg(long)]
        yes: bool,
    },
}
