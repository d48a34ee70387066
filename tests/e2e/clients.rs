//! The interface in other people's hands (tests/peers/README.md): clients in Python and JavaScript that share no code with
//! ours log in, put a blob, read it back and read errors; schemathesis judges the served OpenAPI by what the server does.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;
use veilcloud_tests::{
    cli::{Machine, PASSWORD},
    root,
    server::Server,
};

const EMAIL: &str = "alice@example.com";
/// Invented requests for each operation; so many that all of them together take about a minute.
const EXAMPLES: &str = "12";
/// The same requests every time: a failure can be looked at again.
const SEED: &str = "1";
/// Seconds after which the fuzzer begins nothing new.
const FUZZ_TIME_MAX: &str = "75";

/// A program of the peers; says on standard error when it is not on this machine.
fn peer(variable: &str) -> Option<PathBuf> {
    let found = env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        eprintln!("NOT RUN: {variable} is not set, so a foreign client is left out");
    }
    found
}

fn python() -> Option<PathBuf> {
    peer("VEILCLOUD_TEST_TLOG_PYTHON")
}

/// A server with an account and a project, seen by clients that are not ours.
struct World {
    server: Server,
    alice: Machine,
    project: String,
    folder: TempDir,
}

impl World {
    fn start() -> Self {
        let server = Server::start();
        let alice = Machine::with_account(server.endpoint(), EMAIL);
        let made = alice.ok(&["--output", "json", "projects", "create", "my-app"]).json();
        let project = made["id"].as_str().expect("an id").to_owned();
        Self { server, alice, project, folder: TempDir::new().expect("a folder") }
    }

    /// What every client is told: endpoint, e-mail, project, environment, sealed file, its headers. The environment is
    /// there, the file is sealed for its first version.
    fn arguments(&self, env: &str) -> Vec<String> {
        self.alice.ok(&["envs", "create", "my-app", env]);
        let file = self.folder.path().join(format!("{env}.age"));
        let file = file.to_str().expect("plain path");
        let seal = ["--output", "json", "api", "seal", "my-app", env, "-", "--file", file];
        let headers = self.alice.ok_with(&seal, content(env).as_bytes()).text();
        let told = [self.server.endpoint(), EMAIL, &self.project, env, file, headers.trim()];
        told.map(str::to_owned).to_vec()
    }

    /// What a client put is what its owner opens.
    fn opens(&self, env: &str) {
        assert_eq!(self.alice.ok(&["storage", "get", "my-app", env]).text(), content(env));
    }
}

fn content(env: &str) -> String {
    format!("CLIENT={env}\n")
}

fn run(mut command: Command) -> String {
    let Output { status, stdout, stderr } =
        command.env("PASSWORD", PASSWORD).output().expect("the client starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

fn script(program: &Path, path: &str) -> Command {
    let mut command = Command::new(program);
    command.arg("-B").arg(root().join("tests/peers/python").join(path));
    command
}

#[test]
fn grpcio_learns_the_contract_by_reflection_and_does_all_of_it() {
    let Some(python) = python() else { return };
    let world = World::start();
    let mut client = script(&python, "grpc_client.py");
    client.args(world.arguments("grpcio"));
    assert!(run(client).starts_with("ok: "));
    world.opens("grpcio");
}

#[test]
fn the_browsers_clients_speak_grpc_web_with_it() {
    let Some(folder) = peer("VEILCLOUD_TEST_NODE_PEERS") else { return };
    let world = World::start();
    let descriptors = world.folder.path().join("contract.binpb");
    std::fs::write(&descriptors, veilcloud_proto::DESCRIPTOR_SET).expect("write");
    for (name, program) in [("connect-web", "connect_web.mjs"), ("grpc-web", "grpc_web.mjs")] {
        let mut client = Command::new("node");
        client.arg(folder.join(program)).arg(&descriptors).args(world.arguments(name));
        assert!(run(client).starts_with("ok: "), "{name}");
        world.opens(name);
    }
}

#[test]
fn the_served_openapi_is_valid_and_says_what_the_server_does() {
    let Some(python) = python() else { return };
    let world = World::start();
    world.alice.ok_with(&["storage", "put", "my-app", "production", "-"], b"A=1\n");
    let document = format!("{}/openapi.json", world.server.endpoint());
    let mut validator = Command::new(&python);
    run({
        let file = world.folder.path().join("openapi.json");
        let served = veilcloud_tests::rest::get(&document).expect("the document is served");
        std::fs::write(&file, &served.body).expect("write");
        validator.args(["-m", "openapi_spec_validator"]).arg(&file);
        validator
    });
    let mut fuzz = Command::new(&python);
    fuzz.args(["-B", "-m", "schemathesis.cli", "--config-file"])
        .arg(root().join("tests/peers/python/schemathesis.toml"))
        .args(["run", &document, "--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--max-time", FUZZ_TIME_MAX])
        .current_dir(world.folder.path())
        .env("PYTHONPATH", root().join("tests/peers/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONHASHSEED", SEED)
        .env("SCHEMATHESIS_HOOKS", "fuzz_hooks")
        .env("ENDPOINT", world.server.endpoint())
        .env("EMAIL", EMAIL)
        .env("PROJECT", &world.project)
        .env("ENV", "production");
    let said = run(fuzz);
    assert!(said.contains("Test cases:"), "{said}");
}
