//! One file for each area of commands. A command asks first, calls the SDK second, and shows last.

mod access;
mod account;
mod api;
mod api_keys;
mod audit;
mod content;
mod diff;
mod doctor;
mod envs;
mod exchange;
mod explain;
mod handover;
mod kit;
mod offboard;
mod outcome;
mod projects;
mod run;
mod share;
mod show;
mod storage;
mod teams;
mod tools;

use crate::args::Command;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

pub async fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Register(args) => account::register(context, args).await,
        Command::Login(args) => account::login(context, args).await,
        Command::Logout(args) => account::logout(context, args).await,
        Command::Recover(args) => account::recover(context, args).await,
        Command::Password(args) => account::password(context, args).await,
        Command::Whoami(args) => account::whoami(context, args).await,
        Command::Account(args) => account::manage(context, args).await,
        Command::Projects(args) => projects::manage(context, args).await,
        Command::Envs(args) => envs::manage(context, args).await,
        Command::Storage(args) => storage::manage(context, args).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Diff(args) => diff::diff(context, args).await,
        Command::Import(args) => exchange::import(context, args).await,
        Command::Export(args) => exchange::export(context, args).await,
        Command::Teams(args) => teams::manage(context, args).await,
        Command::Users(args) => teams::users(context, args).await,
        Command::Share(args) => share::manage(context, args).await,
        Command::Access(args) => access::manage(context, args).await,
        Command::Offboard(args) => offboard::offboard(context, args).await,
        Command::ApiKeys(args) => api_keys::manage(context, args).await,
        Command::Audit(args) => audit::manage(context, args).await,
        Command::Api(args) => api::manage(context, args).await,
        Command::Doctor(_) => doctor::doctor(context).await,
        Command::Completions(args) => tools::completions(&args),
        Command::Man(args) => tools::man(context, &args),
        Command::Version(_) => tools::version(context),
    }
}
