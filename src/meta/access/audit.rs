//! The audit log: a row for each change, written in its transaction.

use rusqlite::types::Value;
use rusqlite::{Row, params};

use crate::meta::actor::Actor;
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::RepositoryId;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;

/// Kind of an audited event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAction {
    /// A manifest that the repository did not hold.
    Push,
    /// A tag that was made or moved.
    Tag,
    /// A tag that was removed.
    Untag,
    /// A manifest that was deleted.
    Delete,
    /// A manifest that came back from the trash.
    Restore,
    TokenCreated,
    TokenRotated,
    TokenRevoked,
    TokenFirstUsed,
    /// Logins that were refused, gathered over some seconds.
    LoginRefused,
    /// A configuration that a server took.
    Configured,
}

impl AuditAction {
    pub const ALL: [Self; 11] = [
        Self::Push,
        Self::Tag,
        Self::Untag,
        Self::Delete,
        Self::Restore,
        Self::TokenCreated,
        Self::TokenRotated,
        Self::TokenRevoked,
        Self::TokenFirstUsed,
        Self::LoginRefused,
        Self::Configured,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Tag => "tag",
            Self::Untag => "untag",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::TokenCreated => "token-create",
            Self::TokenRotated => "token-rotate",
            Self::TokenRevoked => "token-revoke",
            Self::TokenFirstUsed => "token-first-use",
            Self::LoginRefused => "login-refused",
            Self::Configured => "configure",
        }
    }
}

/// Subject of an audited event.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditSubject<'s> {
    pub repository: Option<RepositoryId>,
    pub tag: Option<&'s str>,
    /// Digest after the change.
    pub digest: Option<&'s str>,
    /// Digest before the change.
    pub former: Option<&'s str>,
    /// Anything else, such as the rule that decided.
    pub detail: Option<&'s str>,
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub at: Millis,
    pub action: String,
    pub repository: Option<String>,
    pub tag: Option<String>,
    pub digest: Option<String>,
    pub former: Option<String>,
    pub actor: Actor,
    pub detail: Option<String>,
}

/// Rows of the audit log that are asked for.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Text with which the repository begins; all of it if `is_whole`.
    pub repository: Option<String>,
    pub is_whole: bool,
    pub name: Option<String>,
    pub action: Option<&'static str>,
}

/// Character above all those of names, which ends a range of names with one beginning.
const AFTER: char = '\u{7f}';

impl AuditFilter {
    /// Returns conditions and their values; each can be answered by an index.
    fn conditions(&self, before: i64) -> (String, Vec<Value>) {
        let (mut conditions, mut values) = ("id < ?".to_owned(), vec![Value::from(before)]);
        let mut add = |condition: &str, value: &str| {
            conditions += condition;
            values.push(Value::from(value.to_owned()));
        };
        match (&self.repository, self.is_whole) {
            (Some(name), true) => add(" AND repository = ?", name),
            (Some(prefix), false) => {
                add(" AND repository >= ?", prefix);
                add(" AND repository < ?", &format!("{prefix}{AFTER}"));
            }
            (None, _) => {}
        }
        if let Some(name) = &self.name {
            add(" AND name = ?", name);
        }
        match self.action {
            // too frequent to need an index
            Some(action @ ("push" | "tag")) => add(" AND action = ?", action),
            // in the words of the index, which SQLite uses for nothing else
            Some(action) => add(" AND action NOT IN ('push', 'tag') AND action = ?", action),
            None => {}
        }
        (conditions, values)
    }
}

impl PointReader<'_> {
    /// Returns the number of the newest row; 0 if there is none.
    pub fn last_audit(&self) -> Result<i64, Error> {
        let last = "SELECT ifnull(max(id), 0) FROM audit";
        let mut last = self.connection.prepare_cached(last)?;
        Ok(last.query_row([], |row| row.get(0))?)
    }
}

impl Reader<'_> {
    /// Lists rows older than the one numbered `before`, newest first, at most `limit`.
    pub fn audit(
        &self,
        filter: &AuditFilter,
        before: i64,
        limit: usize,
    ) -> Result<Vec<AuditRow>, Error> {
        let (conditions, mut values) = filter.conditions(before);
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        let mut rows = self.connection.prepare_cached(&format!(
            "SELECT id, at, action, repository, tag, digest, former, name, credential, address, user_agent, detail
             FROM audit WHERE {conditions} ORDER BY id DESC LIMIT ?"
        ))?;
        let rows = rows.query_map(rusqlite::params_from_iter(values), row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Lists rows about repositories with numbers above `after` and up to `last`, oldest first, at most `limit`.
    pub fn audit_since(&self, after: i64, last: i64, limit: usize) -> Result<Vec<AuditRow>, Error> {
        let mut rows = self.connection.prepare_cached(
            "SELECT id, at, action, repository, tag, digest, former, name, credential, address, user_agent, detail
             FROM audit WHERE id > ?1 AND id <= ?2 AND repository IS NOT NULL ORDER BY id LIMIT ?3",
        )?;
        let rows = rows.query_map(params![after, last, limit], row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Reports whether the oldest row is older than `cutoff`.
    pub fn has_old_audit(&self, cutoff: Millis) -> Result<bool, Error> {
        let oldest = "SELECT 1 FROM (SELECT at FROM audit ORDER BY id LIMIT 1) WHERE at < ?1";
        Ok(self.connection.prepare_cached(oldest)?.exists([cutoff])?)
    }
}

impl WriteTx<'_> {
    /// Adds a row about a change that this transaction makes.
    pub fn audit(
        &self,
        action: AuditAction,
        subject: AuditSubject<'_>,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO audit (at, action, repository, tag, digest, former, name, credential, address, user_agent, detail)
                 VALUES (?1, ?2, (SELECT name FROM repositories WHERE id = ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                now,
                action.as_str(),
                subject.repository.map(|repository| repository.0),
                subject.tag,
                subject.digest,
                subject.former,
                actor.name,
                actor.credential,
                actor.address,
                actor.user_agent.as_deref().map(cut),
                subject.detail,
            ])?;
        Ok(())
    }

    /// Deletes the oldest rows if they are older than `cutoff`, at most `limit`. Returns their number.
    pub fn forget_audit(&self, cutoff: Millis, limit: usize) -> Result<usize, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?2) AND at < ?1",
            )?
            .execute(params![cutoff, limit])?)
    }
}

/// Reads a row with all columns, in the order of the queries above.
fn row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        id: row.get(0)?,
        at: row.get(1)?,
        action: row.get(2)?,
        repository: row.get(3)?,
        tag: row.get(4)?,
        digest: row.get(5)?,
        former: row.get(6)?,
        actor: Actor {
            name: row.get(7)?,
            credential: row.get(8)?,
            address: row.get(9)?,
            user_agent: row.get(10)?,
        },
        detail: row.get(11)?,
    })
}

/// Cuts a user agent, which a client chooses.
fn cut(text: &str) -> &str {
    const LONGEST: usize = 200;
    &text[..text.floor_char_boundary(LONGEST.min(text.len()))]
}
