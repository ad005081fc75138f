//! The author of a change.

use std::sync::Arc;

use rusqlite::Row;

use crate::events::EventRequest;

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
    /// Request, for events. Not stored but in the outbox.
    pub request: Option<Arc<EventRequest>>,
    /// True of collection, which applies the owner's rules.
    pub is_rule: bool,
}

impl Actor {
    /// Creates the author of work for the upstream at a place, with a purpose.
    pub fn for_upstream(purpose: &str, place: &str) -> Self {
        Self {
            name: Some(format!("{purpose} {place}")),
            ..Self::default()
        }
    }
}

/// Reads an actor from two columns.
pub(in crate::meta) fn actor(row: &Row<'_>, column: usize) -> rusqlite::Result<Actor> {
    Ok(Actor {
        name: row.get(column)?,
        address: row.get(column + 1)?,
        ..Actor::default()
    })
}
