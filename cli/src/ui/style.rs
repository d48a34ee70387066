//! Colour on standard error: only on a terminal, never with NO_COLOR or TERM=dumb, always with CLICOLOR_FORCE.

use std::io::IsTerminal;

pub fn red(text: &str) -> String {
    paint("31;1", text)
}

pub fn green(text: &str) -> String {
    paint("32", text)
}

pub fn bold(text: &str) -> String {
    paint("1", text)
}

fn paint(code: &str, text: &str) -> String {
    match wanted(|name| std::env::var(name).ok(), std::io::stderr().is_terminal()) {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    }
}

fn wanted(var: impl Fn(&str) -> Option<String>, terminal: bool) -> bool {
    let set = |name: &str| var(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") {
        return false;
    }
    if var("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") {
        return true;
    }
    terminal && var("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn colour_follows_the_terminal_and_the_usual_variables() {
        let vars = |list: &'static [(&str, &str)]| {
            move |name: &str| list.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert!(wanted(vars(&[]), true));
        assert!(!wanted(vars(&[]), false));
        assert!(!wanted(vars(&[("NO_COLOR", "1")]), true));
        assert!(wanted(vars(&[("NO_COLOR", "")]), true));
        assert!(!wanted(vars(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), true));
        assert!(wanted(vars(&[("CLICOLOR_FORCE", "1")]), false));
        assert!(!wanted(vars(&[("CLICOLOR_FORCE", "0")]), false));
        assert!(!wanted(vars(&[("TERM", "dumb")]), true));
    }
}
