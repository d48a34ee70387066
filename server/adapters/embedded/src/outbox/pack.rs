//! Several lines in one row: a byte that no entry begins with, then each entry behind its length.

use veilcloud_domain::audit::model::{Line, Trail};

use crate::db::fault::{Fault, Outcome};

/// Most lines of a row.
pub(crate) const PACK_MAX: usize = 256;
/// First byte of a row with several lines, so that its MAC is never that of one line.
const PACKED: u8 = 0xF0;

/// The bytes of a row for these lines, at least one and at most [`PACK_MAX`].
pub(crate) fn pack(lines: &[&Line]) -> Vec<u8> {
    if let [line] = lines {
        return line.entry();
    }
    let mut out = Vec::with_capacity(1 + lines.len() * 118);
    out.push(PACKED);
    for line in lines {
        let entry = line.entry();
        let len = u16::try_from(entry.len()).expect("an entry of a line has at most 116 bytes");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&entry);
    }
    out
}

/// The lines of a row whose MAC holds.
pub(crate) fn lines(trail: Trail, index: u64, count: u16, row: &[u8]) -> Outcome<Vec<Line>> {
    let line = |entry: &[u8], at: usize| {
        Line::parse(trail, entry).map_err(|error| {
            Fault::Damaged(format!("line {} of an audit trail: {error}", index.saturating_add(at as u64)))
        })
    };
    if count == 1 {
        return Ok(vec![line(row, 0)?]);
    }
    let torn = || Fault::Damaged(format!("the row of line {index} of an audit trail has not {count} lines"));
    let mut rest = row.strip_prefix(&[PACKED]).ok_or_else(torn)?;
    let mut lines = Vec::with_capacity(usize::from(count).min(PACK_MAX));
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let (entry, behind) = behind.split_at_checked(u16::from_be_bytes(*len).into()).ok_or_else(torn)?;
        lines.push(line(entry, lines.len())?);
        rest = behind;
    }
    if rest.is_empty() && lines.len() == usize::from(count) { Ok(lines) } else { Err(torn()) }
}

#[cfg(test)]
mod tests {
    use veilcloud_domain::audit::model::Kind;
    use veilcore::id::AccountId;

    use super::*;

    fn line(version: u64) -> Line {
        Line {
            trail: Trail::Directory,
            kind: Kind::KeyPublish,
            actor: AccountId::from_bytes([1; 16]),
            at_ms: 5,
            environment: None,
            version,
            digest: Some([7; 32]),
            key: None,
            by_number: false,
        }
    }

    #[test]
    fn a_row_gives_back_its_lines_and_no_other_number_of_them() {
        for count in [1, 2, 3, 256_u16] {
            let all: Vec<_> = (0..u64::from(count)).map(line).collect();
            let row = pack(&all.iter().collect::<Vec<_>>());
            assert_eq!(lines(Trail::Directory, 9, count, &row).unwrap(), all);
            for other in [0, count - 1, count + 1] {
                assert!(lines(Trail::Directory, 9, other, &row).is_err(), "{count} read as {other}");
            }
        }
    }

    #[test]
    fn a_row_cut_anywhere_is_damage() {
        let row = pack(&[&line(1), &line(2)]);
        for end in 0..row.len() {
            assert!(lines(Trail::Directory, 0, 2, &row[..end]).is_err(), "{end} bytes");
        }
    }
}
