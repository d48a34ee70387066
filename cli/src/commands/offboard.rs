//! Taking somebody out of everything.

use serde_json::{Value, json};
use veilcloud_sdk::{LeftProject, LeftStep, OffboardReport, Project};

use super::outcome::{self, Left, error_of};
use super::teams::person;
use crate::args::share::Offboard;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output::plain;
use crate::ui::progress;

/// What was told of one project.
struct Told {
    value: Value,
    is_done: bool,
    still_in: Option<String>,
}

pub async fn offboard(context: &Context, args: Offboard) -> Result<Exit, Failure> {
    if args.report {
        return report(context, &args.who).await;
    }
    let act = format!("this takes {} out of every team and project that you manage", args.who);
    context.prompt.confirm(&act, &args.who, args.yes)?;
    let client = context.client()?;
    let account = person(&client, &args.who).await?;
    let bar = progress::count(context.output, "keys");
    let report = client.offboard(account, bar).await?;
    let is_complete = report.is_complete();
    let OffboardReport { teams, projects, unseen, faults, .. } = report;
    let mut open = 0;
    let mut left_teams = Vec::new();
    let mut teams_told = Vec::new();
    for left in teams {
        let error = left.error.map(error_of);
        match &error {
            None => left_teams.push(left.team.id.to_string()),
            Some(_) => open += 1,
        }
        let said =
            error.as_ref().map_or_else(|| "taken out".to_owned(), |(_, said)| format!("FAILED: {said}"));
        context.output.say(&plain(&format!("team {}: {said}", left.team.name)));
        teams_told.push(json!({
            "team": left.team.name,
            "team_id": left.team.id.to_string(),
            "status": if error.is_none() { "done" } else { "failed" },
            "error": error.map(|(value, _)| value),
        }));
    }
    let told: Vec<Told> = projects.into_iter().map(|left| tell(context, left)).collect();
    open += told.iter().filter(|told| !told.is_done).count() + faults.len();
    let faults: Vec<Value> = faults
        .into_iter()
        .map(|fault| {
            let (value, said) = error_of(fault);
            context.output.say(&plain(&format!("FAILED: {said}")));
            value
        })
        .collect();
    for project in &unseen {
        context.output.say(&format!(
            "warning: this machine knows project {project}, which the server does not show: deleted elsewhere, or hidden"
        ));
    }
    let value = json!({
        "account_id": account.to_string(),
        "complete": is_complete,
        "teams": left_teams,
        "team_steps": teams_told,
        "projects": told.iter().map(|told| told.value.clone()).collect::<Vec<_>>(),
        "unseen_projects": unseen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "faults": faults,
    });
    let done = told.iter().filter(|told| told.is_done).count();
    let sentence = format!("{} is out of {} teams and {done} projects", args.who, left_teams.len());
    context.output.done(&value, &sentence)?;
    if !is_complete {
        let message = format!("{} steps of taking {} out failed", open.max(1), args.who);
        let remedy = "see to what is said above, then run it again: it goes on with what is left";
        return Err(Failure::new(Exit::Incomplete, "INCOMPLETE", message).try_this(remedy));
    }
    let still_in: Vec<String> = told.into_iter().filter_map(|told| told.still_in).collect();
    if !still_in.is_empty() {
        let message = format!("{} can still get at {}", args.who, still_in.join(", "));
        let remedy = "who owns a project cannot be taken out of it: move its content to one of yours";
        return Err(Failure::new(Exit::Denied, "STILL_IN", message).try_this(remedy));
    }
    Ok(Exit::Done)
}

/// What somebody could open in each project, or can.
async fn report(context: &Context, who: &str) -> Result<Exit, Failure> {
    let client = context.client()?;
    let account = person(&client, who).await?;
    let mut projects = client.projects().list().await?;
    projects.extend(client.projects().list_shared().await?);
    let (mut told, mut open) = (Vec::new(), 0);
    for project in &projects {
        let (exposure, left) = match client.projects().exposure(project, &[account]).await {
            Ok((mut report, left)) => {
                report.environments.retain(|found| found.could_open.is_some() || !found.read.is_empty());
                (Ok(report), left.into_iter().map(Left::of).collect())
            }
            Err(e) => (Err(error_of(e)), Vec::new()),
        };
        let is_whole = exposure.is_ok() && left.is_empty();
        open += usize::from(!is_whole);
        if is_whole && exposure.as_ref().is_ok_and(|report| report.environments.is_empty()) {
            continue;
        }
        context.output.say(&format!("{}:", project.name));
        left.iter().for_each(|left| left.tell(context));
        let mut value = named(project, if is_whole { "done" } else { "incomplete" }, Value::Null);
        value["complete"] = is_whole.into();
        value["unfinished"] = left.iter().map(Left::value).collect();
        match exposure {
            Ok(report) => {
                outcome::tell_exposure(context, Some(&report));
                value["exposure"] = outcome::exposure_value(&report);
            }
            Err((error, said)) => {
                context.output.say(&plain(&format!("  FAILED: {said}")));
                value["error"] = error;
            }
        }
        told.push(value);
    }
    let sentence = format!("{who} could open something in {} projects", told.len());
    let value = json!({ "account_id": account.to_string(), "complete": open == 0, "projects": told });
    context.output.done(&value, &sentence)?;
    match open {
        0 => Ok(Exit::Done),
        _ => Err(Failure::new(
            Exit::Incomplete,
            "INCOMPLETE",
            format!("{open} projects were not read in whole"),
        )),
    }
}

fn tell(context: &Context, left: LeftProject) -> Told {
    let LeftProject { project, step, still_may, .. } = left;
    let still_in = (!still_may.is_empty()).then(|| format!("{} ({})", project.name, still_may.join(" ")));
    let (mut value, is_done) = match step {
        LeftStep::Out(mut outcome) => {
            let open = outcome::left_of(&mut outcome);
            let said = if open.is_empty() { "new access list and keys" } else { "NOT FINISHED" };
            context.output.say(&format!("{}: {said}", project.name));
            open.iter().for_each(|left| left.tell(context));
            outcome::tell_vouched(context, &outcome.vouched);
            outcome::tell_exposure(context, outcome.exposure.as_ref());
            let mut value = outcome::value(&project, &outcome, &open);
            value["status"] = if open.is_empty() { "done" } else { "incomplete" }.into();
            (value, open.is_empty())
        }
        LeftStep::Failed(error) => {
            let (error, said) = error_of(error);
            context.output.say(&plain(&format!("{}: FAILED: {said}", project.name)));
            (named(&project, "failed", error), false)
        }
        _ => {
            context.output.say(&format!("{}: not tried", project.name));
            (named(&project, "not_tried", Value::Null), false)
        }
    };
    value["still_may"] = still_may.into();
    Told { value, is_done, still_in }
}

fn named(project: &Project, status: &str, error: Value) -> Value {
    json!({
        "project": project.name,
        "project_id": project.id.to_string(),
        "status": status,
        "complete": false,
        "error": error,
    })
}
