//! Logins to the page: begun, used, ended.

use crate::meta::{Actor, AuditAction, AuditSubject, SessionRow, WriteTx, millis, now, point};
use crate::registry::error::Error;
use crate::registry::facades::Sessions;

/// Maximum number of sessions of one login: the oldest ends when another begins.
const MOST: usize = 20;
/// Maximum number of rows deleted in one transaction.
const BATCH: usize = 1000;
/// Part of the time without use after which another use is noted: one write for many requests.
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
}

impl Sessions<'_> {
    /// Begins a session, with a row in the audit log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin(self, session: NewSession, actor: Actor) -> Result<(), Error> {
        let change = move |tx: &WriteTx<'_>| {
            let created_at = now();
            let row = SessionRow {
                hash: session.hash,
                owner: session.owner,
                credential: actor.credential.clone(),
                proof: session.proof,
                created_at,
                used_at: created_at,
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
    pub async fn use_of(self, hash: Vec<u8>) -> Result<Option<String>, Error> {
        let key = hash.clone();
        let meta = &self.registry.meta;
        let found = meta.read(point(move |reader| reader.session(&key))).await?;
        let (now, times) = (now(), self.registry.settings().sessions);
        let ends = times.ends(now);
        let Some(session) = found.filter(|session| !ends.has_ended(session)) else {
            return Ok(None);
        };
        let step = millis(times.idle) / STEPS;
        if now > session.used_at.saturating_add(step) {
            let note = move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.note_session_use(&hash, now)?);
            meta.write_lazily(note).await?;
        }
        Ok(Some(session.proof))
    }

    /// Ends a session, with a row in the audit log; returns what it proved.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end(self, hash: Vec<u8>, actor: Actor) -> Result<Option<String>, Error> {
        let change = move |tx: &WriteTx<'_>| {
            let Some(session) = tx.delete_session(&hash)? else {
                return Ok(None);
            };
            let actor = Actor {
                name: Some(session.owner),
                credential: session.credential,
                ..actor
            };
            let subject = AuditSubject::default();
            tx.audit(AuditAction::LoggedOut, subject, &actor, now())?;
            Ok::<_, Error>(Some(session.proof))
        };
        self.registry.meta.write(change).await
    }

    /// Deletes sessions that have ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget(self) -> Result<(), Error> {
        let registry = self.registry;
        let ends = registry.settings().sessions.ends(now());
        while registry
            .scan(move |reader| reader.has_ended_sessions(ends))
            .await?
        {
            let forget = move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.forget_sessions(ends, BATCH)?);
            registry.meta.write_lazily(forget).await?;
        }
        Ok(())
    }
}
