use std::io::Write;

use super::*;

fn text(bytes: &[u8]) -> bool {
    into_text(Zeroizing::new(bytes.to_vec())).is_ok()
}

#[test]
fn text_is_short_utf8_without_nul() {
    assert!(text(b""));
    assert!(text("é\r\n".as_bytes()));
    assert!(text(&vec![b'a'; TEXT_LEN_MAX]));
    assert!(!text(&vec![b'a'; TEXT_LEN_MAX + 1]));
    assert!(!text(b"a\0b"));
    assert!(!text(b"\xff"));
    // What is no text comes back whole.
    assert_eq!(into_text(Zeroizing::new(b"\xff".to_vec())).err().unwrap().as_slice(), b"\xff");
}

#[test]
fn changes_name_keys_and_hide_values_unless_asked() {
    let old = Variables::from_dotenv("A=hunter2\nB=1").unwrap();
    let new = Variables::from_dotenv("B=2\nC=3").unwrap();
    let diff = Diff::between(&old, &new);
    let hidden = changes(&diff, false);
    assert_eq!(hidden, json!({ "added": ["C"], "changed": ["B"], "removed": ["A"] }));
    assert_eq!(changes(&diff, true)["removed"], json!([{ "key": "A", "old": "hunter2" }]));
    let lines: Vec<String> = diff.changes().iter().map(|change| change_line(change, &mask)).collect();
    assert!(lines.iter().all(|line| !line.contains("hunter2")), "{lines:?}");
}

#[test]
fn a_file_appears_only_when_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    let mut unfinished = staged(&file).unwrap();
    unfinished.write_all(b"half").unwrap();
    drop(unfinished);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    deliver(b"whole", Some(&file)).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"whole");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_delivered_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    deliver(b"secret", Some(&file)).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
