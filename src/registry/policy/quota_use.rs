//! Judgement of pushes by quotas, and the repositories that fall under each.

use crate::meta::{QuotaMember, QuotaRow, RepositoryId, WriteTx, point};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Quotas;
use crate::registry::policy::quota::QuotaLimit;

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

    fn check(&self, used: u64, size: u64) -> Result<(), Error> {
        match used.saturating_add(size) > self.limit {
            false => Ok(()),
            true => Err(Error::QuotaExceeded {
                name: self.name.clone(),
                used,
                limit: self.limit,
                size,
            }),
        }
    }
}

impl Quotas<'_> {
    /// Rejects a blob that does not fit, before it is received. `digest` is the client's, if it says so.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub async fn check(
        self,
        repository: &RepositoryName,
        digest: Option<&Digest>,
        size: u64,
    ) -> Result<(), Error> {
        let Some(quota) = self.registry.settings().quotas.of(repository.as_str()) else {
            return Ok(());
        };
        let (name, digest) = (quota.name.clone(), digest.cloned());
        let read = point(move |reader| {
            let is_there = match &digest {
                Some(digest) => reader.is_in_quota(&name, digest)?,
                None => false,
            };
            Ok((is_there, reader.quota_use(&name)?))
        });
        match self.registry.meta.read(read).await? {
            (true, _) => Ok(()),
            (false, used) => quota.check(used, size),
        }
    }

    /// Rejects an upload that is larger than the whole quota, whatever else is there.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn check_alone(self, repository: &RepositoryName, size: u64) -> Result<(), Error> {
        match self.registry.settings().quotas.of(repository.as_str()) {
            Some(quota) => quota.check(0, size),
            None => Ok(()),
        }
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
        let forget = |tx: &WriteTx<'_>| Ok::<_, Error>(tx.drop_empty_quotas()?);
        self.registry.meta.write_lazily(forget).await
    }
}
