//! Judgement of pushes by quotas, and the repositories that fall under each.

use std::sync::Arc;

use crate::meta::{NewManifest, QuotaMember, QuotaRow, QuotaUse, RepositoryId, WriteTx, point};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Quotas;
use crate::registry::policy::quota::{QuotaLimit, QuotaRules};
use crate::registry::upload::meter::Meter;

/// Number of repositories judged at once when the quotas change.
const PAGE: usize = 500;

impl QuotaLimit {
    /// Admits a blob to a repository, inside the change that links it: of two pushes at once, the second sees the first.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub(in crate::registry) fn admit(
        &self,
        tx: &WriteTx<'_>,
        repository: RepositoryId,
        digest: &Digest,
        size: u64,
    ) -> Result<(), Error> {
        tx.set_quota(repository, Some((&self.name, self.limit)))?;
        if tx.is_in_quota(&self.name, digest)? {
            return Ok(());
        }
        self.check(tx.quota_use(&self.name)?, size)
    }

    /// Admits a manifest to a repository, inside the change that records it.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub(in crate::registry) fn admit_manifest(
        &self,
        tx: &WriteTx<'_>,
        repository: RepositoryId,
        manifest: &NewManifest,
    ) -> Result<(), Error> {
        tx.set_quota(repository, Some((&self.name, self.limit)))?;
        if tx.manifest(repository, &manifest.digest)?.is_some() {
            return Ok(());
        }
        self.check(tx.quota_use(&self.name)?, manifest.bytes.len() as u64)
    }

    /// Judges by what is stored: unfinished uploads were judged when they were received.
    fn check(&self, used: QuotaUse, size: u64) -> Result<(), Error> {
        match used.stored.saturating_add(size) > self.limit {
            false => Ok(()),
            true => Err(self.exceeded(used.stored, size)),
        }
    }

    /// Returns the refusal of `size` bytes where `used` are taken.
    pub(in crate::registry) fn exceeded(&self, used: u64, size: u64) -> Error {
        Error::QuotaExceeded {
            name: self.name.clone(),
            used,
            limit: self.limit,
            size,
        }
    }
}

impl Quotas<'_> {
    /// Makes room for an upload before it is received; `announced` bytes of it, if the client says how many.
    ///
    /// `None` where there is no quota, and for a blob that the repository has: it costs nothing. Whether another repository of
    /// the quota has it is not asked: the answer would tell who may not see that repository what it holds.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub(in crate::registry) async fn meter(
        self,
        repository: &RepositoryName,
        digest: Option<&Digest>,
        announced: u64,
    ) -> Result<Option<Arc<Meter>>, Error> {
        let Some(quota) = self.registry.settings().quotas.of(repository.as_str()) else {
            return Ok(None);
        };
        if let Some(digest) = digest {
            let (name, digest) = (repository.clone(), digest.clone());
            let is_there = point(move |reader| Ok(reader.link(&name, &digest)?.is_some()));
            if self.registry.meta.read(is_there).await? {
                return Ok(None);
            }
        }
        let meter = Meter::open(self.registry, quota, announced).await?;
        Ok(Some(Arc::new(meter)))
    }

    /// Returns the bytes that count in a quota.
    pub(in crate::registry) async fn usage(self, name: &str) -> Result<QuotaUse, Error> {
        let name = name.to_owned();
        let read = point(move |reader| reader.quota_use(&name));
        Ok(self.registry.meta.read(read).await?)
    }

    /// Lists the quotas that repositories fall under, by name.
    pub async fn list(self) -> Result<Vec<QuotaRow>, Error> {
        self.registry.scan(|reader| reader.quotas()).await
    }

    /// Puts every repository under its quota, a few hundred at a time.
    pub async fn assign(self) -> Result<(), Error> {
        let quotas = self.registry.settings().quotas.clone();
        if quotas.is_empty() && !self.registry.scan(|reader| reader.has_quotas()).await? {
            return Ok(());
        }
        let mut after = None;
        loop {
            let read = move |reader: &crate::meta::Reader<'_>| reader.quota_members(after, PAGE);
            let members = self.registry.scan(read).await?;
            let Some(last) = members.last().map(|member| member.repository) else {
                break;
            };
            after = Some(last);
            let moved = members.into_iter().filter_map(|member| {
                let QuotaMember {
                    repository,
                    name,
                    quota,
                } = member;
                let next = quotas.of(&name);
                (next.is_some() || quota.is_some()).then_some((repository, name, next))
            });
            let moved: Vec<_> = moved.collect();
            if moved.is_empty() {
                continue;
            }
            let change = move |tx: &WriteTx<'_>| {
                for (repository, name, next) in &moved {
                    // its number may have been given to another one since it was read
                    if tx.repository_name(*repository)?.as_ref() == Some(name) {
                        let next = next.as_ref().map(|quota| (&*quota.name, quota.limit));
                        tx.set_quota(*repository, next)?;
                    }
                }
                Ok::<_, Error>(())
            };
            self.registry.meta.write_lazily(change).await?;
        }
        self.assign_uploads(&quotas).await?;
        let forget = |tx: &WriteTx<'_>| Ok::<_, Error>(tx.drop_empty_quotas()?);
        self.registry.meta.write_lazily(forget).await
    }

    /// Counts every open upload in its quota: one that goes on counts there by itself.
    async fn assign_uploads(self, quotas: &QuotaRules) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let read = move |reader: &crate::meta::Reader<'_>| reader.quota_uploads(&after, PAGE);
            let uploads = self.registry.scan(read).await?;
            let Some(last) = uploads.last() else {
                return Ok(());
            };
            after = last.id.clone();
            let moved = uploads.into_iter().filter_map(|upload| {
                let next = quotas.of(&upload.repository);
                let is_same = next.as_ref().map(|quota| &quota.name) == upload.quota.as_ref();
                (!is_same).then_some((upload.id, next))
            });
            let moved: Vec<_> = moved.collect();
            if moved.is_empty() {
                continue;
            }
            let change = move |tx: &WriteTx<'_>| {
                for (id, next) in &moved {
                    let next = next.as_ref().map(|quota| (&*quota.name, quota.limit));
                    tx.set_upload_quota(id, next)?;
                }
                Ok::<_, Error>(())
            };
            self.registry.meta.write_lazily(change).await?;
        }
    }
}
