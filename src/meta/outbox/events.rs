//! Events, written in the transaction of the change that they tell.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use crate::events::{Descriptor, Event, EventActor, EventKind, EventKinds};
use crate::meta::actor::Actor;
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::{ManifestId, RepositoryId};
use crate::meta::sqlite::reader::PointReader;
use crate::meta::sqlite::writer::WriteTx;

/// Columns of [`event`].
pub(super) const COLUMNS: &str =
    "events.id, uuid, at, kind, events.repository, tag, media_type, digest, size, events.former,
    from_repository, name, address, user_agent, request, detail";

/// Repository of an event.
#[derive(Clone, Copy, Debug)]
pub enum EventPlace<'s> {
    Whole,
    Id(RepositoryId),
    Name(&'s str),
}

/// Subject of an event.
#[derive(Clone, Debug)]
pub struct EventSubject<'s> {
    pub place: EventPlace<'s>,
    pub tag: Option<&'s str>,
    pub target: Option<Descriptor>,
    /// Digest that the tag had before.
    pub former: Option<&'s str>,
    pub from_repository: Option<&'s str>,
    pub detail: Option<&'s str>,
}

impl<'s> EventSubject<'s> {
    /// Returns a subject of which nothing but the repository is said.
    pub fn at(place: EventPlace<'s>) -> Self {
        Self {
            place,
            tag: None,
            target: None,
            former: None,
            from_repository: None,
            detail: None,
        }
    }
}

impl PointReader<'_> {
    /// Returns the number of the newest event that was ever written, which always stays; 0 without one.
    pub fn last_event(&self) -> Result<i64, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT coalesce(max(id), 0) FROM events")?
                .query_row([], |row| row.get(0))
        })
    }

    /// Returns the kinds that some endpoint listens to.
    pub fn listened_kinds(&self) -> Result<EventKinds, Error> {
        let kinds = self.query(|connection| {
            connection
                .prepare_cached("SELECT kinds FROM endpoints")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<u32>>>()
        })?;
        Ok(EventKinds::from_bits(
            kinds.into_iter().fold(0, |all, kinds| all | kinds),
        ))
    }
}

impl WriteTx<'_> {
    /// Reports whether an endpoint listens to this kind, from memory unless another process has changed something.
    pub fn is_listened(&self, kind: EventKind) -> Result<bool, Error> {
        let kinds = match self.outbox.listened() {
            Some(kinds) => kinds,
            None => {
                let kinds = self.listened_kinds()?;
                self.outbox.set_listened(kinds);
                kinds
            }
        };
        Ok(kinds.contains(kind))
    }

    /// Adds an event about a change that this transaction makes; nothing if no endpoint listens to its kind.
    pub fn tell<'s>(
        &self,
        kind: EventKind,
        actor: &Actor,
        now: Millis,
        subject: impl FnOnce() -> Result<EventSubject<'s>, Error>,
    ) -> Result<(), Error> {
        match self.is_listened(kind)? {
            true => self.add_event(kind, &subject()?, actor, now),
            false => Ok(()),
        }
    }

    /// Adds an event.
    pub fn add_event(
        &self,
        kind: EventKind,
        subject: &EventSubject<'_>,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Error> {
        let (id, name) = match subject.place {
            EventPlace::Whole => (None, None),
            EventPlace::Id(id) => (Some(id.0), None),
            EventPlace::Name(name) => (None, Some(name)),
        };
        let target = subject.target.as_ref();
        let request = actor.request.as_deref();
        self.connection
            .prepare_cached(
                "INSERT INTO events (uuid, at, kind, repository, tag, media_type, digest, size, former, from_repository, name,
                     address, user_agent, request, detail)
                 VALUES (?1, ?2, ?3, coalesce(?4, (SELECT name FROM repositories WHERE id = ?5)), ?6, ?7, ?8, ?9, ?10, ?11, ?12,
                     ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                Uuid::new_v4().to_string(),
                now,
                kind.as_str(),
                name,
                id,
                subject.tag,
                target.map(|target| &*target.media_type),
                target.map(|target| &*target.digest),
                target.map(|target| target.size),
                subject.former,
                subject.from_repository,
                actor.name,
                actor.address,
                actor.user_agent,
                request.and_then(|request| serde_json::to_string(request).ok()),
                subject.detail,
            ])?;
        self.outbox.note_told();
        Ok(())
    }

    /// Returns the descriptor of a manifest.
    pub fn descriptor(&self, manifest: ManifestId) -> Result<Option<Descriptor>, Error> {
        let found = self
            .connection
            .prepare_cached("SELECT media_type, digest, size FROM manifests WHERE id = ?1")?
            .query_row([manifest.0], descriptor)
            .optional()?;
        Ok(found)
    }

    /// Returns the descriptor of the manifest that a tag points at.
    pub fn descriptor_of_tag(
        &self,
        repository: RepositoryId,
        tag: &str,
    ) -> Result<Option<Descriptor>, Error> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT media_type, digest, size FROM tags JOIN manifests ON manifests.id = manifest_id
                 WHERE tags.repository_id = ?1 AND name = ?2",
            )?
            .query_row(params![repository.0, tag], descriptor)
            .optional()?;
        Ok(found)
    }
}

fn descriptor(row: &Row<'_>) -> rusqlite::Result<Descriptor> {
    Ok(Descriptor {
        media_type: row.get(0)?,
        digest: row.get(1)?,
        size: row.get(2)?,
    })
}

/// Reads an event from [`COLUMNS`].
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let kind: String = row.get(3)?;
    let unknown = || format!("'{kind}' is no kind of event").into();
    let kind = EventKind::parse(&kind)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, unknown()))?;
    let digest: Option<String> = row.get(7)?;
    let target = match digest {
        Some(digest) => Some(Descriptor {
            media_type: row.get::<_, Option<_>>(6)?.unwrap_or_default(),
            digest,
            size: row.get::<_, Option<_>>(8)?.unwrap_or_default(),
        }),
        None => None,
    };
    let request: Option<String> = row.get(14)?;
    Ok(Event {
        id: row.get(0)?,
        uuid: row.get(1)?,
        at: row.get(2)?,
        kind,
        repository: row.get(4)?,
        tag: row.get(5)?,
        target,
        former: row.get(9)?,
        from_repository: row.get(10)?,
        references: Vec::new(),
        actor: EventActor {
            name: row.get(11)?,
            address: row.get(12)?,
            user_agent: row.get(13)?,
        },
        request: request.and_then(|text| serde_json::from_str(&text).ok()),
        detail: row.get(15)?,
    })
}
