//! `Range` and `If-Range` (RFC 9110, 14). One range is honoured; several, or a form we do not know, are ignored, as the
//! RFC allows.

use http::{HeaderMap, header};
use veilcloud_domain::storage::error::StorageError;

use crate::status::Fault;

/// The range that a reader wishes for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeWish {
    spec: Spec,
    if_range: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    From { first: u64, last: Option<u64> },
    Suffix(u64),
}

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// First byte.
    pub offset: u64,
    /// Bytes in the stream.
    pub len: u64,
    /// Bytes of the whole.
    pub total: u64,
    /// True when a range was wished for and is served.
    pub partial: bool,
}

impl RangeWish {
    /// The wish in these headers.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::RANGE).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let spec = parse(value.to_str().ok()?)?;
        // An If-Range that is no text names no version of ours: the whole is sent.
        let if_range = headers.get(header::IF_RANGE).map(|v| v.to_str().unwrap_or_default().to_owned());
        Some(Self { spec, if_range })
    }

    /// Offset and length in a blob of `len` bytes with this tag; `None` when the whole is to be sent.
    pub fn resolve(&self, len: u64, etag: &str) -> Result<Option<(u64, u64)>, Fault> {
        if self.if_range.as_deref().is_some_and(|tag| tag != etag) {
            return Ok(None);
        }
        let outside = || Fault::from(StorageError::Range { length: len });
        match self.spec {
            Spec::From { first, .. } if first >= len => Err(outside()),
            Spec::From { first, last } => {
                let last = last.unwrap_or(u64::MAX).min(len - 1);
                Ok(Some((first, last - first + 1)))
            }
            Spec::Suffix(0) => Err(outside()),
            Spec::Suffix(_) if len == 0 => Err(outside()),
            Spec::Suffix(count) => Ok(Some((len.saturating_sub(count), count.min(len)))),
        }
    }
}

fn parse(text: &str) -> Option<Spec> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    match (first, last) {
        ("", count) => digits(count).map(Spec::Suffix),
        (first, "") => Some(Spec::From { first: digits(first)?, last: None }),
        (first, last) => {
            let (first, last) = (digits(first)?, digits(last)?);
            (first <= last).then_some(Spec::From { first, last: Some(last) })
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use veilcloud_proto::common::v1::ErrorReason;

    use super::*;

    fn wish(range: &str) -> Option<RangeWish> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        RangeWish::of(&headers)
    }

    fn resolved(range: &str, len: u64) -> Option<(u64, u64)> {
        wish(range).unwrap().resolve(len, "\"t\"").unwrap()
    }

    #[test]
    fn each_form_of_one_range_is_honoured() {
        assert_eq!(resolved("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(resolved("bytes=2-5", 10), Some((2, 4)));
        assert_eq!(resolved("bytes=2-", 10), Some((2, 8)));
        assert_eq!(resolved("bytes=2-99", 10), Some((2, 8)));
        assert_eq!(resolved("bytes=-3", 10), Some((7, 3)));
        assert_eq!(resolved("bytes=-99", 10), Some((0, 10)));
        assert_eq!(resolved(&format!("bytes=0-{}", u64::MAX), 10), Some((0, 10)));
    }

    #[test]
    fn a_range_outside_is_refused_with_the_length() {
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            let fault = wish(range).unwrap().resolve(10, "").unwrap_err();
            assert_eq!(fault.reason(), ErrorReason::RangeNotSatisfiable, "{range}");
        }
    }

    #[test]
    fn other_forms_are_ignored() {
        for range in [
            "bytes=0-1,3-4",
            "bytes=5-2",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "items=0-1",
            "bytes 0-1",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(wish(range), None, "{range}");
        }
        let mut headers = HeaderMap::new();
        headers.append(header::RANGE, "bytes=0-1".parse().unwrap());
        headers.append(header::RANGE, "bytes=2-3".parse().unwrap());
        assert_eq!(RangeWish::of(&headers), None);
    }

    #[test]
    fn if_range_of_another_version_gets_the_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=2-".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"v7\"".parse().unwrap());
        let wish = RangeWish::of(&headers).unwrap();
        assert_eq!(wish.resolve(10, "\"v7\"").unwrap(), Some((2, 8)));
        assert_eq!(wish.resolve(10, "\"v8\"").unwrap(), None);
    }

    proptest! {
        #[test]
        fn what_is_served_lies_inside(text in "bytes=[0-9]{0,3}-[0-9]{0,3}", len in 0..200_u64) {
            if let Some(Ok(Some((offset, length)))) = wish(&text).map(|w| w.resolve(len, "")) {
                prop_assert!(length > 0 && offset + length <= len);
            }
        }
    }
}
