//! HTTP/1.1 by hand: an answer that is out before the request is whole.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use crate::server::{PATIENCE, Server, ask};

/// The next answer on a connection that stays open: its status.
fn answer(stream: &mut BufReader<TcpStream>) -> u16 {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).unwrap(), 0, "the connection ended after {head:?}");
    }
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.read_exact(&mut vec![0; len.parse().unwrap()]).unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn who_is_refused_while_sending_gets_the_answer_and_may_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    for (path, code) in [("/nothing", 404), ("/v1/projects", 401)] {
        let stream = TcpStream::connect(server.listen()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = BufReader::new(stream);
        let piece = vec![b'a'; 64 * 1024];
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            8 * piece.len()
        );
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        stream.get_mut().write_all(&piece).unwrap();
        assert_eq!(answer(&mut stream), code);
        for _ in 1..8 {
            stream.get_mut().write_all(&piece).unwrap();
        }
        assert_eq!(ask(stream.get_mut(), "/health").0, 200, "{path}");
    }
}
