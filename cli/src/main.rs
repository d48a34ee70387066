//! The `veilcloud` command: a person or a script on one side, the SDK on the other. It parses, asks, shows and
//! keeps files; every cryptographic step and every check of what the server says lies in the SDK.
//!
//! What must never happen: a secret in an argument, in a message or on standard error; content on standard
//! output before it was verified; a question to nobody.

mod args;
mod commands;
mod context;
mod interrupt;
mod settings;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;

use crate::args::Cli;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let matches = match args::command().try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(refused) => return answer_parser(&refused, &words),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(refused) => return answer_parser(&refused, &words),
    };
    if let Some(refused) = args::form::refuse(&cli) {
        return answer_parser(&refused, &words);
    }
    let json = cli.global.is_json();
    let exit = Context::new(cli.global, &matches).and_then(|mut context| {
        if cli.command.is_a_persons() {
            context.token = None;
        }
        run(&context, cli.command)
    });
    match exit {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.show(json);
            failure.exit.into()
        }
    }
}

fn run(context: &Context, command: args::Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|fault| Failure::local("start the runtime", &fault))?;
    let outcome = runtime.block_on(async {
        // The command is dropped before its outcome is looked at, and its unfinished files with it.
        tokio::select! {
            biased;
            outcome = commands::dispatch(context, command) => outcome,
            signal = interrupt::signal(context) => Err(Failure::interrupted(signal)),
        }
    });
    runtime.shutdown_background();
    outcome
}

/// Help and version are answers; everything else the parser says is wrong usage.
fn answer_parser(refused: &clap::Error, words: &[OsString]) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    if matches!(refused.kind(), DisplayHelp | DisplayVersion) {
        return match refused.print() {
            Ok(()) => Exit::Done.into(),
            Err(fault) => Failure::output(&fault).exit.into(),
        };
    }
    let options = || words.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
    let pair = options().zip(options().skip(1)).any(|pair| pair == ("--output", "json"));
    if pair || options().any(|word| matches!(word, "--json" | "--output=json")) {
        let text = refused.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::usage(message).show(true);
    } else if let Err(fault) = refused.print() {
        return Failure::output(&fault).exit.into();
    }
    Exit::Usage.into()
}
