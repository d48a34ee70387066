//! The append-only log of VeilCloud (docs/spec/chain.md): RFC 6962 trees, C2SP tiles, checkpoints, proofs, witnesses.
//!
//! The parties: a *log* that only appends and signs its head, *witnesses* that cosign a head when it extends the one
//! they saw before, a *client* that remembers the newest head it was shown, and a *verifier* who has a file and a policy
//! and asks nobody. [`entry`] is what our logs hold, [`range`] grows the tree, [`tile`] and [`bundle`] are how it is kept
//! and served, [`checkpoint`] is what is signed, [`proof`] shows that a leaf is in the tree and that a tree extends
//! another, [`head`] is what a client remembers, [`witness`] and [`policy`] are whom a verifier believes, [`proof_file`]
//! puts all of it into one file, and [`fsck`] checks a whole log.
//!
//! Everything here is a function of its arguments: no clock, no randomness, no input or output. Parsers are strict, so
//! that one thing has one spelling, and allocate no more than their input and the named limits allow.
//!
//! What must never happen: a proof that holds for two entries, leave to cosign a tree that does not extend the one the
//! witness knows, a text that is believed before its signature was verified.
//!
//! ```
//! use veilchain::checkpoint::{self, Checkpoint};
//! use veilchain::hash::leaf_hash;
//! use veilchain::head::Head;
//! use veilchain::key::{KeyType, SigningKey};
//! use veilchain::policy::{Policy, Word};
//! use veilchain::proof::Plan;
//! use veilchain::proof_file::ProofFile;
//! use veilchain::range::CompactRange;
//! use veilchain::tile::Tile;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A log of three entries, and the hashes of the one tile that holds its leaves ...
//! let entries = [b"first".as_slice(), b"second", b"third"];
//! let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
//! let mut tree = CompactRange::new();
//! leaves.iter().for_each(|leaf| tree.push(*leaf));
//!
//! // ... signs its head under its name.
//! let origin = "log.example.org/project";
//! let log = SigningKey::from_seed(origin, KeyType::Ed25519, &[1; 32])?;
//! let head = Checkpoint::new(origin, tree.size(), tree.root())?;
//! let mut note = checkpoint::sign(&head, &[&log])?;
//!
//! // A witness that finds it to extend what it saw before cosigns it.
//! let witness = SigningKey::from_seed("witness.example.net", KeyType::CosignatureV1, &[2; 32])?;
//! note.add(witness.cosign(note.text(), 1_800_000_000)?)?;
//!
//! // The proof of the second entry is built from tiles. It is one file ...
//! let plan = Plan::inclusion(1, tree.size())?;
//! let path = plan.build(|tile: Tile| (tile.level == 0).then_some(leaves.as_slice()))?;
//! let file = ProofFile { extra: None, index: 1, path, checkpoint: note.encode().into_bytes() }.encode();
//!
//! // ... that anybody checks against a policy, without asking anybody.
//! let mut policy = Policy::new();
//! policy.add_log(log.verifier().clone(), None)?;
//! policy.add_witness(Word::new("w")?, witness.verifier().clone(), None)?;
//! policy.set_quorum(&Word::new("w")?)?;
//! let proof = ProofFile::parse(&file)?;
//! assert_eq!(proof.verify(&leaf_hash(b"second"), &policy)?.size, 3);
//! assert!(proof.verify(&leaf_hash(b"other"), &policy).is_err());
//!
//! // A client that saw the first two entries moves its head along a consistency proof, or not at all.
//! let mut seen = CompactRange::new();
//! leaves[..2].iter().for_each(|leaf| seen.push(*leaf));
//! let seen = Head { size: seen.size(), root: seen.root() };
//! let growth = Plan::consistency(2, 3)?.build(|_| Some(leaves.as_slice()))?;
//! assert_eq!(seen.advance(&head, &growth)?.size, 3);
//! assert!(seen.advance(&head, &[]).is_err());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
pub mod fsck;
pub mod hash;
pub mod head;
pub mod key;
pub mod note;
pub mod policy;
pub mod proof;
pub mod proof_file;
pub mod range;
pub mod tile;
pub mod witness;
