//! Lists of open upload sessions, for their owner.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::blob::UploadId;
use crate::meta::{Actor, Millis, OpenUpload, millis};
use crate::registry::blocking::blocking;
use crate::registry::content::page::Page;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;

/// Maximum length of a page.
const PAGE: usize = 1000;

/// An open upload session.
#[derive(Clone, Debug)]
pub struct UploadSession {
    pub id: UploadId,
    pub repository: String,
    /// Bytes on disk.
    pub size: u64,
    pub started_at: Millis,
    /// Time of the last bytes, or of the start.
    pub active_at: Millis,
    pub started_by: Actor,
}

impl Uploads<'_> {
    /// Lists open sessions by id, after `after`.
    pub async fn list(self, after: String) -> Result<Page<UploadSession>, Error> {
        let rows = self
            .registry
            .scan(move |meta| meta.open_uploads(&after, PAGE + 1))
            .await?;
        let page = Page::cut(rows, PAGE, |row| row.id.clone());
        let blobs = Arc::clone(&self.registry.blobs);
        let look = move || -> std::io::Result<_> {
            let mut items = Vec::with_capacity(page.items.len());
            for row in page.items {
                // ids that no request can name are not open
                if let Some(id) = UploadId::parse(&row.id) {
                    let received = blobs.upload_progress(&id)?;
                    items.push(session(id, row, received));
                }
            }
            Ok(Page {
                items,
                next: page.next,
            })
        };
        blocking(look)
            .await?
            .map_err(Error::files("inspecting an upload"))
    }
}

fn session(
    id: UploadId,
    row: OpenUpload,
    received: Option<(u64, std::time::SystemTime)>,
) -> UploadSession {
    let (size, written_at) = received.map_or((0, Millis::MIN), |(length, modified)| {
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        (length, millis(since))
    });
    UploadSession {
        id,
        repository: row.repository,
        size,
        started_at: row.started_at,
        active_at: row.started_at.max(written_at),
        started_by: row.started_by,
    }
}
