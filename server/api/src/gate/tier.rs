//! Step 4, tier: rate tokens by account, all its sessions and API keys together, or by address for callers without one.
//! Guessable secrets have stricter meters of their own, by address and by e-mail. What has no price (an upload's chunk, a
//! piece of a log) has one too. Before this step, a refused request costs its address a token: see [`Gate::charge`]; and a
//! bearer that was not good here before costs one before it is looked up: see [`Gate::take_lookup`].
//!
//! While the meter's store is away, reading goes on; what changes something, and every guess at a secret, does not.

use std::{net::IpAddr, time::Duration};

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use veilcloud_domain::auth::{
    Caller,
    model::Tier,
    port::{GUARD, Left, Taken, Window},
};
use veilcloud_proto::common::v1::ErrorReason;

use super::{Call, Gate, address, allowance::Allowance};
use crate::status::Fault;

pub(super) const MINUTE: u32 = 60;
pub(super) const DAY: u32 = 86_400;
/// As many times more guesses as an address has an IPv6 network of 48 bits.
const NETWORK_FACTOR: u32 = 8;
/// As many times more guesses at one e-mail all addresses together have than one of them.
const EMAIL_FACTOR: u32 = 10;

/// As many bytes of a download cost a token more.
const LENGTH_STEP: u64 = 16 << 20;
/// Most tokens that the length of one download costs: half of the smallest tier's minute.
const LENGTH_COST_MAX: u32 = 50;

/// What a call is counted in, and what happens when it cannot be counted.
struct Purse<'a> {
    key: &'a str,
    class: &'static str,
    windows: &'a [Window],
    /// True when a call that cannot be counted is refused.
    closed: bool,
}

impl Gate {
    /// Takes the call's tokens from everyone who pays for it.
    pub(super) async fn take_tokens(&self, call: &mut Call) -> Result<(), Fault> {
        let access = call.method.access;
        if access.guarded {
            self.take_guarded(call).await?;
        }
        call.allowance = match &call.caller {
            Some(caller) if access.cost == 0 => {
                let key = format!("chunks:{}", caller.account);
                let windows = [self.chunks()];
                let purse = Purse { key: &key, class: "chunks", windows: &windows, closed: access.mutation };
                self.take(purse, 1).await?
            }
            None if access.cost == 0 => None,
            Some(caller) => self.take_by_tier(caller, access.cost, access.mutation).await?,
            None => {
                self.take_by_address(call.address, access.cost, access.mutation || access.guarded).await?
            }
        };
        Ok(())
    }

    /// Takes a token of those who read a private log by its token, all of them together.
    pub async fn take_pieces(&self, log: &str) -> Result<(), Fault> {
        let key = format!("log:{log}");
        let windows = [self.chunks()];
        self.take(Purse { key: &key, class: "chunks", windows: &windows, closed: false }, 1).await.map(drop)
    }

    async fn take_by_tier(
        &self,
        caller: &Caller,
        cost: u32,
        closed: bool,
    ) -> Result<Option<Allowance>, Fault> {
        let key = format!("account:{}", caller.account);
        let windows = self.windows(caller.tier);
        let class = caller.tier.as_str();
        self.take(Purse { key: &key, class, windows: &windows, closed }, cost).await
    }

    /// Takes tokens of a caller without an account.
    pub(super) async fn take_by_address(
        &self,
        from: IpAddr,
        cost: u32,
        closed: bool,
    ) -> Result<Option<Allowance>, Fault> {
        let limit = self.settings.anonymous_per_minute_per_address;
        let key = format!("address:{}", address::meter_key(from));
        let windows = [Window { limit, seconds: MINUTE }];
        self.take(Purse { key: &key, class: "anonymous", windows: &windows, closed }, cost).await
    }

    /// Takes the tokens of a long answer, beyond those of its call: one for each full [`LENGTH_STEP`] bytes, and never more
    /// than [`LENGTH_COST_MAX`], so that every tier can ask for the longest. Taken before the first byte is sent; that
    /// the version was asked for is in the log by then.
    pub(super) async fn take_length(&self, call: &mut Call, len: u64) -> Result<(), Fault> {
        let cost = u32::try_from(len / LENGTH_STEP).map_or(LENGTH_COST_MAX, |cost| cost.min(LENGTH_COST_MAX));
        if let (Some(caller), 1..) = (call.caller.clone(), cost) {
            call.allowance = self.take_by_tier(&caller, cost, false).await?;
        }
        Ok(())
    }

    /// Takes a token for looking up a bearer that was not good here before, from its address and its network. Not a guarded
    /// window: nobody guesses 256 bits, and a flood of them must not fill the room of those that bound logins.
    pub(super) async fn take_lookup(&self, from: IpAddr) -> Result<(), Fault> {
        let limit = self.settings.anonymous_per_minute_per_address;
        let mut meters = vec![(format!("bearer:{}", address::meter_key(from)), limit)];
        if let Some(network) = address::network_key(from) {
            meters.push((format!("bearer:{network}"), limit.saturating_mul(NETWORK_FACTOR)));
        }
        for (key, limit) in meters {
            let windows = [Window { limit, seconds: MINUTE }];
            self.take(Purse { key: &key, class: "bearers", windows: &windows, closed: false }, 1).await?;
        }
        Ok(())
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
            let windows = [Window { limit, seconds: MINUTE }];
            self.take(Purse { key: &key, class: "guarded", windows: &windows, closed: true }, 1).await?;
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
        self.take_by_address(from, 1, false).await.err().unwrap_or(refused)
    }

    /// Keyed, so that a dump of the meter's store does not tell who tried to log in.
    fn email_key(&self, email: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.services.page_key).expect("HMAC takes keys of any length");
        mac.update(b"guard:email:");
        mac.update(email.to_ascii_lowercase().as_bytes());
        format!("{GUARD}email:{}", HEXLOWER.encode(&mac.finalize().into_bytes()))
    }

    fn chunks(&self) -> Window {
        Window { limit: self.settings.chunks_per_minute, seconds: MINUTE }
    }

    fn windows(&self, tier: Tier) -> Vec<Window> {
        let of = |limit, seconds| Some(Window { limit, seconds }).filter(|window| window.limit > 0);
        let (minute, day) = match tier {
            Tier::Free => (of(100, MINUTE), of(1000, DAY)),
            Tier::Pro => (of(1000, MINUTE), of(50_000, DAY)),
            Tier::Team => (of(5000, MINUTE), None),
            Tier::Enterprise => {
                (of(self.settings.enterprise_per_minute, MINUTE), of(self.settings.enterprise_per_day, DAY))
            }
        };
        minute.into_iter().chain(day).collect()
    }

    async fn take(&self, purse: Purse<'_>, cost: u32) -> Result<Option<Allowance>, Fault> {
        let Purse { key, class, windows, closed } = purse;
        let now_ms = self.services.clock.now_ms();
        match self.services.meter.take(key, cost, windows, now_ms).await {
            Ok(Taken::Granted { tightest }) => Ok(tightest.map(|left| Allowance::new(class, windows, left))),
            Ok(Taken::Refused { left, retry_after_ms }) => {
                let allowance = Allowance::new(class, windows, left);
                Err(refused(class, left, retry_after_ms).headers(allowance.headers()))
            }
            Err(error) if closed => Err(error.into()),
            // Reading goes on while the meter's store is away; changing and guessing do not.
            Err(error) => {
                tracing::warn!(%error, "the meter is unavailable; a read was not counted");
                Ok(None)
            }
        }
    }
}

fn refused(class: &'static str, left: Left, retry_after_ms: u64) -> Fault {
    let Window { limit, seconds } = left.window;
    Fault::new(ErrorReason::RateLimited, format!("{limit} tokens per {seconds} seconds are used up"))
        .with("tier", class)
        .with("limit", limit)
        .with("window", format!("{seconds}s"))
        .retry_after(Duration::from_millis(retry_after_ms))
}
