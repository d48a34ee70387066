//! Room for request bodies. A body is read before anybody knows who sends it, so what all bodies hold together is
//! bounded, and so is what one address holds of it. Nobody waits: a body that finds no room is refused at once. What
//! must never happen: room taken for bytes that were only announced, or the sender of a few headers could take all of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;

/// The part of the room that one address may hold is one in this many.
const SHARES: usize = 4;
/// Room that a body takes first, in bytes; it doubles from there, as far as its limit.
const FIRST_STEP: usize = 4096;

/// The room of one server.
pub struct Room {
    total: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_address: HashMap<String, usize>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is longer than its limit.
    TooLarge,
    /// It ended early.
    Broken,
    /// There is no room for it now.
    NoRoom,
}

impl Room {
    /// Room for this many bytes.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, held: Mutex::default() })
    }

    /// The whole body, at most `most` bytes. Its room is given back when the last part of it is dropped.
    pub async fn collect(
        self: &Arc<Self>,
        address: String,
        mut body: Body,
        most: usize,
    ) -> Result<Bytes, Unread> {
        let mut bytes = Vec::new();
        let mut place = Place { room: self.clone(), address, len: 0 };
        while let Some(part) = body.frame().await {
            let Ok(data) = part.map_err(|_| Unread::Broken)?.into_data() else { continue };
            let len = bytes.len().saturating_add(data.len());
            if len > most {
                return Err(Unread::TooLarge);
            }
            if len > place.len {
                place.grow(len.max(place.len * 2).max(FIRST_STEP).min(most))?;
                bytes.reserve_exact(place.len - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Bytes::from_owner(Kept { bytes, _place: place }))
    }
}

/// The room of one body.
struct Place {
    room: Arc<Room>,
    address: String,
    len: usize,
}

impl Place {
    fn grow(&mut self, to: usize) -> Result<(), Unread> {
        let more = to - self.len;
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        let here = held.by_address.get(&self.address).copied().unwrap_or_default();
        if more > self.room.total - held.all || here + more > self.room.total / SHARES {
            return Err(Unread::NoRoom);
        }
        held.all += more;
        held.by_address.insert(self.address.clone(), here + more);
        self.len = to;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= self.len;
        if let Some(here) = held.by_address.get_mut(&self.address) {
            *here -= self.len;
            if *here == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

/// A body with its room.
struct Kept {
    bytes: Vec<u8>,
    _place: Place,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn take(room: &Arc<Room>, address: &str, len: usize) -> Result<Bytes, Unread> {
        room.collect(address.to_owned(), Body::from(vec![7; len]), 1 << 20).await
    }

    #[tokio::test]
    async fn room_is_shared_by_all_and_given_back_with_the_last_part() {
        let room = Room::new(64 * 1024);
        let mut kept = Vec::new();
        for n in 0..4 {
            kept.push(take(&room, &n.to_string(), 16 * 1024).await.unwrap());
        }
        assert_eq!(take(&room, "5", 1).await.unwrap_err(), Unread::NoRoom);
        assert_eq!(take(&room, "5", 0).await.unwrap(), "");
        let part = kept.remove(0).slice(100..101);
        assert_eq!(take(&room, "5", 1).await.unwrap_err(), Unread::NoRoom);
        drop(part);
        assert_eq!(take(&room, "5", 1).await.unwrap(), "\x07");
        drop(kept);
        let held = room.held.lock().unwrap();
        assert_eq!((held.all, held.by_address.len()), (0, 0));
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_no_more() {
        let room = Room::new(64 * 1024);
        let mine = take(&room, "a", 12 * 1024).await.unwrap();
        assert_eq!(take(&room, "a", 5 * 1024).await.unwrap_err(), Unread::NoRoom);
        assert!(take(&room, "b", 5 * 1024).await.is_ok());
        drop(mine);
        assert!(take(&room, "a", 5 * 1024).await.is_ok());
    }

    #[tokio::test]
    async fn bodies_come_out_whole_however_they_were_cut() {
        let room = Room::new(1 << 20);
        let all: Vec<u8> = (0..20_000_u32).map(|n| n.to_be_bytes()[3]).collect();
        for size in [1000, 4096, 4097, 20_000] {
            let body = || {
                let parts: Vec<_> =
                    all.chunks(size).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
                Body::from_stream(stream::iter(parts))
            };
            let read = room.collect(String::new(), body(), all.len()).await;
            assert_eq!(read.unwrap(), all);
            let read = room.collect(String::new(), body(), all.len() - 1).await;
            assert_eq!(read.unwrap_err(), Unread::TooLarge);
        }
        let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(std::io::Error::other("gone"))]);
        let read = room.collect(String::new(), Body::from_stream(broken), 10).await;
        assert_eq!(read.unwrap_err(), Unread::Broken);
        assert_eq!(room.held.lock().unwrap().all, 0);
    }
}
