//! The audit log: read, shortened, and what is not written in the transaction of a change.

use crate::meta::{
    Actor, AuditAction, AuditFilter, AuditRow, AuditSubject, WriteTx, lived_cutoff, millis, now,
};
use crate::registry::error::Error;
use crate::registry::facades::Audit;
use crate::registry::policy::keep_untagged::KeepUntagged;

/// Maximum number of rows deleted in one transaction.
const BATCH: usize = 1000;
impl Audit<'_> {
    /// Lists rows older than the one numbered `before`, newest first, at most `limit`.
    pub async fn page(
        self,
        filter: AuditFilter,
        before: i64,
        limit: usize,
    ) -> Result<Vec<AuditRow>, Error> {
        let read = move |reader: &crate::meta::Reader<'_>| reader.audit(&filter, before, limit);
        self.registry.scan(read).await
    }

    /// Deletes rows that are older than the settings say.
    pub async fn forget(self) -> Result<(), Error> {
        let KeepUntagged::For(keep) = self.registry.settings().audit_keep else {
            return Ok(());
        };
        let cutoff = lived_cutoff(now().saturating_sub(millis(keep)));
        while self
            .registry
            .scan(move |reader| reader.has_old_audit(cutoff))
            .await?
        {
            let forget = move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.forget_audit(cutoff, BATCH)?);
            self.registry.meta.write_lazily(forget).await?;
        }
        Ok(())
    }

    /// Notes a login that was refused, and why; the actor is what the client says of itself.
    pub fn note_refused(self, actor: Actor, reason: Option<String>) {
        self.registry.refused.note(actor, reason);
    }

    /// Writes the refused logins noted since the last call.
    pub async fn record_refused(self) -> Result<(), Error> {
        let refused = self.registry.refused.take();
        if refused.is_empty() {
            return Ok(());
        }
        let record = move |tx: &WriteTx<'_>| {
            let write = |actor: &Actor, detail: Option<String>| {
                let subject = AuditSubject {
                    detail: detail.as_deref(),
                    ..AuditSubject::default()
                };
                tx.audit(AuditAction::LoginRefused, subject, actor, now())
            };
            for (actor, detail) in refused.clients() {
                write(actor, detail)?;
            }
            if refused.others > 0 {
                let detail = format!("{} times by further clients", refused.others);
                write(&Actor::default(), Some(detail))?;
            }
            Ok::<_, Error>(())
        };
        self.registry.meta.write_lazily(record).await
    }

    /// Records that a server has taken a configuration.
    pub async fn record_configuration(self, actor: Actor, keys: String) -> Result<(), Error> {
        let record = move |tx: &WriteTx<'_>| {
            let subject = AuditSubject {
                detail: Some(&keys),
                ..AuditSubject::default()
            };
            Ok::<_, Error>(tx.audit(AuditAction::Configured, subject, &actor, now())?)
        };
        self.registry.meta.write_lazily(record).await
    }
}
