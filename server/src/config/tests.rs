use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn load(
    file: Option<&str>,
    env: Pairs<'_>,
    flags: &[(&'static str, &str)],
) -> Result<(Config, Vec<String>), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = file.map(|text| {
        let path = dir.path().join("veilcloud.toml");
        std::fs::write(&path, text).unwrap();
        path
    });
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    Config::load(&Given { file: path, env: &env, flags }).map_err(|e| e.to_string())
}

fn refusal(file: Option<&str>, env: Pairs<'_>) -> String {
    load(file, env, &[]).err().unwrap_or_else(|| panic!("{file:?} {env:?} was taken"))
}

#[test]
fn every_default_parses() {
    let (config, warnings) = load(None, &[], &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(config.accounts.quota_bytes, 10 << 30);
    assert_eq!(config.storage.blob_max_bytes, veilcloud_domain::storage::model::BLOB_MAX_DEFAULT);
    assert!(config.server.roles.has(Role::Api) && config.server.roles.has(Role::Sweep));
    assert!(warnings.is_empty());
}

#[test]
fn names_are_unique_and_in_their_section() {
    let mut seen = std::collections::BTreeSet::new();
    for (section, _, settings) in SECTIONS {
        for s in *settings {
            assert!(s.key.starts_with(&format!("{section}.")), "{}", s.key);
            assert!(seen.insert(s.key) && seen.insert(s.env) && !s.doc.trim().is_empty(), "{}", s.key);
            assert!(!s.unit.is_empty() && !s.limit.is_empty() && !s.since.is_empty(), "{}", s.key);
        }
    }
}

#[test]
fn the_command_line_is_well_formed() {
    args::command().debug_assert();
    let matches = args::command().get_matches_from([
        "veilcloud-server",
        "check-config",
        "--allow-plaintext",
        "--listen",
        "[::1]:1",
    ]);
    let args = args::Args::of(&matches);
    assert_eq!(args.task, args::Task::CheckConfig);
    assert_eq!(args.flags["server.allow_plaintext"], "true");
    assert_eq!(args.flags["server.listen"], "[::1]:1");
}

#[test]
fn help_names_every_setting_with_its_variable() {
    let help = args::command().render_long_help().to_string();
    for s in settings() {
        assert!(help.contains(&format!("--{}", s.flag())), "{}", s.key);
        assert!(help.contains(s.env), "{}", s.env);
    }
}

#[test]
fn flags_overrule_the_environment_which_overrules_the_file() {
    let file = "[sweep]\ninterval_s = 11\nbatch = 12\n[http]\nmax_connections = 13\ncors_origins = [\"https://a.example\"]";
    let env = [("VEILCLOUD_SWEEP_BATCH", "22"), ("VEILCLOUD_MAX_CONNECTIONS", "23")];
    let (config, _) = load(Some(file), &env, &[("http.max_connections", "33")]).unwrap();
    assert_eq!((config.sweep.interval_s, config.sweep.batch, config.http.max_connections), (11, 22, 33));
    assert_eq!(config.http.cors_origins.len(), 1);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let (config, _) = load(None, &[("VEILCLOUD_TLS_CERT", ""), ("VEILCLOUD_LISTEN", "")], &[]).unwrap();
    assert!(config.tls_pair().is_none());
}

#[test]
fn a_value_can_come_from_the_file_that_a_variable_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("quota");
    std::fs::write(&path, "99999999999\n").unwrap();
    let path = path.to_str().unwrap();
    let (config, _) = load(None, &[("VEILCLOUD_QUOTA_BYTES_FILE", path)], &[]).unwrap();
    assert_eq!(config.accounts.quota_bytes, 99_999_999_999);
    let both =
        refusal(None, &[("VEILCLOUD_QUOTA_BYTES_FILE", path), ("VEILCLOUD_QUOTA_BYTES", "99999999999")]);
    assert!(both.contains("are both set"), "{both}");
    let absent = refusal(None, &[("VEILCLOUD_QUOTA_BYTES_FILE", "/nowhere/quota")]);
    assert!(
        absent.contains("cannot read /nowhere/quota") && absent.contains("VEILCLOUD_QUOTA_BYTES_FILE"),
        "{absent}"
    );
}

#[test]
fn half_set_states_are_refused() {
    for (env, words) in [
        (&[("VEILCLOUD_TLS_CERT", "c.pem")] as Pairs<'_>, "a certificate without its key"),
        (&[("VEILCLOUD_TLS_KEY", "k.pem")], "a key without its certificate"),
        (&[("VEILCLOUD_LISTEN", "0.0.0.0:8443")], "there is no certificate"),
        (&[("VEILCLOUD_LISTEN", "[::]:8443")], "there is no certificate"),
        (&[("VEILCLOUD_ADMIN_LISTEN", "0.0.0.0:9443")], "the admin port has no login"),
        (&[("VEILCLOUD_ADMIN_LISTEN", "127.0.0.1:8443")], "is the public port"),
        (
            &[("VEILCLOUD_TLS_CERT", "c"), ("VEILCLOUD_TLS_KEY", "k"), ("VEILCLOUD_ALLOW_PLAINTEXT", "true")],
            "remove one",
        ),
        (&[("VEILCLOUD_QUOTA_BYTES", "2048")], "larger than accounts.quota_bytes"),
    ] {
        let why = refusal(None, env);
        assert!(why.contains(words), "{env:?}: {why}");
    }
    load(None, &[("VEILCLOUD_LISTEN", "0.0.0.0:8443"), ("VEILCLOUD_ALLOW_PLAINTEXT", "true")], &[]).unwrap();
    load(None, &[("VEILCLOUD_ADMIN_LISTEN", "0.0.0.0:9443"), ("VEILCLOUD_ADMIN_ALLOW_PUBLIC", "true")], &[])
        .unwrap();
    load(None, &[("VEILCLOUD_LISTEN", "127.0.0.1:0"), ("VEILCLOUD_ADMIN_LISTEN", "127.0.0.1:0")], &[])
        .unwrap();
}

#[test]
fn what_is_not_built_says_what_is() {
    for (name, text, words) in [
        ("VEILCLOUD_MODE", "central", "mode central is not built in this version: use standalone"),
        ("VEILCLOUD_MODE", "edge", "mode edge is not built in this version: use standalone"),
        ("VEILCLOUD_MODE", "x", "is no mode"),
        (
            "VEILCLOUD_ROLES",
            "api,sift",
            "role sift is not built in this version: use all, api, publish, sweep",
        ),
        ("VEILCLOUD_ROLES", "api", "api without publish"),
        ("VEILCLOUD_ROLES", "witness,api", "runs alone"),
        ("VEILCLOUD_WITNESS_LOGS", "nonsense", "is no verifier key"),
        ("VEILCLOUD_CHAIN_NAME", "Not A Name", "is no name of logs"),
        ("VEILCLOUD_ROLES", "cook", "is no role"),
        ("VEILCLOUD_ROLES", ",", "no role is named"),
        ("STORAGE_LOCAL_PATH", "/elsewhere", "blobs outside the data folder are not built in this version"),
        ("STORAGE_TYPE", "s3", "storage s3 is not built in this version: use local"),
    ] {
        let why = refusal(None, &[(name, text)]);
        assert!(why.contains(words) && why.contains(name), "{text}: {why}");
    }
}

#[test]
fn values_outside_their_limits_are_refused() {
    for (name, text) in [
        ("VEILCLOUD_MAX_CONNECTIONS", "0"),
        ("VEILCLOUD_MAX_CONNECTIONS", "true"),
        ("VEILCLOUD_MAX_CONNECTIONS", "1.5"),
        ("VEILCLOUD_REQUEST_TIMEOUT_MS", "0"),
        ("VEILCLOUD_SWEEP_INTERVAL_S", "-1"),
        ("VEILCLOUD_DRAIN_TIMEOUT_S", "601"),
        ("VEILCLOUD_LISTEN", "localhost"),
        ("VEILCLOUD_REGISTRATION_OPEN", "yes"),
        ("VEILCLOUD_DEFAULT_TIER", "gold"),
        ("VEILCLOUD_LOG", "veilcloud=loud"),
        ("VEILCLOUD_LOG_FORMAT", "xml"),
        ("VEILCLOUD_CORS_ORIGINS", "*"),
        ("VEILCLOUD_CORS_ORIGINS", "https://a.example/path"),
        ("VEILCLOUD_CORS_ORIGINS", "https://*.example"),
        ("VEILCLOUD_TRUSTED_PROXIES", "0.0.0.0"),
        ("VEILCLOUD_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("VEILCLOUD_TRUSTED_PROXIES", "proxy"),
    ] {
        let why = refusal(None, &[(name, text)]);
        assert!(why.contains(name), "{name}={text}: {why}");
    }
}

#[test]
fn a_file_with_a_stranger_or_a_mistake_is_refused() {
    for (file, words) in [
        ("[server]\nlisten_on = \"127.0.0.1:1\"", "server.listen_on"),
        ("lisent = 1", "there is no such setting"),
        ("[tls.deep]\ncert = \"x\"", "tls.deep.cert"),
        ("[server\n", "veilcloud.toml"),
        ("[http]\nmax_connections = 1.5", "not a whole number"),
        ("[http]\ncors_origins = [1]", "strings without commas only"),
    ] {
        let why = refusal(Some(file), &[]);
        assert!(why.contains(words), "{file}: {why}");
    }
}

#[test]
fn every_problem_is_named_at_once() {
    let why = refusal(Some("[sweep]\nbatch = 0"), &[("VEILCLOUD_MODE", "edge"), ("VEILCLOUD_TLS_KEY", "k")]);
    for words in ["3 places", "sweep.batch", "server.mode", "tls.key"] {
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn a_mistyped_variable_is_pointed_out() {
    let env =
        [("VEILCLOUD_LISTNE", "x"), ("VEILCLOUD_ENDPOINT", "x"), ("VEILCLOUD_QUOTA_BYTES", "99999999999")];
    let (_, warnings) = load(None, &env, &[]).unwrap();
    assert_eq!(warnings, ["VEILCLOUD_LISTNE is set but is no setting: it has no effect"]);
}

#[test]
fn the_committed_page_and_example_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (path, fresh) in [("docs/config.md", markdown()), ("deploy/veilcloud.example.toml", example())] {
        let committed = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(committed == fresh, "{path} is not current: run `cargo xtask codegen`");
    }
}

#[test]
fn the_example_file_is_taken_with_every_line_switched_on() {
    let all: Vec<_> = example()
        .lines()
        .map(|l| l.strip_prefix('#').filter(|r| !r.starts_with(' ')).unwrap_or(l).to_owned())
        .collect();
    let text = all.join("\n");
    load(Some(&text), &[], &[]).unwrap();
}
