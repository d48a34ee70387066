//! A flat JSON object as an environment. Numbers keep their text (`1.10` stays `1.10`), booleans become
//! `true` and `false`, null becomes the empty value, because dotenv has none.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Error, KEYS_MAX, TEXT_LEN_MAX, Variables, is_key};

/// Reads one JSON object whose values are strings, numbers, booleans or null.
///
/// # Errors
/// [`Error`]; a key given twice is refused, since the order of an object's members means nothing.
pub fn from_json(text: &str) -> Result<Variables, Error> {
    if text.len() > TEXT_LEN_MAX {
        return Err(Error::TextTooLong { len: text.len() });
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Members).and_then(|members| json.end().map(|()| members));
    let members = members.map_err(|fault| Error::Json { line: fault.line(), column: fault.column() })?;
    let mut variables = Variables::new();
    for (key, raw) in members {
        if !is_key(&key) {
            return Err(Error::BadKey { line: 0 });
        }
        if variables.len() == KEYS_MAX {
            return Err(Error::TooManyKeys { line: 0 });
        }
        if variables.get(&key).is_some() {
            return Err(Error::DuplicateKey { line: 0, key });
        }
        let value = plain(raw.get()).ok_or_else(|| Error::Nested { line: 0, key: key.clone() })?;
        if value.contains('\0') {
            return Err(Error::Nul { line: 0 });
        }
        variables.set(key, value);
    }
    Ok(variables)
}

/// Writes one JSON object of strings, indented, ending in a line break.
#[must_use]
pub fn to_json(variables: &Variables) -> Zeroizing<String> {
    let mut bytes = Vec::new();
    let mut json = serde_json::Serializer::pretty(&mut bytes);
    let written = json.serialize_map(Some(variables.len())).and_then(|mut map| {
        for (key, value) in variables.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    });
    written.expect("strings into memory: neither can fail");
    bytes.push(b'\n');
    Zeroizing::new(String::from_utf8(bytes).expect("json is utf-8"))
}

fn plain(raw: &str) -> Option<Zeroizing<String>> {
    match raw.as_bytes().first()? {
        b'{' | b'[' => None,
        b'"' => serde_json::from_str(raw).ok().map(Zeroizing::new),
        b'n' => Some(Zeroizing::default()),
        _ => Some(Zeroizing::new(raw.to_owned())),
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Box<RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
