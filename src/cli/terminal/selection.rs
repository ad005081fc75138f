//! Selection of content by a reference, with globs or without.

use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{self, ManifestReference, Registry};
use tarkeep::report::{self, SelectedItem, Selection};

use crate::cli::error::Error;
use crate::cli::terminal::listing;
use crate::cli::terminal::reference::{self, Named, Names, Part};

impl Named {
    /// Finds the selected content.
    ///
    /// # Errors
    /// A name is unknown, or nothing matches.
    pub(crate) async fn select(&self, registry: &Registry) -> Result<Selection, Error> {
        let mut selection = Selection::default();
        self.in_each(registry, async |name| {
            self.select_in(registry, name, &mut selection).await
        })
        .await?;
        if selection.deletions.is_empty() {
            return Err(listing::nothing_matches(&self.text));
        }
        Ok(selection)
    }

    /// Finds the selected images: tags, or the manifest of a digest.
    ///
    /// # Errors
    /// As [`Self::select`].
    pub(crate) async fn images(&self, registry: &Registry) -> Result<Vec<SelectedItem>, Error> {
        let mut rows = Vec::new();
        self.in_each(registry, async |name| {
            rows.extend(match &self.part {
                Part::Whole => report::selected_tags(registry, name, None).await?,
                Part::Tags(names) => tagged(registry, name, names).await?,
                Part::Digest(prefix) => {
                    let digest = self.digest_in(registry, name, prefix).await?;
                    let reference = ManifestReference::Digest(digest.clone());
                    registry.manifests().get(name, &reference).await?;
                    vec![row(name, None, &digest)]
                }
            });
            Ok(())
        })
        .await?;
        if rows.is_empty() {
            return Err(listing::nothing_matches(&self.text));
        }
        Ok(rows)
    }

    /// Does something in each repository that is meant; one of several may lack what is named.
    async fn in_each(
        &self,
        registry: &Registry,
        mut work: impl AsyncFnMut(&RepositoryName) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let pattern = match &self.repositories {
            Names::One(name) => return work(name).await,
            Names::Matching(pattern) => pattern,
        };
        for name in listing::repositories(registry, Some(pattern)).await? {
            match work(&name).await {
                // not in this repository, or deleted meanwhile
                Err(Error::Registry(
                    registry::Error::ManifestUnknown { .. } | registry::Error::NameUnknown(_),
                )) => {}
                other => other?,
            }
        }
        Ok(())
    }

    async fn digest_in(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        prefix: &str,
    ) -> Result<Digest, Error> {
        // a glob matches repositories that may not have it
        let within = self.repositories.glob().is_none().then_some(name);
        reference::digest(registry, within, prefix).await
    }

    async fn select_in(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        selection: &mut Selection,
    ) -> Result<(), Error> {
        match &self.part {
            Part::Whole => selection.add_repository(registry, name).await?,
            Part::Digest(prefix) => {
                let digest = &self.digest_in(registry, name, prefix).await?;
                selection.add_manifest(registry, name, digest).await?;
            }
            Part::Tags(Names::One(tag)) => selection.add_tag(registry, name, tag).await?,
            Part::Tags(Names::Matching(pattern)) => {
                selection.add_tags(registry, name, pattern).await?;
            }
        }
        Ok(())
    }
}

fn row(repository: &RepositoryName, tag: Option<&str>, digest: &Digest) -> SelectedItem {
    SelectedItem {
        repository: repository.clone(),
        tag: tag.map(str::to_owned),
        digest: digest.clone(),
    }
}

/// Lists the named tags of a repository.
///
/// # Errors
/// The one tag that is named is not there.
async fn tagged(
    registry: &Registry,
    name: &RepositoryName,
    names: &Names<TagName>,
) -> Result<Vec<SelectedItem>, Error> {
    match names {
        Names::One(tag) => {
            let reference = ManifestReference::Tag(tag.clone());
            let manifest = registry.manifests().get(name, &reference).await?;
            Ok(vec![row(name, Some(tag.as_str()), &manifest.digest)])
        }
        Names::Matching(pattern) => Ok(report::selected_tags(registry, name, Some(pattern)).await?),
    }
}
