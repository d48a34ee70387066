//! Which browsers may call, and what they may send and read. The lists of headers come from the contract, so that a field
//! that travels as a header is open to browsers from the day it is in a `.proto` file.

use std::{collections::BTreeSet, time::Duration};

use http::{HeaderName, HeaderValue, Method};
use prost_reflect::{Kind, MessageDescriptor};
use tower_http::cors::CorsLayer;

use crate::{
    Settings,
    contract::{METHODS, header_of},
};

/// How long a browser may remember what a preflight said.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(600);

/// What a request may carry beside the headers of its fields.
const REQUEST_HEADERS: [&str; 11] = [
    "authorization",
    "content-type",
    "grpc-timeout",
    "if-range",
    "range",
    "traceparent",
    "veil-cap",
    "veil-pop",
    "x-accept-content-transfer-encoding",
    "x-grpc-web",
    "x-user-agent",
];

/// What an answer carries beside the headers of its fields; the three of gRPC are an error's trailers in its head.
const ANSWER_HEADERS: [&str; 16] = [
    "accept-ranges",
    "allow",
    "content-range",
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "retry-after",
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
    "veil-replayed",
    "veil-trace-id",
    "www-authenticate",
    "etag",
];

/// The allow-list as a layer; `None` when no origin is on it. An origin that is no header value is left out.
pub fn layer(settings: &Settings) -> Option<CorsLayer> {
    let origins =
        settings.cors_origins.iter().filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok());
    let origins: Vec<HeaderValue> = origins.collect();
    if origins.is_empty() {
        return None;
    }
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let requests = METHODS.values().map(|method| &method.input);
    let answers = METHODS.values().map(|method| &method.output);
    let layer = CorsLayer::new().allow_origin(origins).allow_methods(methods);
    let layer = layer.allow_headers(names(&REQUEST_HEADERS, requests));
    Some(layer.expose_headers(names(&ANSWER_HEADERS, answers)).max_age(PREFLIGHT_MAX_AGE))
}

fn names<'a>(fixed: &[&str], messages: impl Iterator<Item = &'a MessageDescriptor>) -> Vec<HeaderName> {
    let mut found: BTreeSet<String> = fixed.iter().map(|&name| name.to_owned()).collect();
    messages.for_each(|message| gather(message, &mut found));
    found.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok()).collect()
}

/// Headers of a message's fields and of the messages in it, as REST reads and writes them.
fn gather(message: &MessageDescriptor, found: &mut BTreeSet<String>) {
    for field in message.fields().filter(|field| !field.is_list()) {
        found.extend(header_of(&field));
        if let Kind::Message(nested) = field.kind() {
            gather(&nested, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<'a>(messages: impl Iterator<Item = &'a MessageDescriptor>) -> Vec<HeaderName> {
        names(&[], messages)
    }

    #[test]
    fn every_header_of_the_contract_is_open_to_browsers() {
        let sent = all(METHODS.values().map(|method| &method.input));
        for name in ["idempotency-key", "if-match", "if-none-match", "veil-digest", "veil-seal"] {
            assert!(sent.contains(&HeaderName::from_static(name)), "{name}");
        }
        let read = all(METHODS.values().map(|method| &method.output));
        for name in ["etag", "veil-log-index", "veil-seal", "veil-version"] {
            assert!(read.contains(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn without_an_origin_there_is_no_layer() {
        let listed = |origin: &str| Settings { cors_origins: vec![origin.to_owned()], ..Settings::default() };
        assert!(layer(&Settings::default()).is_none());
        assert!(layer(&listed("https://a\nb")).is_none());
        assert!(layer(&listed("https://console.example")).is_some());
    }
}
