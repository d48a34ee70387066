//! Writing: the length is announced, the content streams through age, and the seal is signed over what came out.

use std::io::{self, Write};
use std::iter;

use age::stream::StreamWriter;

use super::{SealingError, Subject, content_len_max, plaintext_len};
use crate::digest::{Digester, Inline};
use crate::epoch::EpochKey;
use crate::identity::Identity;
use crate::kind::{Kind, TextCheck};
use crate::seal::{NO_DIGEST, SEAL_LEN, Seal};

/// How much padding is written at once, in bytes.
const PADDING_STEP: usize = 4 * 1024;

/// What sealing leaves beside the ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The seal, to be stored with the version.
    pub seal: [u8; SEAL_LEN],
    /// SHA-256 of the ciphertext: its name in the store.
    pub digest: [u8; 32],
    /// Length of the ciphertext, in bytes.
    pub ciphertext_len: u64,
}

/// A blob sealed in memory.
pub struct SealedBytes {
    /// The age file.
    pub ciphertext: Vec<u8>,
    /// What goes with it.
    pub sealed: Sealed,
}

/// Seals content that is at hand. The kind follows from the content.
///
/// # Errors
/// [`SealingError::Parent`] and [`SealingError::TooLong`].
pub fn seal_bytes(
    content: &[u8],
    subject: &Subject,
    key: &EpochKey,
    author: &Identity,
) -> Result<SealedBytes, SealingError> {
    let kind = Kind::of(content);
    let len = content.len() as u64;
    let mut writer = SealWriter::new(Vec::new(), subject, kind, len, key, author)?;
    writer.write_all(content).map_err(unwrap_io)?;
    let (ciphertext, sealed) = writer.finish()?;
    Ok(SealedBytes { ciphertext, sealed })
}

/// Seals a stream: content in, age file out to `W` as it comes. [`SealWriter::finish`] makes the seal; a writer that
/// is dropped before leaves a file that opens nowhere.
pub struct SealWriter<'k, W: Write> {
    stream: StreamWriter<Meter<W>>,
    key: &'k EpochKey,
    author: &'k Identity,
    /// Complete but for digest, lengths and header hash.
    seal: Seal,
    content_len: u64,
    left: u64,
    padding: u64,
    text: Option<TextCheck>,
}

impl<'k, W: Write> SealWriter<'k, W> {
    /// Starts a blob of exactly `content_len` bytes of `kind` and writes the age header, and for text the header
    /// line, to `output`. Many small writes follow each other there: buffer it if that is dear.
    ///
    /// # Errors
    /// [`SealingError::Parent`], [`SealingError::TooLong`], [`SealingError::Io`].
    pub fn new(
        output: W,
        subject: &Subject,
        kind: Kind,
        content_len: u64,
        key: &'k EpochKey,
        author: &'k Identity,
    ) -> Result<Self, SealingError> {
        let digester = Box::new(Inline::default());
        Self::with_digester(output, subject, (kind, content_len), key, author, digester)
    }

    /// [`SealWriter::new`] with somebody else computing the SHA-256; kind and length go together.
    ///
    /// # Errors
    /// Those of [`SealWriter::new`].
    pub fn with_digester(
        output: W,
        subject: &Subject,
        (kind, content_len): (Kind, u64),
        key: &'k EpochKey,
        author: &'k Identity,
        digester: Box<dyn Digester>,
    ) -> Result<Self, SealingError> {
        let limit = content_len_max(kind);
        let too_long = SealingError::TooLong { len: content_len, limit };
        if content_len > limit {
            return Err(too_long);
        }
        let total = plaintext_len(kind, content_len).map_err(|_| too_long)?;
        let seal = draft(subject, kind, author)?;
        let header = seal.header_line().map(|line| line.render());
        let header = header.as_ref().map_or(&[][..], |line| &line[..]);
        let mut stream = age::Encryptor::with_recipients(iter::once(key.recipient().as_age()))
            .expect("one X25519 recipient mixes with nothing")
            .wrap_output(Meter { output, digester, len: 0 })
            .map_err(SealingError::Io)?;
        stream.write_all(header).map_err(SealingError::Io)?;
        Ok(Self {
            stream,
            key,
            author,
            seal,
            content_len,
            left: content_len,
            padding: total - content_len - header.len() as u64,
            text: (kind == Kind::Text).then(TextCheck::default),
        })
    }

    /// Writes the padding and the last chunk, flushes the output and signs the seal.
    ///
    /// # Errors
    /// [`SealingError::Less`] if content is missing, [`SealingError::NotText`], [`SealingError::Io`].
    pub fn finish(mut self) -> Result<(W, Sealed), SealingError> {
        if self.left > 0 {
            return Err(SealingError::Less { missing: self.left });
        }
        if let Some(text) = &self.text {
            text.finish()?;
        }
        let padding = [self.seal.kind.padding(); PADDING_STEP];
        while self.padding > 0 {
            let step = self.padding.min(PADDING_STEP as u64);
            self.stream.write_all(&padding[..step as usize]).map_err(SealingError::Io)?;
            self.padding -= step;
        }
        let mut meter = self.stream.finish().map_err(SealingError::Io)?;
        meter.output.flush().map_err(SealingError::Io)?;
        let digest = meter.digester.finish();
        let seal = Seal {
            digest,
            ciphertext_len: meter.len,
            covered_len: self.content_len ^ self.key.length_cover(&digest),
            header_hash: self.seal.header_line().map_or(NO_DIGEST, |line| line.hash()),
            ..self.seal
        };
        let sealed = Sealed { seal: seal.sign(self.author.signing_key()), digest, ciphertext_len: meter.len };
        Ok((meter.output, sealed))
    }
}

impl<W: Write> Write for SealWriter<'_, W> {
    /// Takes content. More than announced, or bytes that are not the text they were announced as, are refused with a
    /// [`SealingError`] inside the error.
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        if content.len() as u64 > self.left {
            return Err(io::Error::other(SealingError::More { announced: self.content_len }));
        }
        if let Some(text) = &mut self.text {
            text.feed(content).map_err(|e| io::Error::other(SealingError::NotText(e)))?;
        }
        self.stream.write_all(content)?;
        self.left -= content.len() as u64;
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The seal as far as it is known before the content is.
fn draft(subject: &Subject, kind: Kind, author: &Identity) -> Result<Seal, SealingError> {
    let parent = match (subject.version, subject.parent) {
        (1, None) => NO_DIGEST,
        (2.., Some(parent)) => parent,
        (version, parent) => {
            return Err(SealingError::Parent { version, has_parent: parent.is_some() });
        }
    };
    Ok(Seal {
        kind,
        project: subject.project,
        environment: subject.environment,
        version: subject.version,
        parent,
        digest: NO_DIGEST,
        ciphertext_len: 0,
        epoch: subject.epoch,
        author: author.account(),
        author_key: author.key_id(),
        covered_len: 0,
        header_hash: NO_DIGEST,
        created_at_ms: subject.created_at_ms,
    })
}

fn unwrap_io(e: io::Error) -> SealingError {
    e.downcast::<SealingError>().unwrap_or_else(SealingError::Io)
}

/// Hashes and counts the ciphertext on its way out.
struct Meter<W> {
    output: W,
    digester: Box<dyn Digester>,
    len: u64,
}

impl<W: Write> Write for Meter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.digester.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
