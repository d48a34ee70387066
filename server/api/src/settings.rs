//! What the operator decides about the public port.

use std::{net::IpAddr, time::Duration};

use veilcloud_domain::storage::model::{BLOB_MAX_DEFAULT, CHUNK_LEN, DIRECT_BLOB_MAX};

/// Sizes and times, as `GetServerInfo` tells them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Greatest message in bytes.
    pub message_bytes: u64,
    /// Greatest ciphertext that one message carries, in bytes; the contract's own bound.
    pub direct_blob_bytes: u64,
    /// Greatest ciphertext of one blob in bytes.
    pub blob_bytes: u64,
    /// Length of every chunk of an upload but the last, in bytes.
    pub chunk_bytes: u64,
    /// Greatest distance between a proof's time and the server's, in milliseconds.
    pub proof_window_ms: u64,
    /// Bytes one account may store.
    pub account_quota_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1 << 20,
            direct_blob_bytes: DIRECT_BLOB_MAX,
            blob_bytes: BLOB_MAX_DEFAULT,
            chunk_bytes: CHUNK_LEN,
            proof_window_ms: veilsign::proof::WINDOW_MS,
            account_quota_bytes: 10 << 30,
        }
    }
}

/// Settings of the public port.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sizes and times.
    pub limits: Limits,
    /// Longest time until an answer begins; a caller may ask for less.
    pub request_timeout: Duration,
    /// Tokens per minute of an address that calls without a session; and bearers per minute that are looked up for it
    /// without having been good before.
    pub anonymous_per_minute_per_address: u32,
    /// Tokens per minute of an account of the tier enterprise; 0 means no bound.
    pub enterprise_per_minute: u32,
    /// Tokens per day of an account of the tier enterprise; 0 means no bound.
    pub enterprise_per_day: u32,
    /// Guesses per minute from one address: login, registration, recovery. An IPv6 network of 48 bits has eight times as
    /// many.
    pub guarded_per_minute_per_address: u32,
    /// Guesses per minute at one e-mail from one address. All addresses together have ten times as many.
    pub guarded_per_minute_per_email: u32,
    /// Chunks of uploads that one account may put per minute, whatever its tier.
    pub chunks_per_minute: u32,
    /// Bytes of request bodies that are held at once, all callers together; one address holds a quarter at most.
    pub body_bytes_in_flight: usize,
    /// Proxies whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Origins that browsers may call from, for example `https://console.example`.
    pub cors_origins: Vec<String>,
    /// True when the port speaks TLS: answers then demand it of browsers (HSTS).
    pub tls: bool,
    /// Version of the server.
    pub version: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            request_timeout: Duration::from_secs(30),
            anonymous_per_minute_per_address: 600,
            enterprise_per_minute: 0,
            enterprise_per_day: 0,
            guarded_per_minute_per_address: 30,
            guarded_per_minute_per_email: 10,
            chunks_per_minute: 6000,
            body_bytes_in_flight: 256 << 20,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            tls: false,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
