//! Ids that the server makes, from the ports for time and randomness.

use uuid::Builder;

use crate::clock::{Clock, Entropy};

/// The 16 bytes of a random UUID (version 4).
pub(crate) fn random(entropy: &dyn Entropy) -> [u8; 16] {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    Builder::from_random_bytes(bytes).into_uuid().into_bytes()
}

/// The 16 bytes of a time-ordered UUID (version 7): neighbours in time are neighbours in an index.
pub(crate) fn ordered(clock: &dyn Clock, entropy: &dyn Entropy) -> [u8; 16] {
    let mut bytes = [0; 10];
    entropy.fill(&mut bytes);
    Builder::from_unix_timestamp_millis(clock.now_ms(), &bytes).into_uuid().into_bytes()
}
