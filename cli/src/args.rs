//! The command line as clap sees it. No argument of any command carries a secret: passwords and recovery
//! codes come from the terminal, from standard input or from a file, because arguments are visible to every
//! process of the machine and stay in the shell's history.

pub mod access;
pub mod account;
pub mod api_keys;
pub mod audit;
pub mod form;
pub mod projects;
pub mod share;
mod span;
pub mod storage;
pub mod teams;
pub mod tools;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand};

pub use form::Output;

/// Used when neither a flag, nor the environment, nor a login names a server.
pub const ENDPOINT_DEFAULT: &str = "http://127.0.0.1:8443";

/// What it is for, then examples, then the rest.
const HELP_TEMPLATE: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

const EXIT_CODES: &str = "\
Exit codes:
  0 done          1 other failure   2 wrong usage     3 not found
  4 not logged in, or wrong password                  5 not permitted
  6 network       7 conflict        8 integrity       9 rate limited
  10 some things failed, the others are done: run it again
  130 interrupted";

const EXAMPLES: &str = "\
Examples:
  veilcloud register alice@example.com
  veilcloud login alice@example.com
  veilcloud projects create my-app
  veilcloud storage put my-app production ./.env
  veilcloud run my-app production -- ./server
";

/// Keep environments and files that no server can read
#[derive(Parser)]
#[command(name = "veilcloud", version, disable_version_flag = true, before_help = EXAMPLES, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Clone)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Server to talk to [default: that of the last login, else http://127.0.0.1:8443]
    #[arg(long, global = true, value_name = "URL", env = "VEILCLOUD_ENDPOINT", hide_env_values = true)]
    pub endpoint: Option<String>,
    /// Folder of the session and of interrupted uploads [default: veilcloud in the user's config folder]
    #[arg(long, global = true, value_name = "DIR", env = "VEILCLOUD_CONFIG_DIR", hide_env_values = true)]
    pub config_dir: Option<PathBuf>,
    /// PEM file of a certificate authority to trust in addition to the system's
    #[arg(long, global = true, value_name = "FILE", env = "VEILCLOUD_CA_CERT", hide_env_values = true)]
    pub ca_cert: Option<PathBuf>,
    /// File of a service token to read with, instead of a login; VEILCLOUD_TOKEN may hold the token itself
    #[arg(long, global = true, value_name = "FILE", env = "VEILCLOUD_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// Form of the answer
    #[arg(long, global = true, default_value = "table", value_name = "FORM", value_parser = form::FormParser)]
    pub output: Output,
    /// Same as --output json
    #[arg(long, global = true)]
    pub json: bool,
    /// Never ask anything; implied when standard input is not a terminal
    #[arg(long, global = true, env = "VEILCLOUD_NO_INPUT", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub no_input: bool,
    /// Print only the answer and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Global {
    pub fn is_json(&self) -> bool {
        self.json || self.output == Output::Json
    }
}

#[derive(Subcommand)]
pub enum Command {
    Register(account::Register),
    Login(account::Login),
    Logout(account::Logout),
    Recover(account::Recover),
    Password(account::Password),
    Whoami(account::Whoami),
    Account(account::Account),
    Projects(projects::Projects),
    Envs(projects::Envs),
    Storage(storage::Storage),
    Run(storage::Run),
    Diff(storage::Diff),
    Import(storage::Import),
    Export(storage::Export),
    Teams(teams::Teams),
    Users(teams::Users),
    Share(share::Share),
    Access(access::Access),
    Offboard(share::Offboard),
    ApiKeys(api_keys::ApiKeys),
    Audit(audit::Audit),
    Api(tools::Api),
    Doctor(tools::Doctor),
    Completions(tools::Completions),
    Man(tools::Man),
    Version(tools::Version),
}

impl Command {
    /// Whether it is about the account that is logged in, whatever token there is.
    pub fn is_a_persons(&self) -> bool {
        matches!(
            self,
            Self::Register(_)
                | Self::Login(_)
                | Self::Logout(_)
                | Self::Recover(_)
                | Self::Password(_)
                | Self::Whoami(_)
                | Self::Account(_)
                | Self::Teams(_)
                | Self::Users(_)
                | Self::Share(_)
                | Self::Access(_)
                | Self::Offboard(_)
                | Self::ApiKeys(_)
                | Self::Api(_)
        )
    }
}

/// The whole command tree with the help template on every command.
pub fn command() -> clap::Command {
    fn dress(command: clap::Command) -> clap::Command {
        command.help_template(HELP_TEMPLATE).mut_subcommands(dress)
    }
    dress(Cli::command())
}
