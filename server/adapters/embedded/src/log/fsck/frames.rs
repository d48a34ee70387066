//! The frames, one behind the other from the first segment to the committed end: dense numbers, no byte between them.

use veilcloud_domain::store::StoreError;

use super::{Problem, Run, Stop};
use crate::log::{
    format::{BLOCK_HEADER_LEN, Block, FRAME_HEADER_LEN, Frame},
    segments::{Position, SEGMENT_LEN},
};

/// How far the walk is.
struct Walk {
    /// Number of the next frame; unknown behind a header that cannot be read.
    number: Option<u64>,
    blocks: u64,
    /// Whether every block could be counted.
    whole: bool,
}

impl Run<'_, '_> {
    /// Walks all committed frames; gives the number of their blocks, `None` when not all could be walked.
    pub(super) fn frames(&mut self, committed: Position) -> Result<Option<u64>, Stop> {
        let mut walk = Walk { number: Some(0), blocks: 0, whole: true };
        for segment in 0..=committed.segment {
            if committed.frame > 0 {
                let last = segment == committed.segment;
                let end = self.segment_end(segment, last.then_some(committed.offset))?;
                let Some(end) = end else {
                    walk = Walk { number: None, whole: false, ..walk };
                    continue;
                };
                self.segment(&mut walk, segment, end, committed.frame);
            }
        }
        if let Some(number) = walk.number
            && number != committed.frame
        {
            let problem = Problem::Frame { expected: number };
            let file = self.segments.path(committed.segment);
            self.find(None, file, Some(committed.offset), problem, false);
        }
        Ok(walk.whole.then_some(walk.blocks))
    }

    /// Where a segment must end; `None`, and a finding, when it does not reach that far.
    fn segment_end(&mut self, segment: u64, committed: Option<u64>) -> Result<Option<u64>, Stop> {
        let path = self.segments.path(segment);
        let len = self.segments.len(segment).map_err(|error| Stop::Io(path.clone(), error))?;
        let problem = match (len, committed) {
            (None, _) => Problem::Unreadable { cause: "there is no such file".to_owned() },
            (Some(len), Some(end)) if len < end => {
                Problem::Unreadable { cause: format!("it has {len} bytes of {end}") }
            }
            // The next segment begins only where this one is full.
            (Some(len), None) if len < SEGMENT_LEN => {
                Problem::Unreadable { cause: format!("it has {len} bytes of {SEGMENT_LEN} or more") }
            }
            (Some(len), end) => return Ok(Some(end.unwrap_or(len))),
        };
        self.find(None, path, len, problem, false);
        Ok(None)
    }

    fn segment(&mut self, walk: &mut Walk, segment: u64, end: u64, frames: u64) {
        let path = self.segments.path(segment);
        let mut offset = 0;
        while offset < end {
            let header = self.header(segment, offset);
            let fits = header.as_ref().ok().and_then(|frame| *frame).filter(|frame| {
                offset.saturating_add(frame.len) <= end
                    && frame.number < frames
                    && walk.number.is_none_or(|number| number == frame.number)
            });
            let Some(frame) = fits else {
                let expected = walk.number.unwrap_or(0);
                self.find(None, path, Some(offset), Problem::Frame { expected }, false);
                *walk = Walk { number: None, whole: false, ..*walk };
                return;
            };
            match self.blocks(segment, offset, &frame) {
                Ok(blocks) => walk.blocks += blocks,
                Err(at) => {
                    // A broken header was found from the rows already; anything else is stray.
                    self.find(None, path.clone(), Some(at), Problem::Stray, false);
                    walk.whole = false;
                }
            }
            offset += frame.len;
            walk.number = Some(frame.number + 1);
        }
    }

    fn header(&self, segment: u64, offset: u64) -> Result<Option<Frame>, StoreError> {
        let mut bytes = [0; FRAME_HEADER_LEN];
        self.segments.read(segment, offset, &mut bytes)?;
        Ok(Frame::decode(&bytes))
    }

    /// Steps over a frame's blocks; gives their number, or the byte at which no block begins.
    fn blocks(&self, segment: u64, start: u64, frame: &Frame) -> Result<u64, u64> {
        let end = start + frame.len;
        let mut at = start + FRAME_HEADER_LEN as u64;
        let mut blocks = 0;
        while at < end {
            let mut bytes = [0; BLOCK_HEADER_LEN];
            self.segments.read(segment, at, &mut bytes).map_err(|_| at)?;
            let block = Block::decode(&bytes).ok_or(at)?;
            at = at.saturating_add(block.len());
            blocks += 1;
        }
        if at == end && blocks == u64::from(frame.blocks) { Ok(blocks) } else { Err(at) }
    }
}
