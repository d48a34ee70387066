//! A team of five of whom three open, for the tests that attack it.
#![allow(dead_code, reason = "each test file uses its part")]

use curve25519_dalek::scalar::Scalar;
use rand_core::OsRng;
use veilcore::id::TeamId;
use veilcore::secret::Secret;
use veilkey::ciphertext::Ciphertext;
use veilkey::context::{Context, Holder};
use veilkey::partial::Request;
use veilkey::share::{Dealing, GroupSecret, SecretShare};

use crate::plain::{self, To};

pub const THRESHOLD: usize = 3;
pub const COUNT: usize = 5;
pub const LABEL: &[u8] = b"project/production, version 7";
pub const MESSAGE: &[u8] = b"sixteen byte key";
pub const REQUEST: Request = Request { id: [0x11; 32], requester: [0x22; 32] };

pub fn context(epoch: u32) -> Context {
    Context { holder: Holder::Team(TeamId::from_bytes([0x33; 16])), epoch }
}

/// A dealing of the key with this number; the same number twice is the same key in other shares.
pub fn dealing(number: u64, epoch: u32) -> Dealing {
    let secret = Secret::new(Scalar::from(number).to_bytes());
    let secret = GroupSecret::from_bytes(&secret).expect("not zero");
    secret.split(context(epoch), THRESHOLD, COUNT, &mut OsRng).expect("possible")
}

pub fn ciphertext(dealing: &Dealing) -> Ciphertext {
    Ciphertext::encrypt(dealing.record.key(), LABEL, MESSAGE, &mut OsRng).expect("within limits")
}

/// The same team, as the plain implementation sees it.
pub fn to(dealing: &Dealing) -> To<'static> {
    let key = dealing.record.key();
    To { context: key.context().encode(), key: plain::point(key.point_bytes()), label: LABEL }
}

/// The scalar of a share: the last 32 bytes of what is stored.
pub fn scalar_of(share: &SecretShare) -> Scalar {
    plain::scalar(&share.export().expose()[24..])
}
