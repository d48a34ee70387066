//! The project's own tools. `cargo xtask dev` runs the platform, `cargo xtask test` runs every check and test.

mod codegen;
mod dev;
mod load;
mod project;
mod services;
mod test;
mod tidy;

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
    /// Measure the server beside its peer in one run and write the results to tests/load/results.
    Load(load::Args),
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Dev(args) => dev::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Ci => test::run(&test::Args::default()),
        Command::Codegen => codegen::run(),
        Command::Tidy => tidy::run().and_then(|()| codegen::build()).and_then(|()| codegen::check()),
        Command::Services => services::report(),
        Command::Load(args) => load::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
