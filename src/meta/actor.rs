//! The author of a change.

use rusqlite::Row;

/// Person or part of the registry on whose behalf something is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Name of the user, of the part of the registry that acts by itself, or of the person at the shell; `None` without
    /// a login.
    pub name: Option<String>,
    /// Id of the secret by which a token logged in. Not stored but in the audit log.
    pub credential: Option<String>,
    /// Network address, for requests.
    pub address: Option<String>,
    /// `User-Agent` header, for requests that have one. Not stored but in the audit log.
    pub user_agent: Option<String>,
}

/// Reads an actor from two columns.
pub(in crate::meta) fn actor(row: &Row<'_>, column: usize) -> rusqlite::Result<Actor> {
    Ok(Actor {
        name: row.get(column)?,
        credential: None,
        address: row.get(column + 1)?,
        user_agent: None,
    })
}
