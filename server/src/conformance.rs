//! A program for tests, not a part of the server: the public port with all its layers, the real accept loop and its real
//! settings, over the service of Connect's conformance runner. It is an example target, so that no build for users has it,
//! and stands here because it needs the same modules under the same names. `tests/e2e/conformance.rs` runs it.
//!
//! A `ServerCompatRequest` comes on standard input, a `ServerCompatResponse` goes to standard output, each after its
//! length in four bytes. It serves until it is killed. With the argument `http2` it asks for nothing, prints its address as
//! a line, and answers every request once it has read it: the cases of HTTP/2 then meet a request that is not over.

#![allow(dead_code, unused_imports, reason = "the server uses the rest of these modules")]

mod config;
mod crowd;
mod listen;
mod tls;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    io::{Read, Write, stdin, stdout},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Bytes};
use config::{Config, Given};
use listen::{Options, Port};
use prost::Message;
use tls::Tls;
use tokio_util::sync::CancellationToken;
use veilcloud_api::{
    Settings,
    testkit::{Guest, router},
};
use veilcloud_conformance::{
    DESCRIPTOR_SET, STREAMS,
    pb::{ServerCompatRequest, ServerCompatResponse},
    routes,
};

/// Greatest message without a wish of the runner's.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// As many times the greatest message a stream may have.
const STREAM_MESSAGES_MAX: u64 = 16;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("http2") {
        return http2().await;
    }
    let wish = ServerCompatRequest::decode(read()?.as_slice())?;
    let config = config()?;
    let creds = wish.server_creds.clone().unwrap_or_default();
    let tls = if wish.use_tls { Some(pair(&creds.cert, &creds.key)?) } else { None };
    let port = bind(&config, tls).await?;
    let address = port.address()?;
    let router = router(guest(&wish), settings(&config, &wish));
    let serving = tokio::spawn(port.serve(router, CancellationToken::new()));
    let pem_cert = if wish.use_tls { creds.cert } else { Vec::new() };
    let answer =
        ServerCompatResponse { host: address.ip().to_string(), port: address.port().into(), pem_cert };
    write(&answer.encode_to_vec())?;
    serving.await?;
    Ok(())
}

/// What an operator has who sets nothing.
fn config() -> Result<Config, Box<dyn Error>> {
    let given = Given { file: None, env: &BTreeMap::new(), flags: BTreeMap::new() };
    Ok(Config::load(&given)?.0)
}

async fn bind(config: &Config, tls: Option<Arc<Tls>>) -> Result<Port, Box<dyn Error>> {
    let options = Options {
        port: "conformance",
        max_connections: config.http.max_connections,
        max_per_address: config.http.max_connections_per_address,
        uncounted: Vec::new(),
        handshake_timeout: Duration::from_millis(config.tls.handshake_timeout_ms),
        max_age: Duration::from_secs(config.http.max_connection_age_s),
        grace: config.drain_timeout(),
    };
    Ok(Port::bind("127.0.0.1:0".parse()?, options, &config.http, tls).await?)
}

async fn http2() -> Result<(), Box<dyn Error>> {
    let port = bind(&config()?, None).await?;
    writeln!(stdout(), "{}", port.address()?)?;
    let whole = |_: Bytes| async { "read\n" };
    port.serve(Router::new().fallback(whole), CancellationToken::new()).await;
    Ok(())
}

fn limit(wish: &ServerCompatRequest) -> u64 {
    if wish.message_receive_limit > 0 { wish.message_receive_limit.into() } else { MESSAGE_BYTES_MAX }
}

fn guest(wish: &ServerCompatRequest) -> Guest<'static> {
    let most = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Guest {
        descriptors: DESCRIPTOR_SET,
        routes: routes(most(limit(wish))),
        streams: STREAMS,
        stream_bytes_max: most(limit(wish) * STREAM_MESSAGES_MAX),
    }
}

fn settings(config: &Config, wish: &ServerCompatRequest) -> Settings {
    let mut settings = Settings {
        request_timeout: Duration::from_millis(config.http.request_timeout_ms),
        cors_origins: vec!["https://console.example".to_owned()],
        tls: wish.use_tls,
        // All calls come from one address.
        anonymous_per_minute_per_address: u32::MAX,
        ..Settings::default()
    };
    settings.limits.message_bytes = limit(wish);
    settings
}

/// The runner's certificate and key, by way of files, as the server reads them.
fn pair(cert: &[u8], key: &[u8]) -> Result<Arc<Tls>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (cert_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&cert_file, cert)?;
    fs::write(&key_file, key)?;
    Ok(Tls::load(&cert_file, &key_file)?)
}

fn read() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut len = [0; 4];
    stdin().read_exact(&mut len)?;
    let mut message = vec![0; usize::try_from(u32::from_be_bytes(len))?];
    stdin().read_exact(&mut message)?;
    Ok(message)
}

fn write(message: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut out = stdout();
    out.write_all(&u32::try_from(message.len())?.to_be_bytes())?;
    out.write_all(message)?;
    Ok(out.flush()?)
}
