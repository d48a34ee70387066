//! A flat YAML mapping as an environment. Scalars are taken as they were written, not as YAML types them:
//! `NO`, `1.10` and `0755` keep their text, `null`, `~` and nothing become the empty value.
//!
//! Read from parser events, so that a tag, an alias or a second document is refused before it can mean anything.

use yaml_rust2::Event;
use yaml_rust2::parser::{Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;
use zeroize::Zeroizing;

use super::{Error, KEYS_MAX, TEXT_LEN_MAX, Variables, is_key};

/// Reads one YAML document that is one mapping of plain values.
///
/// # Errors
/// [`Error`]; lists, nested mappings, aliases, tags other than `!!str` and keys given twice are refused.
pub fn from_yaml(text: &str) -> Result<Variables, Error> {
    if text.len() > TEXT_LEN_MAX {
        return Err(Error::TextTooLong { len: text.len() });
    }
    let mut events = Events { parser: Parser::new_from_str(text), line: 1 };
    let mut variables = Variables::new();
    events.expect(&Event::StreamStart)?;
    match events.next()? {
        // An empty file is an empty environment.
        Event::StreamEnd => return Ok(variables),
        Event::DocumentStart => {}
        _ => return Err(events.fault("expected a document")),
    }
    match events.next()? {
        Event::MappingStart(_, None) => {}
        Event::Scalar(value, TScalarStyle::Plain, _, None) if value.is_empty() || value == "~" => {
            return events.end(variables);
        }
        _ => return Err(events.fault("the document is not a mapping")),
    }
    loop {
        let key = match events.next()? {
            Event::MappingEnd => return events.end(variables),
            Event::Scalar(key, ..) => key,
            _ => return Err(events.fault("a key is not plain text")),
        };
        let line = events.line;
        if !is_key(&key) {
            return Err(Error::BadKey { line });
        }
        if variables.len() == KEYS_MAX {
            return Err(Error::TooManyKeys { line });
        }
        if variables.get(&key).is_some() {
            return Err(Error::DuplicateKey { line, key });
        }
        let value = events.value(&key)?;
        variables.set(key, value);
    }
}

/// Writes a YAML mapping, one line for each variable, every value a double-quoted string.
#[must_use]
pub fn to_yaml(variables: &Variables) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    if variables.is_empty() {
        text.push_str("{}\n");
    }
    for (key, value) in variables.iter() {
        // A bare `no` or `null` is not a string to every reader; a quoted key is one to all.
        match key.len() <= 5 || key.contains(['.', '-']) {
            true => push_quoted(&mut text, key),
            false => text.push_str(key),
        }
        text.push_str(": ");
        push_quoted(&mut text, value);
        text.push('\n');
    }
    text
}

fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for mark in value.chars() {
        match mark {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' | '"' => text.extend(['\\', mark]),
            // Line breaks of YAML 1.1, and the byte order mark, which some readers drop.
            '\u{2028}' | '\u{2029}' | '\u{feff}' => text.push_str(&format!("\\u{:04X}", u32::from(mark))),
            _ if mark.is_control() => text.push_str(&format!("\\u{:04X}", u32::from(mark))),
            _ => text.push(mark),
        }
    }
    text.push('"');
}

struct Events<'a> {
    parser: Parser<std::str::Chars<'a>>,
    line: usize,
}

impl Events<'_> {
    fn next(&mut self) -> Result<Event, Error> {
        let (event, mark) = self
            .parser
            .next_token()
            .map_err(|fault| Error::Yaml { line: fault.marker().line(), fault: "it cannot be parsed" })?;
        self.line = mark.line();
        Ok(event)
    }

    fn fault(&self, fault: &'static str) -> Error {
        Error::Yaml { line: self.line, fault }
    }

    fn expect(&mut self, wanted: &Event) -> Result<(), Error> {
        match self.next()? == *wanted {
            true => Ok(()),
            false => Err(self.fault("expected one document")),
        }
    }

    fn end(mut self, variables: Variables) -> Result<Variables, Error> {
        self.expect(&Event::DocumentEnd)?;
        self.expect(&Event::StreamEnd)?;
        Ok(variables)
    }

    fn value(&mut self, key: &str) -> Result<Zeroizing<String>, Error> {
        match self.next()? {
            Event::Scalar(value, style, _, tag) => {
                let value = Zeroizing::new(value);
                let text = tag.as_ref().is_some_and(is_string);
                if tag.is_some() && !text {
                    return Err(self.fault("a tag other than !!str"));
                }
                if value.contains('\0') {
                    return Err(Error::Nul { line: self.line });
                }
                let bare = style == TScalarStyle::Plain && !text;
                let null = bare && matches!(value.as_str(), "" | "~" | "null" | "Null" | "NULL");
                Ok(if null { Zeroizing::default() } else { value })
            }
            Event::Alias(_) => Err(self.fault("an alias")),
            _ => Err(Error::Nested { line: self.line, key: key.to_owned() }),
        }
    }
}

fn is_string(tag: &Tag) -> bool {
    tag.handle == "tag:yaml.org,2002:" && tag.suffix == "str"
}
