//! Files of blobs that the database does not know: a copy made by hand leaves some.

use std::sync::Arc;
use std::time::Instant;

use crate::blob::{Shard, ShardFiles, StoredFile};
use crate::meta::{RepositoryScope, WriteTx, now};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::verify::comparison::Comparison;
use crate::registry::verify::finding::Treatment;
use crate::registry::verify::run::Run;

/// Maximum number of files that are named because they are no blobs.
const FOREIGN_NAMED: usize = 1000;

impl Run<'_, '_> {
    /// Counts such files, and leaves them to collection if the run repairs.
    pub(super) async fn files(&mut self) -> Result<(), Error> {
        if self.scope != RepositoryScope::ALL {
            return Ok(());
        }
        let blobs = Arc::clone(&self.registry.blobs);
        let listed = blocking(move || Ok((blobs.foreign_files()?, blobs.shards()?))).await?;
        let (foreign, shards) = listed.map_err(Error::files("listing the blobs"))?;
        self.name_foreign(foreign);
        for shard in shards {
            let begun = Instant::now();
            for file in self.unknown_files(shard).await? {
                self.result.unknown_files += 1;
                self.result.unknown_size += file.size;
                if self.treatment == Treatment::Repair {
                    self.adopt(file).await?;
                }
            }
            self.pacer
                .rest(&self.registry.blobs, begun.elapsed(), 0)
                .await;
        }
        Ok(())
    }

    fn name_foreign(&mut self, paths: Vec<String>) {
        let named = &mut self.result.foreign_files;
        named.extend(paths.into_iter().take(FOREIGN_NAMED - named.len()));
    }

    async fn unknown_files(&mut self, shard: Shard) -> Result<Vec<StoredFile>, Error> {
        let blobs = Arc::clone(&self.registry.blobs);
        let listed = blocking(move || blobs.files_in(&shard)).await?;
        let ShardFiles { blobs, foreign } = listed.map_err(Error::files("listing the blobs"))?;
        self.name_foreign(foreign);
        let files = self
            .registry
            .scan(move |reader| {
                let mut unknown = Vec::new();
                for file in blobs {
                    if reader.blob(&file.digest)?.is_none() && !reader.is_removal(&file.digest)? {
                        unknown.push(file);
                    }
                }
                Ok(unknown)
            })
            .await?;
        if files.is_empty() {
            return Ok(files);
        }
        // another look, inside a change: one that publishes a blob makes its file first, and its row then
        let registry = self.registry.clone();
        self.registry
            .meta
            .write_lazily(move |tx| {
                let mut unknown = Vec::new();
                for file in files {
                    if is_unknown(tx, &file)? && registry.blobs.has_blob(&file.digest, file.size) {
                        unknown.push(file);
                    }
                }
                Ok::<_, Error>(unknown)
            })
            .await
    }

    /// Records the blob of a file, without any holder: it is collected after the grace period.
    ///
    /// If it is what its digest says, it is back in the images that it was taken out of.
    async fn adopt(&mut self, file: StoredFile) -> Result<(), Error> {
        let compared = self
            .registry
            .verify()
            .compare(&file.digest, &mut self.pacer);
        let sound = match compared.await? {
            Comparison::Sound { size } => Some(size),
            Comparison::Damaged(_) | Comparison::Unreadable(_) => None,
        };
        self.registry
            .meta
            .write(move |tx| {
                if is_unknown(tx, &file)? {
                    match sound {
                        Some(size) => tx.insert_blob(&file.digest, size, now())?,
                        None => tx.insert_unverified_blob(&file.digest, file.size, now())?,
                    };
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

fn is_unknown(tx: &WriteTx<'_>, file: &StoredFile) -> Result<bool, Error> {
    Ok(tx.blob(&file.digest)?.is_none() && !tx.is_removal(&file.digest)?)
}
