//! Reading without holding: ciphertext goes through a bounded channel to a thread that opens it, content comes back
//! through another. Three pieces at most lie in each.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::future::join;
use tokio::sync::mpsc;
use veilvault::envelope::{OpenError, open_with_digester};
use veilvault::epoch::EpochKey;
use zeroize::Zeroizing;

use super::super::verify::Checked;
use super::super::{GetOptions, Storage, Version};
use super::{Download, expected, open_error};
use crate::access::Home;
use crate::error::{Error, IntegrityReason, Result};
use crate::pipeline;
use crate::projects::Project;
use crate::transport::blocking;

/// Pieces that may wait in a channel.
pub(in crate::storage) const PIECES_MAX: usize = 3;
/// Length of a piece of content, in bytes.
const PIECE_LEN: usize = 256 * 1024;

/// Reads what a channel brings, for code that knows only `Read`.
pub(in crate::storage) struct ChannelReader {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl ChannelReader {
    pub(in crate::storage) fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { pieces, piece: Bytes::new() }
    }
}

impl Read for ChannelReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let len = room.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut room[..len]);
        Ok(len)
    }
}

/// Sends a download into a channel until it ends or nobody listens any more.
pub(in crate::storage) async fn pump(mut download: Download, pieces: mpsc::Sender<Bytes>) -> Result<()> {
    while let Some(piece) = download.next().await? {
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}

impl Storage {
    pub(in crate::storage) async fn get_stream(
        &self,
        project: &Project,
        environment: &str,
        writer: &mut (dyn Write + Send),
        options: GetOptions,
    ) -> Result<Version> {
        let visit = self.visit(Home::of(project), environment).await?;
        let download = self.download(&visit, options.version).await?;
        let checked = download.checked.clone();
        let key = self.key_of(&visit, checked.seal.epoch).await?.key;
        let version = checked.version(&key);
        let (progress, asked) = (options.progress, options.version);
        if let Some(progress) = &progress {
            progress.start(version.plain_bytes.unwrap_or_default());
        }
        let (to_opener, ciphertext) = mpsc::channel(PIECES_MAX);
        let (to_writer, mut content) = mpsc::channel::<Zeroizing<Vec<u8>>>(PIECES_MAX);
        let opened_as = checked.clone();
        let opener = blocking(move || open_all(ciphertext, &opened_as, &key, &to_writer));
        // Spawned by being polled: it must run beside the two that feed and drain it.
        let drain = async move {
            while let Some(piece) = content.recv().await {
                writer.write_all(&piece).map_err(Error::local("write the content"))?;
                if let Some(progress) = &progress {
                    progress.advance(piece.len() as u64);
                }
            }
            writer.flush().map_err(Error::local("write the content"))?;
            if let Some(progress) = &progress {
                progress.finish();
            }
            Ok(())
        };
        let ((pumped, drained), opened) = join(join(pump(download, to_opener), drain), opener).await;
        // The first cause is told: a lost connection before the truncation it looks like, a full disk before the
        // channel it closed.
        pumped?;
        drained?;
        opened.map_err(|e| open_error(&visit.site, checked.seal.version, e))?;
        match self.note_read(&visit.site, &checked, asked).await? {
            true => Ok(version),
            // It is written already, so that it cannot be read again here.
            false => Err(visit.site.integrity(IntegrityReason::RolledBack, checked.seal.version)),
        }
    }
}

/// Opens everything; the last piece goes out only after the whole was found right.
fn open_all(
    ciphertext: mpsc::Receiver<Bytes>,
    checked: &Checked,
    key: &EpochKey,
    content: &mpsc::Sender<Zeroizing<Vec<u8>>>,
) -> Result<(), OpenError> {
    let (source, digest) = pipeline::source(ChannelReader::new(ciphertext));
    let expected = expected(checked);
    let mut blob = open_with_digester(source, &checked.seal_bytes, &expected, key, Box::new(digest))?;
    loop {
        let mut piece =
            Zeroizing::new(vec![0; PIECE_LEN.min(usize::try_from(blob.left()).unwrap_or(PIECE_LEN))]);
        let mut filled = 0;
        while filled < piece.len() {
            match blob.read(&mut piece[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        piece.truncate(filled);
        if filled == 0 {
            break;
        }
        if content.blocking_send(piece).is_err() {
            // Whoever writes has failed and says why.
            return Err(OpenError::Io(io::ErrorKind::BrokenPipe.into()));
        }
    }
    blob.finish().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_come_out_of_the_channel_as_one_stream() {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            ChannelReader::new(receiver).read_to_end(&mut all).map(|_| all)
        });
        for piece in ["one ", "", "two ", "three"] {
            sender.send(Bytes::from_static(piece.as_bytes())).await.expect("somebody reads");
        }
        drop(sender);
        let all = reading.await.expect("no panic").expect("reads");
        assert_eq!(all, b"one two three");
    }
}
