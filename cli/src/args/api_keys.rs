//! Arguments of the commands about keys of programs.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::span;

/// Manage keys of programs: service tokens that read environments, and API keys that open nothing
///
/// A service token (vst_...) reads the environments of one project, without an account: put it into VEILCLOUD_TOKEN or into
/// a file for --token-file. It opens nothing without the server, whose half of its key is destroyed when it is revoked.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud api-keys create ci my-app --env production --expires 90d > ci.token
  veilcloud api-keys rotate ci --overlap 1h > ci.token
  veilcloud api-keys revoke ci
")]
pub struct ApiKeys {
    #[command(subcommand)]
    pub command: ApiKeysCommand,
}

#[derive(Subcommand)]
pub enum ApiKeysCommand {
    /// Make a service token, or with --opens-nothing an API key; it is shown once, on standard output
    ///
    /// The token is let into the project's access list, and the keys of its environments are wrapped for it. It reads; it
    /// never writes. Who may not share the project cannot make one.
    #[command(before_help = "\
Examples:
  veilcloud api-keys create ci my-app --env production > ci.token
  veilcloud api-keys create ci my-app --env staging,production --network 192.0.2.0/24 --expires 30d > ci.token
  veilcloud api-keys create metrics my-app --opens-nothing --permissions project:read,audit:read > metrics.key
")]
    Create {
        /// Name to tell it by: a-z, 0-9, dot, dash and underscore, at most 63 characters
        name: String,
        /// Project: its name, or its id. An API key that opens nothing may do without one
        #[arg(required_unless_present = "opens_nothing")]
        project: Option<String>,
        /// Only these environments; without it all of the project, those to come too
        #[arg(long = "env", value_delimiter = ',', value_name = "NAMES")]
        environments: Vec<String>,
        /// What it may do: project:read, audit:read, and for an API key project:write, project:delete, project:share, team:read
        #[arg(long, value_delimiter = ',', default_value = "project:read", value_name = "LIST")]
        permissions: Vec<String>,
        /// Only from these networks, e.g. 192.0.2.0/24
        #[arg(long = "network", value_delimiter = ',', value_name = "NETWORKS")]
        networks: Vec<String>,
        /// How long it is good: a number and s, m, h or d; at most 365d
        #[arg(long, default_value = "90d", value_name = "TIME", value_parser = span::days)]
        expires: Duration,
        /// Make an API key (vck_...) for names, metadata and ciphertext
        #[arg(long)]
        opens_nothing: bool,
    },
    /// List your keys, those that are over too
    #[command(before_help = "Examples:\n  veilcloud api-keys list\n  veilcloud api-keys list --json\n")]
    List,
    /// Give a key its next secret, on standard output; the one before stays good for the overlap
    ///
    /// A service token before goes on opening what it could, and is given no key that is begun meanwhile.
    #[command(before_help = "\
Examples:
  veilcloud api-keys rotate ci --overlap 1h > ci.token
  veilcloud api-keys rotate ci --overlap 0 --expires 90d > ci.token
")]
    Rotate {
        /// Key: its name or id
        key: String,
        /// How long the one before stays good: 0, or a number and s, m, h or d; at most 7d
        #[arg(long, default_value = "1h", value_name = "TIME", value_parser = overlap)]
        overlap: Duration,
        /// New end, counted from now; without it the end stays where it is
        #[arg(long, value_name = "TIME", value_parser = span::days)]
        expires: Option<Duration>,
    },
    /// End a key at once; a service token opens nothing from then on, and its project gets new keys
    #[command(before_help = "\
Examples:
  veilcloud api-keys revoke ci
  veilcloud api-keys revoke ci --yes
")]
    Revoke {
        /// Key: its name or id
        key: String,
        /// Do not ask to type the name
        #[arg(long)]
        yes: bool,
    },
}

/// A time, or none at all.
fn overlap(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => span::days(text),
    }
}
