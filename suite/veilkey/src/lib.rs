//! Keys that no one holds: a team's key is split into shares, and only enough of them together open what is encrypted
//! to it (docs/spec/key.md). TDH2 of Shoup and Gennaro over ristretto255.
//!
//! Parties: a *sender*, who needs the [`key::GroupKey`] alone; *holders* of one [`share::SecretShare`] each, who answer
//! a request with a [`partial::PartialDecryption`]; a *requester*, who collects answers in a [`combine::Combiner`]; and
//! the *relay*, which learns nothing from any of it. A service token is the smallest team: the token holds share 1, the
//! server share 2, and deleting share 2 revokes it.
//!
//! What must never happen: a holder helping with a ciphertext that was altered or moved elsewhere, a wrong answer
//! without a name, or the whole key in one place after its split.
//!
//! ```
//! use rand_core::OsRng;
//! use veilcore::id::TeamId;
//! use veilkey::ciphertext::Ciphertext;
//! use veilkey::combine::Combiner;
//! use veilkey::context::{Context, Holder};
//! use veilkey::partial::Request;
//! use veilkey::share::GroupSecret;
//!
//! // One client makes a key of five shares of which three open, and hands them out.
//! let context = Context { holder: Holder::Team(TeamId::from_bytes([1; 16])), epoch: 1 };
//! let dealing = GroupSecret::generate(&mut OsRng).split(context, 3, 5, &mut OsRng)?;
//! let record = dealing.record;
//!
//! // Anybody encrypts to the team.
//! let label = b"project/production, version 7";
//! let ciphertext = Ciphertext::encrypt(record.key(), label, b"sixteen byte key", &mut OsRng)?;
//!
//! // Somebody asks; each holder checks the ciphertext under the label of the request, and answers.
//! let request = Request { id: [9; 32], requester: [8; 32] };
//! let verified = ciphertext.verify(record.key(), label)?;
//! let mut combiner = Combiner::new(verified, &record, request)?;
//! for share in &dealing.shares[1..4] {
//!     combiner.add(share.decrypt(&verified, &record, &request, &mut OsRng)?)?;
//! }
//! assert_eq!(*combiner.open()?, b"sixteen byte key");
//!
//! // Under any other label nobody answers.
//! assert!(ciphertext.verify(record.key(), b"project/staging, version 7").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits of what is wiped
//!
//! Shares, keys, nonces and messages are wiped when dropped. Arithmetic leaves intermediate values on the stack, and
//! the hash functions do not wipe their state.
#![forbid(unsafe_code)]

pub mod ciphertext;
pub mod combine;
pub mod context;
mod group;
pub mod key;
pub mod partial;
mod poly;
pub mod share;

pub use group::{POINT_LEN, SCALAR_LEN, second_base_bytes};
