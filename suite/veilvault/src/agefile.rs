//! An age file as the vault reads it: first the lint, then the age crate, and beside both a running SHA-256 of every
//! byte that came in. This says nothing about who wrote the file or where it belongs; for that there is
//! [`envelope`](crate::envelope) and [`keyring`](crate::keyring).

use std::io::{self, BufReader, Chain, Cursor, Read};
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::DecryptError;
use age::stream::StreamReader;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::agekey::AgeKey;
use crate::digest::{Digester, Inline};
use crate::lint::{Header, Lint, LintError, Policy, Progress};

/// Plaintext of one chunk of the payload, in bytes.
const CHUNK_LEN: u64 = 64 * 1024;
/// Authentication tag of one chunk.
const CHUNK_TAG_LEN: u64 = 16;
/// Nonce between header and payload.
const NONCE_LEN: u64 = 16;
/// How much is read at once while looking for the end of the header.
const PREFIX_STEP: usize = 4 * 1024;

/// Why an age file did not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The header is not acceptable.
    #[error(transparent)]
    Lint(#[from] LintError),
    /// No stanza opens with this key.
    #[error("the file is not encrypted to this key")]
    NotForThisKey,
    /// The header was changed after the file was made, or is none that age accepts.
    #[error("the header of the file was changed")]
    HeaderChanged,
    /// The payload was changed, cut, extended or reordered.
    #[error("the payload of the file was changed")]
    PayloadChanged,
    /// The file goes on after the length it should have.
    #[error("the file is longer than {limit} bytes")]
    TooLong {
        /// The length it should have, in bytes.
        limit: u64,
    },
    /// The source could not be read; says nothing about the file.
    #[error("the file could not be read")]
    Io(#[from] io::Error),
}

/// Length of the age payload for `plaintext_len` bytes, nonce included. Together with the header this is the
/// length of the whole file.
pub(crate) fn payload_len(plaintext_len: u64) -> u64 {
    let chunks = plaintext_len.div_ceil(CHUNK_LEN).max(1);
    NONCE_LEN + plaintext_len + chunks * CHUNK_TAG_LEN
}

/// Opens a whole file with an `AGE-SECRET-KEY-1…`: lint, then decrypt. The result is wiped when dropped.
///
/// # Errors
/// [`FileError`]; [`FileError::NotForThisKey`] also if `secret_text` is no key.
pub fn open(file: &[u8], policy: Policy, secret_text: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let key = AgeKey::from_text(secret_text).ok_or(FileError::NotForThisKey)?;
    open_with(file, policy, key.as_age())
}

pub(crate) fn open_with(
    file: &[u8],
    policy: Policy,
    key: &dyn age::Identity,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mut plain = Plain::open(file, file.len() as u64, policy, key, Box::new(Inline::default()))?;
    // The plaintext is shorter than the file, so the buffer never moves and leaves no copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(file.len()));
    let read = plain.reader.read_to_end(&mut out);
    match read {
        Ok(_) => Ok(out),
        Err(e) => Err(plain.explain(e)),
    }
}

/// The header read in advance, then the rest of the source.
type Whole<R> = Chain<Cursor<Vec<u8>>, BufReader<Tap<R>>>;

/// A decrypting stream, with what the outside of it looked like.
pub(crate) struct Plain<R: Read> {
    pub(crate) reader: StreamReader<Whole<R>>,
    pub(crate) header: Header,
    seen: Seen,
}

impl<R: Read> Plain<R> {
    /// Reads the header of `source` and finds the file key. Reads at most `limit` bytes in all.
    pub(crate) fn open(
        source: R,
        limit: u64,
        policy: Policy,
        key: &dyn age::Identity,
        digester: Box<dyn Digester>,
    ) -> Result<Self, FileError> {
        let seen = Seen::new(limit, digester);
        let mut tap = Tap { source, seen: seen.clone() };
        let (prefix, header) = read_header(&mut tap, policy).map_err(|e| seen.explain(e))?;
        let whole = Cursor::new(prefix).chain(BufReader::new(tap));
        let reader = age::Decryptor::new_buffered(whole)
            .and_then(|decryptor| decryptor.decrypt(iter::once(key)))
            .map_err(|e| match e {
                DecryptError::NoMatchingKeys => FileError::NotForThisKey,
                DecryptError::Io(e) => match seen.explain(FileError::Io(e)) {
                    // The nonce after the header is cut off.
                    FileError::PayloadChanged => FileError::HeaderChanged,
                    other => other,
                },
                _ => FileError::HeaderChanged,
            })?;
        Ok(Self { reader, header, seen })
    }

    /// Whose fault a failed read of the stream is.
    pub(crate) fn explain(&self, e: io::Error) -> FileError {
        self.seen.explain(FileError::Io(e))
    }

    /// How many bytes have been read, and whether the source has ended.
    pub(crate) fn outside(&self) -> (u64, bool) {
        let seen = self.seen.lock();
        (seen.len, seen.ended)
    }

    /// SHA-256 of the bytes read. To be called once, when the source has ended.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.seen.lock().digester.finish()
    }
}

fn read_header<R: Read>(tap: &mut Tap<R>, policy: Policy) -> Result<(Vec<u8>, Header), FileError> {
    let mut lint = Lint::new(policy);
    let mut prefix = Vec::with_capacity(PREFIX_STEP);
    let mut step = [0; PREFIX_STEP];
    loop {
        let read = match tap.read(&mut step) {
            Ok(0) => return Err(LintError::NeedMore.into()),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e.into()),
        };
        prefix.extend_from_slice(&step[..read]);
        if let Progress::Done(header) = lint.feed(&step[..read])? {
            return Ok((prefix, header));
        }
    }
}

/// Hashes and counts what passes, and lets no more than the limit pass.
pub(crate) struct Tap<R> {
    source: R,
    seen: Seen,
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut seen = self.seen.lock();
        if seen.overrun {
            return Err(overrun());
        }
        match self.source.read(buf) {
            Ok(read) => {
                seen.len += read as u64;
                seen.ended = read == 0 && !buf.is_empty();
                if seen.len > seen.limit {
                    seen.overrun = true;
                    return Err(overrun());
                }
                seen.digester.update(&buf[..read]);
                Ok(read)
            }
            Err(e) => {
                seen.source_failed = e.kind() != io::ErrorKind::Interrupted;
                Err(e)
            }
        }
    }
}

fn overrun() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the source goes on after the expected length")
}

/// What the tap saw. Shared, because age keeps the tap to itself once it reads from it; there is no second thread.
#[derive(Clone)]
struct Seen(Arc<Mutex<SeenState>>);

struct SeenState {
    digester: Box<dyn Digester>,
    len: u64,
    limit: u64,
    ended: bool,
    overrun: bool,
    source_failed: bool,
}

impl Seen {
    fn new(limit: u64, digester: Box<dyn Digester>) -> Self {
        Self(Arc::new(Mutex::new(SeenState {
            digester,
            len: 0,
            limit,
            ended: false,
            overrun: false,
            source_failed: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, SeenState> {
        // A panic inside the lock could only come from the source's own read; the state stays what it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn explain(&self, e: FileError) -> FileError {
        let seen = self.lock();
        match e {
            FileError::Io(_) if seen.overrun => FileError::TooLong { limit: seen.limit },
            FileError::Io(e) if seen.source_failed => FileError::Io(e),
            FileError::Io(_) => FileError::PayloadChanged,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
