//! Bytes: small and large, whole and in pieces, and what the sweep may take.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use veilcloud_domain::{
    auth::model::Account,
    storage::{
        model::{Digest, PIECE_LEN},
        port::Started,
    },
    store::StoreError,
    testkit::ScriptedClock,
};
use veilcloud_embedded::{Embedded, Options};

use crate::support::{UPLOAD, account, blob_file, bytes_of, digest_of, fresh, furnish_for, key, upload};

async fn ranged(stores: &Embedded, digest: Digest, offset: u64, len: u64) -> Result<Vec<u8>, StoreError> {
    let stream = stores.blobs().open(digest, offset, len).await?.expect("the blob is there");
    let pieces: Vec<_> = stream.try_collect().await?;
    assert!(pieces.iter().all(|piece| piece.len() <= PIECE_LEN));
    Ok(pieces.concat())
}

#[tokio::test]
async fn blobs_of_every_size_come_back_whole_and_by_range() {
    let (folder, stores) = fresh();
    for len in [0, 1, 65_535, 65_536, 65_537, 262_144, 700_001] {
        let bytes = bytes_of(len as u64, len);
        let digest = digest_of(&bytes);
        assert_eq!(stores.blobs().read(digest).await.unwrap(), None);
        stores.blobs().put(digest, bytes.clone()).await.unwrap();
        stores.blobs().put(digest, bytes.clone()).await.unwrap();
        assert_eq!(blob_file(folder.path(), digest).exists(), len > 65_536);
        assert_eq!(stores.blobs().read(digest).await.unwrap(), Some(bytes.clone()));
        for (from, to) in [(0, len), (len / 3, len), (len / 3, len / 2), (len, len)] {
            let part = ranged(&stores, digest, from as u64, (to - from) as u64).await.unwrap();
            assert_eq!(part, bytes[from..to]);
        }
        let beyond = match stores.blobs().open(digest, 1, len as u64).await {
            Ok(stream) => stream.unwrap().try_collect::<Vec<_>>().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(matches!(beyond, Err(StoreError::Damaged { .. })), "{len}");
    }
    assert!(stores.blobs().open(digest_of(b"absent"), 0, 1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_that_was_cut_short_on_disk_is_damage_not_a_shorter_blob() {
    let (folder, stores) = fresh();
    let bytes = bytes_of(1, 600_000);
    let digest = digest_of(&bytes);
    stores.blobs().put(digest, bytes).await.unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(blob_file(folder.path(), digest)).unwrap();
    file.set_len(300_000).unwrap();
    let mut stream = stores.blobs().open(digest, 0, 600_000).await.unwrap().unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().len(), PIECE_LEN);
    assert!(matches!(stream.next().await.unwrap(), Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn lists_are_in_order_and_leave_nothing_out() {
    let (_folder, stores) = fresh();
    let mut all = Vec::new();
    for n in 0..60 {
        let bytes = bytes_of(n, if n % 3 == 0 { 70_000 } else { 10 });
        stores.blobs().put(digest_of(&bytes), bytes.clone()).await.unwrap();
        all.push(digest_of(&bytes));
    }
    all.sort_unstable();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = stores.blobs().list(after, 7, u64::MAX).await.unwrap();
        after = page.last().copied();
        seen.extend(page);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    assert_eq!(stores.blobs().list(None, 100, 1_000).await.unwrap(), []);
}

#[tokio::test]
async fn the_sweep_spares_what_was_stored_again_after_it_looked() {
    let (_folder, stores) = fresh();
    for len in [10, 70_000] {
        let bytes = bytes_of(1, len);
        let digest = digest_of(&bytes);
        stores.blobs().put(digest, bytes.clone()).await.unwrap();
        assert_eq!(stores.blobs().list(None, 10, u64::MAX).await.unwrap(), [digest]);
        stores.blobs().put(digest, bytes.clone()).await.unwrap();
        stores.blobs().remove(digest).await.unwrap();
        assert_eq!(stores.blobs().read(digest).await.unwrap(), Some(bytes));
        assert_eq!(stores.blobs().list(None, 10, u64::MAX).await.unwrap(), [digest]);
        stores.blobs().remove(digest).await.unwrap();
        stores.blobs().remove(digest).await.unwrap();
        assert_eq!(stores.blobs().read(digest).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_blob_that_is_stored_again_is_as_young_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ScriptedClock::at(1_000));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let stores = Embedded::open(folder.path(), key(), options).unwrap();
    let (blobs, staging) = (stores.blobs(), stores.staging());
    let small = bytes_of(1, 10);
    let large = bytes_of(2, 70_000);
    let (a, b) = (digest_of(&small), digest_of(&large));
    let mut both = [a, b];
    both.sort_unstable();
    let older_than = async |ms| blobs.list(None, 10, ms).await.unwrap();
    for at in [1_000, 2_000, 3_000] {
        clock.set(at);
        blobs.put(a, small.clone()).await.unwrap();
        blobs.put(b, large.clone()).await.unwrap();
        assert_eq!(older_than(at).await, [], "{at}");
        assert_eq!(older_than(at + 1).await, both, "{at}");
    }
    // By an upload too, and when it is promoted for the second time.
    clock.set(4_000);
    furnish_for(&stores, Account { quota_bytes: 70_000, ..account() }).await;
    assert_eq!(stores.uploads().start(upload(70_000, b), 8).await.unwrap(), Started::Open);
    staging.write(UPLOAD, 0, large.clone()).await.unwrap();
    assert!(staging.promote(UPLOAD, 70_000, b).await.unwrap());
    assert_eq!(older_than(4_000).await, [a]);
    clock.set(5_000);
    assert!(staging.promote(UPLOAD, 70_000, b).await.unwrap());
    assert_eq!(older_than(5_000).await, [a]);
    assert_eq!(older_than(5_001).await, both);
}

#[tokio::test]
async fn chunks_in_any_order_make_the_blob_and_wrong_bytes_do_not() {
    let (folder, stores) = fresh();
    let bytes = bytes_of(1, 2_500_000);
    let digest = digest_of(&bytes);
    let staging = stores.staging();
    assert!(!staging.promote(UPLOAD, 2_500_000, digest).await.unwrap());
    staging.write(UPLOAD, 2_000_000, bytes.slice(2_000_000..)).await.unwrap();
    staging.write(UPLOAD, 0, bytes.slice(..1_000_000)).await.unwrap();
    assert!(!staging.promote(UPLOAD, 2_500_000, digest).await.unwrap());
    staging.write(UPLOAD, 1_000_000, bytes.slice(1_000_000..2_000_000)).await.unwrap();
    // More than the announced length does not become part of the blob.
    staging.write(UPLOAD, 2_500_000, bytes.slice(..10)).await.unwrap();
    assert!(staging.promote(UPLOAD, 2_500_000, digest).await.unwrap());
    assert_eq!(ranged(&stores, digest, 0, 2_500_000).await.unwrap(), bytes);
    assert_eq!(std::fs::metadata(blob_file(folder.path(), digest)).unwrap().len(), 2_500_000);
    staging.write(UPLOAD, 0, bytes.slice(..10)).await.unwrap();
    staging.discard(UPLOAD).await.unwrap();
    staging.discard(UPLOAD).await.unwrap();
    assert_eq!(ranged(&stores, digest, 0, 10).await.unwrap(), bytes[..10]);
    assert_eq!(std::fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
}
