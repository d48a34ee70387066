//! Arguments of the account commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Create an account
///
/// The password never leaves this machine. The recovery code is shown once: it is the only way back in when
/// the password is lost.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud register alice@example.com
  veilcloud register alice@example.com --recovery-file kit.txt
  printf '%s\\n' \"$PASSWORD\" | veilcloud register alice@example.com --password-stdin --recovery-file kit.txt
")]
pub struct Register {
    /// E-mail address of the account
    pub email: String,
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Write the recovery code to a new file that only you can read, instead of showing it
    #[arg(long, value_name = "FILE")]
    pub recovery_file: Option<PathBuf>,
}

/// Open a session on this machine
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud login
  veilcloud login alice@example.com --endpoint https://vault.example.com
  printf '%s\\n' \"$PASSWORD\" | veilcloud login alice@example.com --password-stdin
")]
pub struct Login {
    /// E-mail address of the account [default: the last one used here]
    pub email: Option<String>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
}

/// End the session of this machine
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud logout
  veilcloud logout --everywhere
")]
pub struct Logout {
    /// End the sessions of all other machines too
    #[arg(long)]
    pub everywhere: bool,
}

/// Set a new password with the recovery code
///
/// Nothing stored is lost. The code used is spent; a new one is shown, or written to --recovery-file. Every session
/// and every API key of the account ends.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud recover alice@example.com
  veilcloud recover alice@example.com --recovery-code-file kit.txt --recovery-file new-kit.txt
  veilcloud recover alice@example.com --recovery-code-stdin --password-stdin < two-lines
")]
pub struct Recover {
    /// E-mail address of the account
    pub email: String,
    /// Read the recovery code from the first line of standard input
    #[arg(long, conflicts_with = "recovery_code_file")]
    pub recovery_code_stdin: bool,
    /// Read the recovery code from a file, the saved kit or the code alone
    #[arg(long, value_name = "FILE")]
    pub recovery_code_file: Option<PathBuf>,
    /// Read the new password from standard input (from its second line behind --recovery-code-stdin)
    #[arg(long)]
    pub password_stdin: bool,
    /// Write the new recovery code to a new file that only you can read, instead of showing it
    #[arg(long, value_name = "FILE")]
    pub recovery_file: Option<PathBuf>,
}

/// Change the password
///
/// Stored data is not touched. Sessions of other machines end; API keys stay as they are.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud password
  veilcloud password --password-stdin < two-lines
")]
pub struct Password {
    /// Read two lines from standard input: the present password, then the new one
    #[arg(long)]
    pub password_stdin: bool,
}

/// Show who is logged in, where that was read from, and until when
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud whoami
  veilcloud whoami --check --json
")]
pub struct Whoami {
    /// Also ask the server whether it still accepts the session
    #[arg(long)]
    pub check: bool,
}

/// Manage the account itself
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud account delete
  veilcloud account trust-key
")]
pub struct Account {
    #[command(subcommand)]
    pub command: AccountCommand,
}

#[derive(Subcommand)]
pub enum AccountCommand {
    Delete(AccountDelete),
    TrustKey(AccountTrustKey),
}

/// Say that the keys which the server's directory names for you are yours
///
/// Needed only when you recovered the account on another machine, more than once: this machine then refuses to wrap
/// keys (KEY_UNEXPECTED), because somebody who publishes keys in your name would look the same. The keys in force
/// still have to be the ones that your password unlocks.
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud account trust-key
")]
pub struct AccountTrustKey {
    /// Do not ask to type the e-mail address
    #[arg(long)]
    pub yes: bool,
}

/// Delete the account with every project, version and key, for good
#[derive(Args)]
#[command(before_help = "\
Examples:
  veilcloud account delete
  printf '%s\\n' \"$PASSWORD\" | veilcloud account delete --yes --password-stdin
")]
pub struct AccountDelete {
    /// Do not ask to type the e-mail address
    #[arg(long)]
    pub yes: bool,
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
}
