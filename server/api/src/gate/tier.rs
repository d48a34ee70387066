//! Step 4, tier: rate tokens by account, or by address for callers without one. Guessable secrets have stricter meters
//! of their own, by address and by e-mail. What has no price (an upload's chunk, a piece of a log) has one too. Before this step, a
//! refused request costs its address a token: see [`Gate::charge`].

use std::{net::IpAddr, time::Duration};

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use veilcloud_domain::auth::{
    model::Tier,
    port::{GUARD, Taken, Window},
};
use veilcloud_proto::common::v1::ErrorReason;

use super::{Call, Gate, address};
use crate::status::Fault;

const MINUTE: u32 = 60;
const DAY: u32 = 86_400;
/// As many times more guesses as an address has an IPv6 network of 48 bits.
const NETWORK_FACTOR: u32 = 8;
/// As many times more guesses at one e-mail all addresses together have than one of them.
const EMAIL_FACTOR: u32 = 10;

fn windows(tier: Tier) -> &'static [Window] {
    match tier {
        Tier::Free => &[Window { limit: 100, seconds: MINUTE }, Window { limit: 1000, seconds: DAY }],
        Tier::Pro => &[Window { limit: 1000, seconds: MINUTE }, Window { limit: 50_000, seconds: DAY }],
        Tier::Team => &[Window { limit: 5000, seconds: MINUTE }],
        Tier::Enterprise => &[],
    }
}

impl Gate {
    /// Takes the call's tokens from everyone who pays for it.
    pub(super) async fn take_tokens(&self, call: &mut Call) -> Result<(), Fault> {
        let access = call.method.access;
        if access.guarded {
            self.take_guarded(call).await?;
        }
        let taken = match &call.caller {
            Some(caller) if access.cost == 0 => {
                let window = Window { limit: self.settings.chunks_per_minute, seconds: MINUTE };
                let key = format!("chunks:{}", caller.account);
                self.take(&key, 1, &[window], "chunks", access.mutation).await?
            }
            _ if access.cost == 0 => None,
            Some(caller) => {
                let key = format!("account:{}", caller.account);
                self.take(&key, access.cost, windows(caller.tier), caller.tier.as_str(), access.mutation)
                    .await?
            }
            None => self.take_by_address(call.address, access.cost).await?,
        };
        call.allowance = taken.map(|(window, left)| (window.limit, left));
        Ok(())
    }

    /// Takes a token of those who read a private log by its token, all of them together.
    pub async fn take_pieces(&self, log: &str) -> Result<(), Fault> {
        let window = Window { limit: self.settings.chunks_per_minute, seconds: MINUTE };
        self.take(&format!("log:{log}"), 1, &[window], "chunks", false).await.map(drop)
    }

    /// Takes tokens of a caller without an account.
    pub(super) async fn take_by_address(
        &self,
        from: IpAddr,
        cost: u32,
    ) -> Result<Option<(Window, u32)>, Fault> {
        let window = Window { limit: self.settings.anonymous_per_minute_per_address, seconds: MINUTE };
        self.take(&format!("address:{}", address::meter_key(from)), cost, &[window], "anonymous", false).await
    }

    async fn take_guarded(&self, call: &Call) -> Result<(), Fault> {
        let here = address::meter_key(call.address);
        let by_address = self.settings.guarded_per_minute_per_address;
        let mut meters = vec![(format!("{GUARD}address:{here}"), by_address)];
        if let Some(network) = address::network_key(call.address) {
            meters.push((format!("{GUARD}network:{network}"), by_address.saturating_mul(NETWORK_FACTOR)));
        }
        if let Some(email) = call.text(call.method.email) {
            let key = self.email_key(&email);
            let by_email = self.settings.guarded_per_minute_per_email;
            // The small window first: who is out of it takes nothing from the one that the person shares.
            meters.push((format!("{key}:{here}"), by_email));
            meters.push((key, by_email.saturating_mul(EMAIL_FACTOR)));
        }
        for (key, limit) in meters {
            self.take(&key, 1, &[Window { limit, seconds: MINUTE }], "guarded", true).await?;
        }
        Ok(())
    }

    /// What a request that was refused before this step is answered: it costs its address a token, so that refusals are
    /// bounded too. What the server cannot do now costs nothing.
    pub async fn charge(&self, from: IpAddr, refused: Fault) -> Fault {
        use ErrorReason as R;
        let ours = matches!(
            refused.reason(),
            R::Draining | R::StoreUnavailable | R::StoreFull | R::Internal | R::RateLimited
        );
        if ours {
            return refused;
        }
        self.take_by_address(from, 1).await.err().unwrap_or(refused)
    }

    /// Keyed, so that a dump of the meter's store does not tell who tried to log in.
    fn email_key(&self, email: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.services.page_key).expect("HMAC takes keys of any length");
        mac.update(b"guard:email:");
        mac.update(email.to_ascii_lowercase().as_bytes());
        format!("{GUARD}email:{}", HEXLOWER.encode(&mac.finalize().into_bytes()))
    }

    async fn take(
        &self,
        key: &str,
        cost: u32,
        windows: &[Window],
        tier: &'static str,
        closed: bool,
    ) -> Result<Option<(Window, u32)>, Fault> {
        let now_ms = self.services.clock.now_ms();
        match self.services.meter.take(key, cost, windows, now_ms).await {
            Ok(Taken::Granted { tightest }) => Ok(tightest),
            Ok(Taken::Refused { window, retry_after_ms }) => Err(refused(tier, window, retry_after_ms)),
            Err(error) if closed => Err(error.into()),
            // Reading goes on while the meter's store is away; changing and guessing do not.
            Err(error) => {
                tracing::warn!(%error, "the meter is unavailable; a read was not counted");
                Ok(None)
            }
        }
    }
}

fn refused(tier: &'static str, window: Window, retry_after_ms: u64) -> Fault {
    let Window { limit, seconds } = window;
    Fault::new(ErrorReason::RateLimited, format!("{limit} tokens per {seconds} seconds are used up"))
        .with("tier", tier)
        .with("limit", limit)
        .with("window", format!("{seconds}s"))
        .retry_after(Duration::from_millis(retry_after_ms))
}
