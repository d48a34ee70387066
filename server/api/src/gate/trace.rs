//! Step 1, trace: every request has an id that its answer and its log line carry. A caller may bring one
//! (W3C traceparent); it is taken only in its exact form.

use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, Request};
use veilcloud_domain::clock::Entropy;

/// Header that carries the trace id on every answer.
pub const TRACE_ID: HeaderName = HeaderName::from_static("veil-trace-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request's trace id, and the method once it is known.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    method: OnceLock<String>,
}

impl Trace {
    /// The caller's trace id, or a new one.
    pub fn begin(headers: &HeaderMap, entropy: &dyn Entropy) -> Self {
        let brought = headers.get(TRACEPARENT).and_then(|v| v.to_str().ok()).and_then(trace_id);
        let id = brought.unwrap_or_else(|| {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            HEXLOWER.encode(&bytes)
        });
        Self(Arc::new(Inner { id, method: OnceLock::new() }))
    }

    /// The trace that the door began for this request.
    pub fn of<B>(request: &Request<B>) -> Self {
        let found = request.extensions().get::<Self>().cloned();
        found.unwrap_or_else(|| Self(Arc::new(Inner { id: "0".repeat(32), method: OnceLock::new() })))
    }

    /// The id: 32 lower-case hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Notes the method; the first name stays.
    pub fn name(&self, method: &str) {
        let _ = self.0.method.set(method.to_owned());
    }

    /// The method's full name, `unknown` until a path was matched: never the caller's own text.
    pub fn method(&self) -> &str {
        self.0.method.get().map_or("unknown", String::as_str)
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero.
fn trace_id(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return None };
    let hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    let good =
        *version == "00" && hex(trace, 32) && hex(span, 16) && hex(flags, 2) && !zero(trace) && !zero(span);
    good.then(|| (*trace).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Entropy for Ones {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0x11);
        }
    }

    fn begin(traceparent: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, traceparent.parse().unwrap());
        Trace::begin(&headers, &Ones).id().to_owned()
    }

    #[test]
    fn a_traceparent_is_taken_in_its_exact_form_only() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(begin(&format!("00-{id}-b7ad6b7169203331-01")), id);
        let own = "11".repeat(16);
        for bad in [
            String::new(),
            id.to_owned(),
            format!("00-{}-b7ad6b7169203331-01", id.to_uppercase()),
            format!("00-{id}-b7ad6b7169203331-01-x"),
            format!("01-{id}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{id}\u{7f}-b7ad6b7169203331-01").replace('\u{7f}', "/"),
        ] {
            assert_eq!(begin(&bad), own, "{bad}");
        }
        assert_eq!(Trace::begin(&HeaderMap::new(), &Ones).id(), own);
    }

    #[test]
    fn the_method_is_unknown_until_matched() {
        let trace = Trace::begin(&HeaderMap::new(), &Ones);
        assert_eq!(trace.method(), "unknown");
        trace.name("a");
        trace.name("b");
        assert_eq!(trace.method(), "a");
    }
}
