//! Compiles the contract without `protoc`, and refuses an RPC or request field that the gate could not judge.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use prost::Message as _;
use prost_reflect::{DescriptorPool, ExtensionDescriptor, Kind, MessageDescriptor, MethodDescriptor};

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=veilcloud");
    println!("cargo::rerun-if-changed=vendor");
    let files = proto_files(&PathBuf::from("veilcloud"))?;
    let mut compiler = protox::Compiler::new([".", "vendor"])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    // Encoded by protox itself: prost's own types would drop our options.
    let encoded = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), &encoded)?;

    check(&DescriptorPool::decode(encoded.as_slice())?)?;

    let set = prost_types::FileDescriptorSet::decode(encoded.as_slice())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".veilcloud.storage.v1")
        .compile_fds(set)
        .context("generate code from the descriptor set")?;
    Ok(())
}

fn proto_files(dir: &PathBuf) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path.extension().is_some_and(|e| e == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Every RPC names its caller and, when unary, its REST path; every variable-length request field names its bound.
fn check(pool: &DescriptorPool) -> Result<()> {
    let access = extension(pool, "veilcloud.common.v1.access")?;
    let rules = extension(pool, "veilcloud.common.v1.rules")?;
    let http = extension(pool, "google.api.http")?;
    for service in pool.services() {
        for method in service.methods() {
            check_method(&method, &access, &http)?;
            check_request(&method.input(), &rules)?;
        }
    }
    Ok(())
}

fn extension(pool: &DescriptorPool, name: &str) -> Result<ExtensionDescriptor> {
    pool.get_extension_by_name(name).with_context(|| format!("extension {name} is not in the descriptor set"))
}

fn check_method(
    method: &MethodDescriptor,
    access: &ExtensionDescriptor,
    http: &ExtensionDescriptor,
) -> Result<()> {
    let options = method.options();
    let name = method.full_name();
    if !options.has_extension(access) {
        bail!("{name} has no (veilcloud.common.v1.access)");
    }
    if !options.has_extension(http) && !method.is_client_streaming() {
        bail!("{name} has no (google.api.http)");
    }
    let value = options.get_extension(access);
    let access = value.as_message().context("access is a message")?;
    if access.get_field_by_name("caller").and_then(|v| v.as_enum_number()).unwrap_or(0) == 0 {
        bail!("{name} names no caller");
    }
    let resource = access.get_field_by_name("resource").context("access.resource")?;
    let resource = resource.as_str().context("access.resource is a string")?;
    if !resource.is_empty() && method.input().get_field_by_name(resource).is_none() {
        bail!("{name} judges permission on {resource}, which its request does not have");
    }
    Ok(())
}

fn check_request(message: &MessageDescriptor, rules: &ExtensionDescriptor) -> Result<()> {
    for field in message.fields() {
        let kind = field.kind();
        let nested = kind.as_message().filter(|m| m.package_name().starts_with("veilcloud."));
        if let Some(nested) = nested {
            check_request(nested, rules)?;
        }
        let needs_len = matches!(kind, Kind::String | Kind::Bytes);
        if !needs_len && !field.is_list() {
            continue;
        }
        let options = field.options();
        if !options.has_extension(rules) {
            bail!("{} has no (veilcloud.common.v1.rules)", field.full_name());
        }
        let value = options.get_extension(rules);
        let rule = value.as_message().context("rules is a message")?;
        let bound = |name: &str| rule.get_field_by_name(name).and_then(|v| v.as_u32()).unwrap_or(0) > 0;
        if needs_len && !bound("max_len") && !bound("exact_len") {
            bail!("{} has no greatest length", field.full_name());
        }
        if field.is_list() && !bound("max_items") {
            bail!("{} has no greatest number of items", field.full_name());
        }
    }
    Ok(())
}
