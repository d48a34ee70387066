//! HTTP/2 by hand: what the server says about itself and what it does about abuse.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::server::{PATIENCE, Server, binary, get};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 0x5;
/// GET http://x/ in HPACK's static table and one literal.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'x'];
/// ENHANCE_YOUR_CALM (RFC 9113, section 7).
const CALM: u32 = 0xb;

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut client = Self(stream);
        assert!(client.send(SETTINGS, 0, 0, &[]));
        client
    }

    /// False when the server closed the connection.
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).is_ok()
    }

    /// `None` when the server closed the connection.
    fn receive(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        if let Err(e) = self.0.read_exact(&mut head) {
            assert!(!matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it stays open");
            return None;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some(Frame { kind: head[3], flags: head[4], payload })
    }

    /// Reads until the connection ends; gives the last GOAWAY's error code.
    fn goaway(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.receive() {
            if frame.kind == GOAWAY {
                code = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        code
    }
}

#[test]
fn the_configured_bounds_are_announced() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = binary(dir.path());
    command.env("VEILCLOUD_MAX_CONCURRENT_STREAMS", "7").env("VEILCLOUD_MAX_HEADER_LIST_BYTES", "9000");
    let server = Server::start_as(&mut command, dir.path());
    let mut client = Client::connect(server.listen());
    let settings = client.receive().unwrap();
    assert_eq!((settings.kind, settings.flags), (SETTINGS, 0));
    let value = |id: u8| {
        let entry = settings.payload.chunks(6).find(|entry| entry[1] == id)?;
        Some(u32::from_be_bytes(entry[2..].try_into().unwrap()))
    };
    assert_eq!(value(3), Some(7), "SETTINGS_MAX_CONCURRENT_STREAMS");
    assert_eq!(value(6), Some(9000), "SETTINGS_MAX_HEADER_LIST_SIZE");
}

#[test]
fn a_client_that_opens_and_resets_streams_is_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut client = Client::connect(server.listen());
    // In one piece, so that the resets arrive before the streams are accepted.
    let mut flood = Vec::new();
    for stream in (1..2001_u32).step_by(2) {
        flood.extend([0, 0, 6, HEADERS, WHOLE]);
        flood.extend(stream.to_be_bytes());
        flood.extend(GET);
        flood.extend([0, 0, 4, RST_STREAM, 0]);
        flood.extend(stream.to_be_bytes());
        flood.extend([0, 0, 0, 8]);
    }
    drop(client.0.write_all(&flood));
    let code = client.goaway();
    // The connection is over either way; where the answer was not lost in the reset, it says why.
    assert!(code.is_none() || code == Some(CALM), "{code:?}");
    assert_eq!(get(server.listen(), "/health").0, 200, "others are served");
}
