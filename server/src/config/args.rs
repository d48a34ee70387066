//! The command line: every setting is a flag, and `--help` names its environment variable.

use std::{collections::BTreeMap, io::IsTerminal, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::NonEmptyStringValueParser, value_parser};

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
        .subcommand(Command::new("version").about("Write the version to standard output"));
    for (section, _, settings) in SECTIONS {
        for setting in *settings {
            command = command.arg(arg(section, setting));
        }
    }
    command
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
