//! JSON whose objects name each key once. A parser that takes the last of two keys and one that takes the first would
//! read two requests out of one body. Nothing here or in a request's JSON has many parts, so that a small body does not
//! become large in memory.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

/// Most keys of one object; no request has a third as many.
const KEYS_MAX: usize = 64;
/// Most commas of one text: a field mask is a text of paths with commas between them, and every path becomes an object.
const COMMAS_MAX: usize = 128;

/// Any JSON value without a doubled key; it keeps nothing.
pub struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            // `page_size` and `pageSize` name the same field.
            if !seen.insert(key.replace('_', "").to_ascii_lowercase()) {
                return Err(A::Error::custom("a key is there twice"));
            }
            if seen.len() > KEYS_MAX {
                return Err(A::Error::custom("too many keys"));
            }
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Unique, A::Error> {
        while list.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Unique, E> {
        if text.bytes().filter(|byte| *byte == b',').count() > COMMAS_MAX {
            return Err(E::custom("too many parts"));
        }
        Ok(Unique)
    }
    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_key_is_found_at_every_depth() {
        let read = |text: &str| serde_json::from_str::<Unique>(text).is_ok();
        assert!(read(r#"{"a": [1, -1, 0.5, "x", true, null], "b": {"a": {}}}"#));
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": {"b": 1, "b": 2}}"#,
            r#"[{"b": 1, "b": 2}]"#,
            r#"{"page_size": 1, "pageSize": 1}"#,
            r#"{"a": 1, "\u0061": 2}"#,
        ] {
            assert!(!read(text), "{text}");
        }
    }

    #[test]
    fn what_would_become_many_objects_is_refused() {
        let read = |text: &str| serde_json::from_str::<Unique>(text).is_ok();
        let keys = |count: usize| {
            let keys: Vec<String> = (0..count).map(|n| format!("\"k{n}\":0")).collect();
            format!("{{{}}}", keys.join(","))
        };
        assert!(read(&keys(KEYS_MAX)) && !read(&keys(KEYS_MAX + 1)));
        let mask = |commas: usize| format!("{{\"updateMask\":\"{}\"}}", ",".repeat(commas));
        assert!(read(&mask(COMMAS_MAX)) && !read(&mask(COMMAS_MAX + 1)));
    }
}
