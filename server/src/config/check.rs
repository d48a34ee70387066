//! What no single value shows: half-set states and combinations that expose more than they seem to.

use super::{Config, Role, source::Values};

/// Longest `chain.name`: with the longest end of an origin it stays far below what a checkpoint takes.
const NAME_LEN_MAX: usize = 128;

/// Notes every problem of the whole.
pub fn whole(config: &Config, values: &mut Values) {
    let server = &config.server;
    match (&config.tls.cert, &config.tls.key) {
        (Some(_), None) => values.refuse("tls.cert", "a certificate without its key: set tls.key (VEILCLOUD_TLS_KEY) too"),
        (None, Some(_)) => values.refuse("tls.key", "a key without its certificate: set tls.cert (VEILCLOUD_TLS_CERT) too"),
        (None, None) if !server.listen.ip().is_loopback() && !server.allow_plaintext => values.refuse(
            "server.listen",
            format!(
                "{} can be reached by others and there is no certificate: set tls.cert and tls.key, listen on 127.0.0.1, \
                 or say server.allow_plaintext = true behind a proxy that ends TLS",
                server.listen
            ),
        ),
        (Some(_), Some(_)) if server.allow_plaintext => values
            .refuse("server.allow_plaintext", "there is a certificate, so nothing is served in plaintext: remove one of them"),
        _ => {}
    }
    if !config.admin.listen.ip().is_loopback() && !config.admin.allow_public {
        values.refuse(
            "admin.listen",
            format!(
                "{} can be reached by others and the admin port has no login: listen on 127.0.0.1, or say \
                 admin.allow_public = true if a firewall keeps it private",
                config.admin.listen
            ),
        );
    }
    let clash = config.admin.listen.port() == server.listen.port() && server.listen.port() != 0;
    let same_ip = config.admin.listen.ip() == server.listen.ip()
        || config.admin.listen.ip().is_unspecified()
        || server.listen.ip().is_unspecified();
    if clash && same_ip {
        values.refuse("admin.listen", format!("{} is the public port: choose another", config.admin.listen));
    }
    if config.storage.local_path.as_ref().is_some_and(|path| *path != server.data_dir.join("blobs")) {
        values.refuse(
            "storage.local_path",
            format!(
                "blobs outside the data folder are not built in this version: leave it out, or say {}",
                server.data_dir.join("blobs").display()
            ),
        );
    }
    if config.storage.blob_max_bytes > config.accounts.quota_bytes {
        values.refuse(
            "storage.blob_max_bytes",
            format!("one blob may be larger than accounts.quota_bytes = {}", config.accounts.quota_bytes),
        );
    }
    chain(config, values);
    if let Err(e) = config.log.filter.parse::<tracing_subscriber::EnvFilter>() {
        values.refuse("log.filter", format!("{:?} is no filter: {e}", config.log.filter));
    }
}

fn chain(config: &Config, values: &mut Values) {
    let roles = &config.server.roles;
    if roles.has(Role::Api) && !roles.has(Role::Publish) {
        values.refuse(
            "server.roles",
            "api without publish: changes wait for the log, which this process alone can write to its data folder; name both",
        );
    }
    if let Some(name) = &config.chain.name {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_/:".contains(c);
        let whole = name.chars().all(plain) && !name.starts_with('/') && !name.ends_with('/');
        if !whole || name.len() > NAME_LEN_MAX || name.contains("//") {
            values.refuse(
                "chain.name",
                format!("{name:?} is no name of logs: a-z 0-9 . - _ / : and at most 128 of them"),
            );
        }
    }
    if roles.has(Role::Witness) {
        if config.witness.name.is_none() {
            values.refuse("witness.name", "the role witness needs a name: it is part of its key for ever");
        }
        if config.witness.logs.is_empty() {
            values.refuse("witness.logs", "the role witness needs the keys of the logs that it watches");
        }
    }
    for log in &config.witness.logs {
        if let Err(error) = log.parse::<veilcloud_domain::audit::VerifierKey>() {
            values.refuse("witness.logs", format!("{log:?} is no verifier key: {error}"));
        }
    }
}
