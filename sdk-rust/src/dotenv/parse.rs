//! The dotenv reader: one pass over the text, one [`Entry`] for each assignment, in the order written.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{Error, KEYS_MAX, TEXT_LEN_MAX, is_key};

/// One assignment as it stands in the text. It holds a secret, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value with quotes and escapes resolved.
    pub value: Zeroizing<String>,
    /// Line of the key, from 1.
    pub line: usize,
    /// Bytes of the key in the text.
    pub key_span: Range<usize>,
    /// Bytes of the value in the text, its quotes included; empty at the place of an empty value.
    pub value_span: Range<usize>,
}

/// Reads dotenv text. Duplicate keys are kept; [`super::Variables`] lets the last one count.
///
/// # Errors
/// [`Error`] with the line of the first fault.
pub fn parse(text: &str) -> Result<Vec<Entry>, Error> {
    if text.len() > TEXT_LEN_MAX {
        return Err(Error::TextTooLong { len: text.len() });
    }
    if let Some(at) = text.find('\0') {
        return Err(Error::Nul { line: line_at(text.as_bytes(), at) });
    }
    let mut reader = Reader { text, at: 0, line: 1 };
    reader.skip("\u{feff}");
    let mut entries = Vec::new();
    while reader.at < text.len() {
        if let Some(entry) = reader.line()? {
            if entries.len() == KEYS_MAX {
                return Err(Error::TooManyKeys { line: entry.line });
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// [`parse`] for bytes that may not be text at all.
///
/// # Errors
/// [`Error::NotUtf8`] and the errors of [`parse`].
pub fn parse_bytes(bytes: &[u8]) -> Result<Vec<Entry>, Error> {
    if bytes.len() > TEXT_LEN_MAX {
        return Err(Error::TextTooLong { len: bytes.len() });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|fault| Error::NotUtf8 { line: line_at(bytes, fault.valid_up_to()) })?;
    parse(text)
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}

struct Reader<'a> {
    text: &'a str,
    /// Next byte to read, always on a character boundary.
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    /// What is left of the present line, without its end.
    fn line_rest(&self) -> &'a str {
        let rest = self.rest();
        let line = rest.find('\n').map_or(rest, |end| &rest[..end]);
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn next_line(&mut self) {
        match self.rest().find('\n') {
            Some(end) => {
                self.at += end + 1;
                self.line += 1;
            }
            None => self.at = self.text.len(),
        }
    }

    fn line(&mut self) -> Result<Option<Entry>, Error> {
        self.skip_blanks();
        let line = self.line_rest();
        if line.is_empty() || line.starts_with('#') {
            self.next_line();
            return Ok(None);
        }
        let (key_span, line) = (self.key()?, self.line);
        self.skip_blanks();
        let (value, value_span) = self.value()?;
        Ok(Some(Entry { key: self.text[key_span.clone()].to_owned(), value, line, key_span, value_span }))
    }

    fn key(&mut self) -> Result<Range<usize>, Error> {
        let line = self.line_rest();
        // `export = 1` is a key named export; `export A=1` is a shell line.
        let shell = line.strip_prefix("export").filter(|rest| {
            rest.starts_with([' ', '\t']) && !rest.trim_start_matches([' ', '\t']).starts_with('=')
        });
        if shell.is_some() {
            self.at += "export".len();
            self.skip_blanks();
        }
        let line = self.line_rest();
        let equals = line.find('=').ok_or(Error::MissingEquals { line: self.line })?;
        let key = line[..equals].trim_end_matches([' ', '\t']);
        if !is_key(key) {
            return Err(Error::BadKey { line: self.line });
        }
        let span = self.at..self.at + key.len();
        self.at += equals + 1;
        Ok(span)
    }

    fn value(&mut self) -> Result<(Zeroizing<String>, Range<usize>), Error> {
        let quote = self.line_rest().chars().next().filter(|mark| matches!(mark, '\'' | '"'));
        let Some(quote) = quote else { return Ok(self.unquoted()) };
        let start = self.at;
        let body_len =
            closing_quote(&self.rest()[1..], quote).ok_or(Error::UnclosedQuote { line: self.line, quote })?;
        let body = &self.rest()[1..1 + body_len];
        let value = match quote {
            '"' => unescape(body),
            _ => Zeroizing::new(body.replace("\r\n", "\n")),
        };
        self.line += body.matches('\n').count();
        self.at += body_len + 2;
        let span = start..self.at;
        let tail = self.line_rest().trim_start_matches([' ', '\t']);
        if !tail.is_empty() && !tail.starts_with('#') {
            return Err(Error::TextAfterQuote { line: self.line });
        }
        self.next_line();
        Ok((value, span))
    }

    fn unquoted(&mut self) -> (Zeroizing<String>, Range<usize>) {
        let line = self.line_rest();
        // The blank that makes a comment of `#` may also be the one skipped before the value.
        let before_blank = self.text[..self.at].ends_with([' ', '\t']);
        let comment = line.match_indices('#').map(|(at, _)| at).find(|at| match at {
            0 => before_blank,
            _ => line[..*at].ends_with([' ', '\t']),
        });
        let value = line[..comment.unwrap_or(line.len())].trim_end_matches([' ', '\t']);
        let span = self.at..self.at + value.len();
        self.next_line();
        (Zeroizing::new(value.to_owned()), span)
    }
}

/// Length of the quoted body that starts `rest`, up to its closing quote.
fn closing_quote(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, mark) in rest.char_indices() {
        match mark {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if mark == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(body: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(body.len()));
    let mut marks = body.chars().peekable();
    while let Some(mark) = marks.next() {
        let next = marks.peek().copied();
        let resolved = match (mark, next) {
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('t')) => '\t',
            ('\\', Some(same @ ('\\' | '"' | '\'' | '$' | '`'))) => same,
            ('\r', Some('\n')) => '\n',
            _ => {
                value.push(mark);
                continue;
            }
        };
        value.push(resolved);
        marks.next();
    }
    value
}
