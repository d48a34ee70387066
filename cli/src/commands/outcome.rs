//! What a change of shares did, told to people and programs: also what of it failed, and what has to be changed at its
//! source.

use serde_json::{Value, json};
use veilcloud_sdk::{AccountId, Error, Exposure, ExposureReport, Project, ShareOutcome, Unfinished, Vouched};

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output::plain;

/// Something that was not done.
pub struct Left {
    what: String,
    value: Value,
    failure: Failure,
}

impl Left {
    pub fn of(unfinished: Unfinished) -> Self {
        let Unfinished { environment, step, error, .. } = unfinished;
        let what = environment.clone().unwrap_or_else(|| "project".to_owned());
        let failure = Failure::from(error);
        let mut value = error_value(&failure);
        value["environment"] = environment.into();
        value["step"] = step.into();
        Self { what, value, failure }
    }

    pub fn value(&self) -> Value {
        self.value.clone()
    }

    pub fn tell(&self, context: &Context) {
        let (what, failure) = (&self.what, &self.failure);
        context.output.say(&plain(&format!("  {what}: {} ({})", failure.message, failure.reason)));
    }
}

/// Reason, message and remedy of a failure.
pub fn error_value(failure: &Failure) -> Value {
    json!({ "reason": failure.reason, "message": failure.message, "remedy": failure.remedy })
}

/// The same of an error that ends nothing.
pub fn error_of(error: Error) -> (Value, String) {
    let failure = Failure::from(error);
    (error_value(&failure), format!("{} ({})", failure.message, failure.reason))
}

/// What was not done; the outcome keeps the rest.
pub fn left_of(outcome: &mut ShareOutcome) -> Vec<Left> {
    std::mem::take(&mut outcome.unfinished).into_iter().map(Left::of).collect()
}

/// Tells the outcome of a change of one project; fails when it is not complete.
pub fn tell(
    context: &Context,
    project: &Project,
    mut outcome: ShareOutcome,
    more: &[(&str, Value)],
    sentence: &str,
) -> Result<(), Failure> {
    let left = left_of(&mut outcome);
    let mut value = value(project, &outcome, &left);
    for (name, more) in more {
        value[*name] = more.clone();
    }
    context.output.done(&value, sentence)?;
    tell_vouched(context, &outcome.vouched);
    tell_exposure(context, outcome.exposure.as_ref());
    if left.is_empty() {
        return Ok(());
    }
    context.output.say("Not done:");
    left.iter().for_each(|left| left.tell(context));
    let message = format!("{} is not finished: {} steps failed", project.name, left.len());
    let remedy = format!("see to what is said above, then run veilcloud share sync {}", project.name);
    Err(Failure::new(Exit::Incomplete, "INCOMPLETE", message).try_this(remedy))
}

pub fn value(project: &Project, outcome: &ShareOutcome, left: &[Left]) -> Value {
    let ids = |accounts: &[AccountId]| accounts.iter().map(AccountId::to_string).collect::<Vec<_>>();
    json!({
        "project": project.name,
        "project_id": project.id.to_string(),
        "access_list": outcome.access_list,
        "added": ids(&outcome.added),
        "removed": ids(&outcome.removed),
        "keys_added": outcome.keys_added,
        "rotated": outcome.rotated,
        "vouched": outcome.vouched.iter().map(vouched_value).collect::<Vec<_>>(),
        "exposure": outcome.exposure.as_ref().map(exposure_value),
        "complete": left.is_empty(),
        "unfinished": left.iter().map(Left::value).collect::<Vec<_>>(),
    })
}

pub fn vouched_value(vouched: &Vouched) -> Value {
    json!({
        "environment": vouched.environment,
        "version": vouched.version,
        "author_id": vouched.author_id.to_string(),
    })
}

/// Content that was sealed anew and is signed by this account now.
pub fn tell_vouched<'a>(context: &Context, vouched: impl IntoIterator<Item = &'a Vouched>) {
    for found in vouched {
        let (environment, version, author) = (&found.environment, found.version, found.author_id);
        context.output.say(&format!(
            "warning: {environment}: version {version} was written by account {author}, who is not in the project any more; \
             its content is signed by you now: look at it"
        ));
    }
}

pub fn exposure_value(report: &ExposureReport) -> Value {
    let environments = report.environments.iter().map(|found| {
        let (could_open, basis) = found.could_open.unzip();
        json!({
            "environment": found.environment,
            "environment_id": found.environment_id.to_string(),
            "could_open": could_open,
            "basis": basis.map(|basis| basis.as_str()),
            "shown": found.is_shown,
            "deleted": found.is_deleted,
            "read": found.read,
            "read_basis": report.is_log_read.then_some("log"),
        })
    });
    json!({
        "accounts": report.accounts.iter().map(AccountId::to_string).collect::<Vec<_>>(),
        "log_read": report.is_log_read,
        "environments": environments.collect::<Vec<_>>(),
    })
}

/// What has to be changed at its source.
pub fn tell_exposure(context: &Context, report: Option<&ExposureReport>) {
    let Some(report) = report else { return };
    context.output.say("What they could open, and has not changed since (change it at its source):");
    for found in &report.environments {
        context.output.say(&plain(&exposure_line(found, report.is_log_read)));
    }
    if report.is_log_read {
        context.output.say("  (a server that hides a read writes none: go by what they could open)");
    }
}

fn exposure_line(found: &Exposure, is_log_read: bool) -> String {
    let name = found.environment.clone().unwrap_or_else(|| format!("({})", found.environment_id));
    let state = match (found.is_deleted, found.is_shown) {
        (true, _) => ", deleted",
        (false, true) => "",
        (false, false) => ", not shown by the server",
    };
    let could = match found.could_open {
        Some((version, basis)) => format!("version {version} (by the {})", basis.as_str()),
        None => "nothing".to_owned(),
    };
    let read: Vec<String> = found.read.iter().map(u64::to_string).collect();
    let read = match (is_log_read, read.is_empty()) {
        (false, _) => "the log is not open to you".to_owned(),
        (true, true) => "no read in the log".to_owned(),
        (true, false) => format!("read {}", read.join(", ")),
    };
    format!("  {name}{state}: {could}; {read}")
}
