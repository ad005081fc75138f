//! The copying of blobs to a backup that earlier backups have some of.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use crate::registry::{BlobCopier, DatabaseCopy, Loss, Millis, RecordedBlob, Registry, Vouched};

/// A copier, and what is known of files that are in the backup already.
pub(super) struct Copies {
    copier: BlobCopier,
    /// Database of the backup before in the same directory.
    before: Option<DatabaseCopy>,
    /// Database of the backup whose files are linked.
    earlier: Option<DatabaseCopy>,
    /// Rows of blobs that were copied or compared by this backup.
    brought: HashSet<(i64, Millis)>,
}

impl Copies {
    /// Copies to the directory `to`; `earlier` is another backup.
    pub fn new(copier: BlobCopier, to: &Path, earlier: Option<&Path>) -> Self {
        Self {
            copier,
            before: database(to),
            earlier: earlier.and_then(database),
            brought: HashSet::new(),
        }
    }

    pub fn copier(&self) -> &BlobCopier {
        &self.copier
    }

    /// Closes the databases of earlier backups.
    pub fn into_copier(self) -> BlobCopier {
        self.copier
    }

    /// True if the blob has to be read, here or in the backup.
    pub fn is_needed(&self, blob: &RecordedBlob) -> bool {
        self.copier
            .is_needed(&blob.digest, blob.size, self.vouched(blob))
    }

    /// Brings a blob, as [`BlobCopier::copy`] does. Blocks.
    pub fn copy(&mut self, blob: &RecordedBlob) -> io::Result<Result<(), Loss>> {
        let vouched = self.vouched(blob);
        let copied = self.copier.copy(&blob.digest, blob.size, vouched)?;
        if copied.is_ok() && vouched == Vouched::default() {
            self.brought.insert((blob.id.number(), blob.stored_at));
        }
        Ok(copied)
    }

    /// Makes complete copies durable. Blocks.
    pub fn settle(&mut self) -> io::Result<()> {
        self.copier.settle()
    }

    fn vouched(&self, blob: &RecordedBlob) -> Vouched {
        let has_row = |database: &Option<DatabaseCopy>| {
            let database = database.as_ref();
            database.is_some_and(|database| database.has_row(blob).unwrap_or(false))
        };
        let row = (blob.id.number(), blob.stored_at);
        Vouched {
            in_copy: self.brought.contains(&row) || has_row(&self.before),
            in_earlier: has_row(&self.earlier),
        }
    }
}

/// Opens the database of an earlier backup. Files of one that cannot be read are compared with their digests.
fn database(root: &Path) -> Option<DatabaseCopy> {
    let path = Registry::database_path(root);
    if !path.exists() {
        return None;
    }
    DatabaseCopy::open(&path)
        .inspect_err(|error| tracing::debug!(%error, "cannot read an earlier backup"))
        .ok()
}
