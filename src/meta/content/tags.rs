//! Tags: names that point at manifests.

use rusqlite::{OptionalExtension, Row, params};

use crate::events::EventKind;
use crate::meta::access::audit::{AuditAction, AuditSubject};
use crate::meta::actor::Actor;
use crate::meta::clock::Millis;
use crate::meta::content::tag_history::{Ending, RecordedState, TagUses};
use crate::meta::error::Error;
use crate::meta::ids::{HistoryCursor, ManifestId, RepositoryId};
use crate::meta::outbox::events::{EventPlace, EventSubject};
use crate::meta::process_clock::lived;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName, TagName};

/// A tag with the times of its last uses, on which the rules about tags decide.
///
/// Time that the clock has skipped does not count: it moves the times before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagActivity {
    pub name: String,
    /// Time of the push that gave it its target; a restore does not change it.
    pub pushed_at: Millis,
    pub pulled_at: Option<Millis>,
    /// Time of the last HEAD, or of the last GET that was answered with 304.
    pub checked_at: Option<Millis>,
    /// Time of the restore that gave it its target, if one did.
    pub restored_at: Option<Millis>,
}

/// Setter of a tag; an import moves only tags that imports have set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagSource {
    /// A push or a command.
    Here,
    /// An import of a store, whose tags are followed.
    Store,
    /// An import of an archive or a layout.
    Archive,
}

impl TagSource {
    pub(super) fn of(number: i64) -> Self {
        match number {
            1 => Self::Store,
            2 => Self::Archive,
            _ => Self::Here,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Here => 0,
            Self::Store => 1,
            Self::Archive => 2,
        }
    }
}

/// Manifest that a tag is to point at.
#[derive(Clone, Copy, Debug)]
pub struct TagTarget<'d> {
    pub manifest: ManifestId,
    pub digest: &'d Digest,
}

/// Origin of a tag's new target.
#[derive(Clone, Copy, Debug)]
pub struct TagOrigin {
    pushed_at: Millis,
    is_restore: bool,
    /// The state that a restore went back to.
    restored_from: Option<HistoryCursor>,
    restored_at: Option<Millis>,
    source: TagSource,
    /// Earlier uses, for a tag that was removed.
    uses: TagUses,
}

impl TagOrigin {
    /// A push, from which the tag's age counts.
    pub fn push(now: Millis) -> Self {
        Self {
            pushed_at: now,
            is_restore: false,
            restored_from: None,
            restored_at: None,
            source: TagSource::Here,
            uses: TagUses::default(),
        }
    }

    /// An import of what was pushed to another registry at that time.
    pub fn import(pushed_at: Millis, source: TagSource) -> Self {
        Self {
            source,
            ..Self::push(pushed_at)
        }
    }

    /// A restore of a former state: the tag is as old as it was then, and spared by rules for the grace period.
    pub fn restore(state: &RecordedState, now: Millis) -> Self {
        Self {
            pushed_at: state.pushed_at,
            is_restore: true,
            restored_from: Some(state.origin()),
            restored_at: Some(now),
            source: TagSource::Here,
            uses: state.uses,
        }
    }

    /// A restore to a manifest that the tag is not known to have had; its age counts from now.
    pub fn unrecorded_restore(now: Millis) -> Self {
        Self {
            is_restore: true,
            ..Self::push(now)
        }
    }

    /// Returns the event that endpoints are told; imports tell of nothing.
    fn told(&self) -> Option<EventKind> {
        match (self.is_restore, self.source) {
            (true, _) => Some(EventKind::TagRestored),
            (false, TagSource::Here) => Some(EventKind::TagMoved),
            (false, TagSource::Store | TagSource::Archive) => None,
        }
    }

    /// Action and detail in the audit log.
    fn audited(&self) -> (AuditAction, Option<&'static str>) {
        match (self.is_restore, self.source) {
            (true, _) => (AuditAction::Restore, None),
            (false, TagSource::Here) => (AuditAction::Tag, None),
            (false, TagSource::Store | TagSource::Archive) => (AuditAction::Tag, Some("imported")),
        }
    }
}

impl Reader<'_> {
    /// Returns all tags of a repository, with the times of their last uses.
    pub fn tag_activities(&self, repository: RepositoryId) -> Result<Vec<TagActivity>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, pushed_at, pulled_at, checked_at, restored_at FROM tags WHERE repository_id = ?1",
        )?;
        Ok(statement
            .query_map([repository.0], tag_activity)?
            .collect::<Result<_, _>>()?)
    }

    /// Like [`Self::tag_activities`], for the repository of that name; empty if it is unknown.
    pub fn tag_activities_in(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<TagActivity>, Error> {
        match self.repository(repository)? {
            Some(repository) => self.tag_activities(repository),
            None => Ok(Vec::new()),
        }
    }

    /// Returns one tag, with the times of its last uses.
    pub fn tag_activity(
        &self,
        repository: RepositoryId,
        tag: &str,
    ) -> Result<Option<TagActivity>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, pushed_at, pulled_at, checked_at, restored_at FROM tags WHERE repository_id = ?1 AND name = ?2",
        )?;
        Ok(statement
            .query_row(params![repository.0, tag], tag_activity)
            .optional()?)
    }

    /// Returns the target of a tag.
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

    fn digest_of_tag(&self, repository: RepositoryId, tag: &str) -> Result<Option<String>, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT digest FROM tags JOIN manifests ON manifests.id = manifest_id
                 WHERE tags.repository_id = ?1 AND name = ?2",
            )?
            .query_row(params![repository.0, tag], |row| row.get(0))
            .optional()?)
    }

    /// Lists the tags that point at a manifest, in byte order.
    pub fn tags_on(&self, manifest: ManifestId) -> Result<Vec<String>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT name FROM tags WHERE manifest_id = ?1 ORDER BY name")?;
        Ok(statement
            .query_map([manifest.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    }

    /// Lists the tags that start with `prefix`, in byte order.
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
}

impl WriteTx<'_> {
    /// Points a tag at a manifest of its repository and records its former target in its history.
    ///
    /// If the tag already points there, nothing changes.
    pub fn set_tag(
        &self,
        repository: RepositoryId,
        tag: &TagName,
        target: TagTarget<'_>,
        origin: TagOrigin,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Error> {
        let former = self.tag_target(repository, tag)?;
        if former
            .as_ref()
            .is_some_and(|(present, _)| *present == target.manifest)
        {
            return Ok(());
        }
        let (action, detail) = origin.audited();
        let subject = AuditSubject {
            repository: Some(repository),
            tag: Some(tag.as_str()),
            digest: Some(target.digest.as_str()),
            former: former.as_ref().map(|(_, digest)| digest.as_str()),
            detail,
        };
        self.audit(action, subject, actor, now)?;
        if let Some(kind) = origin.told() {
            self.tell(kind, actor, now, || {
                Ok(EventSubject {
                    tag: Some(tag.as_str()),
                    target: self.descriptor(target.manifest)?,
                    former: former.as_ref().map(|(_, digest)| digest.as_str()),
                    ..EventSubject::at(EventPlace::Id(repository))
                })
            })?;
        }
        if former.is_some() {
            self.record_end(repository, tag.as_str(), Ending::Moved, actor, now)?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO tags (repository_id, name, manifest_id, updated_at, set_by, set_from, pushed_at, restored_from,
                     restored_at, is_imported, pulled_at, checked_at, pulls)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at,
                     set_by = excluded.set_by, set_from = excluded.set_from,
                     pushed_at = excluded.pushed_at, restored_from = excluded.restored_from,
                     restored_at = excluded.restored_at, is_imported = excluded.is_imported, gone_at = NULL",
            )?
            .execute(params![
                repository.0,
                tag.as_str(),
                target.manifest.0,
                now,
                actor.name,
                actor.address,
                origin.pushed_at,
                origin.restored_from.map(|state| state.0),
                origin.restored_at,
                origin.source.number(),
                origin.uses.pulled_at,
                origin.uses.checked_at,
                origin.uses.pulls
            ])?;
        Ok(())
    }

    /// Removes a tag and nothing else; false if it is absent.
    pub fn delete_tag(
        &self,
        repository: RepositoryId,
        tag: &str,
        actor: &Actor,
        now: Millis,
    ) -> Result<bool, Error> {
        let former = self.digest_of_tag(repository, tag)?;
        if former.is_some() {
            let subject = AuditSubject {
                repository: Some(repository),
                tag: Some(tag),
                former: former.as_deref(),
                ..AuditSubject::default()
            };
            self.audit(AuditAction::Untag, subject, actor, now)?;
            let kind = match actor.is_rule {
                true => EventKind::TagExpired,
                false => EventKind::TagDeleted,
            };
            self.tell(kind, actor, now, || {
                Ok(EventSubject {
                    tag: Some(tag),
                    target: self.descriptor_of_tag(repository, tag)?,
                    ..EventSubject::at(EventPlace::Id(repository))
                })
            })?;
        }
        self.record_end(repository, tag, Ending::Removed, actor, now)?;
        let removed = self
            .connection
            .prepare_cached("DELETE FROM tags WHERE repository_id = ?1 AND name = ?2")?
            .execute(params![repository.0, tag])?;
        Ok(removed > 0)
    }
}

fn tag_activity(row: &Row<'_>) -> rusqlite::Result<TagActivity> {
    Ok(TagActivity {
        name: row.get(0)?,
        pushed_at: lived(row.get(1)?),
        pulled_at: row.get::<_, Option<_>>(2)?.map(lived),
        checked_at: row.get::<_, Option<_>>(3)?.map(lived),
        restored_at: row.get::<_, Option<_>>(4)?.map(lived),
    })
}
