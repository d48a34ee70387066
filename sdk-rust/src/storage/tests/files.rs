//! Files, uploads that break, and content that does not fit one message.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use super::server::Server;
use super::*;
use crate::state::FileState;

/// Content of three chunks and a bit.
fn large() -> Vec<u8> {
    let mut content: Vec<u8> = (0u32..800_000).flat_map(u32::to_le_bytes).collect();
    content.truncate(3_100_000);
    content
}

fn file(dir: &tempfile::TempDir, content: &[u8]) -> PathBuf {
    let path = dir.path().join("file");
    std::fs::write(&path, content).expect("written");
    path
}

fn on_disk(server: &Server, dir: &tempfile::TempDir) -> Client {
    client_with(server, Arc::new(FileState::open(dir.path().join("state")).expect("opens")))
}

fn spooled(dir: &tempfile::TempDir) -> usize {
    std::fs::read_dir(dir.path().join("state/spool")).expect("there").count()
}

async fn read_to(client: &Client, options: GetOptions) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    client.storage().get_to(&project(), ENV, &mut content, options).await.map(|_| content)
}

#[derive(Default)]
struct Meter(Mutex<(u64, u64, bool)>);

impl Progress for Meter {
    fn start(&self, total: u64) {
        self.0.lock().expect("held").0 = total;
    }

    fn advance(&self, n: u64) {
        self.0.lock().expect("held").1 += n;
    }

    fn finish(&self) {
        self.0.lock().expect("held").2 = true;
    }
}

#[tokio::test]
async fn a_large_file_goes_up_in_chunks_and_comes_back_whole() {
    let (server, dir) = (Server::default(), tempfile::tempdir().expect("a directory"));
    let client = on_disk(&server, &dir);
    let meter = Arc::new(Meter::default());
    let options = PutOptions { progress: Some(meter.clone()), ..PutOptions::default() };
    let version =
        client.storage().put_file(&project(), ENV, &file(&dir, &large()), options).await.expect("stored");
    assert_eq!(version.kind, Kind::Binary);
    let mut chunks = server.state().chunks.clone();
    chunks.sort_unstable();
    assert_eq!(chunks, [0, 1, 2, 3]);
    assert_eq!(*meter.0.lock().expect("held"), (version.ciphertext_bytes, version.ciphertext_bytes, true));
    assert_eq!(spooled(&dir), 0, "nothing stays behind");
    let meter = Arc::new(Meter::default());
    let options = GetOptions { progress: Some(meter.clone()), version: None };
    assert!(read_to(&client, options).await.expect("read") == large());
    assert_eq!(*meter.0.lock().expect("held"), (3_100_000, 3_100_000, true));
}

#[tokio::test]
async fn an_upload_that_broke_sends_only_what_is_missing() {
    let (server, dir) = (Server::default(), tempfile::tempdir().expect("a directory"));
    let path = file(&dir, &large());
    server.state().refuse_chunks = vec![2];
    let broken =
        on_disk(&server, &dir).storage().put_file(&project(), ENV, &path, PutOptions::default()).await;
    assert_eq!(broken.expect_err("refused").reason(), Some("INTERNAL"));
    assert_eq!(spooled(&dir), 2, "ciphertext and record stay");
    let arrived = {
        let mut state = server.state();
        state.refuse_chunks.clear();
        std::mem::take(&mut state.chunks)
    };
    // Another process, later.
    let client = on_disk(&server, &dir);
    client.storage().put_file(&project(), ENV, &path, PutOptions::default()).await.expect("goes on");
    let sent_again = server.state().chunks.clone();
    assert!(sent_again.contains(&2) && sent_again.iter().all(|index| !arrived.contains(index)));
    assert!(read_to(&client, GetOptions::default()).await.expect("read") == large());
    assert_eq!(spooled(&dir), 0);
}

#[tokio::test]
async fn an_upload_whose_commit_answer_was_lost_is_not_done_again() {
    let (server, dir) = (Server::default(), tempfile::tempdir().expect("a directory"));
    let client = on_disk(&server, &dir);
    client.storage().put(&project(), ENV, b"1".to_vec(), PutOptions::default()).await.expect("stored");
    server.state().lose_answers = 1;
    let path = file(&dir, &large());
    let version = client.storage().put_file(&project(), ENV, &path, PutOptions::default()).await;
    assert_eq!(version.expect("found again").number, 2);
    assert_eq!(server.row(ENV).versions.len(), 2);
}

#[tokio::test]
async fn ciphertext_kept_for_another_place_is_sealed_anew() {
    let (server, dir) = (Server::default(), tempfile::tempdir().expect("a directory"));
    let path = file(&dir, &large());
    let client = on_disk(&server, &dir);
    server.state().refuse_chunks = vec![0];
    client.storage().put_file(&project(), ENV, &path, PutOptions::default()).await.expect_err("refused");
    server.state().refuse_chunks.clear();
    super::put(&super::client(&server), b"somebody else").await.expect("stored");
    let version = client.storage().put_file(&project(), ENV, &path, PutOptions::default()).await;
    assert_eq!(version.expect("sealed for the next place").number, 2);
}

#[tokio::test]
async fn a_small_file_is_text_if_it_is() {
    let (server, dir) = (Server::default(), tempfile::tempdir().expect("a directory"));
    let client = client(&server);
    let path = file(&dir, b"KEY=value\n");
    let version =
        client.storage().put_file(&project(), ENV, &path, PutOptions::default()).await.expect("stored");
    assert_eq!(version.kind, Kind::Text);
    assert_eq!(read_to(&client, GetOptions::default()).await.expect("read"), b"KEY=value\n");
}

#[tokio::test]
async fn large_content_is_rolled_back_and_cloned_too() {
    let server = Server::default();
    let client = client(&server);
    put(&client, &large()).await.expect("stored");
    put(&client, b"small").await.expect("stored");
    let version = client.storage().rollback(&project(), ENV, 1).await.expect("rolled back");
    assert_eq!((version.number, version.plain_bytes), (3, Some(3_100_000)));
    assert!(read_to(&client, GetOptions::default()).await.expect("read") == large());
    client.environments(&project()).clone(ENV, "staging").await.expect("cloned");
    let blob = client.storage().get(&project(), "staging", GetOptions::default()).await.expect("read");
    assert!(blob.bytes.as_slice() == large());
}

#[tokio::test]
async fn a_stream_with_a_changed_byte_ends_in_an_error() {
    let server = Server::default();
    let client = client(&server);
    put(&client, &large()).await.expect("stored");
    server.change(ENV, |row| {
        let mut bytes = row.versions[0].1.to_vec();
        let at = bytes.len() - 10;
        bytes[at] ^= 1;
        row.versions[0].1 = bytes.into();
    });
    let e = read_to(&client, GetOptions::default()).await.expect_err("refused");
    assert!(matches!(e, Error::Integrity { .. }), "{e}");
}

#[tokio::test]
async fn a_writer_that_fails_is_named_as_the_cause() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let client = client(&Server::default());
    put(&client, &large()).await.expect("stored");
    let done = client.storage().get_to(&project(), ENV, &mut Full, GetOptions::default()).await;
    let Err(Error::Local { source, .. }) = done else { panic!("a local error") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
}

#[tokio::test]
async fn an_export_holds_everything_that_age_needs() {
    let server = Server::default();
    let client = client(&server);
    put(&client, b"KEY=value\n").await.expect("stored");
    let dir = tempfile::tempdir().expect("a directory");
    let folder = dir.path().join(ENV);
    std::fs::create_dir(&folder).expect("made");
    let saved = client.storage().save_newest(&project(), ENV, (&folder, ENV), None).await.expect("saved");
    let saved = saved.expect("something");
    assert_eq!((saved.number, saved.plain_bytes), (1, Some(10)));
    let row = server.row(ENV);
    let read = |name: &str| std::fs::read(folder.join(name)).expect("there");
    assert_eq!(read("keyring.age"), row.keyrings[0].file);
    assert_eq!(read("keyring.seal"), row.keyrings[0].seal);
    assert_eq!(read("production.age"), row.versions[0].1);
    assert_eq!(read("production.seal"), row.versions[0].0.seal);
}
