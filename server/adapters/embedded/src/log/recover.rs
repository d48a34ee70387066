//! What a new sequencer must know before it signs anything: that the database is not behind what was once committed
//! here. A frame that was staged when the process ended stands once behind the committed end, whole or torn; anything
//! more was committed by a database that is gone.

use std::io;

use veilcloud_domain::store::StoreError;

use super::{
    damaged,
    format::{FRAME_HEADER_LEN, Frame},
    head::{Found, Head},
    segments::{Position, Segments},
    unavailable,
};

/// Compares the lock row with the head and the segments.
pub(crate) fn check(
    segments: &Segments,
    head: &Head,
    epoch: u64,
    committed: Position,
) -> Result<(), StoreError> {
    check_head(head, epoch, committed)?;
    check_lengths(segments, committed)?;
    check_ahead(segments, committed)
}

fn check_head(head: &Head, epoch: u64, committed: Position) -> Result<(), StoreError> {
    let path = head.path();
    match head.read().map_err(|error| failed(&error))? {
        Found::Mark(mark) if mark.frame > committed.frame || mark.epoch > epoch => Err(taken_back(&format!(
            "{} says frame {} and epoch {}, the database says {} and {epoch}",
            path.display(),
            mark.frame,
            mark.epoch,
            committed.frame
        ))),
        Found::Mark(_) => Ok(()),
        // It is made before the first frame is committed, and a crash may come while it is being made.
        Found::Missing | Found::Damaged if committed.frame == 0 => Ok(()),
        Found::Missing => Err(damaged(format!(
            "{} is missing: what was committed last is not known; check the logs and have the check repair them",
            path.display()
        ))),
        Found::Damaged => Err(damaged(format!(
            "{} is altered: what was committed last is not known; check the logs and have the check repair them",
            path.display()
        ))),
    }
}

fn check_lengths(segments: &Segments, committed: Position) -> Result<(), StoreError> {
    if committed.frame == 0 {
        return Ok(());
    }
    let there = segments.list().map_err(|error| failed(&error))?;
    for (found, expected) in there.iter().copied().zip(0..=committed.segment) {
        if found != expected {
            return Err(damaged(format!("{} is missing", segments.path(expected).display())));
        }
    }
    if there.len() as u64 <= committed.segment {
        return Err(damaged(format!("{} is missing", segments.path(there.len() as u64).display())));
    }
    let len = segments.len(committed.segment).map_err(|error| failed(&error))?.unwrap_or(0);
    if len < committed.offset {
        let path = segments.path(committed.segment);
        return Err(damaged(format!(
            "{} has {len} bytes and {} are committed",
            path.display(),
            committed.offset
        )));
    }
    Ok(())
}

/// Whether frames stand behind the committed end that only a newer database knows.
pub(crate) fn check_ahead(segments: &Segments, committed: Position) -> Result<(), StoreError> {
    let next = committed.rolled();
    let newest = segments.list().map_err(|error| failed(&error))?.last().copied().unwrap_or(0);
    if newest > next.segment {
        return Err(taken_back(&format!(
            "{} is there and the database knows segments up to {}",
            segments.path(newest).display(),
            next.segment
        )));
    }
    let Some(staged) = frame_at(segments, next)? else { return Ok(()) };
    let path = segments.path(next.segment);
    if staged.number != committed.frame {
        return Err(taken_back(&format!(
            "{} has frame {} at byte {} and the database expects {}",
            path.display(),
            staged.number,
            next.offset,
            committed.frame
        )));
    }
    match frame_at(segments, next.behind(staged.len))? {
        Some(second) if second.number > committed.frame => Err(taken_back(&format!(
            "{} has frame {} and the database knows frames before {}",
            path.display(),
            second.number,
            committed.frame
        ))),
        // Half of a longer frame may stand behind the last attempt.
        _ => Ok(()),
    }
}

/// Where a frame stands whole behind the committed end, and the frame. Either it was staged when the process ended, or a
/// newer database has committed it: only the head can tell.
pub(crate) fn staged(
    segments: &Segments,
    committed: Position,
) -> Result<Option<(Position, Frame)>, StoreError> {
    let next = committed.rolled();
    let len = segments.len(next.segment).map_err(|error| failed(&error))?.unwrap_or(0);
    let frame = frame_at(segments, next)?;
    // It is whole on the disk before it is committed. Its checksums are not asked: a damaged frame was committed as well.
    Ok(frame.filter(|frame| len >= next.offset.saturating_add(frame.len)).map(|frame| (next, frame)))
}

/// The frame whose header is at a place; `None` when there is none, or a torn one.
fn frame_at(segments: &Segments, at: Position) -> Result<Option<Frame>, StoreError> {
    let len = segments.len(at.segment).map_err(|error| failed(&error))?.unwrap_or(0);
    if len < at.offset.saturating_add(FRAME_HEADER_LEN as u64) {
        return Ok(None);
    }
    let mut header = [0; FRAME_HEADER_LEN];
    segments.read(at.segment, at.offset, &mut header)?;
    Ok(Frame::decode(&header))
}

fn taken_back(cause: &str) -> StoreError {
    damaged(format!(
        "the database is older than the logs ({cause}): heads were signed that it does not know, and signing again \
         would fork them; restore the newest database"
    ))
}

fn failed(error: &io::Error) -> StoreError {
    unavailable(error.to_string())
}
