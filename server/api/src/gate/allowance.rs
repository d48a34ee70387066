//! What an answer says of its caller's rate tokens: the fields of draft-ietf-httpapi-ratelimit-headers-10, and the three of
//! its sixth version that most clients know. On gRPC they are metadata of the same names.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};
use veilcloud_domain::auth::port::{Left, Window};

/// `RateLimit-Policy`: every window that the call was counted in.
pub const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// `RateLimit`: what is left of the tightest.
pub const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// `RateLimit-Limit`: tokens of the tightest window.
pub const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// `RateLimit-Remaining`: tokens left of it.
pub const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// `RateLimit-Reset`: seconds until all of its tokens are back.
pub const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// All of them.
pub const HEADERS: [HeaderName; 5] = [POLICY, STATE, LIMIT, REMAINING, RESET];

/// What a call was counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// The class of the call: a tier's name, `chunks`, `anonymous` or `guarded`.
    class: &'static str,
    windows: Vec<Window>,
    left: Left,
}

impl Allowance {
    /// A call of this class, counted in these windows; the tightest with what is left of it.
    pub fn new(class: &'static str, windows: &[Window], left: Left) -> Self {
        Self { class, windows: windows.to_vec(), left }
    }

    /// The headers.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.write(&mut headers);
        headers
    }

    /// Writes the headers; what was there of them goes.
    pub fn write(&self, headers: &mut HeaderMap) {
        let mut policy = String::new();
        for window in &self.windows {
            let comma = if policy.is_empty() { "" } else { ", " };
            let name = self.name(window);
            let _ = write!(policy, "{comma}\"{name}\";q={};w={}", window.limit, window.seconds);
        }
        let Left { window, left, reset_after_ms } = self.left;
        let seconds = reset_after_ms.div_ceil(1000);
        let state = format!("\"{}\";r={left};t={seconds}", self.name(&window));
        for (name, text) in [(POLICY, policy), (STATE, state)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
        headers.insert(LIMIT, HeaderValue::from(window.limit));
        headers.insert(REMAINING, HeaderValue::from(left));
        headers.insert(RESET, HeaderValue::from(seconds));
    }

    fn name(&self, window: &Window) -> String {
        format!("{}-{}", self.class, unit(window))
    }
}

fn unit(window: &Window) -> &'static str {
    match window.seconds {
        super::tier::MINUTE => "minute",
        super::tier::DAY => "day",
        _ => "window",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_draft() {
        let minute = Window { limit: 100, seconds: 60 };
        let day = Window { limit: 1000, seconds: 86_400 };
        let left = Left { window: minute, left: 7, reset_after_ms: 1001 };
        let mut headers = HeaderMap::new();
        Allowance::new("free", &[minute, day], left).write(&mut headers);
        let text = |name: HeaderName| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text(POLICY), "\"free-minute\";q=100;w=60, \"free-day\";q=1000;w=86400");
        assert_eq!(text(STATE), "\"free-minute\";r=7;t=2");
        assert_eq!((text(LIMIT), text(REMAINING), text(RESET)), ("100".into(), "7".into(), "2".into()));
    }
}
