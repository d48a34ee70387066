use bytes::Bytes;
use veilcore::id::UploadId;

use super::{Place, seal_check};
use crate::{
    page::PageArgs,
    projects::error::ProjectsError,
    storage::{
        Put, StorageSettings,
        error::StorageError,
        model::{DIRECT_BLOB_MAX, Digest, Etag, Precondition, Upload},
    },
    testkit::Person,
};

#[tokio::test]
async fn versions_follow_each_other_and_come_back_byte_by_byte() {
    let mut place = Place::new().await;
    let contents = [&b"A=1\n"[..], b"", "B=\u{1f511}\n".as_bytes(), b"\0binary\xff"];
    let mut stored = Vec::new();
    for (number, content) in (1..).zip(contents) {
        let blob = place.alice.seal(&place.environment, &place.key, content);
        let put = place.world.storage.put(&place.access, place.name(), blob.put()).await.unwrap();
        let (environment, version) = put;
        assert_eq!((version.number, version.digest, version.seal.clone()), (number, blob.digest, blob.seal));
        assert_eq!(environment.head.as_ref(), Some(&version));
        place.environment = environment;
        stored.push(blob.ciphertext);
    }
    let now = place.world.projects.environment(&place.access, place.name()).await.unwrap();
    assert_eq!(now, place.environment);
    for (number, expected) in (1..).zip(&stored) {
        let read = place.world.storage.read(&place.access, place.name(), Some(number), None).await.unwrap();
        assert_eq!(read.body.as_ref(), Some(expected));
    }
    let used: u64 = stored.iter().map(|bytes| bytes.len() as u64).sum();
    assert_eq!(place.world.storage.used_bytes(place.alice.account).await.unwrap(), used);
}

#[tokio::test]
async fn a_write_against_a_stale_etag_changes_nothing() {
    let mut place = Place::new().await;
    let first = place.environment.clone();
    let one = place.put(b"one").await.unwrap();
    // Somebody else who also saw nothing, and one who saw version 1, after version 2 was written.
    let late_first = place.alice.seal(&first, &place.key, b"mine");
    let late_second = place.alice.seal(&place.environment, &place.key, b"mine too");
    let two = place.put(b"two").await.unwrap();
    for late in [late_first, late_second] {
        let refused = place.world.storage.put(&place.access, place.name(), late.put()).await;
        match refused {
            Err(StorageError::EtagMismatch { current }) => assert_eq!(current, Some(two.etag())),
            other => panic!("{other:?}"),
        }
        // The mismatch is found before anything is stored.
        assert!(!place.world.store.blob_digests().contains(&late.digest));
    }
    let page = PageArgs::new(None, 0);
    let (_, versions) = place.world.storage.versions(&place.access, place.name(), page).await.unwrap();
    assert_eq!(versions.items, [two, one]);
}

#[tokio::test]
async fn an_etag_of_an_empty_environment_does_not_exist() {
    let place = Place::new().await;
    let blob = place.alice.seal(&place.environment, &place.key, b"one");
    let precondition = Precondition::Match(Etag::of(1, blob.digest));
    let put = Put { precondition, ..blob.put() };
    let refused = place.world.storage.put(&place.access, place.name(), put).await;
    assert!(matches!(refused, Err(StorageError::EtagMismatch { current: None })));
}

#[tokio::test]
async fn a_write_under_an_old_epoch_is_stale() {
    let mut place = Place::new().await;
    place.put(b"one").await.unwrap();
    let old = place.alice.seal(&place.environment, &place.key, b"two");
    place.rotate().await;
    let refused = place.world.storage.put(&place.access, place.name(), old.put()).await;
    assert!(matches!(refused, Err(StorageError::EpochStale { current: 2 })));
    let version = place.put(b"two").await.unwrap();
    assert_eq!((version.number, version.epoch), (2, 2));
}

#[tokio::test]
async fn a_seal_is_good_for_its_own_place_and_author_only() {
    let place = Place::new().await;
    let caller = place.alice.caller(&place.world).await;
    let (staging, staging_key) = place.world.environment(&place.alice, &place.access, "staging").await;
    let web = place.world.project(&caller, "web").await;
    let (elsewhere, _) = place.world.environment(&place.alice, &web, "production").await;
    let put = |blob: crate::testkit::SealedBlob| {
        let (storage, access, name) = (&place.world.storage, &place.access, place.name());
        async move { storage.put(access, name, blob.put()).await }
    };
    let transplanted = place.alice.seal(&staging, &staging_key, b"A=1\n");
    assert_eq!(seal_check(put(transplanted).await), "environment");
    assert_eq!(seal_check(put(place.alice.seal(&elsewhere, &place.key, b"A=1\n")).await), "project");
    let mallory = Person::new("mallory@example.org");
    assert_eq!(seal_check(put(mallory.seal(&place.environment, &place.key, b"A=1\n")).await), "signature");

    let good = place.alice.seal(&place.environment, &place.key, b"A=1\n");
    let mut forged = good.clone();
    forged.seal[40] ^= 1;
    assert_eq!(seal_check(put(forged).await), "signature");
    let mut short = good.clone();
    short.seal.pop();
    assert_eq!(seal_check(put(short).await), "format");
    assert_eq!(place.world.store.blob_digests(), []);
    put(good).await.unwrap();
}

#[tokio::test]
async fn a_seal_that_skips_a_version_is_refused() {
    let mut place = Place::new().await;
    let one = place.put(b"one").await.unwrap();
    let mut ahead = place.environment.clone();
    if let Some(head) = &mut ahead.head {
        head.number = 2;
    }
    let gap = place.alice.seal(&ahead, &place.key, b"three");
    let put = Put { precondition: Precondition::Match(one.etag()), ..gap.put() };
    let refused = place.world.storage.put(&place.access, place.name(), put).await;
    assert_eq!(seal_check(refused), "version");
    let mut other = place.environment.clone();
    if let Some(head) = &mut other.head {
        head.digest = Digest([1; 32]);
    }
    let fork = place.alice.seal(&other, &place.key, b"two");
    let put = Put { precondition: Precondition::Match(one.etag()), ..fork.put() };
    let refused = place.world.storage.put(&place.access, place.name(), put).await;
    assert_eq!(seal_check(refused), "parent");
}

#[tokio::test]
async fn bytes_that_are_not_the_sealed_ones_are_refused() {
    let place = Place::new().await;
    let good = place.alice.seal(&place.environment, &place.key, b"A=1\n");
    let last = good.ciphertext.len() - 1;
    let mut flipped = good.ciphertext.to_vec();
    flipped[last] ^= 1;
    let longer = [&good.ciphertext[..], b"x"].concat();
    for ciphertext in [flipped, good.ciphertext[..last].to_vec(), longer] {
        let put = Put { ciphertext: ciphertext.into(), ..good.put() };
        let refused = place.world.storage.put(&place.access, place.name(), put).await;
        assert!(matches!(refused, Err(StorageError::DigestMismatch)));
    }
    assert_eq!(place.world.store.blob_digests(), []);
}

#[tokio::test]
async fn only_age_files_to_one_epoch_key_are_taken() {
    let place = Place::new().await;
    let good = place.alice.seal(&place.environment, &place.key, b"A=1\n");
    let passphrase = b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n".to_vec();
    let keyring = place.world.projects.keyring(&place.access, place.name(), 0).await.unwrap().keyring;
    let twice = [&keyring.file[..22], &stanza(&keyring.file), &keyring.file[22..]].concat();
    let wrong = [
        (b"A=1\n".to_vec(), "age_version"),
        (Vec::new(), "header_incomplete"),
        (good.ciphertext[..60].to_vec(), "header_incomplete"),
        (passphrase, "passphrase_stanza"),
        (twice, "x25519_stanza_count"),
    ];
    for (ciphertext, expected) in wrong {
        let put = Put { ciphertext: ciphertext.into(), ..good.put() };
        match place.world.storage.put(&place.access, place.name(), put).await {
            Err(StorageError::Stanza { check }) => assert_eq!(check, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

/// The X25519 stanza of an age file, wherever grease put it: two lines.
fn stanza(file: &[u8]) -> Vec<u8> {
    let at = file.windows(10).position(|w| w == b"-> X25519 ").unwrap();
    let lines = file[at..].split_inclusive(|byte| *byte == b'\n').take(2);
    lines.flatten().copied().collect()
}

#[tokio::test]
async fn a_blob_has_a_greatest_length() {
    let place = Place::with(StorageSettings { blob_max_bytes: 1000 }).await;
    let good = place.alice.seal(&place.environment, &place.key, b"A=1\n");
    let put = Put { ciphertext: Bytes::from(vec![0; 1001]), ..good.put() };
    let refused = place.world.storage.put(&place.access, place.name(), put).await;
    assert!(matches!(refused, Err(StorageError::TooLarge { limit_bytes: 1000 })));
    place.world.storage.put(&place.access, place.name(), good.put()).await.unwrap();

    let place = Place::new().await;
    let put = Put { ciphertext: Bytes::from(vec![0; DIRECT_BLOB_MAX as usize + 1]), ..good.put() };
    let refused = place.world.storage.put(&place.access, place.name(), put).await;
    assert!(matches!(refused, Err(StorageError::TooLarge { limit_bytes: DIRECT_BLOB_MAX })));
}

#[tokio::test]
async fn an_account_stores_no_more_than_its_quota() {
    let mut place = Place::new().await;
    // The quota of these persons is 64 MiB; an upload holds its room without sending a byte.
    let filling = Upload {
        id: UploadId::from_bytes([1; 16]),
        account: place.alice.account,
        project: place.access.project(),
        environment: place.environment.id,
        precondition: Precondition::First,
        len: (64 << 20) - 100,
        digest: Digest([1; 32]),
        seal: Vec::new(),
        expires_at_ms: 0,
        received: Vec::new(),
    };
    place.world.ports.uploads.start(filling, 64).await.unwrap();
    match place.put(b"A=1\n").await {
        Err(StorageError::Quota { quota_bytes, used_bytes }) => {
            assert_eq!((quota_bytes, used_bytes), (64 << 20, (64 << 20) - 100));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(place.world.projects.environment(&place.access, place.name()).await.unwrap().head, None);
}

#[tokio::test]
async fn a_store_that_fails_changes_nothing() {
    let mut place = Place::new().await;
    for method in ["put", "commit", "account", "environment"] {
        place.world.store.fail_next(method);
        assert!(place.put(b"one").await.is_err(), "{method}");
        let now = place.world.projects.environment(&place.access, place.name()).await.unwrap();
        assert_eq!(now.head, None, "{method}");
    }
    assert_eq!(place.put(b"one").await.unwrap().number, 1);
}

#[tokio::test]
async fn nothing_is_put_where_nothing_is() {
    let place = Place::new().await;
    let blob = place.alice.seal(&place.environment, &place.key, b"one");
    let absent = "absent".parse().unwrap();
    let refused = place.world.storage.put(&place.access, &absent, blob.put()).await;
    let not_found = |e: &StorageError| matches!(e, StorageError::Projects(ProjectsError::EnvironmentNotFound { name }) if name == "absent");
    assert!(refused.is_err_and(|e| not_found(&e)));
}
