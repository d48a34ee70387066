//! Hashing and file work on a thread of their own while another thread encrypts or decrypts: the two cost about the
//! same, so a large file takes half the time on two cores. Memory stays flat: a few buffers go round.
//!
//! The two halves of each pair belong together. The digester ignores what it is told and gives the digest of what went
//! through its other half, which is the same bytes.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};
use veilvault::digest::Digester;

/// Length of a buffer, in bytes.
const BUFFER_LEN: usize = 256 * 1024;
/// Buffers on their way at once.
const BUFFERS_MAX: usize = 8;

/// What the thread that does the work leaves.
type Work = JoinHandle<io::Result<[u8; 32]>>;

/// A digest no seal has by chance: what a failed pipe gives, so that nothing is accepted.
const NO_DIGEST: [u8; 32] = [0; 32];

struct Feed {
    buffer: Vec<u8>,
    full: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    work: Option<Work>,
    failed: Option<io::Error>,
}

/// Bytes on their way to an output that another thread writes.
pub struct Sink(Arc<Mutex<Feed>>);

/// The digest of what went into a [`Sink`]. Finishing it ends the sink.
pub struct SinkDigest(Arc<Mutex<Feed>>);

/// A sink before `output`, and the digester that goes with it.
pub fn sink(output: impl Write + Send + 'static) -> (Sink, SinkDigest) {
    let (full, todo) = sync_channel::<Vec<u8>>(BUFFERS_MAX);
    let (done, empty) = sync_channel(BUFFERS_MAX + 1);
    let work = thread::spawn(move || drain(output, &todo, &done));
    let buffer = Vec::with_capacity(BUFFER_LEN);
    let feed = Arc::new(Mutex::new(Feed { buffer, full: Some(full), empty, work: Some(work), failed: None }));
    (Sink(feed.clone()), SinkDigest(feed))
}

fn drain(
    mut output: impl Write,
    todo: &Receiver<Vec<u8>>,
    done: &SyncSender<Vec<u8>>,
) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    for mut buffer in todo {
        hash.update(&buffer);
        output.write_all(&buffer)?;
        buffer.clear();
        // Nobody takes it back when the sink is gone; then it is simply dropped.
        drop(done.try_send(buffer));
    }
    output.flush()?;
    Ok(hash.finalize().into())
}

impl Feed {
    fn send(&mut self) -> io::Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER_LEN));
        let buffer = std::mem::replace(&mut self.buffer, next);
        let sent = self.full.as_ref().is_some_and(|full| full.send(buffer).is_ok());
        if sent { Ok(()) } else { Err(self.end().err().unwrap_or_else(stopped)) }
    }

    /// Sends what is left and waits for the thread. Its failure is told once; afterwards it is "stopped".
    fn end(&mut self) -> io::Result<[u8; 32]> {
        if let Some(full) = self.full.take() {
            // A thread that failed takes no more, and says below why.
            drop(full.send(std::mem::take(&mut self.buffer)));
        }
        let work = self.work.take().ok_or_else(stopped)?;
        work.join().map_err(|_| stopped())?
    }
}

impl Sink {
    /// Whether everything was written. Call it after the digester was finished.
    ///
    /// # Errors
    /// The failure of the output.
    pub fn close(self) -> io::Result<()> {
        let mut feed = lock(&self.0);
        match feed.failed.take() {
            Some(error) => Err(error),
            None if feed.work.is_some() => feed.end().map(drop),
            None => Ok(()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut feed = lock(&self.0);
        let room = BUFFER_LEN - feed.buffer.len();
        let taken = bytes.len().min(room);
        feed.buffer.extend_from_slice(&bytes[..taken]);
        if feed.buffer.len() == BUFFER_LEN {
            feed.send()?;
        }
        Ok(taken)
    }

    // The thread flushes at the end; what is under way in between is nobody's business.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Digester for SinkDigest {
    fn update(&mut self, _: &[u8]) {}

    fn finish(&mut self) -> [u8; 32] {
        let mut feed = lock(&self.0);
        match feed.end() {
            Ok(digest) => digest,
            Err(error) => {
                feed.failed = Some(error);
                NO_DIGEST
            }
        }
    }
}

struct Flow {
    full: Option<Receiver<Vec<u8>>>,
    empty: SyncSender<Vec<u8>>,
    buffer: Vec<u8>,
    at: usize,
    work: Option<Work>,
    digest: Option<[u8; 32]>,
}

/// Bytes from an input that another thread reads.
pub struct Source(Arc<Mutex<Flow>>);

/// The digest of what came out of a [`Source`].
pub struct SourceDigest(Arc<Mutex<Flow>>);

/// A source behind `input`, and the digester that goes with it.
pub fn source(input: impl Read + Send + 'static) -> (Source, SourceDigest) {
    let (done, full) = sync_channel(BUFFERS_MAX);
    let (empty, todo) = sync_channel::<Vec<u8>>(BUFFERS_MAX + 1);
    let work = thread::spawn(move || fill(input, &todo, &done));
    let flow = Flow { full: Some(full), empty, buffer: Vec::new(), at: 0, work: Some(work), digest: None };
    let flow = Arc::new(Mutex::new(flow));
    (Source(flow.clone()), SourceDigest(flow))
}

fn fill(mut input: impl Read, todo: &Receiver<Vec<u8>>, done: &SyncSender<Vec<u8>>) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    loop {
        let mut buffer = todo.try_recv().unwrap_or_default();
        buffer.resize(BUFFER_LEN, 0);
        let mut len = 0;
        while len < BUFFER_LEN {
            match input.read(&mut buffer[len..]) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        buffer.truncate(len);
        hash.update(&buffer);
        if len == 0 || done.send(buffer).is_err() {
            return Ok(hash.finalize().into());
        }
    }
}

impl Flow {
    /// The next buffer; none at the end, or the failure of the input.
    fn next(&mut self) -> io::Result<bool> {
        let Some(full) = &self.full else { return Ok(false) };
        match full.recv() {
            Ok(buffer) => {
                let spent = std::mem::replace(&mut self.buffer, buffer);
                self.at = 0;
                drop(self.empty.try_send(spent));
                Ok(true)
            }
            Err(_) => {
                self.full = None;
                if let Some(work) = self.work.take() {
                    self.digest = Some(work.join().map_err(|_| stopped())??);
                }
                Ok(false)
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut flow = lock(&self.0);
        while flow.at == flow.buffer.len() {
            if !flow.next()? {
                return Ok(0);
            }
        }
        let len = out.len().min(flow.buffer.len() - flow.at);
        out[..len].copy_from_slice(&flow.buffer[flow.at..flow.at + len]);
        flow.at += len;
        Ok(len)
    }
}

impl Digester for SourceDigest {
    fn update(&mut self, _: &[u8]) {}

    fn finish(&mut self) -> [u8; 32] {
        let mut flow = lock(&self.0);
        // To the very end: bytes behind the last chunk belong to the digest as well, so that they are noticed.
        while flow.next().unwrap_or(false) {}
        flow.digest.unwrap_or(NO_DIGEST)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stopped() -> io::Error {
    io::Error::other("the thread that moves the bytes stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content of this many bytes, no two neighbours alike.
    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n % 251) as u8).collect()
    }

    /// An output whose bytes the test can see.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_goes_in_comes_out_with_its_digest_at_every_edge_of_a_buffer() {
        for len in [0, 1, BUFFER_LEN - 1, BUFFER_LEN, BUFFER_LEN + 1, 9 * BUFFER_LEN + 7] {
            let content = content(len);
            let expected: [u8; 32] = Sha256::digest(&content).into();
            let output = Shared::default();
            let (mut sink, mut digest) = sink(output.clone());
            sink.write_all(&content).expect("writes");
            assert_eq!(digest.finish(), expected, "{len}");
            sink.close().expect("everything was written");
            assert_eq!(*lock(&output.0), content, "{len}");

            let (mut source, mut digest) = source(io::Cursor::new(content.clone()));
            let mut read = Vec::new();
            source.read_to_end(&mut read).expect("reads");
            assert_eq!((read == content, digest.finish()), (true, expected), "{len}");
        }
    }

    #[test]
    fn bytes_that_nobody_read_are_in_the_digest() {
        let content = content(20 * BUFFER_LEN);
        let (mut source, mut digest) = source(io::Cursor::new(content.clone()));
        source.read_exact(&mut [0; 100]).expect("reads");
        assert_eq!(digest.finish(), <[u8; 32]>::from(Sha256::digest(&content)));
    }

    /// Fails after this many bytes, both ways.
    struct Broken(usize);

    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 =
                self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Broken {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = out.len().min(self.0);
            self.0 -= len;
            if len == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(len) }
        }
    }

    #[test]
    fn a_failing_output_is_told_and_its_digest_is_nobodys() {
        let (mut early, mut digest) = sink(Broken(BUFFER_LEN));
        let error = early.write_all(&content(64 * BUFFER_LEN)).expect_err("the disk is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(digest.finish(), NO_DIGEST);

        let (mut late, mut digest) = sink(Broken(10));
        late.write_all(&content(11)).expect("still in the buffer");
        assert_eq!(digest.finish(), NO_DIGEST);
        assert_eq!(late.close().expect_err("the disk is full").kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_failing_input_is_told_and_its_digest_is_nobodys() {
        let (mut source, mut digest) = source(Broken(3 * BUFFER_LEN));
        let error = source.read_to_end(&mut Vec::new()).expect_err("the line broke");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(digest.finish(), NO_DIGEST);
    }
}
