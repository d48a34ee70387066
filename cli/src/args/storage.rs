//! Arguments of the commands that move content.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Put, get and roll back the content of environments
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud storage put my-app production ./.env
  veilcloud storage get my-app production > out.env
")]
pub struct Storage {
    #[command(subcommand)]
    pub command: StorageCommand,
}

#[derive(Subcommand)]
pub enum StorageCommand {
    Put(Put),
    Get(Get),
    /// List the versions of an environment, newest first
    #[command(before_help = "Examples:\n  veilcloud storage history my-app production\n")]
    History {
        /// Project
        project: String,
        /// Environment
        env: String,
    },
    /// Make the content of an older version the newest version
    ///
    /// Versions are never rewritten: version 2 of 5 becomes version 6.
    #[command(before_help = "Examples:\n  veilcloud storage rollback my-app production --to 2\n")]
    Rollback {
        /// Project
        project: String,
        /// Environment
        env: String,
        /// Version to go back to
        #[arg(long, value_name = "VERSION")]
        to: u64,
    },
    /// Delete the content of every version of an environment, for good; the list of versions stays
    #[command(before_help = "Examples:\n  veilcloud storage delete my-app staging --yes\n")]
    Delete {
        /// Project
        project: String,
        /// Environment
        env: String,
        /// Do not ask to type the name
        #[arg(long)]
        yes: bool,
    },
    /// List what a project stores
    #[command(before_help = "Examples:\n  veilcloud storage list my-app\n")]
    List {
        /// Project
        project: String,
    },
}

/// Store a file as the next version of an environment
///
/// Text of at most 512 KiB is stored as text, everything else as one binary file. The environment is created
/// on first use. An interrupted upload goes on where it stopped when the same command is run again.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud storage put my-app production ./.env
  veilcloud storage put my-app production ./.env --dry-run
  generate-env | veilcloud storage put my-app production -
")]
pub struct Put {
    /// Project
    pub project: String,
    /// Environment
    pub env: String,
    /// File to store; - reads standard input
    pub file: PathBuf,
    /// Store only if this is still the newest version's tag (see `storage history`)
    #[arg(long, value_name = "ETAG")]
    pub if_match: Option<String>,
    /// Show what would change and store nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Write the content of an environment to standard output or a file
///
/// Nothing is written before signature, digest and version were checked.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud storage get my-app production > out.env
  veilcloud storage get my-app production --version 2
  veilcloud storage get my-app assets --file big.bin
")]
pub struct Get {
    /// Project
    pub project: String,
    /// Environment
    pub env: String,
    /// Version to get [default: the newest]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<u64>,
    /// Write to this file, which appears only when it is complete
    #[arg(long, value_name = "OUT")]
    pub file: Option<PathBuf>,
    /// Write binary content to a terminal too
    #[arg(long)]
    pub force: bool,
}

/// Run a program with the variables of an environment
///
/// The program replaces this process, so its exit code and the signals sent to it are its own. Variables of
/// the environment win over those already set. Your shell expands $NAME before the program starts: quote it
/// and let a shell inside do the work, as in the last example.
#[derive(Args)]
#[command(
    before_help = "\
Examples:
  veilcloud run my-app production -- ./server --port 8080
  veilcloud run my-app production --only-keys DATABASE_URL,REDIS_URL -- ./migrate
  veilcloud run my-app production -- sh -c 'psql \"$DATABASE_URL\"'
",
    after_help = "\
Exit codes:
  that of the program; 126 when it cannot be run, 127 when it is not found;
  before it starts those of `veilcloud --help`"
)]
pub struct Run {
    /// Project
    pub project: String,
    /// Environment
    pub env: String,
    /// Version to use [default: the newest]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<u64>,
    /// Pass only these variables
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub only_keys: Vec<String>,
    /// Program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Show what differs between two environments, values masked
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud diff my-app production staging
  veilcloud diff my-app production staging --reveal
  veilcloud diff my-app production staging --exit-code --quiet
")]
pub struct Diff {
    /// Project
    pub project: String,
    /// Environment on the old side
    pub old: String,
    /// Environment on the new side
    pub new: String,
    /// Show the values
    #[arg(long)]
    pub reveal: bool,
    /// Exit with 1 when there are differences
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Dotenv,
    Json,
    Yaml,
}

/// Store a dotenv, JSON or YAML file as the next version of an environment
///
/// Dotenv is stored as it is, comments and order included. JSON and YAML must be one flat mapping.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud import my-app production ./.env
  veilcloud import my-app production config.yaml --format yaml
  jq .env config.json | veilcloud import my-app production - --format json
")]
pub struct Import {
    /// Project
    pub project: String,
    /// Environment
    pub env: String,
    /// File to read; - reads standard input
    pub file: PathBuf,
    /// Format of the file [default: by its ending, else dotenv]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Show what would change and store nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Take a whole project, or one environment, out of VeilCloud
///
/// With DIR: an escape folder that stock `age` opens in two commands, with no server and no veilcloud. It
/// holds your private key: keep it like one. With --env: one text environment as dotenv, JSON or YAML.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud export my-app ./escape/
  veilcloud export my-app --env production --format json
  veilcloud export my-app --env production --format yaml --file production.yaml
")]
pub struct Export {
    /// Project
    pub project: String,
    /// New or empty folder for the escape copy
    #[arg(required_unless_present = "env", conflicts_with_all = ["env", "format", "file", "version"])]
    pub dir: Option<PathBuf>,
    /// Environment to write in a plain format
    #[arg(long)]
    pub env: Option<String>,
    /// Format to write
    #[arg(long, value_enum, requires = "env", default_value = "dotenv")]
    pub format: Format,
    /// Version to write [default: the newest]
    #[arg(long, value_name = "VERSION", requires = "env")]
    pub version: Option<u64>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "OUT", requires = "env")]
    pub file: Option<PathBuf>,
}
