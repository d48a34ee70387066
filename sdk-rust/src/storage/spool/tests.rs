use std::io::Write;

use veilcore::hash::sha256;
use veilcore::id::ProjectId;

use super::*;

const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([5; 16]);

fn subject(version: u64) -> Subject {
    Subject {
        project: ProjectId::from_bytes([4; 16]),
        environment: ENVIRONMENT,
        version,
        parent: (version > 1).then_some([9; 32]),
        epoch: 1,
        created_at_ms: 0,
    }
}

fn spooled(ciphertext: &[u8], version: u64) -> Spooled {
    let sealed =
        Sealed { seal: [3; SEAL_LEN], digest: sha256(ciphertext), ciphertext_len: ciphertext.len() as u64 };
    Spooled::new(&subject(version), &sealed)
}

fn keep(spool: &Spool, ciphertext: &[u8], version: u64) -> Spooled {
    let mut file = spool.begin().expect("a file");
    file.write_all(ciphertext).expect("written");
    let spooled = spooled(ciphertext, version);
    spool.keep(file, &spooled).expect("kept");
    spooled
}

#[test]
fn the_key_names_the_file_its_state_and_where_it_goes() {
    let path = Path::new("/home/ada/movie.mp4");
    let time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
    let key =
        |endpoint, environment, path: &Path, len, time| Spool::key(endpoint, environment, path, len, time);
    let one = key("https://a", ENVIRONMENT, path, 10, Some(time));
    assert_eq!(one, key("https://a", ENVIRONMENT, path, 10, Some(time)), "the same upload");
    assert!(one.bytes().all(|b| b.is_ascii_hexdigit()) && one.len() == 32);
    let other = EnvironmentId::from_bytes([6; 16]);
    for changed in [
        key("https://b", ENVIRONMENT, path, 10, Some(time)),
        key("https://a", other, path, 10, Some(time)),
        key("https://a", ENVIRONMENT, Path::new("/home/ada/movie2.mp4"), 10, Some(time)),
        key("https://a", ENVIRONMENT, path, 11, Some(time)),
        key("https://a", ENVIRONMENT, path, 10, Some(time + Duration::from_nanos(1))),
        key("https://a", ENVIRONMENT, path, 10, None),
    ] {
        assert_ne!(one, changed);
    }
}

#[tokio::test]
async fn an_upload_goes_on_with_what_was_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let spool = Spool::open(Some(dir.path().to_path_buf()), "key".to_owned()).expect("opens");
    assert_eq!(spool.load().await.expect("reads"), None);
    let kept = keep(&spool, b"ciphertext", 2);
    assert_eq!(spool.load().await.expect("reads"), Some(kept.clone()));
    let id = UploadId::from_bytes([8; 16]);
    spool.note(&kept, id).await.expect("noted");
    let again = spool.load().await.expect("reads").expect("there");
    assert_eq!(again.upload_id, Some(id));
    assert_eq!(again.sealed(), kept.sealed());
    spool.remove().await;
    assert_eq!(spool.load().await.expect("reads"), None);
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
}

#[tokio::test]
async fn ciphertext_that_changed_in_the_spool_is_not_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let spool = Spool::open(Some(dir.path().to_path_buf()), "key".to_owned()).expect("opens");
    for other in [&b"cipherteXt"[..], b"ciphertex", b"ciphertext+", b""] {
        keep(&spool, b"ciphertext", 1);
        fs::write(spool.ciphertext_path(), other).expect("written");
        assert_eq!(spool.load().await.expect("reads"), None, "{other:?}");
    }
    keep(&spool, b"ciphertext", 1);
    fs::write(spool.record_path(), b"{}").expect("written");
    assert_eq!(spool.load().await.expect("reads"), None);
}

#[test]
fn ciphertext_fits_only_the_place_it_was_sealed_for() {
    let kept = spooled(b"ciphertext", 2);
    let place = subject(2);
    assert!(kept.fits(&place));
    assert!(kept.fits(&Subject { created_at_ms: 99, ..place }), "the clock does not matter");
    for other in [
        Subject { version: 3, ..place },
        Subject { parent: Some([8; 32]), ..place },
        Subject { parent: None, ..place },
        Subject { epoch: 2, ..place },
        Subject { environment: EnvironmentId::from_bytes([6; 16]), ..place },
    ] {
        assert!(!kept.fits(&other), "{other:?}");
    }
}

#[test]
fn without_a_spool_of_the_state_nothing_stays_behind() {
    let spool = Spool::open(None, "key".to_owned()).expect("opens");
    keep(&spool, b"ciphertext", 1);
    let path = spool.ciphertext_path();
    assert!(path.exists());
    drop(spool);
    assert!(!path.exists());
}
