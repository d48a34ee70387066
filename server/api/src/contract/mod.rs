//! The contract as the gate and REST need it: each RPC's price, permission and field rules, read once from the
//! descriptors. What must never happen: an RPC that is served but not in this table.

mod rules;
mod scan;

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, MessageDescriptor, MethodDescriptor,
};
pub use rules::{Problem, Shape, Violation};
pub use scan::Scan;
use veilcloud_domain::auth::api_keys::model::API_KEY_ACTIONS;
use veilcloud_proto::{ACCESS, HTTP, POOL, RULES, common::v1 as pb};
use veilsign::capability::Actions;

/// Package prefix of our services; reflection and health have others and are not in the table.
const PACKAGE_PREFIX: &str = "veilcloud.";

/// Every RPC by its gRPC path, for example `/veilcloud.storage.v1.StorageService/PutBlob`.
pub static METHODS: LazyLock<HashMap<String, MethodInfo>> =
    LazyLock::new(|| compile().expect("a unit test compiles every annotation of this contract"));

/// One RPC.
pub struct MethodInfo {
    /// gRPC path.
    pub path: String,
    /// Full name, for example `veilcloud.storage.v1.StorageService.PutBlob`.
    pub name: String,
    /// Who may call it and what it costs.
    pub access: Access,
    /// Request message.
    pub input: MessageDescriptor,
    /// Response message.
    pub output: MessageDescriptor,
    /// What the request's fields may hold.
    pub shape: Shape,
    /// Number of the field with the project id that permission is judged on.
    pub resource: Option<u32>,
    /// Number of the `request_id` field.
    pub request_id: Option<u32>,
    /// Number of the `email` field that the guard meters by.
    pub email: Option<u32>,
    /// Number of the field that REST carries as a raw body: too long a one is a blob too large, not a field invalid.
    pub raw_body: Option<u32>,
    /// True when the response is a stream.
    pub streams: bool,
    /// The descriptor, for REST and OpenAPI.
    pub descriptor: MethodDescriptor,
}

/// Who may call an RPC and what it costs.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// True when a capability and a proof are needed.
    pub session: bool,
    /// Action that capability and role must both hold.
    pub permission: Option<Actions>,
    /// True when an API key will do instead of them.
    pub keys: bool,
    /// Price in rate tokens.
    pub cost: u32,
    /// True when it changes something.
    pub mutation: bool,
    /// True when the login must be younger than five minutes.
    pub fresh_login: bool,
    /// True when guesses are metered by address and e-mail.
    pub guarded: bool,
}

/// What is wrong with an annotation; fails a unit test.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ContractError {
    /// Method or field.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

fn compile() -> Result<HashMap<String, MethodInfo>, ContractError> {
    let services = POOL.services().filter(|s| s.full_name().starts_with(PACKAGE_PREFIX));
    services
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| method_info(method).map(|info| (info.path.clone(), info)))
        .collect()
}

fn method_info(method: MethodDescriptor) -> Result<MethodInfo, ContractError> {
    let name = method.full_name().to_owned();
    let fail = |what: &str| ContractError { place: name.clone(), what: what.to_owned() };
    if method.is_client_streaming() {
        return Err(fail("the gate reads one message per request, not a stream"));
    }
    let input = method.input();
    let annotation: pb::Access =
        option(&method.options(), &ACCESS).ok_or_else(|| fail("no access annotation"))?;
    let number = |field: &str| input.get_field_by_name(field).map(|f| f.number());
    let resource = match annotation.resource.as_str() {
        "" => None,
        field => Some(number(field).ok_or_else(|| fail("resource names no field"))?),
    };
    let raw_body = raw_body(&method);
    Ok(MethodInfo {
        path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
        access: access(&annotation).map_err(|what| fail(&what))?,
        shape: Shape::compile(&input)?,
        resource,
        request_id: number("request_id"),
        email: number("email"),
        raw_body: raw_body.and_then(|field| number(&field)),
        streams: method.is_server_streaming(),
        output: method.output(),
        input,
        name,
        descriptor: method,
    })
}

/// The methods of a service that is not ours, whose request is one message: anyone may call them, and their fields have
/// no rules.
#[cfg(any(test, feature = "testkit"))]
pub fn guests(pool: &prost_reflect::DescriptorPool) -> HashMap<String, MethodInfo> {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let single = methods.filter(|method| !method.is_client_streaming());
    let info = single.map(|method| MethodInfo {
        path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
        name: method.full_name().to_owned(),
        access: Access {
            session: false,
            permission: None,
            keys: false,
            cost: 1,
            mutation: false,
            fresh_login: false,
            guarded: false,
        },
        shape: Shape::without_rules(&method.input()),
        resource: None,
        request_id: None,
        email: None,
        raw_body: None,
        streams: method.is_server_streaming(),
        input: method.input(),
        output: method.output(),
        descriptor: method,
    });
    info.map(|info| (info.path.clone(), info)).collect()
}

fn access(annotation: &pb::Access) -> Result<Access, String> {
    let session = match annotation.caller() {
        pb::Caller::Anyone => false,
        pb::Caller::Session => true,
        pb::Caller::Unspecified => return Err("names no caller".to_owned()),
    };
    let permission = match annotation.permission.as_str() {
        "" => None,
        text => Some(text.parse::<Actions>().map_err(|_| format!("unknown permission {text}"))?),
    };
    if !session && (permission.is_some() || annotation.fresh_login) {
        return Err("a permission or fresh login needs a session".to_owned());
    }
    if permission.is_none() && !annotation.resource.is_empty() {
        return Err("a resource without a permission is not judged".to_owned());
    }
    // A key may hold no permission over account, teams or keys, and is no login.
    let within_keys = permission.is_none_or(|actions| actions.is_subset_of(API_KEY_ACTIONS));
    Ok(Access {
        session,
        permission,
        keys: session && within_keys && !annotation.fresh_login && !annotation.guarded,
        cost: annotation.cost,
        mutation: annotation.mutation,
        fresh_login: annotation.fresh_login,
        guarded: annotation.guarded,
    })
}

/// The field that REST carries as a raw body, by name; `None` when the body is JSON or there is none.
pub fn raw_body(method: &MethodDescriptor) -> Option<String> {
    let options = method.options();
    let rule = options.get_extension(&HTTP);
    let body = rule.as_message()?.get_field_by_name("body")?.as_str()?.to_owned();
    (!body.is_empty() && body != "*").then_some(body)
}

/// The HTTP header that carries a field.
pub fn header_of(field: &FieldDescriptor) -> Option<String> {
    HEADERS.get(field.full_name()).cloned()
}

/// The headers of all fields that have one, by full name. Every REST request asks for each of its fields, and an option is
/// decoded anew whenever it is read.
static HEADERS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let fields = POOL.all_messages().flat_map(|message| message.fields().collect::<Vec<_>>());
    let header = |field: FieldDescriptor| {
        let rules: pb::Rules = option(&field.options(), &RULES)?;
        (!rules.header.is_empty()).then(|| (field.full_name().to_owned(), rules.header))
    };
    fields.filter_map(header).collect()
});

/// An option as its generated type; `None` when it is absent.
pub fn option<T: prost::Message + Default>(
    options: &DynamicMessage,
    extension: &ExtensionDescriptor,
) -> Option<T> {
    if !options.has_extension(extension) {
        return None;
    }
    options.get_extension(extension).as_message().and_then(|m| m.transcode_to().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_annotation_compiles() {
        let methods = compile().expect("the contract is sound");
        assert_eq!(methods.len(), POOL.services().map(|s| s.methods().count()).sum::<usize>());
        let put = &methods["/veilcloud.storage.v1.StorageService/PutBlob"];
        assert_eq!((put.resource, put.request_id, put.raw_body), (Some(1), Some(7), Some(3)));
        assert!(put.access.session && put.access.mutation && put.access.cost == 2);
        let login = &methods["/veilcloud.auth.v1.AuthService/LoginStart"];
        assert!(!login.access.session && login.access.guarded && login.email == Some(1));
    }

    #[test]
    fn annotations_the_gate_cannot_judge_are_refused() {
        let session = pb::Access { caller: pb::Caller::Session.into(), ..Default::default() };
        assert!(access(&session).is_ok());
        assert!(access(&pb::Access::default()).is_err());
        assert!(access(&pb::Access { permission: "project:fly".into(), ..session.clone() }).is_err());
        assert!(access(&pb::Access { resource: "project_id".into(), ..session.clone() }).is_err());
        let anyone = pb::Access { caller: pb::Caller::Anyone.into(), ..Default::default() };
        assert!(access(&pb::Access { permission: "project:read".into(), ..anyone.clone() }).is_err());
        assert!(access(&pb::Access { fresh_login: true, ..anyone }).is_err());
    }

    #[test]
    fn an_rpc_without_side_effects_is_no_mutation() {
        for info in METHODS.values() {
            let level =
                info.descriptor.method_descriptor_proto().options.as_ref().and_then(|o| o.idempotency_level);
            assert!(level != Some(1) || !info.access.mutation, "{}", info.name);
        }
    }
}
