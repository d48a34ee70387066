//! `run`: the variables of an environment in a program. On Unix the program replaces this process, so its exit
//! code, its signals and its terminal are its own by construction. The values pass through the child's
//! environment and nowhere else.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;

use veilcloud_sdk::dotenv::Variables;

use super::content;
use crate::args::storage::Run;
use crate::context::{Context, TOKEN_VARIABLE};
use crate::ui::error::Failure;
use crate::ui::exit::Exit;

/// Programs that expand `$NAME` themselves.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "busybox"];

pub async fn run(context: &Context, args: Run) -> Result<Exit, Failure> {
    let (client, project) = context.project(&args.project).await?;
    let variables = content::variables(&client, &project, &args.env, args.version).await?;
    let missing = args.only_keys.iter().find(|key| variables.get(key).is_none());
    if let Some(key) = missing {
        let message = format!("{} has no variable {key}", args.env);
        return Err(Failure::new(Exit::NotFound, "NOT_FOUND", message).try_this("check --only-keys"));
    }
    let (program, rest) = args.command.split_first().expect("clap requires one");
    if let Some(note) = dollar_note(program, rest, &variables) {
        context.output.say(&note);
    }
    let mut command = Command::new(program);
    // It gets the values, not what opens the next ones.
    command.args(rest).env_remove(TOKEN_VARIABLE).env_remove("VEILCLOUD_TOKEN_FILE");
    let wanted = |key: &str| args.only_keys.is_empty() || args.only_keys.iter().any(|only| only == key);
    command.envs(variables.iter().filter(|(key, _)| wanted(key)));
    drop((client, project));
    start(command, program)
}

#[cfg(unix)]
fn start(mut command: Command, program: &OsStr) -> Result<Exit, Failure> {
    // Comes back only when the program could not be started.
    let fault = std::os::unix::process::CommandExt::exec(&mut command);
    Err(not_started(program, &fault))
}

#[cfg(not(unix))]
fn start(mut command: Command, program: &OsStr) -> Result<Exit, Failure> {
    let status = command.status().map_err(|fault| not_started(program, &fault))?;
    std::process::exit(status.code().unwrap_or(1));
}

fn not_started(program: &OsStr, fault: &io::Error) -> Failure {
    let program = program.to_string_lossy();
    match fault.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Exit::NoProgram, "NO_PROGRAM", format!("there is no program {program}"))
                .try_this("check the spelling and PATH")
        }
        _ => Failure::new(Exit::CannotRun, "CANNOT_RUN", format!("cannot run {program}: {fault}"))
            .try_this("check that it is executable; the environment may also be too large for one process"),
    }
}

/// A `$NAME` of this environment in an argument reaches the program as it is, which is rarely what was meant.
/// The other trap, the outer shell expanding it to nothing, shows as an empty argument.
fn dollar_note(program: &OsStr, rest: &[OsString], variables: &Variables) -> Option<String> {
    let name = Path::new(program).file_stem().and_then(OsStr::to_str).unwrap_or_default();
    if SHELLS.contains(&name) {
        return None;
    }
    let words = || rest.iter().filter_map(|word| word.to_str());
    let named = |word: &str| {
        let key = variables.iter().map(|(key, _)| key).filter(|key| {
            word.contains(&format!("${{{key}}}"))
                || word.match_indices(&format!("${key}")).any(|(at, hit)| ends_name(&word[at + hit.len()..]))
        });
        key.map(str::to_owned).next()
    };
    if let Some(key) = words().find_map(named) {
        return Some(format!(
            "note: ${key} is passed as written; to expand it: -- sh -c '{name} … \"${key}\"'"
        ));
    }
    words().any(str::is_empty).then(|| {
        "note: an argument is empty; if it was $NAME, your shell expanded it first: -- sh -c '… \"$NAME\"'".to_owned()
    })
}

fn ends_name(rest: &str) -> bool {
    !rest.starts_with(|mark: char| mark.is_ascii_alphanumeric() || mark == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(program: &str, rest: &[&str]) -> Option<String> {
        let variables = Variables::from_dotenv("URL=1\nURL_TWO=2").unwrap();
        let rest: Vec<OsString> = rest.iter().map(OsString::from).collect();
        dollar_note(OsStr::new(program), &rest, &variables)
    }

    #[test]
    fn a_literal_variable_of_the_environment_is_pointed_out() {
        assert!(note("psql", &["$URL"]).unwrap().contains("$URL is passed"));
        assert!(note("psql", &["x=${URL_TWO}/y"]).unwrap().contains("$URL_TWO is passed"));
        assert!(note("echo", &["$URL_TWO"]).unwrap().contains("$URL_TWO is passed"));
        assert!(note("echo", &[""]).unwrap().contains("empty"));
    }

    #[test]
    fn shells_and_other_dollars_are_left_alone() {
        assert_eq!(note("/bin/sh", &["-c", "echo $URL"]), None);
        assert_eq!(note("bash", &["-c", "echo $URL"]), None);
        assert_eq!(note("echo", &["$HOME", "costs $5", "$URLS", "plain"]), None);
    }
}
