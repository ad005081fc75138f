//! The audit log: a row for each change, written in its transaction.

use rusqlite::params;

use crate::meta::access::audit_filter::{AuditFilter, AuditQuery, Span};
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
    /// A manifest that came back from the trash, or a tag that was set back to a former target.
    Restore,
    TokenCreated,
    TokenRotated,
    TokenRevoked,
    TokenFirstUsed,
    /// Logins that were refused, gathered over some seconds.
    LoginRefused,
    /// A login to the page that began.
    LoggedIn,
    /// A login to the page that its user ended.
    LoggedOut,
    /// A configuration that a server took.
    Configured,
}

impl AuditAction {
    pub const ALL: [Self; 13] = [
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
        Self::LoggedIn,
        Self::LoggedOut,
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
            Self::LoggedIn => "login",
            Self::LoggedOut => "logout",
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

/// Number of rows among which those of a prefix are looked for first, by their numbers.
///
/// Its index has them in another order: to sort those of a busy prefix takes longer than to meet them.
const WINDOW: i64 = 20_000;

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
        let all = Span {
            from: i64::MIN,
            before,
        };
        if !filter.is_by_prefix() {
            return self.audit_rows(filter.by_index(all, limit));
        }
        let newest: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(id) FROM audit WHERE id < ?1")?
            .query_row([before], |row| row.get(0))?;
        let middle = newest.unwrap_or(0).saturating_sub(WINDOW);
        let recent = Span {
            from: middle,
            ..all
        };
        let mut rows = self.audit_rows(filter.by_number(recent, limit))?;
        if rows.len() < limit {
            let older = Span {
                before: middle,
                ..all
            };
            rows.extend(self.audit_rows(filter.by_index(older, limit - rows.len()))?);
        }
        Ok(rows)
    }

    /// Lists rows about repositories with numbers above `after` and up to `last`, oldest first, at most `limit`.
    pub fn audit_since(&self, after: i64, last: i64, limit: usize) -> Result<Vec<AuditRow>, Error> {
        let span = Span {
            from: after.saturating_add(1),
            before: last.saturating_add(1),
        };
        self.audit_rows(AuditQuery::about_repositories(span, limit))
    }

    fn audit_rows(&self, AuditQuery { sql, values }: AuditQuery) -> Result<Vec<AuditRow>, Error> {
        let mut rows = self.connection.prepare_cached(&sql)?;
        let rows = rows.query_map(rusqlite::params_from_iter(values), |row| {
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
                    ..Actor::default()
                },
                detail: row.get(11)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Reports whether [`WriteTx::forget_audit`] would delete a row.
    pub fn has_old_audit(&self, cutoff: Millis) -> Result<bool, Error> {
        let oldest = "SELECT 1 FROM (SELECT at FROM audit WHERE id < (SELECT max(id) FROM audit) ORDER BY id LIMIT 1) WHERE at < ?1";
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
    ///
    /// The newest row stays: the next one has a higher number than any before, which clients rely on.
    pub fn forget_audit(&self, cutoff: Millis, limit: usize) -> Result<usize, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "DELETE FROM audit WHERE at < ?1
                 AND id IN (SELECT id FROM audit WHERE id < (SELECT max(id) FROM audit) ORDER BY id LIMIT ?2)",
            )?
            .execute(params![cutoff, limit])?)
    }
}

/// Cuts a user agent, which a client chooses.
fn cut(text: &str) -> &str {
    const LONGEST: usize = 200;
    &text[..text.floor_char_boundary(LONGEST.min(text.len()))]
}
