//! The contract says who may call, over which path, and what each error means. The build script refuses an RPC without
//! annotations; here are the rules that need a wider view.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use prost_reflect::DescriptorPool;

use super::Findings;
use crate::{codegen, errors, project};

/// The descriptor set, compiled from the files on disk.
pub fn descriptors() -> Result<DescriptorPool> {
    let root = project::root().join("proto");
    let files: Vec<_> = project::files()?
        .into_iter()
        .filter(|f| f.starts_with("proto/veilcloud") && f.extension().is_some_and(|e| e == "proto"))
        .map(|f| project::root().join(f))
        .collect();
    let mut compiler = protox::Compiler::new([root.clone(), root.join("vendor")])?;
    compiler.include_source_info(true).include_imports(true).open_files(files)?;
    Ok(DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice())?)
}

/// Every RPC has access and REST annotations, no two share a REST path, every error reason has its remedy and its test.
pub fn check() -> Result<Findings> {
    let pool = descriptors()?;
    let access = pool.get_extension_by_name("veilcloud.common.v1.access").context("the access option")?;
    let http = pool.get_extension_by_name("google.api.http").context("the http option")?;
    let mut findings = Findings::new();
    let mut paths = BTreeMap::new();
    for method in pool.services().flat_map(|s| s.methods().collect::<Vec<_>>()) {
        let name = method.full_name().to_owned();
        let options = method.options();
        if !options.has_extension(&access) {
            findings.push(format!("{name} says nothing about access"));
        }
        if !options.has_extension(&http) {
            findings.push(format!("{name} has no REST path"));
            continue;
        }
        let value = options.get_extension(&http);
        let rule = value.as_message().context("google.api.http is a message")?;
        for verb in ["get", "put", "post", "delete", "patch"] {
            let path = rule.get_field_by_name(verb).context("a verb of google.api.http")?;
            let path = path.as_str().context("a path is text")?;
            if path.is_empty() {
                continue;
            }
            if let Some(other) = paths.insert(format!("{verb} {path}"), name.clone()) {
                findings.push(format!("{name} and {other} share {verb} {path}"));
            }
        }
    }
    let reasons = codegen::reasons(&pool)?;
    let words: Vec<_> = reasons.iter().map(|reason| reason.name.as_str()).collect();
    findings.extend(errors::untested(&words)?.iter().map(|word| format!("no test provokes {word}")));
    for reason in reasons {
        if reason.remedy.is_empty() {
            findings.push(format!("{} has no \"Remedy:\" in its comment", reason.name));
        }
    }
    Ok(findings)
}
