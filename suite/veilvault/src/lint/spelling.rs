//! How the age specification spells words and binary data in a header.

/// The specification's arbitrary string: one or more visible ASCII characters.
pub(super) fn is_word(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_graphic)
}

/// Canonical unpadded base64: known characters, a possible length, no bits left over.
pub(super) fn is_base64(text: &[u8]) -> bool {
    let leftover = match text.len() % 4 {
        0 => 0,
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    text.iter().all(|c| base64_value(*c).is_some())
        && text.last().and_then(|c| base64_value(*c)).is_none_or(|value| value & leftover == 0)
}

fn base64_value(c: u8) -> Option<u8> {
    Some(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}
