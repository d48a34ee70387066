//! The routes of `google.api.http`: which RPC a method and path stand for, and what its variables say.

use http::Method;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind};
use veilcloud_proto::{HTTP, RULES, common::v1 as pb};

use super::query::{bindable, path_segment};
use crate::{
    contract::{METHODS, MethodInfo, option},
    status::Fault,
};

/// Length of a UUID as it is written; a percent-encoded one is longer, and no word of a path is.
const UUID_LEN: usize = 36;

/// One HTTP binding of an RPC.
pub struct Route {
    /// HTTP method.
    pub http: Method,
    /// Path with its variables, for example `/v1/projects/{project_id}`.
    pub template: String,
    /// The RPC.
    pub method: &'static MethodInfo,
    /// What the body is.
    pub body: BodyRule,
    /// The response field whose bytes are the raw body of the answer.
    pub raw_response: Option<FieldDescriptor>,
    segments: Vec<Segment>,
}

/// What a request's body is.
pub enum BodyRule {
    /// There is none.
    None,
    /// The message as JSON.
    Json,
    /// The bytes of one field, at most this many.
    Raw(FieldDescriptor, u32),
}

enum Segment {
    Literal(String),
    Variable {
        field: FieldDescriptor,
        /// The field is a UUID.
        id: bool,
    },
}

/// A route that a request matches, with its variables decoded.
pub struct Hit<'a> {
    /// The route.
    pub route: &'a Route,
    /// Fields bound by the path.
    pub variables: Vec<(FieldDescriptor, String)>,
}

/// What a method and path name.
pub enum Match<'a> {
    /// An RPC.
    Found(Hit<'a>),
    /// A path that takes other methods: these.
    OtherMethod(String),
    /// Nothing.
    Nothing,
}

/// Every route.
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// Reads the routes of the contract.
    ///
    /// # Panics
    /// Panics for a binding that REST cannot serve; a unit test compiles this contract.
    pub fn compile() -> Self {
        let mut routes: Vec<Route> = METHODS.values().flat_map(bindings).collect();
        routes.sort_by(|a, b| (&a.template, a.http.as_str()).cmp(&(&b.template, b.http.as_str())));
        Self(routes)
    }

    /// What the request names.
    pub fn find(&self, http: &Method, path: &str) -> Result<Match<'_>, Fault> {
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let mut here: Vec<&Route> = self.0.iter().filter(|route| route.fits(&parts)).collect();
        // A word where another route has an id: `/v1/audit/verify` is not the project "verify".
        if here.iter().any(|route| route.takes(&parts)) {
            here.retain(|route| route.takes(&parts));
        }
        let Some(route) = here.iter().find(|route| route.http == *http) else {
            let allow: Vec<&str> = here.iter().map(|route| route.http.as_str()).collect();
            return Ok(if allow.is_empty() { Match::Nothing } else { Match::OtherMethod(allow.join(", ")) });
        };
        Ok(Match::Found(Hit { route, variables: route.variables(&parts)? }))
    }
}

impl Route {
    /// Names of the path's variables.
    pub fn variable_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable { field, .. } => Some(field.name()),
            Segment::Literal(_) => None,
        })
    }

    fn fits(&self, parts: &[&str]) -> bool {
        self.segments.len() == parts.len()
            && self.segments.iter().zip(parts).all(|(segment, part)| match segment {
                Segment::Literal(literal) => literal == part,
                Segment::Variable { .. } => !part.is_empty(),
            })
    }

    /// Whether each part that stands for an id can be one.
    fn takes(&self, parts: &[&str]) -> bool {
        self.segments.iter().zip(parts).all(|(segment, part)| match segment {
            Segment::Variable { id: true, .. } => part.len() >= UUID_LEN,
            Segment::Variable { .. } | Segment::Literal(_) => true,
        })
    }

    fn variables(&self, parts: &[&str]) -> Result<Vec<(FieldDescriptor, String)>, Fault> {
        let bound = self.segments.iter().zip(parts).filter_map(|(segment, part)| match segment {
            Segment::Literal(_) => None,
            Segment::Variable { field, .. } => Some((field, *part)),
        });
        bound
            .map(|(field, part)| {
                let wrong = || Fault::field(field.name(), "format", "is not a plain path segment");
                Ok((field.clone(), path_segment(part).ok_or_else(wrong)?))
            })
            .collect()
    }
}

fn bindings(method: &'static MethodInfo) -> Vec<Route> {
    let options = method.descriptor.options();
    let rule = options.get_extension(&HTTP);
    let rule = rule.as_message().expect("the build refuses an RPC without (google.api.http)");
    let more = rule.get_field_by_name("additional_bindings");
    let more = more.as_ref().and_then(|list| list.as_list()).unwrap_or_default();
    let rules = [rule].into_iter().chain(more.iter().filter_map(|item| item.as_message()));
    rules.map(|rule| binding(method, rule)).collect()
}

fn binding(method: &'static MethodInfo, rule: &DynamicMessage) -> Route {
    let text = |name: &str| {
        rule.get_field_by_name(name).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let plain =
        ["get", "put", "post", "delete", "patch"].into_iter().find(|name| rule.has_field_by_name(name));
    let (http, template) = match plain {
        Some(name) => (name.to_uppercase(), text(name)),
        None => custom(rule),
    };
    let segments = template.trim_start_matches('/').split('/').map(|part| segment(method, part)).collect();
    let body = match text("body").as_str() {
        "" => BodyRule::None,
        "*" => BodyRule::Json,
        name => raw(&method.input.get_field_by_name(name).expect("body names a field")),
    };
    let raw_response = Some(text("response_body")).filter(|name| !name.is_empty());
    let raw_response =
        raw_response.map(|name| method.output.get_field_by_name(&name).expect("a field of the answer"));
    assert_eq!(method.streams, raw_response.is_some(), "{}: a stream is a raw answer", method.name);
    Route {
        http: Method::from_bytes(http.as_bytes()).expect("an HTTP method"),
        template,
        method,
        body,
        raw_response,
        segments,
    }
}

fn custom(rule: &DynamicMessage) -> (String, String) {
    let custom = rule.get_field_by_name("custom").expect("a pattern");
    let custom = custom.as_message().expect("custom is a message");
    let text = |name: &str| custom.get_field_by_name(name).and_then(|v| v.as_str().map(str::to_owned));
    (text("kind").expect("a kind"), text("path").expect("a path"))
}

fn segment(method: &MethodInfo, part: &str) -> Segment {
    let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
        assert!(!part.contains(['{', '*', ':']), "{}: only whole-segment variables are served", method.name);
        return Segment::Literal(part.to_owned());
    };
    let field = method.input.get_field_by_name(name).expect("a path variable names a field");
    assert!(bindable(&field), "{name} cannot be bound by a path");
    let rules: pb::Rules = option(&field.options(), &RULES).unwrap_or_default();
    Segment::Variable { id: rules.format() == pb::Format::Uuid, field }
}

fn raw(field: &FieldDescriptor) -> BodyRule {
    assert!(matches!(field.kind(), Kind::Bytes), "a raw body is a bytes field");
    let rules: pb::Rules = option(&field.options(), &RULES).expect("the build refuses bytes without a limit");
    BodyRule::Raw(field.clone(), rules.max_len)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn found(http: &str, path: &str) -> String {
        let routes = Routes::compile();
        match routes.find(&http.parse().unwrap(), path) {
            Ok(Match::Found(hit)) => {
                let variables = hit.variables.iter().map(|(f, v)| format!(" {}={v}", f.name()));
                format!("{}{}", hit.route.method.descriptor.name(), variables.collect::<String>())
            }
            Ok(Match::OtherMethod(allow)) => format!("405 {allow}"),
            Ok(Match::Nothing) => "404".to_owned(),
            Err(fault) => format!("{:?}", fault.reason()),
        }
    }

    #[test]
    fn every_rpc_has_a_route_and_no_two_share_one() {
        let routes = Routes::compile();
        let names: BTreeSet<&str> = routes.0.iter().map(|r| r.method.name.as_str()).collect();
        assert_eq!(names.len(), METHODS.len());
        for (i, a) in routes.0.iter().enumerate() {
            for b in &routes.0[i + 1..] {
                let parts: Vec<&str> = a.template.trim_start_matches('/').split('/').collect();
                assert!(a.http != b.http || !b.fits(&parts), "{} {} and {}", a.http, a.template, b.template);
            }
        }
    }

    #[test]
    fn paths_find_their_rpc() {
        assert_eq!(found("GET", "/v1/users/me"), "GetMe");
        assert_eq!(found("GET", "/v1/projects/x"), "GetProject project_id=x");
        assert_eq!(found("HEAD", "/v1/storage/p/e"), "StatBlob project_id=p env_name=e");
        assert_eq!(found("GET", "/v1/storage/p/e/info"), "StatBlob project_id=p env_name=e");
        assert_eq!(found("GET", "/v1/storage/p"), "ListBlobs project_id=p");
        let chunk = "PutChunk project_id=p env_name=e upload_id=u index=3";
        assert_eq!(found("PUT", "/v1/storage/p/e/uploads/u/chunks/3"), chunk);
        assert_eq!(found("GET", "/v1/projects/a%2Db"), "GetProject project_id=a-b");
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        assert_eq!(found("POST", "/v1/users/me"), "405 DELETE, GET, PATCH");
        assert_eq!(found("HEAD", "/v1/projects"), "405 GET, POST");
        for path in
            ["/", "", "/v1", "/v1/", "/v1/users/me/", "//v1/users/me", "/V1/users/me", "/v1/projects//envs"]
        {
            assert_eq!(found("GET", path), "404", "{path}");
        }
        assert_eq!(found("GET", "/v1/users/%6de"), "404");
        assert_eq!(found("GET", "/v1/audit/verify"), "405 POST");
        assert_eq!(found("GET", "/v1/audit/word"), "ListEvents project_id=word");
    }

    #[test]
    fn path_tricks_are_refused_before_any_rpc() {
        for path in [
            "/v1/projects/..",
            "/v1/projects/%2e%2e",
            "/v1/projects/a%2fb",
            "/v1/projects/a%00",
            "/v1/projects/%zz",
        ] {
            assert_eq!(found("GET", path), "FieldInvalid", "{path}");
        }
    }
}
