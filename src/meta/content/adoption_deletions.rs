//! Deletions here while a registry is being adopted, so that nothing of them comes again.

use std::collections::BTreeSet;

use rusqlite::params;

use crate::meta::error::Error;
use crate::meta::ids::RepositoryId;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Digest, RepositoryName, TagName};

/// Something that may be brought.
#[derive(Clone, Copy, Debug)]
pub enum AdoptionItem<'i> {
    /// A manifest or a blob.
    Digest(&'i Digest),
    Tag(&'i TagName),
}

impl AdoptionItem<'_> {
    fn text(self) -> String {
        match self {
            Self::Digest(digest) => digest.to_string(),
            Self::Tag(tag) => format!(":{tag}"),
        }
    }
}

impl PointReader<'_> {
    /// Reports whether something, or its whole repository, was deleted here while its registry was adopted.
    pub fn is_deleted_adopted(
        &self,
        repository: &RepositoryName,
        item: AdoptionItem<'_>,
    ) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM adoption_deletions WHERE repository = ?1 AND item IN (?2, '')",
                )?
                .exists([repository.as_str(), &item.text()])
        })
    }

    /// Reports whether a manifest here names a digest that its repository lacks.
    pub fn is_gap(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM repositories JOIN absent_references ON repository_id = id
                     WHERE name = ?1 AND digest = ?2",
                )?
                .exists([repository.as_str(), digest.as_str()])
        })
    }

    /// Reports whether a tag is here, was here, or was deleted while its registry was adopted.
    pub fn has_known_tag(&self, repository: &RepositoryName, tag: &TagName) -> Result<bool, Error> {
        if self.is_deleted_adopted(repository, AdoptionItem::Tag(tag))? {
            return Ok(true);
        }
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM repositories WHERE name = ?1
                     AND (EXISTS (SELECT 1 FROM tags WHERE repository_id = repositories.id AND tags.name = ?2)
                     OR EXISTS (SELECT 1 FROM tag_history WHERE repository_id = repositories.id AND tag = ?2))",
                )?
                .exists([repository.as_str(), tag.as_str()])
        })
    }
}

impl Reader<'_> {
    /// Returns those of the tags that were never here.
    pub fn unknown_tags(
        &self,
        repository: &RepositoryName,
        tags: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Error> {
        let mut unknown = BTreeSet::new();
        for text in tags {
            let is_known = match TagName::parse(&text) {
                Ok(tag) => self.has_known_tag(repository, &tag)?,
                // whoever reads it says what is wrong
                Err(_) => false,
            };
            if !is_known {
                unknown.insert(text);
            }
        }
        Ok(unknown)
    }
}

impl WriteTx<'_> {
    /// Remembers that something was deleted, if its registry is being adopted.
    pub fn remember_deletion(
        &self,
        repository: &RepositoryName,
        item: AdoptionItem<'_>,
    ) -> Result<(), Error> {
        self.remember(repository, &item.text())
    }

    /// Remembers that a whole repository was deleted; false if its registry is not being adopted, or has no such repository.
    pub fn remember_repository_deletion(&self, repository: &RepositoryName) -> Result<bool, Error> {
        self.remember(repository, "")?;
        self.query(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM adopted_repositories WHERE repository = ?1")?
                .exists([repository.as_str()])
        })
    }

    fn remember(&self, repository: &RepositoryName, item: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO adoption_deletions SELECT ?1, ?2 FROM adoptions
                 WHERE name = '' OR substr(?1, 1, length(name) + 1) = name || '/'",
            )?
            .execute([repository.as_str(), item])?;
        Ok(())
    }

    /// Remembers that a tag was deleted, if its registry is being adopted.
    pub(super) fn remember_tag_deletion(
        &self,
        repository: RepositoryId,
        tag: &str,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO adoption_deletions
                 SELECT repositories.name, ':' || ?2 FROM adoptions JOIN repositories ON repositories.id = ?1
                 WHERE adoptions.name = '' OR substr(repositories.name, 1, length(adoptions.name) + 1) = adoptions.name || '/'",
            )?
            .execute(params![repository.0, tag])?;
        Ok(())
    }
}
