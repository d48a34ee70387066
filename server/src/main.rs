//! The `veilcloud-server` binary: the composition root. It reads the configuration, opens the data folder, picks the
//! adapters and starts the roles. What must never be here: a rule that a test of the domain would want to reach.

mod address;
mod admin;
mod config;
mod crowd;
mod folder;
mod issuer_tools;
mod keys;
mod listen;
mod log_tools;
mod roles;
mod run;
mod shutdown;
mod start;
mod telemetry;
mod tls;
mod wire;
mod witnesses;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use config::{
    Config, Given,
    args::{self, Args, Task},
};
use start::StartError;

/// The one global allocator: less fragmentation than the system's under many short requests.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::of(&args::command().get_matches());
    let outcome = match args.task {
        Task::ConfigDocs => print(&config::markdown()),
        Task::ConfigExample => print(&config::example()),
        Task::OpenApi => print(&format!("{:#}\n", veilcloud_api::openapi())),
        Task::Version => print(concat!("veilcloud-server ", env!("CARGO_PKG_VERSION"), "\n")),
        Task::CheckConfig => load(args).and_then(|(_, warnings, _)| {
            warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
            print("the configuration is good\n")
        }),
        Task::Fsck { repair } => load(args).and_then(|(config, ..)| log_tools::fsck(&config, repair)),
        Task::LogKeyShow => load(args).and_then(|(config, ..)| log_tools::show_keys(&config)),
        Task::LogKeyRotate => load(args).and_then(|(config, ..)| log_tools::rotate_key(&config)),
        Task::LogKeyRetire => load(args).and_then(|(config, ..)| log_tools::retire_keys(&config)),
        Task::IssuerList => load(args).and_then(|(config, ..)| issuer_tools::list(&config)),
        Task::IssuerRotate { at_once } => {
            load(args).and_then(|(config, ..)| issuer_tools::rotate(&config, at_once))
        }
        Task::IssuerRevoke { kid } => load(args).and_then(|(config, ..)| issuer_tools::revoke(&config, kid)),
        Task::Serve => {
            load(args).and_then(|(config, warnings, hints)| run::to_the_end(&config, &warnings, hints))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            say(&format!("veilcloud-server: {e}\n  what to do: {}", e.remedy()));
            ExitCode::from(e.exit_code())
        }
    }
}

/// Reads the configuration; also gives its warnings and whether hints are wanted.
fn load(args: Args) -> Result<(Config, Vec<String>, bool), StartError> {
    // A name or value that is not text cannot be a setting of ours.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    let by_env = || env.get("VEILCLOUD_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let file = args.file.or_else(by_env);
    let (config, warnings) = Config::load(&Given { file, env: &env, flags: args.flags })?;
    Ok((config, warnings, args.hints))
}

fn print(text: &str) -> Result<(), StartError> {
    io::stdout().write_all(text.as_bytes()).map_err(StartError::Print)
}

/// A line for a person, before or beside the log.
fn say(text: &str) {
    // Nobody is left to tell when standard error is closed.
    drop(writeln!(io::stderr(), "{text}"));
}
