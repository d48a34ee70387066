//! One request, written once as JSON, sent over gRPC and as every REST request that stands for it.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::BodyExt;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind};
use serde_json::{Map, Value};
use tonic::{Code, Status};
use veilcloud_domain::clock::Clock;
use veilcloud_proto::HTTP;
use veilsign::{api_key::ApiKey, key::SigningKey, proof::prove};

use super::super::{Port, frame, reason};
use crate::contract::{MethodInfo, header_of};

/// The trace that every request brings, so that answers can be compared whole.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What a request shows.
pub enum Credential<'a> {
    /// Nothing.
    None,
    /// A capability, with a proof by its holder.
    Session(&'a [u8], &'a SigningKey),
    /// An API key.
    Key(&'a ApiKey),
}

/// A request to one RPC.
#[derive(Clone)]
pub struct Ask {
    pub method: &'static MethodInfo,
    pub json: Value,
}

/// A REST request that stands for it.
#[derive(Debug, Clone)]
pub struct RestAsk {
    /// `METHOD SP path?query`.
    pub line: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

/// What came back, as far as whoever asked can see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The reason; `OK` without one.
    pub reason: String,
    /// The gRPC code, or the HTTP status.
    pub code: String,
    pub headers: HeaderMap,
    /// Message and details, or the body.
    pub rest: Vec<u8>,
}

impl Seen {
    /// Everything in it as text, with this id taken out: what is left must not tell one id from another.
    pub fn without(&self, id: &str) -> String {
        let rest = String::from_utf8_lossy(&self.rest);
        format!("{} {} {:?} {rest}", self.reason, self.code, self.headers).replace(id, "{id}")
    }
}

impl Ask {
    /// The message's bytes.
    pub fn message(&self) -> Vec<u8> {
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message =
            DynamicMessage::deserialize_with_options(self.method.input.clone(), self.json.clone(), &options);
        message.unwrap_or_else(|e| panic!("{}: {e} in {}", self.method.name, self.json)).encode_to_vec()
    }

    /// A REST request for each binding.
    pub fn rest(&self) -> Vec<RestAsk> {
        let options = self.method.descriptor.options();
        let rule = options.get_extension(&HTTP);
        let rule = rule.as_message().expect("every RPC has a binding");
        let more = rule.get_field_by_name("additional_bindings");
        let more = more.as_ref().and_then(|list| list.as_list()).unwrap_or_default();
        let rules = [rule].into_iter().chain(more.iter().filter_map(|item| item.as_message()));
        rules.map(|rule| self.bound(rule)).collect()
    }

    fn bound(&self, rule: &DynamicMessage) -> RestAsk {
        let text = |message: &DynamicMessage, name: &str| {
            let value = message.get_field_by_name(name);
            value.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let plain = ["get", "put", "post", "delete", "patch"].into_iter().find(|n| rule.has_field_by_name(n));
        let (http, template) = match plain {
            Some(name) => (name.to_uppercase(), text(rule, name)),
            None => {
                let custom = rule.get_field_by_name("custom").expect("a pattern");
                let custom = custom.as_message().expect("a message");
                (text(custom, "kind"), text(custom, "path"))
            }
        };
        let mut left = self.json.as_object().expect("a message is an object").clone();
        let input = &self.method.input;
        let path = template.split('/').map(|part| {
            let name = part.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
            name.map_or_else(
                || part.to_owned(),
                |name| {
                    let field = input.get_field_by_name(name).expect("a variable is a field");
                    percent(&take(&mut left, &field).unwrap_or_default())
                },
            )
        });
        let mut line = format!("{http} {}", path.collect::<Vec<_>>().join("/"));
        let mut headers = Vec::new();
        for field in input.fields() {
            let Some(name) = header_of(&field) else { continue };
            headers.extend(take(&mut left, &field).map(|value| (name, value)));
        }
        let body = match text(rule, "body").as_str() {
            "" => {
                line.push_str(&query(input.fields(), &mut left));
                Vec::new()
            }
            "*" => {
                headers.push(("content-type".to_owned(), b"application/json".to_vec()));
                Value::Object(std::mem::take(&mut left)).to_string().into_bytes()
            }
            name => {
                let field = input.get_field_by_name(name).expect("a body is a field");
                headers.push(("content-type".to_owned(), b"application/octet-stream".to_vec()));
                let raw = left.remove(field.json_name()).unwrap_or_default();
                line.push_str(&query(input.fields(), &mut left));
                BASE64.decode(raw.as_str().unwrap_or_default().as_bytes()).expect("base64")
            }
        };
        RestAsk { line, headers, body }
    }
}

/// Takes a field out of the request, as a text of a path, a query or a header.
fn take(left: &mut Map<String, Value>, field: &FieldDescriptor) -> Option<Vec<u8>> {
    let value = left.remove(field.json_name())?;
    Some(match value {
        Value::String(text) if matches!(field.kind(), Kind::Bytes) => {
            BASE64URL_NOPAD.encode(&BASE64.decode(text.as_bytes()).expect("base64")).into_bytes()
        }
        Value::String(text) => text.into_bytes(),
        other => other.to_string().into_bytes(),
    })
}

fn query(fields: impl Iterator<Item = FieldDescriptor>, left: &mut Map<String, Value>) -> String {
    let pairs: Vec<String> = fields
        .filter_map(|field| take(left, &field).map(|value| format!("{}={}", field.name(), percent(&value))))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Every byte that is not plain, escaped.
pub fn percent(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    bytes.iter().map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}

impl Port {
    /// Sends a message over gRPC.
    pub async fn over_grpc(&self, path: &str, message: &[u8], credential: &Credential<'_>) -> Seen {
        let mut headers = self.shown(credential, path, message);
        headers.insert("traceparent", HeaderValue::from_static(TRACE));
        let answer = self.raw(path, headers, frame(message)).await;
        let refused = answer.status.code() != Code::Ok;
        Seen {
            reason: if refused { reason(&answer.status) } else { "OK".to_owned() },
            code: format!("{:?}", answer.status.code()),
            headers: answer.headers,
            rest: [answer.status.message().as_bytes(), answer.status.details()].concat(),
        }
    }

    /// Sends a REST request; `None` when it cannot be written as one, as with a line break in a header.
    pub async fn over_rest(&self, ask: &RestAsk, credential: &Credential<'_>) -> Option<Seen> {
        let (method, target) = ask.line.split_once(' ').expect("a method and a path");
        let mut request =
            Request::builder().method(method).uri(target).body(Body::from(ask.body.clone())).ok()?;
        *request.headers_mut() = self.shown(credential, &ask.line, &ask.body);
        request.headers_mut().insert("traceparent", HeaderValue::from_static(TRACE));
        for (name, value) in &ask.headers {
            let name = HeaderName::try_from(name).ok()?;
            request.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
        }
        let (parts, body) = self.send(request).await.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let reason = match parts.extensions.get::<Status>() {
            Some(status) if status.code() != Code::Ok => reason(status),
            _ => "OK".to_owned(),
        };
        Some(Seen { reason, code: parts.status.to_string(), headers: parts.headers, rest: body.to_vec() })
    }

    /// The headers of a credential for one request.
    fn shown(&self, credential: &Credential<'_>, target: &str, body: &[u8]) -> HeaderMap {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut headers = HeaderMap::new();
        match credential {
            Credential::None => {}
            Credential::Session(capability, holder) => {
                let mut nonce = [0; 16];
                nonce[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
                let proof = prove(holder, capability, target, body, self.world.clock.now_ms(), nonce);
                // A target too long to prove is sent with a proof of another: it is refused before.
                let proof = proof.unwrap_or_default();
                for (name, bytes) in [("veil-cap", *capability), ("veil-pop", &proof[..])] {
                    headers.insert(name, BASE64URL_NOPAD.encode(bytes).parse().expect("base64"));
                }
            }
            Credential::Key(key) => {
                let bearer = format!("Bearer {}", &*key.to_text());
                headers.insert("authorization", bearer.parse().expect("visible"));
            }
        }
        headers
    }
}
