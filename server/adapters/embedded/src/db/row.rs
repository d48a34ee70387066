//! Values between rows and the domain. SQLite's integers are signed, so an unsigned number is kept bit for bit, and a
//! time that is compared inside a statement is clamped to the signed range instead.

use std::str::FromStr;

use rusqlite::{Row, types::Type};

/// An unsigned number as SQLite keeps it.
pub(crate) fn int(value: u64) -> i64 {
    value.cast_signed()
}

/// An unsigned number that statements compare: clamped, so that order is kept.
pub(crate) fn ordered(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The unsigned number of a column.
pub(crate) fn u64_at(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

/// The text of a column as a domain value; anything else is damage.
pub(crate) fn text_at<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: ToString,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|e: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, e.to_string().into())
    })
}

/// `None` when a query has no row.
pub(crate) trait Maybe<T> {
    /// Turns "no row" into `None`.
    fn maybe(self) -> rusqlite::Result<Option<T>>;
}

impl<T> Maybe<T> for rusqlite::Result<T> {
    fn maybe(self) -> rusqlite::Result<Option<T>> {
        match self {
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            other => other.map(Some),
        }
    }
}
