//! Former targets of tags.

use rusqlite::{OptionalExtension, Row, params};

use crate::meta::actor::{Actor, actor};
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{HistoryCursor, RepositoryId};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName, TagName};

/// A target of a tag, with the period in which it was the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagState {
    pub digest: Digest,
    pub media_type: String,
    /// Of the manifest, in bytes.
    pub size: u64,
    pub since: Millis,
    pub set_by: Actor,
    /// `None` for the current state.
    pub end: Option<TagEnd>,
}

/// The way in which a tag's state ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::meta) enum Ending {
    Moved,
    Removed,
}

/// The end of a tag's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagEnd {
    pub at: Millis,
    /// True if the tag was removed rather than moved.
    pub is_deletion: bool,
    pub by: Actor,
}

/// Uses of a tag, whatever it pointed at.
#[derive(Clone, Copy, Debug, Default)]
pub struct TagUses {
    pub pulled_at: Option<Millis>,
    pub checked_at: Option<Millis>,
    pub pulls: u64,
}

/// A state of a tag, as far as going back to it needs to know it.
#[derive(Clone, Debug)]
pub struct RecordedState {
    /// [`HistoryCursor::NEWEST`] for the current state.
    pub position: HistoryCursor,
    pub digest: Digest,
    pub since: Millis,
    /// `None` for the current state.
    pub until: Option<Millis>,
    /// Time of the push that gave the tag this target.
    pub pushed_at: Millis,
    /// The state that a restore went back to, if this one comes from a restore.
    pub restored_from: Option<HistoryCursor>,
    /// Uses of the tag until the state ended.
    pub uses: TagUses,
}

impl RecordedState {
    /// The position that counts for going further back: of the push, whatever restores came later.
    pub fn origin(&self) -> HistoryCursor {
        // ids may be given again, once all states have been forgotten: an origin is never younger
        self.restored_from
            .map_or(self.position, |origin| origin.min(self.position))
    }
}

impl Reader<'_> {
    /// Returns the current state of a tag; `None` if the tag is absent.
    pub fn current_state(
        &self,
        repository: RepositoryId,
        tag: &TagName,
    ) -> Result<Option<RecordedState>, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT ?3, digest, updated_at, NULL, tags.pushed_at, restored_from, tags.pulled_at, tags.checked_at, tags.pulls FROM tags
                 JOIN manifests ON manifests.id = manifest_id WHERE tags.repository_id = ?1 AND name = ?2",
            )?
            .query_row(params![repository.0, tag.as_str(), HistoryCursor::NEWEST.0], recorded_state)
            .optional()?)
    }

    /// Returns the newest ended state of a tag before `before` for which `is_wanted` returns true.
    pub fn find_state(
        &self,
        repository: RepositoryId,
        tag: &TagName,
        before: HistoryCursor,
        mut is_wanted: impl FnMut(&RecordedState) -> bool,
    ) -> Result<Option<RecordedState>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, digest, since, until, pushed_at, restored_from, pulled_at, checked_at, pulls FROM tag_history
             WHERE repository_id = ?1 AND tag = ?2 AND id < ?3 ORDER BY id DESC",
        )?;
        let mut states = statement.query_map(
            params![repository.0, tag.as_str(), before.0],
            recorded_state,
        )?;
        Ok(states
            .find(|state| state.as_ref().map_or(true, &mut is_wanted))
            .transpose()?)
    }

    /// Lists the states of a tag, newest first, each with the position of the page after it.
    ///
    /// The current state, if any, is part of the page that starts at [`HistoryCursor::NEWEST`] only.
    pub fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &TagName,
        before: HistoryCursor,
        limit: usize,
    ) -> Result<Vec<(HistoryCursor, TagState)>, Error> {
        self.query(|connection| {
            let mut states: Vec<(HistoryCursor, TagState)> = Vec::new();
            if before == HistoryCursor::NEWEST {
                let present = connection
                    .prepare_cached(
                        "SELECT manifests.digest, media_type, size, updated_at, set_by, set_from FROM repositories
                         JOIN tags ON tags.repository_id = repositories.id AND tags.name = ?2
                         JOIN manifests ON manifests.id = manifest_id WHERE repositories.name = ?1",
                    )?
                    .query_row(params![repository.as_str(), tag.as_str()], |row| state(row, 0, None))
                    .optional()?;
                states.extend(present.map(|state| (HistoryCursor::NEWEST, state)));
            }
            let mut statement = connection.prepare_cached(
                "SELECT tag_history.id, digest, media_type, size, since, set_by, set_from, until, is_deletion, ended_by, ended_from
                 FROM repositories JOIN tag_history ON repository_id = repositories.id
                 WHERE repositories.name = ?1 AND tag = ?2 AND tag_history.id < ?3 ORDER BY tag_history.id DESC LIMIT ?4",
            )?;
            let past =
                statement.query_map(params![repository.as_str(), tag.as_str(), before.0, limit.saturating_sub(states.len())], |row| {
                    let end = TagEnd { at: row.get(7)?, is_deletion: row.get(8)?, by: actor(row, 9)? };
                    Ok((HistoryCursor(row.get(0)?), state(row, 1, Some(end))?))
                })?;
            for state in past {
                states.push(state?);
            }
            Ok(states)
        })
    }

    /// Reports whether a state that ended by `cutoff` is still recorded.
    pub fn has_expired_history(&self, cutoff: Millis) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM tag_history WHERE until <= ?1")?
            .exists([cutoff])?)
    }
}

impl WriteTx<'_> {
    pub(in crate::meta) fn record_end(
        &self,
        repository: RepositoryId,
        tag: &str,
        ending: Ending,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO tag_history (repository_id, tag, digest, media_type, size, since, set_by, set_from,
                     until, is_deletion, ended_by, ended_from, pushed_at, restored_from, pulled_at, checked_at, pulls)
                 SELECT tags.repository_id, name, digest, media_type, size, updated_at, set_by, set_from, ?3, ?4, ?5, ?6,
                     tags.pushed_at, restored_from, tags.pulled_at, tags.checked_at, tags.pulls
                 FROM tags JOIN manifests ON manifests.id = manifest_id WHERE tags.repository_id = ?1 AND name = ?2",
            )?
            .execute(params![repository.0, tag, now, ending == Ending::Removed, actor.name, actor.address])?;
        Ok(())
    }

    /// Removes states that ended by `cutoff`, oldest first, at most `limit`; returns their number.
    pub fn forget_history(&self, cutoff: Millis, limit: usize) -> Result<usize, Error> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM tag_history WHERE id IN (SELECT id FROM tag_history WHERE until <= ?1 ORDER BY until LIMIT ?2)
             RETURNING repository_id",
        )?;
        let rows =
            statement.query_map(params![cutoff, limit], |row| row.get(0).map(RepositoryId))?;
        let mut repositories = rows.collect::<Result<Vec<_>, _>>()?;
        let forgotten = repositories.len();
        repositories.sort_unstable();
        repositories.dedup();
        repositories
            .into_iter()
            .try_for_each(|repository| self.drop_empty_repository(repository))?;
        Ok(forgotten)
    }
}

fn recorded_state(row: &Row<'_>) -> rusqlite::Result<RecordedState> {
    Ok(RecordedState {
        position: HistoryCursor(row.get(0)?),
        digest: digest(row, 1)?,
        since: row.get(2)?,
        until: row.get(3)?,
        pushed_at: row.get(4)?,
        restored_from: row.get::<_, Option<_>>(5)?.map(HistoryCursor),
        uses: TagUses {
            pulled_at: row.get(6)?,
            checked_at: row.get(7)?,
            pulls: row.get(8)?,
        },
    })
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
