//! Reading: the seal is judged first, then the header, then the content chunk by chunk, and the whole at its end.

use std::io::{self, Read};

use veilcore::hash::sha256;
use zeroize::{Zeroize, Zeroizing};

use super::{OpenError, content_len_max, plaintext_len};
use crate::agefile::{FileError, Plain, payload_len};
use crate::digest::{Digester, Inline};
use crate::epoch::EpochKey;
use crate::header::{HEADER_LINE_LEN, HeaderLine};
use crate::kind::{Kind, TextCheck};
use crate::lint::Policy;
use crate::seal::{Expected, Seal, SealError, check_on_read};

/// How much padding is read at once, in bytes.
const PADDING_STEP: usize = 4 * 1024;

/// A blob opened in memory.
pub struct Opened {
    /// The content, byte for byte as it was sealed. Wiped when dropped.
    pub content: Zeroizing<Vec<u8>>,
    /// The seal it came with, checked.
    pub seal: Seal,
}

/// Opens a blob that is at hand. The digest is compared before anything is decrypted.
///
/// # Errors
/// [`OpenError`] by name of the condition.
pub fn open_bytes(
    ciphertext: &[u8],
    seal: &[u8],
    expected: &Expected<'_>,
    key: &EpochKey,
) -> Result<Opened, OpenError> {
    let checked = check_on_read(seal, expected)?;
    let found = ciphertext.len() as u64;
    if found != checked.ciphertext_len {
        return Err(SealError::Length { expected: checked.ciphertext_len, found }.into());
    }
    if sha256(ciphertext) != checked.digest {
        return Err(SealError::Digest.into());
    }
    let mut reader = OpenReader::new(ciphertext, checked, key, Box::new(Inline::default()))?;
    // The content is shorter than the ciphertext, so the buffer never moves and leaves no copy behind.
    let mut content = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    reader.read_to_end(&mut content)?;
    Ok(Opened { content, seal: reader.finish()? })
}

/// Opens a stream: checks the seal, reads the age header and, for text, the header line.
///
/// # Errors
/// [`OpenError`] by name of the condition.
pub fn open<R: Read>(
    source: R,
    seal: &[u8],
    expected: &Expected<'_>,
    key: &EpochKey,
) -> Result<OpenReader<R>, OpenError> {
    open_with_digester(source, seal, expected, key, Box::new(Inline::default()))
}

/// [`open`] with somebody else computing the SHA-256.
///
/// # Errors
/// [`OpenError`] by name of the condition.
pub fn open_with_digester<R: Read>(
    source: R,
    seal: &[u8],
    expected: &Expected<'_>,
    key: &EpochKey,
    digester: Box<dyn Digester>,
) -> Result<OpenReader<R>, OpenError> {
    OpenReader::new(source, check_on_read(seal, expected)?, key, digester)
}

/// Content of a blob, as it is decrypted.
///
/// Every chunk is authentic under the epoch key, but anyone who knows the public half could have made such a file:
/// only the end of the stream shows that it is the one the author sealed. So the last byte is given out after the
/// padding, the length and the digest of the whole ciphertext are found right, and not otherwise. Whoever passes
/// content on before that must be able to take it back: write to a temporary file, call [`OpenReader::finish`],
/// then rename.
pub struct OpenReader<R: Read> {
    plain: Plain<R>,
    seal: Seal,
    left: u64,
    padding: u64,
    text: Option<TextCheck>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Complete,
    Failed,
}

impl<R: Read> OpenReader<R> {
    fn new(source: R, seal: Seal, key: &EpochKey, digester: Box<dyn Digester>) -> Result<Self, OpenError> {
        let plain = Plain::open(source, seal.ciphertext_len, Policy::BLOB, key.age_key().as_age(), digester)?;
        // The content length is meaningful from here on: the key has been shown to be the right one.
        let content_len = seal.content_len(key);
        if content_len > content_len_max(seal.kind) {
            return Err(OpenError::Padding);
        }
        let total = plaintext_len(seal.kind, content_len).map_err(|_| OpenError::Padding)?;
        if plain.header.header_len as u64 + payload_len(total) != seal.ciphertext_len {
            return Err(OpenError::Padding);
        }
        let mut reader = Self {
            plain,
            seal,
            left: content_len,
            padding: total - content_len,
            text: (seal.kind == Kind::Text).then(TextCheck::default),
            state: State::Reading,
        };
        reader.read_header_line()?;
        Ok(reader)
    }

    /// The seal the content comes with, already checked against what was expected.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Bytes of content not yet read.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// States that all of the content has been read and is what the author sealed.
    ///
    /// # Errors
    /// [`OpenError::Unfinished`] if content is left; otherwise what the end of the stream showed.
    pub fn finish(mut self) -> Result<Seal, OpenError> {
        if self.left > 0 {
            return Err(OpenError::Unfinished { left: self.left });
        }
        self.conclude()?;
        Ok(self.seal)
    }

    fn read_header_line(&mut self) -> Result<(), OpenError> {
        let Some(expected) = self.seal.header_line() else { return Ok(()) };
        let mut line = [0; HEADER_LINE_LEN];
        self.fill(&mut line)?;
        self.padding -= HEADER_LINE_LEN as u64;
        HeaderLine::parse(&line)?.matches(&expected)?;
        Ok(())
    }

    /// Reads plaintext until `room` is full.
    fn fill(&mut self, room: &mut [u8]) -> Result<(), OpenError> {
        let read = self.plain.reader.read_exact(room);
        read.map_err(|e| self.blame(e))
    }

    /// What is after the content: padding, then the end of the file, then the digest of all of it.
    fn conclude(&mut self) -> Result<(), OpenError> {
        if self.state == State::Complete {
            return Ok(());
        }
        if self.state == State::Failed {
            return Err(OpenError::Changed);
        }
        self.state = State::Failed;
        if let Some(text) = &self.text {
            text.finish()?;
        }
        let mut step = [0; PADDING_STEP];
        while self.padding > 0 {
            let part = &mut step[..self.padding.min(PADDING_STEP as u64) as usize];
            self.fill(part)?;
            if part.iter().any(|byte| *byte != self.seal.kind.padding()) {
                return Err(OpenError::Padding);
            }
            self.padding -= part.len() as u64;
        }
        match self.plain.reader.read(&mut step[..1]) {
            Ok(0) => {}
            Ok(_) => return Err(OpenError::Padding),
            Err(e) => return Err(self.blame(e)),
        }
        let (found, _) = self.plain.outside();
        if found != self.seal.ciphertext_len {
            return Err(SealError::Length { expected: self.seal.ciphertext_len, found }.into());
        }
        if self.plain.digest() != self.seal.digest {
            return Err(SealError::Digest.into());
        }
        self.state = State::Complete;
        Ok(())
    }

    /// Names the reason of a failed read: a short file is told from a changed one.
    fn blame(&self, e: io::Error) -> OpenError {
        let e = self.plain.explain(e);
        let (found, ended) = self.plain.outside();
        if matches!(e, FileError::PayloadChanged) && ended && found < self.seal.ciphertext_len {
            return SealError::Length { expected: self.seal.ciphertext_len, found }.into();
        }
        e.into()
    }

    fn advance(&mut self, room: &mut [u8]) -> Result<usize, OpenError> {
        let want = (room.len() as u64).min(self.left) as usize;
        let read = self.plain.reader.read(&mut room[..want]);
        let read = read.map_err(|e| self.blame(e))?;
        if read == 0 {
            // The lengths agreed at the start, so only a cut stream ends here.
            return Err(OpenError::Changed);
        }
        if let Some(text) = &mut self.text {
            text.feed(&room[..read])?;
        }
        self.left -= read as u64;
        if self.left == 0 {
            self.conclude()?;
        }
        Ok(read)
    }
}

impl<R: Read> Read for OpenReader<R> {
    /// Gives out content. Whatever is wrong comes as an [`OpenError`] inside the error, kind `InvalidData`, and from
    /// then on every read fails; `OpenError::from` takes it out again.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        let done = match self.state {
            State::Complete => return Ok(0),
            State::Failed => Err(OpenError::Changed),
            State::Reading if self.left == 0 => self.conclude().map(|()| 0),
            State::Reading => self.advance(room),
        };
        done.map_err(|e| {
            self.state = State::Failed;
            room.zeroize();
            match e {
                OpenError::Io(e) => e,
                e => io::Error::new(io::ErrorKind::InvalidData, e),
            }
        })
    }
}
