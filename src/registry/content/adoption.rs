//! Adoptions: registries that are being moved here while clients use them.
//!
//! Changes made here win: a tag that was ever here is not moved, and deleted content does not come again.

use std::collections::{BTreeSet, HashSet};

use crate::meta::{
    self, AdoptedRepository, Adoption, AdoptionItem, AdoptionProblem, AdoptionRow, WalkEnd,
    WalkedRepository, WriteTx, now,
};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::error::Error;
use crate::registry::facades::Upstreams;

/// Content that a walk through a repository is to bring.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Tags there that were never here.
    pub tags: BTreeSet<String>,
    /// Manifests here whose parts, or what is about them, may be missing.
    pub roots: HashSet<Digest>,
}

impl Upstreams<'_> {
    /// Sets the registries that are being adopted. A new one begins from the start; of one that is left out, what came stays.
    pub async fn set_adoptions(self, adoptions: Vec<Adoption>) -> Result<(), Error> {
        if adoptions.is_empty() && self.adoptions().await?.is_empty() {
            return Ok(());
        }
        let set = move |tx: &WriteTx<'_>| Ok(tx.set_adoptions(&adoptions)?);
        self.registry.meta.write(set).await
    }

    /// Returns how far all adoptions are.
    pub async fn adoptions(self) -> Result<Vec<AdoptionRow>, Error> {
        self.registry.scan(|reader| reader.adoptions()).await
    }

    /// Returns the first of what could not be brought.
    pub async fn adoption_problems(self, limit: usize) -> Result<Vec<AdoptionProblem>, Error> {
        self.registry
            .scan(move |reader| reader.adoption_problems(limit))
            .await
    }

    /// Reports whether an adoption goes on.
    pub async fn is_adopting(self, adoption: &str) -> Result<bool, Error> {
        let read = meta::point(|reader| reader.is_adopting(adoption));
        Ok(self.registry.meta.read(read).await?)
    }

    /// Reports whether something that is not here may be brought: it was not deleted here, or a manifest here needs it.
    pub async fn may_adopt(
        self,
        repository: &RepositoryName,
        item: AdoptionItem<'_>,
    ) -> Result<bool, Error> {
        let read = meta::point(|reader| match item {
            AdoptionItem::Tag(tag) => Ok(!reader.has_known_tag(repository, tag)?),
            AdoptionItem::Digest(digest) => Ok(!reader.is_deleted_adopted(repository, item)?
                || reader.is_gap(repository, digest)?),
        });
        Ok(self.registry.meta.read(read).await?)
    }

    /// Returns what a walk through a repository is to bring, of these tags.
    pub async fn wanted(
        self,
        repository: &RepositoryName,
        tags: BTreeSet<String>,
    ) -> Result<Wanted, Error> {
        let repository = repository.clone();
        self.registry
            .scan(move |reader| {
                Ok(Wanted {
                    tags: reader.unknown_tags(&repository, tags)?,
                    roots: reader.adoption_roots(&repository)?,
                })
            })
            .await
    }

    /// Keeps away a tag whose image was deleted here.
    pub async fn keep_away(self, repository: &RepositoryName, tag: &TagName) -> Result<(), Error> {
        let (repository, tag) = (repository.clone(), tag.clone());
        let remember =
            move |tx: &WriteTx<'_>| Ok(tx.remember_deletion(&repository, AdoptionItem::Tag(&tag))?);
        self.registry.meta.write(remember).await
    }

    /// Records which repositories a walk reads, and which of them cannot be here.
    pub async fn list_adopted(
        self,
        adoption: &str,
        repositories: Vec<AdoptedRepository>,
    ) -> Result<(), Error> {
        let adoption = adoption.to_owned();
        let list = move |tx: &WriteTx<'_>| Ok(tx.list_adopted(&adoption, &repositories)?);
        self.registry.meta.write(list).await
    }

    /// Returns the repositories that the walk under way has not read yet.
    pub async fn unwalked(self, adoption: &str) -> Result<Vec<RepositoryName>, Error> {
        let adoption = adoption.to_owned();
        let names = self
            .registry
            .scan(move |reader| reader.unwalked_repositories(&adoption))
            .await?;
        let names = names
            .iter()
            .filter_map(|name| RepositoryName::parse(name).ok());
        Ok(names.collect())
    }

    /// Records that a walk has read a repository.
    pub async fn record_walked(
        self,
        adoption: &str,
        repository: &RepositoryName,
        walked: WalkedRepository,
    ) -> Result<(), Error> {
        let (adoption, repository) = (adoption.to_owned(), repository.clone());
        let record =
            move |tx: &WriteTx<'_>| Ok(tx.record_walked(&adoption, &repository, &walked)?);
        self.registry.meta.write(record).await
    }

    /// Ends a walk that has read every repository: with the adoption, if nothing is missing.
    pub async fn end_walk(self, adoption: &str) -> Result<WalkEnd, Error> {
        let adoption = adoption.to_owned();
        let end = move |tx: &WriteTx<'_>| Ok(tx.end_walk(&adoption, now())?);
        self.registry.meta.write(end).await
    }

    /// Records why a walk does not go on.
    pub async fn record_adoption_failure(
        self,
        adoption: &str,
        failure: String,
    ) -> Result<(), Error> {
        let adoption = adoption.to_owned();
        let record =
            move |tx: &WriteTx<'_>| Ok(tx.record_adoption_failure(&adoption, &failure, now())?);
        self.registry.meta.write(record).await
    }
}
