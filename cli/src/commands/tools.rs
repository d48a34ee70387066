//! Commands that need neither server nor session.

use std::io;
use std::path::Path;

use clap_mangen::Man;
use serde_json::json;

use crate::args::tools;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::exit::Exit;
use crate::ui::output;

/// What the foot of a manual page names.
const SOURCE: &str = concat!("veilcloud ", env!("CARGO_PKG_VERSION"));

pub fn completions(args: &tools::Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::command(), "veilcloud", &mut script);
    output::write(&script)?;
    Ok(Exit::Done)
}

pub fn man(context: &Context, args: &tools::Man) -> Result<Exit, Failure> {
    let fault = |fault| Failure::local(&format!("write to {}", args.dir.display()), &fault);
    std::fs::create_dir_all(&args.dir).map_err(fault)?;
    let mut command = crate::args::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &args.dir).map_err(fault)?;
    let value = json!({ "dir": args.dir.display().to_string() });
    context.output.done(&value, &format!("wrote the manual pages to {}", args.dir.display()))?;
    Ok(Exit::Done)
}

/// One page for the command and for each below it.
fn pages(command: &clap::Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        pages(below, dir)?;
    }
    let page = Man::new(command.clone());
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut text = format!(".TH {name} 1 \"\" \"{SOURCE}\" VeilCloud\n").into_bytes();
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    // The generator leaves out what stands before the help: our examples.
    if let Some(examples) = command.get_before_help() {
        text.extend_from_slice(literal("EXAMPLES", &examples.to_string()).as_bytes());
    }
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    if let Some(codes) = command.get_after_help() {
        text.extend_from_slice(literal("EXIT STATUS", &codes.to_string()).as_bytes());
    }
    std::fs::write(dir.join(page.get_filename()), text)
}

/// A section whose lines stand as they are; its own first line, the heading, is left out.
fn literal(heading: &str, body: &str) -> String {
    let mut text = format!(".SH {heading}\n.nf\n");
    for line in body.trim_end().lines().skip(1) {
        // `\&` keeps a line that begins with a dot or quote from being read as a request.
        text.push_str("\\&");
        text.push_str(&line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"));
        text.push('\n');
    }
    text + ".fi\n"
}

pub fn version(context: &Context) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    if context.output.json {
        context.output.json(&json!({ "name": "veilcloud", "version": version, "target": target }))?;
    } else {
        output::write(format!("veilcloud {version} ({target})\n").as_bytes())?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn a_literal_section_cannot_be_read_as_requests() {
        let text = literal("EXAMPLES", "Examples:\n.so /etc/passwd\n'x -- \\n\n");
        assert_eq!(text, ".SH EXAMPLES\n.nf\n\\&.so /etc/passwd\n\\&\\(aqx \\-\\- \\en\n.fi\n");
    }
}
