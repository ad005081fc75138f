//! Verification of the database against itself.

use std::time::Instant;

use crate::meta::now;
use crate::registry::error::Error;
use crate::registry::verify::finding::{Finding, FindingKind, Outcome, Treatment};
use crate::registry::verify::run::{Run, is_damage};

/// Remedy for a damaged database, after damage that has none.
const REMEDY: &str = "stop the server and restore the last backup of registry.db, beside the present blobs/ (docs/backup.md)";

impl Run<'_, '_> {
    /// Verifies the structure of the database, table by table, and its counts; all of it belongs to no repository.
    pub(super) async fn database(&mut self) -> Result<(), Error> {
        if self.scope == crate::meta::RepositoryScope::ALL {
            self.structure().await?;
            self.record_structure().await?;
            self.counts().await?;
        }
        self.quarantined().await
    }

    /// Has the server's probe say whether the structure is damaged, unless the run is to change nothing.
    async fn record_structure(&mut self) -> Result<(), Error> {
        if self.treatment == Treatment::ReportOnly {
            return Ok(());
        }
        let is_damaged = self.has_damaged_database();
        let recorded = self
            .registry
            .meta
            .write_lazily(move |tx| Ok::<_, Error>(tx.set_damaged(is_damaged)?))
            .await;
        match recorded {
            // there may be no place for it
            Err(Error::Meta(error)) if is_damage(&error) => Ok(()),
            Err(Error::StorageFull(_)) => Ok(()),
            other => other,
        }
    }

    async fn structure(&mut self) -> Result<(), Error> {
        for table in self.registry.scan(|reader| reader.tables()).await? {
            let begun = Instant::now();
            let found = self
                .registry
                .scan(move |reader| reader.structural_damage(&table))
                .await;
            match found {
                Err(Error::Meta(error)) if is_damage(&error) => self.report_damage(&error),
                lines => {
                    for line in lines? {
                        self.report_database(format!("{line}; {REMEDY}"));
                    }
                }
            }
            self.pacer
                .rest(&self.registry.blobs, begun.elapsed(), 0)
                .await;
        }
        Ok(())
    }

    async fn counts(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let wrong = self.registry.scan(|reader| reader.wrong_counts()).await?;
        self.pacer
            .rest(&self.registry.blobs, begun.elapsed(), 0)
            .await;
        if wrong.is_empty() {
            return Ok(());
        }
        let outcome = if self.treatment == Treatment::Repair {
            let mend = |tx: &crate::meta::WriteTx<'_>| Ok::<_, Error>(tx.mend_counts(now())?);
            self.registry.meta.write(mend).await?;
            Outcome::Repaired
        } else {
            Outcome::Reported
        };
        for name in wrong {
            let problem = format!("the number is wrong: {name}");
            self.report(Finding::of_database(FindingKind::Count, problem, outcome));
        }
        Ok(())
    }
}
