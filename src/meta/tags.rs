//! Tags: names that point at manifests, and what they pointed at before.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::actor::Actor;
use super::manifests::digest;
use super::{Error, ManifestId, Millis, Reader, RepositoryId, WriteTx, repositories};
use crate::oci::{Digest, RepositoryName, TagName};

/// A tag's target from one moment to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagState {
    pub digest: Digest,
    pub media_type: String,
    /// Of the manifest, in bytes.
    pub size: u64,
    pub since: Millis,
    pub set_by: Actor,
    /// None for the present state.
    pub end: Option<TagEnd>,
}

/// How a tag's target stopped being it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagEnd {
    pub at: Millis,
    /// The tag was removed, and not moved.
    pub is_deletion: bool,
    pub by: Actor,
}

/// What rules about tags go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedRow {
    pub name: String,
    /// When it was last pointed at another manifest.
    pub updated_at: Millis,
    pub pulled_at: Option<Millis>,
}

/// Where to go on in a tag's history: before this row. Newest first, so the start is before everything.
pub const NEWEST: i64 = i64::MAX;

impl Reader<'_> {
    /// As [`Self::tagged`], for a repository that is known.
    pub fn tags_for_review(&self, repository: RepositoryId) -> Result<Vec<TaggedRow>, Error> {
        self.query(|connection| tagged(connection, repository))
    }

    /// All tags of a repository, with what rules go by.
    pub fn tagged(&self, repository: &RepositoryName) -> Result<Vec<TaggedRow>, Error> {
        self.query(
            |connection| match repositories::find(connection, repository)? {
                Some(repository) => tagged(connection, repository),
                None => Ok(Vec::new()),
            },
        )
    }

    /// What a tag points at and pointed at, newest first, and where the next page starts: the present state, if there is
    /// one, comes only with the page that starts at [`NEWEST`].
    pub fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &TagName,
        before: i64,
        limit: usize,
    ) -> Result<Vec<(i64, TagState)>, Error> {
        self.query(|connection| {
            let mut states: Vec<(i64, TagState)> = Vec::new();
            if before == NEWEST {
                let present = connection
                    .prepare_cached(
                        "SELECT manifests.digest, media_type, size, updated_at, set_by, set_from FROM repositories
                         JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2
                         JOIN manifests ON manifests.id = manifest_id WHERE repositories.name = ?1",
                    )?
                    .query_row(params![repository.as_str(), tag.as_str()], |row| state(row, 0, None))
                    .optional()?;
                states.extend(present.map(|state| (NEWEST, state)));
            }
            let mut statement = connection.prepare_cached(
                "SELECT tag_history.id, digest, media_type, size, since, set_by, set_from, until, is_deletion, ended_by, ended_from
                 FROM repositories JOIN tag_history ON repository_id = repositories.id
                 WHERE repositories.name = ?1 AND tag = ?2 AND tag_history.id < ?3 ORDER BY tag_history.id DESC LIMIT ?4",
            )?;
            let past =
                statement.query_map(params![repository.as_str(), tag.as_str(), before, limit.saturating_sub(states.len())], |row| {
                    let end = TagEnd { at: row.get(7)?, is_deletion: row.get(8)?, by: actor(row, 9)? };
                    Ok((row.get(0)?, state(row, 1, Some(end))?))
                })?;
            for state in past {
                states.push(state?);
            }
            Ok(states)
        })
    }
}

fn tagged(connection: &Connection, repository: RepositoryId) -> rusqlite::Result<Vec<TaggedRow>> {
    connection
        .prepare_cached("SELECT name, updated_at, pulled_at FROM tags WHERE repository_id = ?1")?
        .query_map([repository.0], tagged_row)?
        .collect()
}

fn tagged_row(row: &Row<'_>) -> rusqlite::Result<TaggedRow> {
    Ok(TaggedRow {
        name: row.get(0)?,
        updated_at: row.get(1)?,
        pulled_at: row.get(2)?,
    })
}

impl WriteTx<'_> {
    /// A tag, with what rules go by.
    pub fn tagged(&self, repository: RepositoryId, tag: &str) -> Result<Option<TaggedRow>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, updated_at, pulled_at FROM tags WHERE repository_id = ?1 AND name = ?2",
        )?;
        Ok(statement
            .query_row(params![repository.0, tag], tagged_row)
            .optional()?)
    }

    /// What a tag points at.
    pub fn tag_target(
        &self,
        repository: RepositoryId,
        tag: &TagName,
    ) -> Result<Option<(ManifestId, Digest)>, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT manifest_id, digest FROM tags JOIN manifests ON manifests.id = manifest_id
                 WHERE tags.repository_id = ?1 AND name = ?2",
            )?
            .query_row(params![repository.0, tag.as_str()], |row| {
                Ok((ManifestId(row.get(0)?), digest(row, 1)?))
            })
            .optional()?)
    }

    /// Points a tag at a manifest of its repository, and what it pointed at goes into its history; where it already does,
    /// nothing changes.
    pub fn set_tag(
        &self,
        repository: RepositoryId,
        tag: &TagName,
        manifest: ManifestId,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Error> {
        if self
            .tag_target(repository, tag)?
            .is_some_and(|(present, _)| present == manifest)
        {
            return Ok(());
        }
        self.record_end(repository, tag.as_str(), false, actor, now)?;
        self.connection
            .prepare_cached(
                "INSERT INTO tags (repository_id, name, manifest_id, updated_at, set_by, set_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at,
                     set_by = excluded.set_by, set_from = excluded.set_from",
            )?
            .execute(params![repository.0, tag.as_str(), manifest.0, now, actor.name, actor.address])?;
        Ok(())
    }

    /// Removes a tag and nothing else; says whether there was one.
    pub fn delete_tag(
        &self,
        repository: RepositoryId,
        tag: &str,
        actor: &Actor,
        now: Millis,
    ) -> Result<bool, Error> {
        self.record_end(repository, tag, true, actor, now)?;
        let removed = self
            .connection
            .prepare_cached("DELETE FROM tags WHERE repository_id = ?1 AND name = ?2")?
            .execute(params![repository.0, tag])?;
        Ok(removed > 0)
    }

    /// The tags that point at a manifest, in byte order.
    pub fn tags_on(&self, manifest: ManifestId) -> Result<Vec<String>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT name FROM tags WHERE manifest_id = ?1 ORDER BY name")?;
        Ok(statement
            .query_map([manifest.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    }

    /// Names of tags that start with `prefix`, in byte order.
    pub fn tags_with_prefix(
        &self,
        repository: RepositoryId,
        prefix: &str,
    ) -> Result<Vec<String>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name FROM tags WHERE repository_id = ?1 AND name >= ?2 AND name < ?2 || x'7f'",
        )?;
        Ok(statement
            .query_map(params![repository.0, prefix], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    }

    fn record_end(
        &self,
        repository: RepositoryId,
        tag: &str,
        is_deletion: bool,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO tag_history (repository_id, tag, digest, media_type, size, since, set_by, set_from,
                     until, is_deletion, ended_by, ended_from)
                 SELECT tags.repository_id, name, digest, media_type, size, updated_at, set_by, set_from, ?3, ?4, ?5, ?6
                 FROM tags JOIN manifests ON manifests.id = manifest_id WHERE tags.repository_id = ?1 AND name = ?2",
            )?
            .execute(params![repository.0, tag, now, is_deletion, actor.name, actor.address])?;
        Ok(())
    }
}

/// Reads a state from six columns.
fn state(row: &Row<'_>, column: usize, end: Option<TagEnd>) -> rusqlite::Result<TagState> {
    Ok(TagState {
        digest: digest(row, column)?,
        media_type: row.get(column + 1)?,
        size: row.get(column + 2)?,
        since: row.get(column + 3)?,
        set_by: actor(row, column + 4)?,
        end,
    })
}

/// Reads an actor from two columns.
pub(super) fn actor(row: &Row<'_>, column: usize) -> rusqlite::Result<Actor> {
    Ok(Actor {
        name: row.get(column)?,
        address: row.get(column + 1)?,
        user_agent: None,
    })
}
