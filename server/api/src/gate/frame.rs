//! gRPC's length-prefixed messages: one to read from a request, several from an answer.

use std::cmp::Ordering;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use tonic::{Code, Status};
use veilcloud_proto::common::v1::ErrorReason;

use crate::status::Fault;

/// Bytes before each message: a flag and a big-endian length.
pub const HEADER_LEN: usize = 5;

/// A message with its header.
pub fn frame(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_LEN + message.len());
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).expect("messages are bounded far below 4 GiB"));
    out.put_slice(message);
    out.freeze()
}

/// The payload of a body that is exactly one uncompressed message. None and several have gRPC's code for a call of
/// another cardinality, and a compressed one, when no compression was named, the code that gRPC has for that.
pub(super) fn single(body: &Bytes) -> Result<Bytes, Fault> {
    if body.is_empty() {
        return Err(malformed("the body holds no message").code(Code::Unimplemented));
    }
    let Some((&[flag, a, b, c, d], payload)) = body.split_first_chunk::<HEADER_LEN>() else {
        return Err(malformed("the body ended inside a message"));
    };
    match flag {
        0 => {}
        1 => {
            let fault = malformed("the message is compressed, and the request names no compression");
            return Err(fault.code(Code::Internal));
        }
        _ => return Err(malformed("the message's flag is unknown")),
    }
    match payload.len().cmp(&(u32::from_be_bytes([a, b, c, d]) as usize)) {
        Ordering::Equal => Ok(body.slice(HEADER_LEN..)),
        Ordering::Less => Err(malformed("the body ended inside a message")),
        Ordering::Greater => Err(malformed("the body holds more than one message").code(Code::Unimplemented)),
    }
}

/// A body larger than the message limit.
pub fn too_large(limit: u64) -> Fault {
    Fault::new(ErrorReason::MessageTooLarge, format!("a message has at most {limit} bytes"))
        .with("limit_bytes", limit)
}

fn malformed(message: &str) -> Fault {
    Fault::new(ErrorReason::MessageMalformed, message)
}

/// Messages of an answer, one after another.
pub struct Frames {
    body: Body,
    buffer: BytesMut,
    over: bool,
}

impl Frames {
    /// Reads from the body of an answer without an error in its head.
    pub fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), over: false }
    }

    /// The next message; `None` after a good end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            if self.over {
                let whole = self.buffer.is_empty();
                return if whole {
                    Ok(None)
                } else {
                    Err(Fault::internal("an answer ended inside a message").into())
                };
            }
            match self.body.frame().await {
                Some(Ok(part)) => match part.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(part) => self.end(part.trailers_ref())?,
                },
                Some(Err(error)) => {
                    return Err(Fault::internal(format!("an answer broke off: {error}")).into());
                }
                None => self.over = true,
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        let [_, a, b, c, d] = *self.buffer.first_chunk::<HEADER_LEN>()?;
        let len = HEADER_LEN + u32::from_be_bytes([a, b, c, d]) as usize;
        (self.buffer.len() >= len).then(|| self.buffer.split_to(len).freeze().slice(HEADER_LEN..))
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Status> {
        self.over = true;
        match trailers.and_then(Status::from_header_map) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn reason(result: Result<Bytes, Fault>) -> Option<ErrorReason> {
        result.err().map(|fault| fault.reason())
    }

    #[test]
    fn exactly_one_plain_message_is_taken() {
        assert_eq!(single(&frame(b"abc")).unwrap(), "abc");
        assert_eq!(single(&frame(b"")).unwrap(), "");
        let two = [frame(b"a"), frame(b"b")].concat();
        for bad in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x02a", b"\0\0\0\0\x01ab", b"\x02\0\0\0\0", &two] {
            assert_eq!(
                reason(single(&Bytes::copy_from_slice(bad))),
                Some(ErrorReason::MessageMalformed),
                "{bad:?}"
            );
        }
        // gRPC's status codes, cardinality violation; its compression, flag without an encoding; a broken message.
        for (bad, code) in [
            (&b""[..], Code::Unimplemented),
            (&two, Code::Unimplemented),
            (b"\x01\0\0\0\0", Code::Internal),
            (b"\0\0\0\0\x02a", Code::InvalidArgument),
            (b"\0\0", Code::InvalidArgument),
        ] {
            let fault = single(&Bytes::copy_from_slice(bad)).unwrap_err();
            assert_eq!(fault.into_status().code(), code, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn messages_come_out_whole_however_they_were_cut() {
        let all = [frame(b"first"), frame(b""), frame(b"third")].concat();
        for size in 1..all.len() {
            let parts: Vec<_> =
                all.chunks(size).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
            let mut frames = Frames::new(Body::from_stream(stream::iter(parts)));
            for expected in [&b"first"[..], b"", b"third"] {
                assert_eq!(frames.next().await.unwrap().unwrap(), expected);
            }
            assert!(frames.next().await.unwrap().is_none());
        }
        let mut cut = Frames::new(Body::from(Bytes::copy_from_slice(&all[..7])));
        assert!(cut.next().await.is_err());
    }
}
