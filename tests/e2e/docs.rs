//! The documentation, typed in: every marked block of a page, in order, in one shell, against a real server.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use veilcloud_tests::{binary, cli::PASSWORD, files, root, server::Server};

/// Ends the comment on the line before a block that is run.
const MARKER: &str = "run by tests/e2e/docs.rs -->";

/// People type their password at `register` and `login`; there is no terminal here. So these two get
/// `--password-stdin` (and `--recovery-file`) where the page does not give it already. Everything else is run as
/// it stands.
const NO_TERMINAL: &str = r#"
veilcloud() {
    case " $* " in
    *" --password-stdin "*) command veilcloud "$@" ;;
    " register "*) printf '%s\n' "$PASSWORD" | command veilcloud "$@" --password-stdin --recovery-file code.txt ;;
    " login "*) printf '%s\n' "$PASSWORD" | command veilcloud "$@" --password-stdin ;;
    *) command veilcloud "$@" ;;
    esac
}
"#;

/// Programs that pages call: what a reader has instead.
const PROGRAMS: [(&str, &str); 4] = [
    ("server", r#"test -n "$DATABASE_URL""#),
    ("deploy.sh", r#"test -n "$DATABASE_URL""#),
    ("migrate", r#"test -n "$DATABASE_URL" && test -z "${APP_NAME:-}""#),
    ("bin/generate-env", r#"printf 'DATABASE_URL=postgres://db/new\n'"#),
];

/// The marked blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
    let mut lines = text.lines();
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("<!--") && line.ends_with(MARKER) {
            assert_eq!(lines.next(), Some("```sh"), "{page}: a marker stands on the line before a block");
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

/// A folder with what the pages take for granted, and a home of its own.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("bin")).expect("a folder");
    for (name, text) in PROGRAMS {
        fs::write(at(name), format!("#!/bin/sh\n{text}\n")).expect("write");
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).expect("may be run");
    }
    let dotenv = [b"DATABASE_URL=postgres://db/production\n".as_slice(), &files::dotenv()].concat();
    fs::write(at(".env"), dotenv).expect("write");
    fs::write(at("staging.env"), "DATABASE_URL=postgres://db/staging\n").expect("write");
    fs::write(at("config.json"), r#"{"DATABASE_URL":"postgres://db/json"}"#).expect("write");
    files::write_binary(&at("big.bin"), 3_000_001);
    // A refusal must end the script; on a page nobody wants to read that.
    fs::write(at(".curlrc"), "fail-with-body\nsilent\nshow-error\n").expect("write");
    folder
}

/// Runs the blocks of a page between `before` and `after`.
fn type_in(page: &str, before: &str, after: &str) {
    let blocks = blocks(page);
    assert!(!blocks.is_empty(), "{page} has no block to run");
    let server = Server::start();
    let folder = folder();
    let script = [NO_TERMINAL, before, &blocks.join("\n"), after].join("\n");
    let own = binary("veilcloud").parent().map(Path::to_path_buf).expect("a binary lies in a folder");
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let paths: Vec<PathBuf> =
        [own, folder.path().join("bin")].into_iter().chain(std::env::split_paths(&inherited)).collect();
    let out = Command::new("bash")
        .args(["-euo", "pipefail", "-x", "-c", &script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::join_paths(paths).expect("plain paths"))
        .env("HOME", folder.path())
        .env("PASSWORD", PASSWORD)
        .env("VEILCLOUD_ENDPOINT", server.endpoint())
        .env("VEILCLOUD_CONFIG_DIR", folder.path().join("config"))
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{page}: {}\n{stderr}\n--- standard output\n{stdout}", out.status);
}

#[test]
fn the_quick_start_of_the_readme_works() {
    type_in("README.md", "", "cmp .env out.env && test -f escape/README.txt");
}

#[test]
fn the_first_environment_is_made_as_its_guide_says() {
    type_in("docs/guides/first-environment.md", "", "cmp .env out.env && test -f escape/README.txt");
}

#[test]
fn scripts_do_what_their_guide_says() {
    type_in("docs/guides/scripts-and-ci.md", "", "");
}

#[test]
fn the_rest_interface_is_called_as_its_page_says() {
    let after = r#"
test "$(veilcloud storage get by-curl production)" = A=2
test "$(head -c 21 got.age)" = age-encryption.org/v1
"#;
    type_in("docs/rest.md", "veilcloud register alice@example.com\nveilcloud login", after);
}

#[test]
fn capabilities_are_made_and_used_as_their_guide_says() {
    type_in(
        "docs/guides/capabilities.md",
        "veilcloud register alice@example.com\nveilcloud login alice@example.com",
        "",
    );
}
