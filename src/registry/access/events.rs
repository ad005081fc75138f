//! Events of repositories: rows of the audit log, as clients may see them.

use crate::meta::{self, AuditRow, Reader, point};
use crate::registry::content::visibility::Visibility;
use crate::registry::error::Error;
use crate::registry::facades::Audit;

/// Number of rows that are read at a time.
const BATCH: usize = 1_000;
/// Maximum number of rows that are read for one page, whether or not the client may see them.
const SCANNED: usize = 20_000;

/// Events since a row of the audit log.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<AuditRow>,
    /// Number of the last row that was looked at: the next page begins after it.
    pub last: i64,
}

impl Audit<'_> {
    /// Returns the number of the newest row; 0 if there is none.
    pub async fn last(self) -> Result<i64, Error> {
        let meta = &self.registry.meta;
        Ok(meta.read(point(|reader| reader.last_audit())).await?)
    }

    /// Lists events after the row numbered `since`, oldest first, at most `limit`; others than those `shown` are left out.
    pub async fn events(
        self,
        since: i64,
        shown: Visibility,
        limit: usize,
    ) -> Result<EventPage, Error> {
        let read = move |reader: &Reader<'_>| page(reader, since, &shown, limit);
        self.registry.scan(read).await
    }
}

fn page(
    reader: &Reader<'_>,
    since: i64,
    shown: &Visibility,
    limit: usize,
) -> Result<EventPage, meta::Error> {
    let newest = reader.last_audit()?;
    let (mut events, mut last) = (Vec::new(), since);
    for _ in 0..SCANNED / BATCH {
        let batch = reader.audit_since(last, newest, BATCH)?;
        let is_end = batch.len() < BATCH;
        for row in batch {
            if events.len() == limit {
                return Ok(EventPage { events, last });
            }
            last = row.id;
            let repository = row.repository.as_deref();
            if repository.is_some_and(|repository| shown.shows(repository)) {
                events.push(row);
            }
        }
        if is_end {
            last = newest;
            break;
        }
    }
    Ok(EventPage { events, last })
}
