//! The vault: keys of an account, and files that no server can read (docs/spec/vault.md).
//!
//! Parties: a *person's client*, which holds secrets; *stock tools* that open what it leaves; and the *server*, which
//! stores bytes, checks statements and must learn nothing but what those statements say. The server links this crate
//! for [`lint`], [`seal::check_for_commit`], [`keyring::check_keyring`], [`access::AccessList::check`],
//! [`identity::AccountBundle::verify`] and [`recovery::verify_recovery`]; none of them takes a secret.
//!
//! What must never happen: a secret leaving the client unwrapped, a file opening under a name it was not sealed for,
//! a version taking the place of another, or a check being made on one side only.
//!
//! # One call each way
//!
//! ```
//! use rand_core::OsRng;
//! use veilvault::account::AccountRootKey;
//! use veilvault::envelope::{Subject, open_bytes, seal_bytes};
//! use veilvault::epoch::EpochKey;
//! use veilvault::identity::Identity;
//! use veilvault::seal::Expected;
//! # use veilcore::id::{AccountId, EnvironmentId, ProjectId};
//! # let account = AccountId::from_bytes([1; 16]);
//! # let (project, environment) = (ProjectId::from_bytes([2; 16]), EnvironmentId::from_bytes([3; 16]));
//!
//! let alice = Identity::derive(&AccountRootKey::generate(&mut OsRng), account, 1);
//! let key = EpochKey::generate(&mut OsRng);
//! let subject = Subject { project, environment, version: 1, parent: None, epoch: 1, created_at_ms: 0 };
//!
//! let blob = seal_bytes(b"DATABASE_URL=postgres://db\n", &subject, &key, &alice)?;
//!
//! let expected = Expected {
//!     project,
//!     environment,
//!     version: Some(1),
//!     parent: None,
//!     epoch: 1,
//!     author: account,
//!     author_key: &alice.public_key(),
//!     digest: None,
//! };
//! let opened = open_bytes(&blob.ciphertext, &blob.sealed.seal, &expected, &key)?;
//! assert_eq!(*opened.content, b"DATABASE_URL=postgres://db\n");
//!
//! // The same bytes served as another version are refused, and the error says why.
//! let later = Expected { version: Some(2), ..expected };
//! assert!(open_bytes(&blob.ciphertext, &blob.sealed.seal, &later, &key).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keys: from a factor to an epoch
//!
//! ```
//! use rand_core::OsRng;
//! use veilvault::account::{AccountRootKey, Factor, unwrap, wrap};
//! use veilvault::epoch::EpochKey;
//! use veilvault::identity::{AccountBundle, Identity};
//! use veilvault::keyring::{KeyringSubject, open_keyring, seal_keyring};
//! use veilvault::recovery::RecoveryCode;
//! use veilvault::seal::ExpectedKeyring;
//! # use veilcore::id::{AccountId, EnvironmentId, ProjectId};
//! # let account = AccountId::from_bytes([1; 16]);
//! # let (project, environment) = (ProjectId::from_bytes([2; 16]), EnvironmentId::from_bytes([3; 16]));
//!
//! // At registration: a root key, one wrapped copy per factor, a bundle of public keys.
//! let ark = AccountRootKey::generate(&mut OsRng);
//! let code = RecoveryCode::generate(&mut OsRng);
//! let wrapped = wrap(&ark, Factor::Recovery(&code), &account, &mut OsRng);
//! let bundle = Identity::derive(&ark, account, 1).account_bundle(&code.verifier());
//!
//! // On another machine: the printed code gives back the root key, and with it the identity.
//! let code = RecoveryCode::parse(&code.to_text())?;
//! let alice = Identity::derive(&unwrap(&wrapped, Factor::Recovery(&code), &account)?, account, 1);
//! AccountBundle::verify(&bundle)?.matches(&alice)?;
//!
//! // The first epoch of an environment, and a member who finds its key.
//! let subject = KeyringSubject { project, environment, epoch: 1, access_list: 0, created_at_ms: 0 };
//! let key = EpochKey::generate(&mut OsRng);
//! let keyring = seal_keyring(&key, &subject, &[alice.recipient().clone()], &alice)?;
//! let author_key = alice.public_key();
//! let expected = ExpectedKeyring { project, environment, epoch: 1, author: account, author_key: &author_key };
//! let found = open_keyring(&keyring.file, &keyring.seal, &expected, &alice)?;
//! assert_eq!(*found.secret_text(), *key.secret_text());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Streams
//!
//! For content that does not fit in memory: [`envelope::SealWriter`] is a `Write` that is told the length in
//! advance, [`envelope::open`] gives a `Read`. Both hold one chunk of 64 KiB. What a reader has given out is proven
//! only by its end, so write to a temporary file and rename it after [`envelope::OpenReader::finish`]. With
//! [`envelope::SealWriter::with_digester`] and [`envelope::open_with_digester`] a client hashes on a second core.
//!
//! ```
//! use veilvault::envelope::{SealWriter, Subject, open};
//! use veilvault::kind::Kind;
//! # use rand_core::OsRng;
//! # use veilcore::id::{AccountId, EnvironmentId, ProjectId};
//! # use veilvault::{account::AccountRootKey, epoch::EpochKey, identity::Identity, seal::Expected};
//! # let account = AccountId::from_bytes([1; 16]);
//! # let (project, environment) = (ProjectId::from_bytes([2; 16]), EnvironmentId::from_bytes([3; 16]));
//! # let alice = Identity::derive(&AccountRootKey::generate(&mut OsRng), account, 1);
//! # let key = EpochKey::generate(&mut OsRng);
//! # let author_key = alice.public_key();
//! # let expected = Expected { project, environment, version: Some(1), parent: None, epoch: 1, author: account,
//! #     author_key: &author_key, digest: None };
//! # let subject = Subject { project, environment, version: 1, parent: None, epoch: 1, created_at_ms: 0 };
//! # let file = vec![0u8; 300_000];
//!
//! let mut writer = SealWriter::new(Vec::new(), &subject, Kind::Binary, 300_000, &key, &alice)?;
//! std::io::copy(&mut &file[..], &mut writer)?;
//! let (ciphertext, sealed) = writer.finish()?;
//!
//! let mut reader = open(&ciphertext[..], &sealed.seal, &expected, &key)?;
//! let mut copy = Vec::new();
//! std::io::copy(&mut reader, &mut copy)?;
//! reader.finish()?;
//! assert_eq!(copy, file);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits of what is wiped
//!
//! Secrets and [`envelope::Opened`] are wiped when dropped. The age crate keeps the chunk it is working on in memory
//! of its own and wipes it after decrypting, but not after encrypting; a caller's own buffers are the caller's.
#![forbid(unsafe_code)]

pub mod access;
pub mod account;
pub mod agefile;
mod agekey;
pub mod digest;
pub mod envelope;
pub mod epoch;
pub mod header;
pub mod identity;
mod kdf;
pub mod key;
pub mod keyring;
pub mod kind;
pub mod lint;
pub mod pad;
pub mod recovery;
pub mod seal;
mod statement;
pub mod token;
pub mod token_keyring;
pub mod token_trust;
