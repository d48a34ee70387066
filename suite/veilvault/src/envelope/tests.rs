use std::io::{Read, Write};
use std::iter;

use proptest::prelude::*;
use veilcore::hash::sha256;
use veilcore::id::AccountId;
use veilcore::secret::Secret;

use super::*;
use crate::account::AccountRootKey;
use crate::epoch::EpochKey;
use crate::identity::Identity;
use crate::key::PublicKey;
use crate::seal::{Expected, NO_DIGEST, SEAL_LEN, Seal};

const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const ENVIRONMENT: EnvironmentId = EnvironmentId::from_bytes([2; 16]);
const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
const DOTENV: &[u8] = b"# db\nDATABASE_URL=\"postgres://u:p@h/db\"\nEMPTY=\n";
const SUBJECT: Subject = Subject {
    project: PROJECT,
    environment: ENVIRONMENT,
    version: 2,
    parent: Some([7; 32]),
    epoch: 3,
    created_at_ms: 1_700_000_000_000,
};

fn identity(fill: u8) -> Identity {
    Identity::derive(&AccountRootKey::from_secret(Secret::new([fill; 32])), ALICE, 1)
}

fn alice() -> Identity {
    identity(1)
}

fn key() -> EpochKey {
    EpochKey::from_secret(Secret::new([5; 32]))
}

fn expected(author_key: &PublicKey) -> Expected<'_> {
    Expected {
        project: PROJECT,
        environment: ENVIRONMENT,
        version: Some(2),
        parent: Some([7; 32]),
        epoch: 3,
        author: ALICE,
        author_key,
        digest: None,
    }
}

fn sealed(content: &[u8]) -> SealedBytes {
    seal_bytes(content, &SUBJECT, &key(), &alice()).expect("within the limits")
}

fn binary(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).chain([0]).collect()
}

fn open_with(blob: &SealedBytes, expected: &Expected<'_>, key: &EpochKey) -> Result<Vec<u8>, OpenError> {
    open_bytes(&blob.ciphertext, &blob.sealed.seal, expected, key).map(|opened| opened.content.to_vec())
}

fn open_one(blob: &SealedBytes) -> Result<Vec<u8>, OpenError> {
    open_with(blob, &expected(&alice().public_key()), &key())
}

/// Opens as a stream; what was given out before an error comes with it.
fn stream_one(ciphertext: &[u8], seal: &[u8]) -> (Vec<u8>, Result<Seal, OpenError>) {
    let author = alice().public_key();
    let mut out = Vec::new();
    let done = open(ciphertext, seal, &expected(&author), &key()).and_then(|mut reader| {
        reader.read_to_end(&mut out)?;
        reader.finish()
    });
    (out, done)
}

/// A file to the epoch key that anybody can make who knows its public half.
fn anybodys_file(plaintext: &[u8]) -> Vec<u8> {
    let key = key();
    let mut file = Vec::new();
    let mut stream = age::Encryptor::with_recipients(iter::once(key.recipient().as_age()))
        .expect("one recipient")
        .wrap_output(&mut file)
        .expect("memory");
    stream.write_all(plaintext).expect("memory");
    stream.finish().expect("memory");
    file
}

/// A seal by alice over whatever ciphertext: what a careless or hostile author could sign.
fn sealed_anyway(ciphertext: Vec<u8>, content_len: u64, change: impl Fn(&mut Seal)) -> SealedBytes {
    let alice = alice();
    let digest = sha256(&ciphertext);
    let template = sealed(DOTENV);
    let mut seal = Seal::verify(&template.sealed.seal, &alice.public_key()).expect("our own");
    seal.digest = digest;
    seal.ciphertext_len = ciphertext.len() as u64;
    seal.covered_len = content_len ^ key().length_cover(&digest);
    change(&mut seal);
    seal.header_hash = seal.header_line().map_or(NO_DIGEST, |line| line.hash());
    let sealed =
        Sealed { seal: seal.sign(alice.signing_key()), digest, ciphertext_len: ciphertext.len() as u64 };
    SealedBytes { ciphertext, sealed }
}

#[test]
fn content_comes_back_byte_for_byte() {
    let texts = [&b""[..], b"A=1", b"A=1\n", b"A=1\n\n\n", DOTENV, "K=\u{1f511}\r\n".as_bytes()];
    for content in texts {
        let blob = sealed(content);
        assert_eq!(open_one(&blob).expect("our own"), content);
        assert_eq!(stream_one(&blob.ciphertext, &blob.sealed.seal).0, content);
    }
    for len in [0, 1, 255, 256, 65_535, 65_536, 131_072, 200_000] {
        let content = binary(len);
        let blob = sealed(&content);
        let seal = Seal::verify(&blob.sealed.seal, &alice().public_key()).expect("our own");
        assert_eq!((seal.kind, seal.content_len(&key())), (Kind::Binary, content.len() as u64));
        assert!(open_one(&blob).expect("our own") == content, "{len}");
        assert!(stream_one(&blob.ciphertext, &blob.sealed.seal).0 == content, "{len}");
    }
}

#[test]
fn a_text_blob_opened_without_us_is_still_a_dotenv_file() {
    let blob = sealed(DOTENV);
    let plain = crate::agefile::open(&blob.ciphertext, crate::lint::Policy::ANY, &key().secret_text());
    let plain = plain.expect("any age client opens it");
    let text = std::str::from_utf8(&plain).expect("text");
    assert!(text.starts_with("# veil1 kind=text project=01010101-"));
    assert_eq!(text.lines().nth(1), Some("# db"));
    assert_eq!(plain.len(), 304, "256 + 47 bytes, padded");
    assert!(text[256 + DOTENV.len()..].bytes().all(|b| b == b'\n'));
}

#[test]
fn contents_of_almost_one_length_cannot_be_told_apart_by_length() {
    let lengths = |content: &[u8]| {
        let blob = sealed(content);
        let header = crate::lint::lint(&blob.ciphertext, crate::lint::Policy::BLOB).expect("our own");
        blob.ciphertext.len() - header.header_len
    };
    assert_eq!(lengths(&[b'a'; 10_000]), lengths(&[b'a'; 10_100]));
    let seal = |content: &[u8]| Seal::verify(&sealed(content).sealed.seal, &alice().public_key());
    let (one, two) = (seal(b"A=1").expect("our own"), seal(b"A=1").expect("our own"));
    assert_ne!(one.covered_len, two.covered_len, "the exact length is covered, each time by something else");
}

#[test]
fn a_stream_may_be_written_and_read_in_any_pieces() {
    let (key, alice) = (key(), alice());
    let content = binary(150_000);
    let len = content.len() as u64;
    let mut writer = SealWriter::new(Vec::new(), &SUBJECT, Kind::Binary, len, &key, &alice).expect("starts");
    content.chunks(777).for_each(|piece| writer.write_all(piece).expect("memory"));
    let (ciphertext, sealed) = writer.finish().expect("complete");
    assert_eq!(sealed.digest, sha256(&ciphertext));
    assert_eq!(sealed.ciphertext_len, ciphertext.len() as u64);
    let author = alice.public_key();
    let mut reader = open(&ciphertext[..], &sealed.seal, &expected(&author), &key).expect("starts");
    let mut out = Vec::new();
    let mut room = [0; 1009];
    loop {
        match reader.read(&mut room).expect("our own") {
            0 => break,
            read => out.extend_from_slice(&room[..read]),
        }
    }
    assert!(out == content);
    assert_eq!(reader.finish().expect("complete").digest, sealed.digest);
}

#[test]
fn readers_and_writers_may_move_to_another_thread() {
    fn moves<T: Send>() {}
    moves::<OpenReader<&[u8]>>();
    moves::<SealWriter<'static, Vec<u8>>>();
}

#[test]
fn another_thread_may_compute_the_digest() {
    use std::sync::mpsc::{SyncSender, sync_channel};
    use std::thread::JoinHandle;

    use crate::digest::{Digester, Inline};

    struct Threaded(Option<SyncSender<Vec<u8>>>, Option<JoinHandle<[u8; 32]>>);
    impl Threaded {
        fn start() -> Box<Self> {
            let (sender, receiver) = sync_channel::<Vec<u8>>(4);
            let thread = std::thread::spawn(move || {
                let mut inline = Inline::default();
                receiver.iter().for_each(|bytes| inline.update(&bytes));
                inline.finish()
            });
            Box::new(Self(Some(sender), Some(thread)))
        }
    }
    impl Digester for Threaded {
        fn update(&mut self, bytes: &[u8]) {
            self.0.as_ref().expect("not finished").send(bytes.to_vec()).expect("the thread runs");
        }
        fn finish(&mut self) -> [u8; 32] {
            self.0 = None;
            self.1.take().expect("once").join().expect("the thread ends")
        }
    }

    let (key, alice) = (key(), alice());
    let content = binary(150_000);
    let shape = (Kind::Binary, content.len() as u64);
    let mut writer = SealWriter::with_digester(Vec::new(), &SUBJECT, shape, &key, &alice, Threaded::start())
        .expect("starts");
    writer.write_all(&content).expect("memory");
    let (ciphertext, sealed) = writer.finish().expect("complete");
    assert_eq!(sealed.digest, sha256(&ciphertext));
    let author = alice.public_key();
    let mut reader =
        open_with_digester(&ciphertext[..], &sealed.seal, &expected(&author), &key, Threaded::start())
            .expect("starts");
    let mut out = Vec::new();
    reader.read_to_end(&mut out).expect("our own");
    assert!(out == content && reader.finish().is_ok());
}

#[test]
fn a_version_from_elsewhere_is_refused_by_name() {
    let blob = sealed(DOTENV);
    let public = alice().public_key();
    let fits = expected(&public);
    let refuse = |expected: Expected<'_>| match open_with(&blob, &expected, &key()) {
        Err(OpenError::Seal(e)) => e,
        other => panic!("refused by its seal, not {other:?}"),
    };
    let project = ProjectId::from_bytes([9; 16]);
    let environment = EnvironmentId::from_bytes([9; 16]);
    let author = AccountId::from_bytes([9; 16]);
    let mallory = identity(9).public_key();
    assert_eq!(
        refuse(Expected { project, ..fits }),
        SealError::Project { expected: project, found: PROJECT }
    );
    assert_eq!(
        refuse(Expected { environment, ..fits }),
        SealError::Environment { expected: environment, found: ENVIRONMENT }
    );
    assert_eq!(
        refuse(Expected { version: Some(3), ..fits }),
        SealError::Version { expected: 3, found: 2 },
        "rolled back"
    );
    assert_eq!(refuse(Expected { parent: Some([8; 32]), ..fits }), SealError::Parent);
    assert_eq!(refuse(Expected { epoch: 4, ..fits }), SealError::Epoch { expected: 4, found: 3 });
    assert_eq!(refuse(Expected { author, ..fits }), SealError::Author { expected: author, found: ALICE });
    assert_eq!(refuse(Expected { digest: Some([8; 32]), ..fits }), SealError::Digest);
    assert!(matches!(refuse(Expected { author_key: &mallory, ..fits }), SealError::Signature(_)));
    assert!(open_with(&blob, &Expected { version: None, parent: None, ..fits }, &key()).is_ok());
}

#[test]
fn another_ciphertext_under_the_same_seal_is_refused() {
    let one = sealed(DOTENV);
    let mut two = sealed(DOTENV);
    while two.ciphertext.len() != one.ciphertext.len() {
        two = sealed(DOTENV);
    }
    two.sealed = one.sealed;
    assert!(matches!(open_one(&two), Err(OpenError::Seal(SealError::Digest))));
    let (out, done) = stream_one(&two.ciphertext, &one.sealed.seal);
    assert!(matches!(done, Err(OpenError::Padding | OpenError::Seal(SealError::Digest))), "{done:?}");
    assert!(out.len() < DOTENV.len(), "the last byte is held back");
}

#[test]
fn a_file_the_server_made_itself_is_refused_before_its_end_is_given_out() {
    let honest = sealed(&binary(100_000));
    let author = alice().public_key();
    let seal = Seal::verify(&honest.sealed.seal, &author).expect("our own");
    let len = seal.content_len(&key()) as usize;
    let padded = padded_len(len as u64).expect("short") as usize;
    // age greases with stanzas of random length: try until the forgery has the length the seal demands.
    let forged = iter::repeat_with(|| anybodys_file(&vec![0; padded]))
        .find(|file| file.len() == honest.ciphertext.len())
        .expect("soon");
    let refused = open_bytes(&forged, &honest.sealed.seal, &expected(&author), &key()).err();
    assert!(matches!(refused, Some(OpenError::Seal(SealError::Digest))));
    let (out, done) = stream_one(&forged, &honest.sealed.seal);
    assert!(matches!(done, Err(OpenError::Seal(SealError::Digest))), "{done:?}");
    assert!(out.len() < len, "the last byte is held back");
}

#[test]
fn a_cut_extended_or_reordered_file_is_refused() {
    let blob = sealed(&binary(200_000));
    let whole = &blob.ciphertext;
    let start = crate::lint::lint(whole, crate::lint::Policy::BLOB).expect("ours").header_len + 16;
    let chunk = 65_552;
    let swapped = [
        &whole[..start],
        &whole[start + chunk..start + 2 * chunk],
        &whole[start..start + chunk],
        &whole[start + 2 * chunk..],
    ]
    .concat();
    let cases = [
        ("cut inside a chunk", whole[..whole.len() - 1].to_vec()),
        ("cut between chunks", whole[..start + 2 * chunk].to_vec()),
        ("cut inside the header", whole[..40].to_vec()),
        ("first chunk missing", [&whole[..start], &whole[start + chunk..]].concat()),
        ("extended by a byte", [&whole[..], b"x"].concat()),
        ("extended by a chunk", [&whole[..], &whole[start..start + chunk]].concat()),
        ("chunks swapped", swapped),
    ];
    for (name, changed) in cases {
        let refused = open_bytes(&changed, &blob.sealed.seal, &expected(&alice().public_key()), &key()).err();
        let by_seal = matches!(refused, Some(OpenError::Seal(SealError::Length { .. } | SealError::Digest)));
        assert!(by_seal, "{name}: {refused:?}");
        let (_, done) = stream_one(&changed, &blob.sealed.seal);
        assert!(done.is_err(), "{name}");
        // Even an author's signature does not make a broken age file whole.
        let content_len = 200_001;
        let resigned = sealed_anyway(changed, content_len, |seal| seal.kind = Kind::Binary);
        assert!(open_one(&resigned).is_err(), "{name}");
    }
}

#[test]
fn a_stream_names_a_short_and_a_long_file() {
    let blob = sealed(&binary(200_000));
    let len = blob.ciphertext.len() as u64;
    let (_, short) = stream_one(&blob.ciphertext[..150_000], &blob.sealed.seal);
    assert!(
        matches!(short, Err(OpenError::Seal(SealError::Length { expected, found: 150_000 })) if expected == len)
    );
    let (_, long) = stream_one(&[&blob.ciphertext[..], b"xx"].concat(), &blob.sealed.seal);
    assert!(matches!(long, Err(OpenError::Seal(SealError::Length { expected, .. })) if expected == len));
}

#[test]
fn the_key_of_another_epoch_opens_nothing() {
    let other = EpochKey::from_secret(Secret::new([6; 32]));
    let refused = open_with(&sealed(DOTENV), &expected(&alice().public_key()), &other);
    assert!(matches!(refused, Err(OpenError::WrongKey)));
}

#[test]
fn a_first_line_from_another_version_is_refused_by_its_field() {
    let old = Seal::verify(&sealed(DOTENV).sealed.seal, &alice().public_key()).expect("our own");
    let line = |change: fn(&mut Seal)| {
        let mut seal = old;
        change(&mut seal);
        let mut plaintext = seal.header_line().expect("text").render().to_vec();
        plaintext.extend_from_slice(DOTENV);
        plaintext.resize(304, b'\n');
        open_one(&sealed_anyway(anybodys_file(&plaintext), DOTENV.len() as u64, |_| {}))
    };
    assert_eq!(line(|_| {}).expect("the same line"), DOTENV);
    let field = |result| match result {
        Err(OpenError::Header(HeaderError::Mismatch { field })) => field,
        other => panic!("refused by its line, not {other:?}"),
    };
    assert_eq!(field(line(|s| s.project = ProjectId::from_bytes([9; 16]))), "project");
    assert_eq!(field(line(|s| s.environment = EnvironmentId::from_bytes([9; 16]))), "environment");
    assert_eq!(field(line(|s| s.version = 9)), "version");
    assert_eq!(field(line(|s| s.parent = [9; 32])), "parent");
    assert_eq!(field(line(|s| s.epoch = 9)), "epoch");
    assert_eq!(field(line(|s| s.author_key = identity(9).key_id())), "author");
}

#[test]
fn a_wrong_shape_is_refused_even_when_the_author_signed_it() {
    let line = Seal::verify(&sealed(DOTENV).sealed.seal, &alice().public_key())
        .expect("our own")
        .header_line()
        .expect("text")
        .render();
    let open = |content: &[u8], padding: u8, total: usize, announced: u64| {
        let mut plaintext = [&line[..], content].concat();
        plaintext.resize(total, padding);
        open_one(&sealed_anyway(anybodys_file(&plaintext), announced, |_| {}))
    };
    assert!(open(b"A=1", b'\n', 272, 3).is_ok());
    assert!(matches!(open(b"A=1", b' ', 272, 3), Err(OpenError::Padding)), "other padding");
    assert!(matches!(open(b"A=1", b'\n', 288, 3), Err(OpenError::Padding)), "too much padding");
    assert!(matches!(open(b"A=1", b'\n', 259, 3), Err(OpenError::Padding)), "none");
    assert!(matches!(open(b"A=1", b'\n', 272, 17), Err(OpenError::Padding)), "a length that does not fit");
    assert!(matches!(open(b"A=1", b'\n', 272, u64::MAX), Err(OpenError::Padding)));
    assert!(matches!(open(b"A\0B", b'\n', 272, 3), Err(OpenError::NotText(_))), "a NUL");
    assert!(matches!(open(b"A=\xc3", b'\n', 272, 3), Err(OpenError::NotText(_))), "half a character");
    let no_line = open_one(&sealed_anyway(anybodys_file(&[b'\n'; 272]), 16, |_| {}));
    assert!(matches!(no_line, Err(OpenError::Header(HeaderError::Malformed))));
}

#[test]
fn a_second_recipient_is_refused() {
    let (key, spy) = (key(), identity(9));
    let recipients = [key.recipient().as_age(), spy.recipient().as_age()];
    let mut file = Vec::new();
    let mut stream = age::Encryptor::with_recipients(recipients.into_iter())
        .expect("two recipients")
        .wrap_output(&mut file)
        .expect("memory");
    stream.write_all(&[0; 256]).expect("memory");
    stream.finish().expect("memory");
    let refused = open_one(&sealed_anyway(file, 10, |seal| seal.kind = Kind::Binary));
    assert!(matches!(refused, Err(OpenError::Lint(LintError::TooManyX25519 { limit: 1 }))));
}

#[test]
fn content_that_is_not_as_announced_is_not_sealed() {
    let (key, alice) = (key(), alice());
    let writer = |kind, len| SealWriter::new(Vec::new(), &SUBJECT, kind, len, &key, &alice);
    let mut more = writer(Kind::Binary, 3).expect("starts");
    more.write_all(b"abc").expect("announced");
    let refused = more.write_all(b"d").expect_err("one too many").downcast::<SealingError>();
    assert!(matches!(refused, Ok(SealingError::More { announced: 3 })));
    let mut less = writer(Kind::Binary, 3).expect("starts");
    less.write_all(b"ab").expect("announced");
    assert!(matches!(less.finish(), Err(SealingError::Less { missing: 1 })));
    let mut nul = writer(Kind::Text, 3).expect("starts");
    let refused = nul.write_all(b"a\0b").expect_err("a NUL").downcast::<SealingError>();
    assert!(matches!(refused, Ok(SealingError::NotText(_))));
    let mut half = writer(Kind::Text, 1).expect("starts");
    half.write_all(b"\xc3").expect("may go on");
    assert!(matches!(half.finish(), Err(SealingError::NotText(_))));
    let long = writer(Kind::Text, TEXT_LEN_MAX + 1).err();
    assert!(matches!(long, Some(SealingError::TooLong { limit: TEXT_LEN_MAX, .. })));
    assert!(matches!(writer(Kind::Binary, u64::MAX).err(), Some(SealingError::TooLong { .. })));
}

#[test]
fn every_version_but_the_first_has_a_parent() {
    let make =
        |version, parent| seal_bytes(DOTENV, &Subject { version, parent, ..SUBJECT }, &key(), &alice());
    assert!(make(1, None).is_ok());
    assert!(matches!(make(1, Some([1; 32])).err(), Some(SealingError::Parent { has_parent: true, .. })));
    assert!(matches!(make(2, None).err(), Some(SealingError::Parent { has_parent: false, .. })));
    assert!(matches!(make(0, None).err(), Some(SealingError::Parent { version: 0, .. })));
    assert!(matches!(make(0, Some([1; 32])).err(), Some(SealingError::Parent { version: 0, .. })));
}

#[test]
fn a_reader_says_what_is_missing_and_stays_refused() {
    let author = alice().public_key();
    let blob = sealed(DOTENV);
    let mut reader =
        open(&blob.ciphertext[..], &blob.sealed.seal, &expected(&author), &key()).expect("our own");
    reader.read_exact(&mut [0; 8]).expect("content");
    let left = reader.left();
    assert!(matches!(reader.finish(), Err(OpenError::Unfinished { left: l }) if l == left));
    let mut changed = sealed(&binary(200_000));
    let end = changed.ciphertext.len() - 1;
    changed.ciphertext[end] ^= 1;
    let mut reader =
        open(&changed.ciphertext[..], &changed.sealed.seal, &expected(&author), &key()).expect("starts well");
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
    assert!(reader.read(&mut [0; 8]).is_err(), "again");
}

#[test]
fn a_source_or_target_that_fails_is_not_blamed_on_the_blob() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (key, alice) = (key(), alice());
    let refused = SealWriter::new(Full, &SUBJECT, Kind::Binary, 1, &key, &alice).err();
    assert!(matches!(refused, Some(SealingError::Io(_))));
    struct Gone;
    impl Read for Gone {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    }
    let blob = sealed(&binary(200_000));
    let author = alice.public_key();
    let source = (&blob.ciphertext[..100_000]).chain(Gone);
    let mut reader = open(source, &blob.sealed.seal, &expected(&author), &key).expect("starts well");
    let e = reader.read_to_end(&mut Vec::new()).expect_err("the line is cut");
    assert_eq!(e.kind(), io::ErrorKind::ConnectionReset);
    assert!(matches!(OpenError::from(e), OpenError::Io(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_content_comes_back(content in prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..2000),
    ]) {
        let blob = sealed(&content);
        prop_assert_eq!(&open_one(&blob).expect("our own"), &content);
        let (out, done) = stream_one(&blob.ciphertext, &blob.sealed.seal);
        prop_assert!(done.is_ok());
        prop_assert_eq!(out, content);
    }

    #[test]
    fn a_flipped_bit_is_refused_even_when_signed_again(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let blob = sealed(DOTENV);
        let mut ciphertext = blob.ciphertext;
        let at = at.index(ciphertext.len());
        ciphertext[at] ^= 1 << bit;
        let (out, done) = stream_one(&ciphertext, &blob.sealed.seal);
        prop_assert!(done.is_err() && out.len() < DOTENV.len());
        let changed = SealedBytes { ciphertext: ciphertext.clone(), sealed: blob.sealed };
        prop_assert!(matches!(open_one(&changed), Err(OpenError::Seal(SealError::Digest))));
        let signed_again = sealed_anyway(ciphertext, DOTENV.len() as u64, |_| ());
        prop_assert!(open_one(&signed_again).is_err());
    }

    #[test]
    fn a_flipped_bit_in_the_seal_is_refused(at in 0usize..SEAL_LEN, bit in 0u8..8) {
        let mut blob = sealed(DOTENV);
        blob.sealed.seal[at] ^= 1 << bit;
        prop_assert!(matches!(open_one(&blob), Err(OpenError::Seal(_))));
    }
}
