//! What a write demands of the current version. A write without a demand is refused: it would overwrite what its
//! author never saw.

use super::{error::StorageError, model::Precondition};

/// Most bytes of a wrong precondition that are shown back.
const SHOWN_MAX: usize = 64;

/// The precondition in the two fields of a write, as sent: an entity tag in `if_match`, or `*` in `if_none_match` for
/// the first version. Exactly one of them.
pub fn precondition(if_match: &str, if_none_match: &str) -> Result<Precondition, StorageError> {
    match (if_match, if_none_match) {
        ("", "") => Err(StorageError::PreconditionRequired),
        ("", "*") => Ok(Precondition::First),
        ("", other) => Err(invalid(other)),
        (tag, "") => tag.parse().map(Precondition::Match).map_err(|_| invalid(tag)),
        (tag, _) => Err(invalid(tag)),
    }
}

fn invalid(text: &str) -> StorageError {
    let end = (0..=SHOWN_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    StorageError::PreconditionInvalid { text: text[..end].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::model::{Digest, Etag};

    #[test]
    fn a_write_names_its_predecessor_or_says_that_it_is_the_first() {
        let etag = Etag::of(7, Digest([9; 32]));
        assert!(
            matches!(precondition(&etag.to_string(), ""), Ok(Precondition::Match(found)) if found == etag)
        );
        assert!(matches!(precondition("", "*"), Ok(Precondition::First)));
        assert!(matches!(precondition("", ""), Err(StorageError::PreconditionRequired)));
    }

    #[test]
    fn anything_else_is_no_precondition() {
        let etag = Etag::of(7, Digest([9; 32])).to_string();
        let weak = format!("W/{etag}");
        let list = format!("{etag}, {etag}");
        let bare = etag.trim_matches('"').to_owned();
        let long = "ä".repeat(100);
        let wrong =
            [("*", ""), (&weak, ""), (&list, ""), (&bare, ""), (&long, ""), ("", &etag), (&etag, "*")];
        for (if_match, if_none_match) in wrong {
            match precondition(if_match, if_none_match) {
                Err(StorageError::PreconditionInvalid { text }) => assert!(text.len() <= SHOWN_MAX),
                other => panic!("{if_match:?} {if_none_match:?}: {other:?}"),
            }
        }
    }
}
