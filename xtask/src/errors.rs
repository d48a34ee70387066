//! The catalogue of errors, `docs/errors`: one page for each reason, from the served OpenAPI document (which has it from the
//! contract's comments and the server's one table) and from the tests. A reason that no test provokes is a finding.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::project;

/// Where a test that names a reason is looked for, best first: the running system, then the server's port, then the rest.
const ORDER: &[&str] =
    &["tests/e2e/", "tests/security/", "server/api/src/tests/", "server/", "sdk-rust/", ""];
/// Files whose tests only sort reasons and provoke none.
const NOT_PROVOKING: &[&str] =
    &["sdk-rust/src/error", "server/api/src/status/", "server/api/src/rest/openapi/", "xtask/"];

/// One reason.
struct Reason<'a> {
    word: &'a str,
    facts: &'a Value,
    test: Option<&'a Test>,
}

/// A test and the file it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Path from the root.
    pub file: PathBuf,
    /// Name of the function.
    pub name: String,
}

/// The pages and their list, by path; `document` is the OpenAPI document.
pub fn pages(document: &str) -> Result<BTreeMap<PathBuf, String>> {
    let document: Value = serde_json::from_str(document)?;
    let table = document["x-veilcloud-errors"].as_object().context("the document has its errors")?;
    let tests = tests(&table.keys().map(String::as_str).collect::<Vec<_>>())?;
    let mut files = BTreeMap::new();
    let mut index = String::from(
        "# Errors\n\nEvery error carries one reason. gRPC: `google.rpc.ErrorInfo` with domain `veilcloud`. REST: the same word in\n`application/problem+json`, whose `type` is the page that the server has of it. Generated from\n`proto/veilcloud/common/v1/error_reason.proto`, the server's table of codes and the tests by `cargo xtask codegen`.\n\n| reason | gRPC | HTTP | meaning |\n|---|---|---|---|\n",
    );
    for (word, facts) in table {
        let reason = Reason { word, facts, test: tests.get(word.as_str()) };
        index.push_str(&format!(
            "| [{word}]({word}.md) | {} | {} | {} |\n",
            reason.text("grpc"),
            facts["http"],
            reason.text("meaning")
        ));
        files.insert(PathBuf::from(format!("docs/errors/{word}.md")), reason.page());
    }
    files.insert(PathBuf::from("docs/errors/README.md"), index);
    Ok(files)
}

/// Reasons of this list that no test provokes.
pub fn untested(words: &[&str]) -> Result<Vec<String>> {
    let tests = tests(words)?;
    Ok(words.iter().filter(|word| !tests.contains_key(**word)).map(|word| (*word).to_owned()).collect())
}

impl Reason<'_> {
    fn text(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap_or_default()
    }

    fn page(&self) -> String {
        let metadata = self.facts["metadata"].as_array().map(Vec::as_slice).unwrap_or_default();
        let metadata: Vec<_> =
            metadata.iter().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
        let test = self.test.map_or_else(String::new, |test| {
            format!("| test | `{}` in [{}](../../{1}) |\n", test.name, test.file.display())
        });
        let metadata = if metadata.is_empty() {
            String::new()
        } else {
            format!("| metadata | {} |\n", metadata.join(", "))
        };
        format!(
            "# {}\n\n{}\n\n| | |\n|---|---|\n| gRPC | `{}` |\n| HTTP | {}, \"{}\" |\n{metadata}{test}\n## What to do\n\n{}\n",
            self.word,
            self.text("meaning"),
            self.text("grpc"),
            self.facts["http"],
            self.text("title"),
            self.text("remedy"),
        )
    }
}

/// For each word the best test that names it.
fn tests(words: &[&str]) -> Result<BTreeMap<String, Test>> {
    let mut files = project::files()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "rs"));
    files.retain(|f| !NOT_PROVOKING.iter().any(|skip| f.starts_with(skip) || text_starts(f, skip)));
    files.sort_by_key(|f| (ORDER.iter().position(|begin| text_starts(f, begin)), f.clone()));
    let mut found = BTreeMap::new();
    for file in files {
        let source = fs::read_to_string(project::root().join(&file))?;
        for (word, name) in named(&source, words) {
            found.entry(word).or_insert_with(|| Test { file: file.clone(), name });
        }
    }
    Ok(found)
}

fn text_starts(file: &Path, begin: &str) -> bool {
    file.to_str().is_some_and(|file| file.starts_with(begin))
}

/// Words that tests of this source name, each with the first test that does.
fn named(source: &str, words: &[&str]) -> Vec<(String, String)> {
    let patterns: Vec<_> = words.iter().map(|word| (*word, spellings(word))).collect();
    let (mut found, mut test, mut marked) = (Vec::new(), None, false);
    for line in source.lines() {
        let code = line.trim();
        if code == "#[test]" || code.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(name) = function(code) {
            test = std::mem::take(&mut marked).then(|| name.to_owned());
        }
        let Some(test) = &test else { continue };
        for (word, spellings) in &patterns {
            let new = !found.iter().any(|(known, _)| known == word);
            if new && spellings.iter().any(|spelling| has(code, spelling)) {
                found.push(((*word).to_owned(), test.clone()));
            }
        }
    }
    found
}

/// How a test names a reason: its word as text, or the enum's variant.
fn spellings(word: &str) -> [String; 2] {
    let part = |part: &str| part[..1].to_owned() + &part[1..].to_ascii_lowercase();
    let camel: String = word.split('_').filter(|part| !part.is_empty()).map(part).collect();
    [format!("\"{word}\""), format!("ErrorReason::{camel}")]
}

/// Whether the code has this spelling and not only one that begins with it.
fn has(code: &str, spelling: &str) -> bool {
    code.match_indices(spelling).any(|(at, _)| {
        let next = code[at + spelling.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric())
    })
}

/// The name of the function that begins on this line.
fn function(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ").unwrap_or(code);
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
fn helper() { refused("RATE_LIMITED"); }
#[test]
fn one() {
    assert_eq!(reason, "ETAG_MISMATCH");
}
#[tokio::test]
async fn two() {
    assert_eq!(fault, ErrorReason::LogBehindMore);
    assert_eq!(fault, ErrorReason::ProofStale);
    let again = "ETAG_MISMATCH";
}
fn helper_after() { refused("DRAINING"); }
"#;

    #[test]
    fn a_word_belongs_to_the_first_test_that_names_it() {
        let words = ["RATE_LIMITED", "ETAG_MISMATCH", "PROOF_STALE", "DRAINING", "LOG_BEHIND"];
        let found = named(SOURCE, &words);
        let expected = [("ETAG_MISMATCH", "one"), ("PROOF_STALE", "two")];
        assert_eq!(found, expected.map(|(word, test)| (word.to_owned(), test.to_owned())));
    }
}
