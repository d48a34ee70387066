//! What an operator does to the issuer's keys, while the server runs or not: list, rotate, revoke. A running server takes
//! a change over within seconds and tells its log of it.

use std::{io::Write, sync::Arc};

use time::OffsetDateTime;
use veilcloud_domain::{
    auth::issuers::{Issuer, Keyset},
    clock::{Clock, SystemClock, SystemEntropy},
};
use veilcore::id::KeyId;

use crate::{config::Config, keys::IssuerFile, say, start::StartError};

/// Writes the keys, oldest first: name, what it does, when it begins and ends, its place in the directory's log.
pub fn list(config: &Config) -> Result<(), StartError> {
    show(&open(config).read()?)
}

/// Adds a key, which signs in a day or at once.
pub fn rotate(config: &Config, at_once: bool) -> Result<(), StartError> {
    let now_ms = SystemClock.now_ms();
    let rotated = open(config).change(|keyset, period_ms, entropy| {
        keyset.rotate(now_ms, period_ms, at_once, entropy).map(|_| true)
    })?;
    let keyset = rotated.map_err(|refused| StartError::Refused(refused.to_string()))?;
    say(if at_once {
        "the new key signs as soon as the running server has read it, within seconds"
    } else {
        "the new key signs in a day; sessions go on, and what the old key signed stays good"
    });
    show(&keyset)
}

/// Revokes a key.
pub fn revoke(config: &Config, kid: KeyId) -> Result<(), StartError> {
    let now_ms = SystemClock.now_ms();
    let revoked = open(config)
        .change(|keyset, period_ms, entropy| keyset.revoke(kid, now_ms, period_ms, entropy).map(|()| true))?;
    let keyset = revoked.map_err(|refused| StartError::Refused(refused.to_string()))?;
    say(
        "every capability that it signed is over as soon as the running server has read it, within seconds; sessions renew \
         themselves under another key",
    );
    show(&keyset)
}

fn open(config: &Config) -> IssuerFile {
    IssuerFile::new(&config.server.data_dir, config.access.issuer_period_days, Arc::new(SystemEntropy))
}

fn show(keyset: &Keyset) -> Result<(), StartError> {
    let now_ms = SystemClock.now_ms();
    let signing = keyset.signing(now_ms).map(Issuer::kid);
    let line = |issuer: &Issuer| {
        let state = if issuer.is_revoked() {
            "revoked"
        } else if Some(issuer.kid()) == signing {
            "signs"
        } else if issuer.public.not_before_ms > now_ms {
            "announced"
        } else {
            "believed"
        };
        let leaf = issuer.leaf.map_or_else(|| "not-logged-yet".to_owned(), |leaf| format!("leaf-{leaf}"));
        let (from, to) = (day(issuer.public.not_before_ms), day(issuer.public.not_after_ms));
        format!("{} {state} {from} {to} {leaf}\n", issuer.kid())
    };
    let lines: String = keyset.iter().map(line).collect();
    std::io::stdout().write_all(lines.as_bytes()).map_err(StartError::Print)
}

/// `2026-11-24T20:33Z`.
fn day(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else { return "never".to_owned() };
    format!("{}T{:02}:{:02}Z", at.date(), at.hour(), at.minute())
}
