//! Sealing again what does not fit in memory: a thread opens and seals at once, the new ciphertext goes to a spool
//! that is gone afterwards.

use std::io;

use bytes::Bytes;
use futures_util::future::join;
use tokio::sync::mpsc;
use veilvault::envelope::{OpenError, SealWriter, Sealed, SealingError, Subject, open};
use veilvault::epoch::EpochKey;
use veilvault::identity::Identity;

use super::super::get::stream::{ChannelReader, PIECES_MAX, pump};
use super::super::get::{Download, expected, open_error};
use super::super::put::{Slot, sealing_error};
use super::super::spool::{Spool, Spooled};
use super::super::upload::Source;
use super::super::verify::{Checked, Visit};
use super::super::{Storage, Version};
use crate::error::{Error, Result};
use crate::transport::blocking;

/// Room for ciphertext on its way to the disk, in bytes.
const ROOM_LEN: usize = 256 * 1024;

/// Everything a thread needs to seal a version again.
struct Work {
    checked: Checked,
    old_key: EpochKey,
    new_key: EpochKey,
    subject: Subject,
    identity: Identity,
    spool: Spool,
}

/// Why it could not: what was read, what was written, or the disk.
enum Fault {
    Open(OpenError),
    Seal(SealingError),
    Local(Error),
}

impl Storage {
    pub(super) async fn reseal_stream(
        &self,
        from: &Visit,
        download: Download,
        old_key: EpochKey,
        to: &Visit,
        slot: &Slot,
    ) -> Result<Version> {
        let version = download.checked.seal.version;
        // A spool of its own: what is made here is for this one try.
        let spool = blocking(|| Spool::open(None, "reseal".to_owned())).await?;
        let work = Work {
            checked: download.checked.clone(),
            old_key,
            new_key: slot.key.clone(),
            subject: slot.subject,
            identity: to.writer()?.clone(),
            spool: spool.clone(),
        };
        let (to_worker, ciphertext) = mpsc::channel(PIECES_MAX);
        let worker = blocking(move || work.run(ciphertext));
        let (pumped, made) = join(pump(download, to_worker), worker).await;
        pumped?;
        let sealed = made.map_err(|fault| match fault {
            Fault::Open(e) => open_error(&from.site, version, e),
            Fault::Seal(e) => sealing_error(e),
            Fault::Local(e) => e,
        })?;
        let source = Source::File(spool.ciphertext_path());
        let info = self.upload(&to.site, slot, &sealed, source, None, None).await;
        self.committed(to, slot, &sealed, info).await
    }
}

impl Work {
    fn run(self, ciphertext: mpsc::Receiver<Bytes>) -> Result<Sealed, Fault> {
        let expected = expected(&self.checked);
        let source = ChannelReader::new(ciphertext);
        let mut content =
            open(source, &self.checked.seal_bytes, &expected, &self.old_key).map_err(Fault::Open)?;
        let mut output = self.spool.begin().map_err(Fault::Local)?;
        let room = io::BufWriter::with_capacity(ROOM_LEN, output.as_file_mut());
        let (kind, len) = (content.seal().kind, content.left());
        let mut writer = SealWriter::new(room, &self.subject, kind, len, &self.new_key, &self.identity)
            .map_err(Fault::Seal)?;
        io::copy(&mut content, &mut writer).map_err(|e| match e.downcast::<OpenError>() {
            Ok(e) => Fault::Open(e),
            Err(e) => Fault::Local(Error::local("seal the content again")(e)),
        })?;
        content.finish().map_err(Fault::Open)?;
        let (_, sealed) = writer.finish().map_err(Fault::Seal)?;
        self.spool.keep(output, &Spooled::new(&self.subject, &sealed)).map_err(Fault::Local)?;
        Ok(sealed)
    }
}
