//! Standard output carries the answer and nothing else; standard error carries the talk.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::error::Failure;
use super::table::table;

/// One line on standard error. A terminal that went away is no reason to fail.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Bytes on standard output, all of them or an error.
pub fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|fault| Failure::output(&fault))
}

/// Text for a terminal: what a server put into it must not move the cursor or change a title.
pub fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// The same for lines of our own that name something of a server's.
pub fn plain_lines(text: &str) -> String {
    text.replace(|mark: char| mark.is_control() && mark != '\n', "\u{fffd}")
}

/// JSON for a terminal: serde leaves DEL and the C1 controls in strings as they are. Line breaks between values stay.
pub fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for mark in json.chars() {
        match mark.is_control() && mark != '\n' {
            true => text.push_str(&format!("\\u{:04x}", u32::from(mark))),
            false => text.push(mark),
        }
    }
    text
}

/// What the person asked to see.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
    pub quiet: bool,
}

impl Output {
    /// Talk for people: not with --quiet, and not mixed into machine output.
    pub fn say(&self, line: &str) {
        if !self.quiet && !self.json {
            say(line);
        }
    }

    /// The next step, for whoever sits at the terminal.
    pub fn hint(&self, command: &str) {
        if io::stderr().is_terminal() {
            self.say(&format!("next: {}", super::style::bold(&plain(command))));
        }
    }

    /// Whether a progress bar may be drawn.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    pub fn json(&self, value: &Value) -> Result<(), Failure> {
        write(escaped(&format!("{value:#}\n")).as_bytes())
    }

    /// One object: JSON, or one `name  value` line for each of `lines`.
    pub fn object(&self, value: &Value, lines: &[(&str, String)]) -> Result<(), Failure> {
        if self.json {
            return self.json(value);
        }
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let line = |(name, value): &(&str, String)| format!("{name:width$}  {}\n", plain(value));
        let text: String = lines.iter().map(line).collect();
        write(text.as_bytes())
    }

    /// A list: JSON under `name`, or a table.
    pub fn list(
        &self,
        name: &str,
        items: Vec<Value>,
        head: &[&str],
        rows: Vec<Vec<String>>,
    ) -> Result<(), Failure> {
        if self.json {
            return self.json(&serde_json::json!({ name: items }));
        }
        if rows.is_empty() {
            self.say(&format!("no {name}"));
            return Ok(());
        }
        write(table(head, rows).as_bytes())
    }

    /// What a changing command did: JSON on standard output, or a sentence on standard error.
    pub fn done(&self, value: &Value, sentence: &str) -> Result<(), Failure> {
        if self.json {
            return self.json(value);
        }
        self.say(&plain(sentence));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_does_not_steer_the_terminal() {
        let said = "a@b\n\u{1b}]0;title\u{7}\u{9b}2J\u{7f}";
        assert!(!plain(said).chars().any(char::is_control));
        assert_eq!(plain("alice@example.com"), "alice@example.com");
        let value = serde_json::json!({ "email": said });
        let shown = escaped(&format!("{value:#}"));
        assert!(!shown.chars().any(|mark| mark.is_control() && mark != '\n'), "{shown:?}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value, "and says the same");
    }
}
