//! The dotenv writer: what it writes, [`super::parse`] reads back with the same keys and values.

use zeroize::Zeroizing;

use super::Variables;

/// Writes dotenv text, one line for each variable. A value is left bare when no reader could mistake it,
/// else single-quoted (no reader substitutes there), else double-quoted with escapes; a line break becomes
/// `\n` in double quotes, which other dotenv readers also know.
#[must_use]
pub fn write(variables: &Variables) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (key, value) in variables.iter() {
        text.push_str(key);
        text.push('=');
        push_value(&mut text, value);
        text.push('\n');
    }
    text
}

fn push_value(text: &mut String, value: &str) {
    let bare = |mark: char| mark.is_ascii_alphanumeric() || "_./:@%+,=-".contains(mark);
    if value.chars().all(bare) {
        text.push_str(value);
    } else if !value.contains(['\'', '\n', '\r']) {
        text.extend(["'", value, "'"]);
    } else {
        text.push('"');
        for mark in value.chars() {
            match mark {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\\' | '"' | '$' | '`' => text.extend(['\\', mark]),
                _ => text.push(mark),
            }
        }
        text.push('"');
    }
}
