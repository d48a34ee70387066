//! The project's own tools. `cargo xtask dev` runs the platform, `cargo xtask test` runs every check and test.

mod checkout;
mod codegen;
mod dev;
mod errors;
mod fuzz;
mod load;
mod peers;
mod project;
mod services;
mod test;
mod tidy;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own tools.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and start the whole platform on embedded stores, and print where to go.
    Dev(dev::Args),
    /// Set up what the tests need, then run every check and every test.
    Test(test::Args),
    /// What the continuous integration runs: the same as `test`.
    Ci,
    /// Write the generated files again: error pages, OpenAPI, the settings page, the migrations lock.
    Codegen,
    /// Check the rules of the house: arrows, file lengths, contract, migrations, generated files.
    Tidy,
    /// Install the outside tools and services that the tests use, and say where they are.
    Services,
    /// Fuzz VeilChain's parsers alone, for longer than `test` does.
    Fuzz(fuzz::Args),
    /// Measure the server beside its peer in one run and write the results to tests/load/results.
    Load(load::Args),
}

fn main() -> ExitCode {
    let command = Args::parse().command;
    let done = match checkout::claim() {
        // It was all done again, with a program of this checkout.
        Ok(Some(status)) => return if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        Ok(None) => run(command),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Dev(args) => dev::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Ci => test::run(&test::Args::default()),
        Command::Codegen => codegen::run(),
        Command::Tidy => tidy::run().and_then(|()| codegen::build()).and_then(|()| codegen::check()),
        Command::Services => services::report(),
        Command::Fuzz(args) => args.run(),
        Command::Load(args) => load::run(&args),
    }
}
