//! The keys that sign capabilities, and when each of them does: one signs, the next one is announced a day before, those
//! before it are believed until the last capability that they can have signed is over.
//!
//! What must never happen: a key that signs what outlives the trust in it, a revoked key that is still believed.

use veilcore::{
    canon::{Reader, Writer},
    id::KeyId,
    secret::Secret,
};
use veilsign::{
    capability::{CLOCK_SKEW_MS, ISSUER_KEYS_MAX, IssuerKey, IssuerKeys, LIFETIME_MS_MAX},
    key::{SigningKey, VerifyingKey},
};
use zeroize::Zeroizing;

use crate::clock::{Entropy, Rng};

/// A day in milliseconds.
pub const DAY_MS: u64 = 24 * 3_600_000;
/// How long a key is announced before it signs, in milliseconds.
pub const ANNOUNCED_MS: u64 = DAY_MS;
/// Least time that a key signs, in days: with fewer, more keys would be trusted than a verifier may know.
pub const PERIOD_DAYS_MIN: u64 = 7;
/// Keys that may be added by hand, so that there is always room for the next one.
const BY_HAND_MAX: usize = ISSUER_KEYS_MAX - 2;
const VERSION: u8 = 1;
/// Most entries of the encoding: live keys, and revoked ones that the log has yet to be told of.
const ENTRIES_MAX: usize = 255;

/// One key.
#[derive(Clone)]
pub struct Issuer {
    /// The private half; `None` once it was revoked.
    key: Option<SigningKey>,
    /// The public half, and in which time it is trusted.
    pub public: IssuerKey,
    /// Place of its record in the directory's log, once it is there.
    pub leaf: Option<u64>,
}

/// What an operator asked for cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysetError {
    /// There are as many keys as may be.
    #[error("there are {count} issuer keys, as many as may be: start the server, or wait until one is over")]
    Full {
        /// How many.
        count: usize,
    },
    /// There is no such key.
    #[error("there is no issuer key {kid}")]
    Unknown {
        /// The name.
        kid: KeyId,
    },
    /// The bytes are no keyset.
    #[error("not the issuer keys of a server of this version")]
    Invalid,
}

/// All keys. No Debug: private halves are in it.
#[derive(Clone, Default)]
pub struct Keyset(Vec<Issuer>);

impl Issuer {
    fn new(not_before_ms: u64, period_ms: u64, entropy: &dyn Entropy) -> Self {
        let key = SigningKey::generate(&mut Rng(entropy));
        let not_after_ms =
            not_before_ms.saturating_add(period_ms).saturating_add(LIFETIME_MS_MAX).saturating_add(DAY_MS);
        let public = IssuerKey { key: key.verifying_key(), not_before_ms, not_after_ms };
        Self { key: Some(key), public, leaf: None }
    }

    /// The key's name.
    pub fn kid(&self) -> KeyId {
        self.public.key.key_id()
    }

    /// Whether it was revoked.
    pub fn is_revoked(&self) -> bool {
        self.key.is_none()
    }

    /// The key, and until when what it signs may last.
    pub fn signer(&self) -> Option<(&SigningKey, u64)> {
        self.key.as_ref().map(|key| (key, self.public.not_after_ms))
    }
}

impl Keyset {
    /// The keys of a new server: one, which signs from now on.
    pub fn first(now_ms: u64, period_ms: u64, entropy: &dyn Entropy) -> Self {
        Self(vec![Issuer::new(now_ms, period_ms, entropy)])
    }

    /// Every key, oldest first, revoked ones that no log has yet too.
    pub fn iter(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter()
    }

    /// The key that signs now: the newest whose time has come. One that the log has is taken rather than one that it does
    /// not have yet.
    pub fn signing(&self, now_ms: u64) -> Option<&Issuer> {
        let live = || self.0.iter().filter(|issuer| !issuer.is_revoked());
        let begun = live().filter(|issuer| issuer.public.not_before_ms <= now_ms);
        // A clock that was set back leaves the oldest.
        begun
            .max_by_key(|issuer| (issuer.leaf.is_some(), issuer.public.not_before_ms))
            .or_else(|| live().min_by_key(|issuer| issuer.public.not_before_ms))
    }

    /// What verifiers trust; a key that is announced already a little before it signs, because clocks differ.
    pub fn trusted(&self) -> Option<IssuerKeys> {
        let live = self.0.iter().filter(|issuer| !issuer.is_revoked());
        let early = live.map(|issuer| IssuerKey {
            not_before_ms: issuer.public.not_before_ms.saturating_sub(CLOCK_SKEW_MS),
            ..issuer.public
        });
        IssuerKeys::new(&early.collect::<Vec<_>>()).ok()
    }

    /// What time does: forgets what is over, announces the next key a day before it is due. True when something changed.
    pub fn turn(&mut self, now_ms: u64, period_ms: u64, entropy: &dyn Entropy) -> bool {
        let before = self.0.len();
        let over = |issuer: &Issuer| match issuer.is_revoked() {
            true => issuer.leaf.is_some(),
            false => issuer.public.not_after_ms <= now_ms,
        };
        self.0.retain(|issuer| !over(issuer));
        let mut changed = self.0.len() != before;
        let newest = self.live().map(|issuer| issuer.public.not_before_ms).max();
        let next_ms = match newest {
            None => Some(now_ms),
            Some(newest_ms) => {
                let due_ms = newest_ms.saturating_add(period_ms);
                let announce = due_ms.saturating_sub(ANNOUNCED_MS) <= now_ms;
                announce.then(|| due_ms.max(now_ms.saturating_add(ANNOUNCED_MS)))
            }
        };
        if let Some(next_ms) =
            next_ms.filter(|_| self.live().count() < ISSUER_KEYS_MAX && self.0.len() < ENTRIES_MAX)
        {
            self.0.push(Issuer::new(next_ms, period_ms, entropy));
            changed = true;
        }
        changed
    }

    /// Adds a key by hand: it signs in a day, or at once. Gives its name.
    pub fn rotate(
        &mut self,
        now_ms: u64,
        period_ms: u64,
        at_once: bool,
        entropy: &dyn Entropy,
    ) -> Result<KeyId, KeysetError> {
        let count = self.live().count();
        // One place stays free for the key that time brings.
        if count >= BY_HAND_MAX || self.0.len() + 1 >= ENTRIES_MAX {
            return Err(KeysetError::Full { count: count.max(self.0.len()) });
        }
        let from_ms = if at_once { now_ms } else { now_ms.saturating_add(ANNOUNCED_MS) };
        let issuer = Issuer::new(from_ms, period_ms, entropy);
        let kid = issuer.kid();
        self.0.push(issuer);
        Ok(kid)
    }

    /// Revokes a key: its private half is gone, and nobody believes it any more. Another one that signs at once takes its
    /// place when it was the one that signed.
    pub fn revoke(
        &mut self,
        kid: KeyId,
        now_ms: u64,
        period_ms: u64,
        entropy: &dyn Entropy,
    ) -> Result<(), KeysetError> {
        // Those that no log was told of yet are entries, too.
        if self.0.len() + 1 >= ENTRIES_MAX {
            return Err(KeysetError::Full { count: self.0.len() });
        }
        let signed = self.signing(now_ms).is_some_and(|issuer| issuer.kid() == kid);
        let found = self.0.iter_mut().find(|issuer| issuer.kid() == kid && !issuer.is_revoked());
        let issuer = found.ok_or(KeysetError::Unknown { kid })?;
        issuer.key = None;
        // A record has to end after it begins, also of a key that never signed.
        issuer.public.not_after_ms = now_ms.max(issuer.public.not_before_ms.saturating_add(1));
        issuer.leaf = None;
        if signed || self.live().next().is_none() {
            self.0.push(Issuer::new(now_ms, period_ms, entropy));
        }
        Ok(())
    }

    /// Notes where the log has a key's record; false when it is another record by now.
    pub fn logged(&mut self, public: &IssuerKey, leaf: u64) -> bool {
        match self.0.iter_mut().find(|issuer| issuer.public == *public) {
            Some(issuer) => {
                issuer.leaf = Some(leaf);
                true
            }
            None => false,
        }
    }

    /// Canonical bytes, private halves in them: u8 version, u8 count, and for each u8 1 and the seed or 0 and the public
    /// key of one that was revoked, u64 not_before_ms, u64 not_after_ms, u64 leaf + 1 (0 while there is none).
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for everything at once: growing would leave copies of the keys behind.
        let mut out = Writer::with_capacity(2 + self.0.len() * 57);
        out.u8(VERSION).u8(u8::try_from(self.0.len()).expect("no change makes more than 255 entries"));
        for issuer in &self.0 {
            match &issuer.key {
                Some(key) => out.u8(1).fixed(key.seed().expose()),
                None => out.u8(0).fixed(issuer.public.key.as_bytes()),
            };
            out.u64(issuer.public.not_before_ms).u64(issuer.public.not_after_ms);
            out.u64(issuer.leaf.map_or(0, |leaf| leaf.saturating_add(1)));
        }
        Zeroizing::new(out.finish())
    }

    /// Reads what [`Keyset::to_bytes`] wrote. A set that no verifier would take is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeysetError> {
        let keyset = read(bytes).ok_or(KeysetError::Invalid)?;
        keyset.trusted().map(|_| keyset).ok_or(KeysetError::Invalid)
    }

    fn live(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter().filter(|issuer| !issuer.is_revoked())
    }
}

fn read(bytes: &[u8]) -> Option<Keyset> {
    let mut input = Reader::new(bytes);
    if input.u8().ok()? != VERSION {
        return None;
    }
    let mut keys = Vec::new();
    for _ in 0..input.u8().ok()? {
        let (live, half) = (input.u8().ok()?, input.array::<32>().ok()?);
        let key = (live == 1).then(|| SigningKey::from_seed(&Secret::new(half)));
        let public = match (live, &key) {
            (1, Some(key)) => key.verifying_key(),
            (0, None) => VerifyingKey::parse(&half).ok()?,
            _ => return None,
        };
        let (not_before_ms, not_after_ms) = (input.u64().ok()?, input.u64().ok()?);
        let public = IssuerKey { key: public, not_before_ms, not_after_ms };
        keys.push(Issuer { key, public, leaf: input.u64().ok()?.checked_sub(1) });
    }
    input.finish().ok()?;
    Some(Keyset(keys))
}
