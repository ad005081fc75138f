//! Logins to the page: begun, used, ended.

use std::time::Duration;

use crate::meta::{Actor, AuditAction, AuditSubject, SessionRow, WriteTx, millis, now, point};
use crate::registry::error::Error;
use crate::registry::facades::Sessions;

/// Maximum number of sessions of one login: the oldest ends when another begins.
const MOST: usize = 20;
/// Maximum number of rows deleted in one transaction.
const BATCH: usize = 1000;
/// Part of the time without use after which its end is written again.
const STEPS: i64 = 60;

/// A login to the page that begins.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// SHA-256 of the cookie.
    pub hash: Vec<u8>,
    /// Name of the login.
    pub owner: String,
    /// Proof by the credentials.
    pub proof: String,
    pub times: SessionTimes,
}

/// Ends of a login to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// Time without use.
    pub idle: Duration,
    /// Time in any case.
    pub lifetime: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(12 * 3600),
            lifetime: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl Sessions<'_> {
    /// Begins a session, with a row in the audit log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin(self, session: NewSession, actor: Actor) -> Result<(), Error> {
        let change = move |tx: &WriteTx<'_>| {
            let created_at = now();
            let ends_at = created_at.saturating_add(millis(session.times.lifetime));
            let idle = created_at.saturating_add(millis(session.times.idle));
            let row = SessionRow {
                hash: session.hash,
                owner: session.owner,
                proof: session.proof,
                created_at,
                expires_at: idle.min(ends_at),
                ends_at,
            };
            tx.insert_session(&row, MOST)?;
            let subject = AuditSubject::default();
            Ok::<_, Error>(tx.audit(AuditAction::LoggedIn, subject, &actor, created_at)?)
        };
        self.registry.meta.write(change).await
    }

    /// Returns what a session proves, if it has not ended, and notes its use.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn use_of(self, hash: Vec<u8>, times: SessionTimes) -> Result<Option<String>, Error> {
        let key = hash.clone();
        let meta = &self.registry.meta;
        let found = meta.read(point(move |reader| reader.session(&key))).await?;
        let now = now();
        let Some(session) = found.filter(|session| session.expires_at > now) else {
            return Ok(None);
        };
        let idle = millis(times.idle);
        let expires_at = now.saturating_add(idle);
        // one write for many requests
        let step = session.expires_at.saturating_add(idle / STEPS);
        if expires_at > step && session.expires_at < session.ends_at {
            let extend =
                move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.extend_session(&hash, expires_at)?);
            meta.write_lazily(extend).await?;
        }
        Ok(Some(session.proof))
    }

    /// Ends a session, with a row in the audit log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end(self, hash: Vec<u8>, actor: Actor) -> Result<(), Error> {
        let change = move |tx: &WriteTx<'_>| {
            let Some(owner) = tx.delete_session(&hash)? else {
                return Ok(());
            };
            let actor = Actor {
                name: Some(owner),
                ..actor
            };
            let subject = AuditSubject::default();
            Ok::<_, Error>(tx.audit(AuditAction::LoggedOut, subject, &actor, now())?)
        };
        self.registry.meta.write(change).await
    }

    /// Deletes sessions that have ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget(self) -> Result<(), Error> {
        let now = now();
        let registry = self.registry;
        while registry
            .scan(move |reader| reader.has_ended_sessions(now))
            .await?
        {
            let forget = move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.forget_sessions(now, BATCH)?);
            registry.meta.write_lazily(forget).await?;
        }
        Ok(())
    }
}
