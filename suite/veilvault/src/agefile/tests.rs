use super::*;

#[test]
fn payload_lengths_count_whole_chunks() {
    assert_eq!(payload_len(0), 32);
    assert_eq!(payload_len(1), 33);
    assert_eq!(payload_len(65_536), 16 + 65_552);
    assert_eq!(payload_len(65_537), 16 + 65_552 + 17);
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_source_that_fails_is_not_blamed_on_the_file() {
    let key = AgeKey::from_secret(veilcore::secret::Secret::new([1; 32]));
    let refused = Plain::open(Broken, 100, Policy::ANY, key.as_age(), Box::new(Inline::default()))
        .err()
        .expect("cannot be read");
    assert!(matches!(refused, FileError::Io(e) if e.to_string() == "the disk is gone"));
    let half = b"age-encryption.org/v1\n".chain(Broken);
    let refused = Plain::open(half, 100, Policy::ANY, key.as_age(), Box::new(Inline::default()))
        .err()
        .expect("cannot be read");
    assert!(matches!(refused, FileError::Io(_)));
}

#[test]
fn a_source_without_end_is_left_at_the_limit() {
    let key = AgeKey::from_secret(veilcore::secret::Secret::new([1; 32]));
    let endless = b"age-encryption.org/v1\n-> X25519 ".chain(io::repeat(b'a'));
    let refused = Plain::open(endless, 5_000, Policy::ANY, key.as_age(), Box::new(Inline::default()))
        .err()
        .expect("never ends");
    assert!(matches!(refused, FileError::TooLong { limit: 5_000 }));
}
