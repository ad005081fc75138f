//! Quotas: the bytes that some repositories hold together. Triggers keep the counts (`migrations/16-quotas.sql`).

use rusqlite::{OptionalExtension, params};

use crate::meta::error::Error;
use crate::meta::ids::RepositoryId;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::Digest;

/// A quota, and what its repositories hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRow {
    pub name: String,
    pub usage: QuotaUse,
    /// In bytes.
    pub limit: u64,
    pub repositories: u64,
}

/// Bytes that count in a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUse {
    /// Of blobs, each once, and of manifests.
    pub stored: u64,
    /// Of uploads that are not finished.
    pub uploading: u64,
}

/// An upload with the name of its quota, if it counts in one.
#[derive(Clone, Debug)]
pub struct QuotaUpload {
    pub id: String,
    pub repository: String,
    pub quota: Option<String>,
}

/// A repository with the name of its quota, if it falls under one.
#[derive(Clone, Debug)]
pub struct QuotaMember {
    pub repository: RepositoryId,
    pub name: String,
    pub quota: Option<String>,
}

fn quota_use(row: &rusqlite::Row<'_>) -> rusqlite::Result<QuotaUse> {
    Ok(QuotaUse {
        stored: row.get(0)?,
        uploading: row.get(1)?,
    })
}

impl PointReader<'_> {
    /// Returns the bytes that count in a quota; none of one that is unknown.
    pub fn quota_use(&self, name: &str) -> Result<QuotaUse, Error> {
        self.query(|connection| {
            let used = connection
                .prepare_cached(
                    "SELECT bytes + manifest_bytes, upload_bytes FROM quotas WHERE name = ?1",
                )?
                .query_row([name], quota_use)
                .optional()?;
            Ok(used.unwrap_or_default())
        })
    }

    /// Reports whether a repository of a quota links to a blob, which then costs nothing more.
    pub fn is_in_quota(&self, name: &str, digest: &Digest) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM quota_blobs WHERE quota_id = (SELECT id FROM quotas WHERE name = ?1)
                     AND blob_id = (SELECT id FROM blobs WHERE digest = ?2)",
                )?
                .exists(params![name, digest.as_str()])
        })
    }
}

impl Reader<'_> {
    /// Returns all quotas that repositories fall under, by name.
    pub fn quotas(&self) -> Result<Vec<QuotaRow>, Error> {
        self.query(|connection| {
            let mut quotas = connection.prepare_cached(
                "SELECT bytes + manifest_bytes, upload_bytes, name, bytes_limit,
                     (SELECT count(*) FROM repositories WHERE quota_id = quotas.id) AS members
                 FROM quotas WHERE members > 0 OR bytes > 0 OR upload_bytes > 0 ORDER BY name",
            )?;
            let quota = |row: &rusqlite::Row<'_>| {
                Ok(QuotaRow {
                    usage: quota_use(row)?,
                    name: row.get(2)?,
                    limit: row.get(3)?,
                    repositories: row.get(4)?,
                })
            };
            quotas.query_map([], quota)?.collect()
        })
    }

    /// Returns repositories after the one numbered `after`, with their quotas, at most `limit`.
    pub fn quota_members(
        &self,
        after: Option<RepositoryId>,
        limit: usize,
    ) -> Result<Vec<QuotaMember>, Error> {
        self.query(|connection| {
            let mut members = connection.prepare_cached(
                "SELECT repositories.id, repositories.name, quotas.name FROM repositories
                 LEFT JOIN quotas ON quotas.id = quota_id WHERE repositories.id > ?1 ORDER BY repositories.id LIMIT ?2",
            )?;
            let member = |row: &rusqlite::Row<'_>| {
                Ok(QuotaMember {
                    repository: RepositoryId(row.get(0)?),
                    name: row.get(1)?,
                    quota: row.get(2)?,
                })
            };
            members
                .query_map(params![after.map_or(0, |after| after.0), limit], member)?
                .collect()
        })
    }

    /// Returns open uploads after the one of that id, with their quotas, at most `limit`.
    pub fn quota_uploads(&self, after: &str, limit: usize) -> Result<Vec<QuotaUpload>, Error> {
        self.query(|connection| {
            let mut uploads = connection.prepare_cached(
                "SELECT uploads.id, repository, quotas.name FROM uploads
                 LEFT JOIN quotas ON quotas.id = quota_id WHERE uploads.id > ?1 ORDER BY uploads.id LIMIT ?2",
            )?;
            let upload = |row: &rusqlite::Row<'_>| {
                Ok(QuotaUpload {
                    id: row.get(0)?,
                    repository: row.get(1)?,
                    quota: row.get(2)?,
                })
            };
            uploads.query_map(params![after, limit], upload)?.collect()
        })
    }

    /// Reports whether any repository falls under a quota.
    pub fn has_quotas(&self) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM quotas")?
                .exists([])
        })
    }
}

impl WriteTx<'_> {
    /// Puts a repository under a quota with a limit in bytes, or under none. Its blobs are counted if that changes.
    pub fn set_quota(
        &self,
        repository: RepositoryId,
        quota: Option<(&str, u64)>,
    ) -> Result<(), Error> {
        let former: Option<i64> = self
            .connection
            .prepare_cached("SELECT quota_id FROM repositories WHERE id = ?1")?
            .query_row([repository.0], |row| row.get(0))?;
        let next = match quota {
            Some((name, limit)) => Some(self.ensure_quota(name, limit)?),
            None => None,
        };
        if former == next {
            return Ok(());
        }
        if let Some(former) = former {
            self.connection
                .prepare_cached(
                    "UPDATE quota_blobs SET links = links - 1 WHERE quota_id = ?1
                     AND blob_id IN (SELECT blob_id FROM repository_blobs WHERE repository_id = ?2)",
                )?
                .execute([former, repository.0])?;
            self.connection
                .prepare_cached("DELETE FROM quota_blobs WHERE quota_id = ?1 AND links = 0")?
                .execute([former])?;
            self.add_manifests(former, repository, -1)?;
        }
        if let Some(next) = next {
            self.connection
                .prepare_cached(
                    "INSERT INTO quota_blobs (quota_id, blob_id, links)
                     SELECT ?1, blob_id, 1 FROM repository_blobs WHERE repository_id = ?2
                     ON CONFLICT DO UPDATE SET links = links + 1",
                )?
                .execute([next, repository.0])?;
            self.add_manifests(next, repository, 1)?;
        }
        self.connection
            .prepare_cached("UPDATE repositories SET quota_id = ?2 WHERE id = ?1")?
            .execute(params![repository.0, next])?;
        Ok(())
    }

    /// Adds the bytes of a repository's manifests, deleted ones too, to a quota, `sign` times.
    fn add_manifests(&self, quota: i64, repository: RepositoryId, sign: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE quotas SET manifest_bytes = manifest_bytes + ?3 * (
                     (SELECT coalesce(sum(size), 0) FROM manifests WHERE repository_id = ?2)
                     + (SELECT coalesce(sum(size), 0) FROM trash WHERE repository_id = ?2)) WHERE id = ?1",
            )?
            .execute([quota, repository.0, sign])?;
        Ok(())
    }

    /// Counts an open upload in a quota with a limit in bytes, or in none.
    pub fn set_upload_quota(&self, id: &str, quota: Option<(&str, u64)>) -> Result<(), Error> {
        let quota = quota
            .map(|(name, limit)| self.ensure_quota(name, limit))
            .transpose()?;
        self.connection
            .prepare_cached(
                "UPDATE uploads SET quota_id = ?2 WHERE id = ?1 AND quota_id IS NOT ?2",
            )?
            .execute(params![id, quota])?;
        Ok(())
    }

    /// Returns the quota of that name, creating it if absent; its limit is this one.
    fn ensure_quota(&self, name: &str, limit: u64) -> Result<i64, Error> {
        let found: Option<(i64, u64)> = self
            .connection
            .prepare_cached("SELECT id, bytes_limit FROM quotas WHERE name = ?1")?
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((id, known)) if known == limit => Ok(id),
            Some((id, _)) => {
                self.connection
                    .prepare_cached("UPDATE quotas SET bytes_limit = ?2 WHERE id = ?1")?
                    .execute(params![id, limit])?;
                Ok(id)
            }
            None => {
                self.connection
                    .prepare_cached("INSERT INTO quotas (name, bytes_limit) VALUES (?1, ?2)")?
                    .execute(params![name, limit])?;
                Ok(self.connection.last_insert_rowid())
            }
        }
    }

    /// Deletes quotas that no repository falls under, and in which nothing counts.
    pub fn drop_empty_quotas(&self) -> Result<(), Error> {
        self.connection.execute(
            "DELETE FROM quotas WHERE upload_bytes = 0
             AND NOT EXISTS (SELECT 1 FROM repositories WHERE quota_id = quotas.id)
             AND NOT EXISTS (SELECT 1 FROM quota_blobs WHERE quota_id = quotas.id)",
            [],
        )?;
        Ok(())
    }
}
