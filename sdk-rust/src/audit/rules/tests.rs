use proptest::prelude::*;

use super::*;

const ENV: [u8; 16] = [5; 16];

fn entry(kind: u8, number: u64) -> Entry {
    let content = matches!(kind, kinds::BLOB_PUT | kinds::BLOB_READ | kinds::BLOB_DELETE);
    Entry {
        kind,
        log: [4; 16],
        at_ms: 1_000_000,
        actor: [0; 32],
        subject: Some(ENV),
        number: Some(number).filter(|number| *number > 0),
        digest: content.then_some([number as u8; 32]),
        by_number: false,
    }
}

/// What is said of each entry, in order.
fn said(entries: &[Entry]) -> Vec<&'static str> {
    let mut rules = Rules::default();
    entries.iter().flat_map(|entry| rules.take(entry)).map(|(kind, _)| kind).collect()
}

#[test]
fn an_honest_log_says_nothing() {
    let entries = [
        Entry { subject: None, ..entry(20, 0) },
        entry(kinds::ENV_CREATE, 0),
        entry(kinds::BLOB_PUT, 1),
        entry(kinds::BLOB_READ, 1),
        entry(kinds::BLOB_PUT, 2),
        Entry { by_number: true, ..entry(kinds::BLOB_READ, 1) },
        entry(kinds::KEY_ROTATE, 2),
        entry(kinds::BLOB_PUT, 3),
        entry(kinds::BLOB_DELETE, 3),
        entry(kinds::BLOB_PUT, 4),
        entry(kinds::KEY_ROTATE, 3),
        entry(kinds::ENV_DELETE, 0),
        Entry { subject: Some([6; 16]), ..entry(kinds::ENV_CLONE, 4) },
        Entry { subject: Some([6; 16]), ..entry(kinds::BLOB_PUT, 1) },
    ];
    assert_eq!(said(&entries), [""; 0]);
}

#[test]
fn versions_are_dense_and_rise() {
    let create = entry(kinds::ENV_CREATE, 0);
    let put = |number| entry(kinds::BLOB_PUT, number);
    assert_eq!(said(&[create.clone(), put(2)]), ["version"]);
    assert_eq!(said(&[create.clone(), put(1), put(3)]), ["version"]);
    assert_eq!(said(&[create.clone(), put(1), put(1)]), ["version"]);
    assert_eq!(said(&[create.clone(), put(1), put(2), put(1)]), ["version"]);
    // An environment from before the log: the first version seen may be any, the next ones follow it.
    assert_eq!(said(&[put(7), put(8)]), [""; 0]);
    assert_eq!(said(&[put(7), put(9)]), ["version"]);
}

#[test]
fn epochs_rise_by_one() {
    let create = entry(kinds::ENV_CREATE, 0);
    let rotate = |epoch| entry(kinds::KEY_ROTATE, epoch);
    assert_eq!(said(&[create.clone(), rotate(2), rotate(3)]), [""; 0]);
    assert_eq!(said(&[create.clone(), rotate(1)]), ["epoch"]);
    assert_eq!(said(&[create.clone(), rotate(3)]), ["epoch"]);
    assert_eq!(said(&[create, rotate(2), rotate(2)]), ["epoch"]);
    assert_eq!(said(&[rotate(9), rotate(10), rotate(12)]), ["epoch"]);
}

#[test]
fn a_stale_read_is_an_alarm_unless_it_was_asked_for_or_under_way() {
    let before = [entry(kinds::ENV_CREATE, 0), entry(kinds::BLOB_PUT, 1), entry(kinds::BLOB_PUT, 2)];
    let and = |read: Entry| said(&[&before[..], &[read]].concat());
    let read = |number| entry(kinds::BLOB_READ, number);
    let late = |after: u64, number| Entry { at_ms: 1_000_000 + after, ..read(number) };
    assert_eq!(and(late(STALE_GRACE_MS, 1)), [""; 0], "it was under way when version 2 came");
    assert_eq!(and(late(STALE_GRACE_MS + 1, 1)), ["stale-read"]);
    assert_eq!(and(Entry { by_number: true, ..late(1 << 40, 1) }), [""; 0]);
    assert_eq!(and(read(3)), ["unknown-version"]);
    assert_eq!(and(Entry { digest: Some([9; 32]), ..read(2) }), ["content"]);
    let third = [&before[..], &[entry(kinds::BLOB_PUT, 3), read(1)]].concat();
    assert_eq!(said(&third), ["stale-read"], "two versions back is no race");
}

#[test]
fn what_comes_after_the_end_or_before_the_beginning_is_told() {
    let (create, delete) = (entry(kinds::ENV_CREATE, 0), entry(kinds::ENV_DELETE, 0));
    let put = entry(kinds::BLOB_PUT, 1);
    assert_eq!(said(&[create.clone(), delete, put.clone()]), ["after-delete"]);
    assert_eq!(said(&[create.clone(), create.clone()]), ["created-twice"]);
    let gone = entry(kinds::BLOB_DELETE, 2);
    assert_eq!(said(&[create, put, gone]), ["content"]);
}

proptest! {
    /// Whatever a log says, the watch goes on, and an honest rest of it stays quiet about versions.
    #[test]
    fn nothing_stops_the_watch(kinds in prop::collection::vec((20u8..61, 0u64..6, any::<bool>()), 0..60)) {
        let mut rules = Rules::default();
        for (kind, number, by_number) in kinds {
            rules.take(&Entry { by_number, ..entry(kind, number) });
        }
    }
}
