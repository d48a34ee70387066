//! `doctor`: each step between this machine and an answer, in the order in which they can fail. The steps below
//! HTTP are probed here for their facts; what the client itself makes of them is asked of the SDK, so that the
//! doctor never blesses a connection the client would refuse.

mod probe;

use serde_json::json;

use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output::{self, plain};
use crate::ui::style;
use probe::Probe;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Fail,
    Skipped,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// One step with its outcome.
struct Check {
    name: &'static str,
    status: Status,
    detail: String,
    remedy: Option<String>,
}

/// The checks so far; after one that the others need, those are skipped.
#[derive(Default)]
struct Report {
    checks: Vec<Check>,
    /// Exit code of the first failure.
    exit: Option<Exit>,
}

impl Report {
    fn ok(&mut self, name: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { name, status: Status::Ok, detail: detail.into(), remedy: None });
    }

    fn skipped(&mut self, name: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { name, status: Status::Skipped, detail: detail.into(), remedy: None });
    }

    fn fail(&mut self, name: &'static str, exit: Exit, detail: impl Into<String>, remedy: impl Into<String>) {
        self.exit.get_or_insert(exit);
        let (detail, remedy) = (detail.into(), Some(remedy.into()));
        self.checks.push(Check { name, status: Status::Fail, detail, remedy });
    }

    fn failed(&mut self, name: &'static str, failure: Failure) {
        let remedy = failure.remedy.unwrap_or_else(|| "see the message".to_owned());
        self.fail(name, failure.exit, failure.message, remedy);
    }

    fn show(&self, context: &Context) -> Result<(), Failure> {
        if context.output.json {
            let check = |check: &Check| {
                json!({
                    "name": check.name,
                    "status": check.status.name(),
                    "detail": check.detail,
                    "remedy": check.remedy,
                })
            };
            let checks: Vec<_> = self.checks.iter().map(check).collect();
            return context.output.json(&json!({ "ok": self.exit.is_none(), "checks": checks }));
        }
        let mut text = String::new();
        for check in &self.checks {
            text.push_str(&format!(
                "{:7}  {:8}  {}\n",
                check.status.name(),
                check.name,
                plain(&check.detail)
            ));
            if let Some(remedy) = &check.remedy {
                text.push_str(&format!("{:19}try: {}\n", "", plain(remedy)));
            }
        }
        output::write(text.as_bytes())
    }
}

pub async fn doctor(context: &Context) -> Result<Exit, Failure> {
    let mut report = Report::default();
    Probe { context, report: &mut report }.all().await;
    report.show(context)?;
    match report.exit {
        None => context.output.say(&style::green("everything works")),
        Some(_) => context.output.say(&style::red("something does not work")),
    }
    Ok(report.exit.unwrap_or(Exit::Done))
}
