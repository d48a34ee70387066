//! Arguments of the commands around the vault.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

/// Help for calling the REST interface with other tools
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud api headers GET /v1/projects | curl -H @- http://127.0.0.1:8443/v1/projects
  veilcloud api seal my-app production .env --file next.age > next.headers
")]
pub struct Api {
    #[command(subcommand)]
    pub command: ApiCommand,
}

#[derive(Subcommand)]
pub enum ApiCommand {
    /// Print the headers that sign one request, for curl -H @-
    ///
    /// They are good for this method, this path with its query and this body, once, for one minute.
    #[command(before_help = "\
Examples:
  veilcloud api headers GET /v1/projects | curl -H @- http://127.0.0.1:8443/v1/projects
  veilcloud api headers POST /v1/projects --body body.json |
    curl -H @- --json @body.json http://127.0.0.1:8443/v1/projects
  veilcloud api headers GET /v1/projects/ID --capability deploy.cap | curl -H @- http://127.0.0.1:8443/v1/projects/ID
")]
    Headers {
        /// HTTP method
        method: String,
        /// Path with its query, as it will be sent
        path: String,
        /// File that holds the exact body
        #[arg(long, value_name = "FILE")]
        body: Option<PathBuf>,
        /// Sign with this capability instead of the session; see `veilcloud access`
        #[arg(long, value_name = "FILE")]
        capability: Option<PathBuf>,
        /// Key that the capability was passed on to (`veilcloud access new-key`)
        #[arg(long, value_name = "FILE", requires = "capability")]
        holder_key: Option<PathBuf>,
    },
    /// Seal content for a PUT by another HTTP client
    ///
    /// Writes the age file, which is the body, and prints the headers that go with it: `veil-seal`, and `if-match`
    /// or `if-none-match`. It fits behind the version that is the newest now, and nowhere else. Nothing is sent and
    /// nothing is created on the server: the environment has to exist (`veilcloud envs create`). Sealed, the content
    /// is at most 768 KiB; `storage put` has no such limit.
    #[command(before_help = "\
Examples:
  veilcloud api seal my-app production .env --file next.age > next.headers
  generate-env | veilcloud api seal my-app production - --file next.age
")]
    Seal {
        /// Project
        project: String,
        /// Environment; it has to exist
        env: String,
        /// File to seal; - reads standard input
        #[arg(value_name = "FILE")]
        input: PathBuf,
        /// New file for the sealed content; an existing one is not overwritten
        #[arg(long, value_name = "OUT")]
        file: PathBuf,
    },
}

/// Find out why it does not work
///
/// Checks name resolution, connection, TLS, HTTP/2, the server, the clock and the session, in this order, and
/// names a remedy for each that fails.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud doctor
  veilcloud doctor --endpoint https://vault.example.com --json
")]
pub struct Doctor {}

/// Print the completion script of a shell
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud completions bash > ~/.local/share/bash-completion/completions/veilcloud
  veilcloud completions fish > ~/.config/fish/completions/veilcloud.fish
")]
pub struct Completions {
    /// Shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Write the manual pages, one for each command
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud man ~/.local/share/man/man1
")]
pub struct Man {
    /// Folder to write to; created when missing
    pub dir: PathBuf,
}

/// Print the version
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud version
  veilcloud version --json
")]
pub struct Version {}
