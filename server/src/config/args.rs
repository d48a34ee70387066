//! The command line: every setting is a flag, and `--help` names its environment variable.

use std::{collections::BTreeMap, io::IsTerminal, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::NonEmptyStringValueParser, value_parser};

use veilcore::id::KeyId;

use super::{
    SECTIONS,
    setting::{Setting, Shape},
    settings,
};

/// What the process was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Serve.
    Serve,
    /// Read and check the configuration, then leave.
    CheckConfig,
    /// Write the page of settings to standard output.
    ConfigDocs,
    /// Write the commented example file to standard output.
    ConfigExample,
    /// Write the OpenAPI description of the REST paths to standard output.
    OpenApi,
    /// Check every log of the data folder; with `repair`, write hashes again that do not match their entries.
    Fsck {
        /// See above.
        repair: bool,
    },
    /// Show the logs' verifier keys.
    LogKeyShow,
    /// Add a new log key; from the next start on it signs beside the others.
    LogKeyRotate,
    /// Forget every log key but the newest.
    LogKeyRetire,
    /// List the issuer's keys.
    IssuerList,
    /// Add an issuer key.
    IssuerRotate {
        /// Let it sign now, not in a day.
        at_once: bool,
    },
    /// Revoke an issuer key.
    IssuerRevoke {
        /// Its name.
        kid: KeyId,
    },
    /// Write the version to standard output.
    Version,
}

/// The command line, read.
#[derive(Debug)]
pub struct Args {
    /// What to do.
    pub task: Task,
    /// The file of `--config`.
    pub file: Option<PathBuf>,
    /// Flags by setting key.
    pub flags: BTreeMap<&'static str, String>,
    /// Show the next commands after the start.
    pub hints: bool,
}

/// The command as clap sees it.
pub fn command() -> Command {
    let mut command = Command::new("veilcloud-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The VeilCloud server: keeps environments that it cannot read.")
        .after_help(
            "Settings: defaults < file < environment < flags. Any setting that is not a path can be given as \
             <NAME>_FILE, the path of a file with the value.\nExit codes: 0 stopped as asked, 1 could not start or \
             failed, 2 wrong command line, 78 wrong configuration.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .global(true)
                .value_name("path")
                .value_parser(value_parser!(PathBuf))
                .help("TOML file with settings [env: VEILCLOUD_CONFIG] [default: none]"),
        )
        .arg(
            Arg::new("hints")
                .long("hints")
                .action(ArgAction::SetTrue)
                .help("Show the next commands after the start even without a terminal"),
        )
        .subcommand(Command::new("serve").about("Serve (the default)"))
        .subcommand(Command::new("check-config").about("Read and check the configuration, then leave"))
        .subcommand(
            Command::new("config-docs").about("Write the page of settings to standard output").arg(
                Arg::new("example")
                    .long("example")
                    .action(ArgAction::SetTrue)
                    .help("Write the commented example file instead"),
            ),
        )
        .subcommand(Command::new("openapi").about("Write the OpenAPI description of the REST paths to standard output"))
        .subcommand(
            Command::new("fsck")
                .about("Check every log of the data folder; the server must be stopped")
                .after_help(
                    "Every leaf hash is made again from its entry, every tile and root from the leaf hashes, and compared \
                     with what is stored and signed. The first bad byte of each file is named. Exit code 1 when anything \
                     is wrong.\nExample: veilcloud-server fsck --data-dir /var/lib/veilcloud",
                )
                .arg(
                    Arg::new("repair")
                        .long("repair")
                        .action(ArgAction::SetTrue)
                        .help("Write hashes again that do not match their intact entries"),
                ),
        )
        .subcommand(
            Command::new("log-key")
                .about("Show, rotate or retire the keys that sign the logs; the server must be stopped")
                .subcommand_required(true)
                .after_help(
                    "Rotation: `log-key rotate`, start the server, wait until every client was online once (old and new key \
                     sign meanwhile), stop it, `log-key retire`, start it again.",
                )
                .subcommand(Command::new("show").about("Write the verifier keys, newest first: of the directory log, and of the whole server for witnesses"))
                .subcommand(Command::new("rotate").about("Add a new key; it signs beside the others from the next start on"))
                .subcommand(Command::new("retire").about("Forget every key but the newest")),
        )
        .subcommand(issuer())
        .subcommand(Command::new("version").about("Write the version to standard output"));
    for (section, _, settings) in SECTIONS {
        for setting in *settings {
            command = command.arg(arg(section, setting));
        }
    }
    command
}

/// The keys that sign capabilities.
fn issuer() -> Command {
    Command::new("issuer")
        .about("List, rotate or revoke the keys that sign capabilities, also while the server runs")
        .subcommand_required(true)
        .after_help(
            "Rotation is automatic (access.issuer_period_days); by hand it is for a key that somebody may have seen. A \
             running server takes a change over within seconds. Sessions renew themselves; capabilities issued for other \
             keys die with the key that signed them.\nExample: veilcloud-server issuer list --data-dir /var/lib/veilcloud",
        )
        .subcommand(Command::new("list").about("Write name, state, beginning, end and leaf of each key, oldest first"))
        .subcommand(
            Command::new("rotate").about("Add a key; it is announced now and signs in a day").arg(
                Arg::new("at-once").long("at-once").action(ArgAction::SetTrue).help("Let it sign now"),
            ),
        )
        .subcommand(
            Command::new("revoke").about("Revoke a key: every capability that it signed is over").arg(
                Arg::new("kid").required(true).value_name("key id").value_parser(kid).help("As `list` shows it"),
            ),
        )
}

/// 16 hexadecimal digits.
fn kid(text: &str) -> Result<KeyId, String> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(text, 16) {
        Ok(number) if digits => Ok(KeyId::from_bytes(number.to_be_bytes())),
        _ => Err("a key id has 16 hexadecimal digits".to_owned()),
    }
}

fn arg(section: &'static str, setting: &'static Setting) -> Arg {
    let default = if setting.default.is_empty() { "none" } else { setting.default };
    let help = format!(
        "{} [{}] [limit: {}] [env: {}] [default: {default}]",
        setting.doc.trim(),
        setting.key,
        setting.limit,
        setting.env
    );
    let arg = Arg::new(setting.key)
        .long(setting.flag())
        .global(true)
        .value_name(setting.unit)
        .help_heading(format!("Settings of [{section}]"))
        .help(help);
    match setting.shape {
        Shape::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Shape::List => arg.value_delimiter(',').action(ArgAction::Append),
        Shape::Bare | Shape::Text => arg.value_parser(NonEmptyStringValueParser::new()),
    }
}

impl Args {
    /// Reads a command line that clap took.
    pub fn of(matches: &ArgMatches) -> Self {
        let (task, inner) = match matches.subcommand() {
            Some(("check-config", inner)) => (Task::CheckConfig, inner),
            Some(("config-docs", inner)) if inner.get_flag("example") => (Task::ConfigExample, inner),
            Some(("config-docs", inner)) => (Task::ConfigDocs, inner),
            Some(("openapi", inner)) => (Task::OpenApi, inner),
            Some(("version", inner)) => (Task::Version, inner),
            Some(("fsck", inner)) => (Task::Fsck { repair: inner.get_flag("repair") }, inner),
            Some(("log-key", inner)) => match inner.subcommand() {
                Some(("rotate", inner)) => (Task::LogKeyRotate, inner),
                Some(("retire", inner)) => (Task::LogKeyRetire, inner),
                Some((_, inner)) => (Task::LogKeyShow, inner),
                None => (Task::LogKeyShow, inner),
            },
            Some(("issuer", inner)) => match inner.subcommand() {
                Some(("rotate", inner)) => (Task::IssuerRotate { at_once: inner.get_flag("at-once") }, inner),
                Some(("revoke", inner)) => match inner.get_one::<KeyId>("kid") {
                    Some(kid) => (Task::IssuerRevoke { kid: *kid }, inner),
                    None => (Task::IssuerList, inner),
                },
                Some((_, inner)) => (Task::IssuerList, inner),
                None => (Task::IssuerList, inner),
            },
            Some((_, inner)) => (Task::Serve, inner),
            None => (Task::Serve, matches),
        };
        let mut flags = BTreeMap::new();
        for setting in settings() {
            if let Some(given) = inner.get_many::<String>(setting.key) {
                flags.insert(setting.key, given.cloned().collect::<Vec<_>>().join(","));
            }
        }
        Self {
            task,
            file: inner.get_one::<PathBuf>("config").cloned(),
            flags,
            hints: matches.get_flag("hints") || std::io::stderr().is_terminal(),
        }
    }
}
