//! The form of the answer. `--output` is the global option for it; `audit export` means by it where its answer goes, as
//! every exporter does, so that the value may be a path there and nowhere else.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;

use super::audit::{Audit, AuditCommand};
use super::{Cli, Command};

const FORMS: [&str; 2] = ["table", "json"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Table,
    Json,
    /// A place: for `audit export` alone.
    To(PathBuf),
}

#[derive(Clone)]
pub struct FormParser;

impl TypedValueParser for FormParser {
    type Value = Output;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Output, clap::Error> {
        match value.to_str() {
            Some("table") => Ok(Output::Table),
            Some("json") => Ok(Output::Json),
            Some("") => Err(invalid(command.clone(), "")),
            _ => Ok(Output::To(value.into())),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(FORMS.iter().copied().map(PossibleValue::new)))
    }
}

/// The parser's refusal of a place where a form is meant.
pub fn refuse(cli: &Cli) -> Option<clap::Error> {
    let Output::To(place) = &cli.global.output else { return None };
    match &cli.command {
        Command::Audit(Audit { command: AuditCommand::Export { .. } }) => None,
        _ => Some(invalid(super::command(), &place.display().to_string())),
    }
}

fn invalid(mut command: clap::Command, value: &str) -> clap::Error {
    let message =
        format!("invalid value '{value}' for '--output <FORM>'\n  [possible values: {}]", FORMS.join(", "));
    command.error(ErrorKind::InvalidValue, message)
}
