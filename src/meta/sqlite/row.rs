//! Column values that several queries read.

use rusqlite::Row;

use crate::oci::Digest;

/// Reads a digest.
pub(in crate::meta) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text = row.get_ref(column)?.as_str()?;
    Digest::parse(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}
