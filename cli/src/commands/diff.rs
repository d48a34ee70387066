//! `diff`: two environments, compared on this machine.

use veilcloud_sdk::dotenv::{Diff, mask};

use super::content;
use crate::args;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output;

pub async fn diff(context: &Context, args: args::storage::Diff) -> Result<Exit, Failure> {
    let (client, project) = context.project(&args.project).await?;
    let old = content::variables(&client, &project, &args.old, None).await?;
    let new = content::variables(&client, &project, &args.new, None).await?;
    let diff = Diff::between(&old, &new);
    if context.output.json {
        context.output.json(&content::changes(&diff, args.reveal))?;
    } else {
        // A value with line breaks stays on its line.
        let whole = |value: &str| value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        let shown: &dyn Fn(&str) -> String = if args.reveal { &whole } else { &mask };
        let lines = diff.changes().iter().map(|change| content::change_line(change, shown) + "\n");
        output::write(lines.collect::<String>().as_bytes())?;
        if diff.is_empty() {
            context.output.say(&format!("{} and {} have the same variables", args.old, args.new));
        }
    }
    Ok(if args.exit_code && !diff.is_empty() { Exit::Other } else { Exit::Done })
}
