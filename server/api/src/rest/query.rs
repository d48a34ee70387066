//! Percent-decoding, once, and what a text may say for a field.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use prost_reflect::{FieldDescriptor, Kind, Value};

use crate::status::Fault;

/// Decodes `%xx`, and `+` as a space where a query says so. `None` for a broken escape or bytes that are no UTF-8.
pub fn percent_decode(text: &str, plus: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// A decoded path segment that is plainly one name: nothing that a file system or a second decoder would read otherwise.
pub fn path_segment(raw: &str) -> Option<String> {
    let text = percent_decode(raw, false)?;
    let tricky = |c: char| c.is_control() || matches!(c, '/' | '\\' | '%');
    let plain = !text.is_empty() && text != "." && text != ".." && !text.chars().any(tricky);
    plain.then_some(text)
}

/// The pairs of a query, decoded.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Fault> {
    let decode = |text: &str| percent_decode(text, true);
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((decode(name)?, decode(value)?))
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| pair(part).ok_or_else(|| Fault::field("query", "format", "is not percent-encoded UTF-8")))
        .collect()
}

/// Whether a text can stand for the field: REST binds such fields from path, query and headers.
pub fn bindable(field: &FieldDescriptor) -> bool {
    let kind = matches!(field.kind(), Kind::String | Kind::Bytes | Kind::Uint32 | Kind::Uint64 | Kind::Bool);
    kind && !field.is_list() && !field.is_map()
}

/// The field's value in this text; bytes are base64url without padding.
pub fn value(field: &FieldDescriptor, text: &str) -> Result<Value, Fault> {
    let wrong = |wanted: &str| Fault::field(field.name(), "format", format!("must be {wanted}"));
    // One number has one text: no sign, no leading zero.
    let digits = || {
        let canonical = text == "0" || !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u64>().ok().filter(|_| canonical).ok_or_else(|| wrong("a decimal number"))
    };
    match field.kind() {
        Kind::String => Ok(Value::String(text.to_owned())),
        Kind::Bytes => {
            let bytes =
                BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| wrong("base64url without padding"))?;
            Ok(Value::Bytes(Bytes::from(bytes)))
        }
        Kind::Uint32 => u32::try_from(digits()?).map(Value::U32).map_err(|_| wrong("a number of 32 bits")),
        Kind::Uint64 => Ok(Value::U64(digits()?)),
        Kind::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong("true or false")),
        },
        _ => Err(wrong("in the body")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use veilcloud_proto::POOL;

    use super::*;

    #[test]
    fn a_path_segment_is_decoded_once() {
        assert_eq!(path_segment("production").as_deref(), Some("production"));
        assert_eq!(path_segment("a%2Db").as_deref(), Some("a-b"));
        assert_eq!(path_segment("a+b").as_deref(), Some("a+b"));
        for trick in [
            "",
            ".",
            "..",
            "%2e%2e",
            "%2E.",
            "a%2fb",
            "a%2Fb",
            "a%5cb",
            "a\\b",
            "a%00",
            "a%0a",
            "%252e%252e",
            "a%25",
            "%",
            "%2",
            "%zz",
            "%ff",
            "%c3%28",
            "%7f",
        ] {
            assert_eq!(path_segment(trick), None, "{trick}");
        }
    }

    #[test]
    fn a_query_is_read_as_sent() {
        let read = |text: &str| pairs(text).unwrap();
        assert_eq!(
            read("a=1&b=x%20y+z&c"),
            [("a", "1"), ("b", "x y z"), ("c", "")].map(|(n, v)| (n.into(), v.into()))
        );
        assert_eq!(read(""), []);
        assert!(pairs("a=%").is_err() && pairs("a=%ff").is_err());
    }

    #[test]
    fn numbers_have_one_text() {
        let message = POOL.get_message_by_name("veilcloud.storage.v1.PutChunkRequest").unwrap();
        let index = message.get_field_by_name("index").unwrap();
        assert_eq!(value(&index, "0").unwrap(), Value::U32(0));
        assert_eq!(value(&index, "4294967295").unwrap(), Value::U32(u32::MAX));
        for bad in ["", "-1", "+1", "01", "00", "1.0", "1e3", " 1", "4294967296", "0x1", "१"] {
            assert!(value(&index, bad).is_err(), "{bad:?}");
        }
        let digest = message.get_field_by_name("digest").unwrap();
        assert_eq!(value(&digest, "-_8").unwrap(), Value::Bytes(Bytes::from_static(&[0xfb, 0xff])));
        for bad in ["+/8", "-_8=", "-_9", "ä"] {
            assert!(value(&digest, bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_segment_makes_the_decoder_panic_or_hides_a_separator(text in "[a-z%0-9a-fA-F./\\\\]{0,12}|\\PC{0,8}") {
            if let Some(segment) = path_segment(&text) {
                prop_assert!(!segment.contains(['/', '\\', '%', '\0']) && segment != ".." && !segment.is_empty());
            }
            let _ = pairs(&text);
        }

        #[test]
        fn what_was_encoded_is_read_back(text: String) {
            let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(percent_decode(&encoded, true), Some(text));
        }
    }
}
