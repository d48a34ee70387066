//! The table of arrows (ARCHITECTURE.md, section 3) against the real graph of the workspace.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Findings;
use crate::project;

/// For each package: which of our packages it may import, and which outside crates it must not.
struct Room {
    package: &'static str,
    may: &'static [&'static str],
    must_not: &'static [&'static str],
}

const SUITE: &[&str] = &["veilchain", "veilcore", "veilkey", "veilsign", "veilvault"];
/// What would make a suite crate impure.
const IMPURE: &[&str] = &["tokio", "prost", "tonic", "async-trait", "tracing", "reqwest", "rusqlite"];
/// Technologies that the centre must not know.
const TECHNOLOGY: &[&str] = &[
    "tonic",
    "prost",
    "prost-reflect",
    "sqlx",
    "rusqlite",
    "rdkafka",
    "redis",
    "aws-sdk-s3",
    "axum",
    "hyper",
];

const ROOMS: &[Room] = &[
    Room { package: "veilcore", may: &[], must_not: IMPURE },
    Room { package: "veilchain", may: &["veilcore"], must_not: IMPURE },
    Room { package: "veilkey", may: &["veilcore"], must_not: IMPURE },
    Room { package: "veilsign", may: &["veilcore"], must_not: IMPURE },
    Room { package: "veilvault", may: &["veilcore", "veilkey"], must_not: IMPURE },
    Room { package: "veilcloud-proto", may: &[], must_not: &[] },
    Room { package: "veilcloud-domain", may: SUITE, must_not: TECHNOLOGY },
    Room {
        package: "veilcloud-embedded",
        may: &["veilcloud-domain", "veilchain", "veilcore", "veilkey", "veilsign", "veilvault"],
        must_not: &["tonic", "prost", "axum", "sqlx"],
    },
    Room {
        package: "veilcloud-http",
        may: &["veilcloud-domain", "veilchain"],
        must_not: &["tonic", "prost", "axum", "rusqlite", "sqlx"],
    },
    Room {
        package: "veilcloud-api",
        may: &[
            "veilcloud-domain",
            "veilcloud-proto",
            "veilchain",
            "veilcore",
            "veilkey",
            "veilsign",
            "veilvault",
        ],
        must_not: &["rusqlite", "sqlx", "redis"],
    },
    Room {
        package: "veilcloud-workers",
        may: &["veilcloud-domain", "veilchain", "veilcore", "veilkey", "veilsign", "veilvault"],
        must_not: &["tonic", "axum", "rusqlite", "sqlx"],
    },
    Room {
        package: "veilcloud-server",
        may: &[
            "veilcloud-domain",
            "veilcloud-api",
            "veilcloud-workers",
            "veilcloud-embedded",
            "veilcloud-http",
            // Ids only.
            "veilcore",
        ],
        must_not: &[],
    },
    Room {
        package: "veilcloud-sdk-rust",
        may: &["veilcloud-proto", "veilchain", "veilcore", "veilkey", "veilsign", "veilvault"],
        must_not: &["rusqlite", "axum"],
    },
    Room {
        package: "veilcloud-cli",
        may: &["veilcloud-sdk-rust"],
        must_not: &["tonic", "prost", "age", "opaque-ke"],
    },
    Room {
        package: "veilcloud-tests",
        may: &[
            "veilcloud-sdk-rust",
            "veilcloud-proto",
            "veilchain",
            "veilcore",
            "veilkey",
            "veilsign",
            "veilvault",
        ],
        must_not: &[],
    },
    Room { package: "veilcloud-conformance", may: &[], must_not: &[] },
    Room { package: "veilcloud-xtask", may: &[], must_not: &[] },
];

/// Imports that tests and benches alone may have beside their package's row.
const TESTS: &[(&str, &str)] = &[
    // The witnesses that answer this client in its tests are small real servers.
    ("veilcloud-http", "axum"),
    // The bench measures the log beside the bare hash that bounds it.
    ("veilcloud-server", "veilchain"),
    // Other people's service in the place of ours, behind the real accept loop and all layers.
    ("veilcloud-server", "veilcloud-conformance"),
    // The bench of the access check shows what a client shows: narrowed capabilities and proofs.
    ("veilcloud-server", "veilsign"),
];

/// Every package has a room, and every import has an arrow.
pub fn check() -> Result<Findings> {
    let text = project::output(&mut project::cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--locked",
    ]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let rooms: BTreeMap<_, _> = ROOMS.iter().map(|r| (r.package, r)).collect();
    let mut findings = Findings::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has a name")?;
        let Some(room) = rooms.get(name) else {
            findings.push(format!("{name} has no row in the table of arrows"));
            continue;
        };
        // Development dependencies are judged too: a test that reaches over a wall is a crack in it.
        for dependency in package["dependencies"].as_array().context("a package has dependencies")? {
            let import = dependency["name"].as_str().context("a dependency has a name")?;
            if dependency["kind"] == "dev" && TESTS.contains(&(name, import)) {
                continue;
            }
            let ours = rooms.contains_key(import) && import != name;
            if ours && !room.may.contains(&import) {
                findings.push(format!("{name} imports {import}, which its row does not allow"));
            }
            if room.must_not.contains(&import) {
                findings.push(format!("{name} imports {import}, which its row forbids"));
            }
        }
    }
    Ok(findings)
}
