//! Content that is selected to be deleted.

use std::collections::HashSet;

use crate::oci::{Digest, Glob, RepositoryName, TagName};
use crate::registry::{
    Deletion, Dependent, Error, ManifestReference, Registry, Retention, compare_names,
};

/// A selected tag or manifest.
#[derive(Clone, Debug)]
pub struct SelectedItem {
    pub repository: RepositoryName,
    /// `None` for a manifest without tags.
    pub tag: Option<String>,
    pub digest: Digest,
}

/// Selected content: items to show, deletions for the operations.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub items: Vec<SelectedItem>,
    pub deletions: Vec<(RepositoryName, Deletion)>,
}

impl Selection {
    /// Selects a tag, or a manifest with its tags.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::InUse`] for a manifest that an index needs.
    pub async fn of(
        registry: &Registry,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Self, Error> {
        let mut selection = Self::default();
        match reference {
            ManifestReference::Tag(tag) => {
                selection.add_tag(registry, repository, tag).await?;
            }
            ManifestReference::Digest(digest) => {
                selection.add_manifest(registry, repository, digest).await?;
            }
        }
        Ok(selection)
    }

    /// Selects the tags of a repository that match, or else the repository as a whole.
    ///
    /// # Errors
    /// [`Error::NameUnknown`].
    pub async fn within(
        registry: &Registry,
        repository: &RepositoryName,
        tags: Option<&Glob>,
    ) -> Result<Self, Error> {
        let mut selection = Self::default();
        match tags {
            Some(tags) => selection.add_tags(registry, repository, tags).await?,
            None => selection.add_repository(registry, repository).await?,
        }
        Ok(selection)
    }

    /// Adds a repository with all that it has.
    ///
    /// # Errors
    /// [`Error::NameUnknown`].
    pub async fn add_repository(
        &mut self,
        registry: &Registry,
        repository: &RepositoryName,
    ) -> Result<(), Error> {
        self.items
            .extend(selected_tags(registry, repository, None).await?);
        let deletion = Deletion::Everything;
        self.deletions.push((repository.clone(), deletion));
        Ok(())
    }

    /// Adds a tag.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`].
    pub async fn add_tag(
        &mut self,
        registry: &Registry,
        repository: &RepositoryName,
        tag: &TagName,
    ) -> Result<(), Error> {
        let reference = ManifestReference::Tag(tag.clone());
        let manifest = registry.manifests().get(repository, &reference).await?;
        self.add(repository, Some(tag.as_str()), &manifest.digest);
        let tags = Deletion::Tags(vec![tag.clone()]);
        self.deletions.push((repository.clone(), tags));
        Ok(())
    }

    /// Adds the tags that match, of which there may be none.
    ///
    /// # Errors
    /// [`Error::NameUnknown`].
    pub async fn add_tags(
        &mut self,
        registry: &Registry,
        repository: &RepositoryName,
        pattern: &Glob,
    ) -> Result<(), Error> {
        let items = selected_tags(registry, repository, Some(pattern)).await?;
        let names = items.iter().filter_map(|item| item.tag.as_deref());
        let names: Vec<_> = names.filter_map(|tag| TagName::parse(tag).ok()).collect();
        if !names.is_empty() {
            let deletion = Deletion::Tags(names);
            self.deletions.push((repository.clone(), deletion));
        }
        self.items.extend(items);
        Ok(())
    }

    fn add(&mut self, repository: &RepositoryName, tag: Option<&str>, digest: &Digest) {
        self.items.push(SelectedItem {
            repository: repository.clone(),
            tag: tag.map(str::to_owned),
            digest: digest.clone(),
        });
    }

    /// Adds a manifest with its tags.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn add_manifest(
        &mut self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), Error> {
        let reference = ManifestReference::Digest(digest.clone());
        let description = registry
            .manifests()
            .describe(repository, &reference)
            .await?;
        if let Some(holder) = description.parents.into_iter().next() {
            return Err(Error::InUse {
                digest: digest.clone(),
                holder,
            });
        }
        for tag in &description.tags {
            self.add(repository, Some(tag), digest);
        }
        if description.tags.is_empty() {
            self.add(repository, None, digest);
        }
        let deletion = Deletion::Manifest(digest.clone());
        self.deletions.push((repository.clone(), deletion));
        Ok(())
    }

    /// Rejects immutable tags before anything is shown or removed, rather than halfway.
    ///
    /// # Errors
    /// [`Error::TagImmutable`].
    pub fn check_mutable(&self, retention: &Retention) -> Result<(), Error> {
        let tags = self.items.iter().filter_map(|item| {
            let tag = item.tag.as_deref()?;
            Some((&item.repository, tag))
        });
        let mut checked = tags.map(|(repository, tag)| retention.check_mutable(repository, tag));
        checked.try_for_each(|checked| checked)
    }

    /// Leaves out dependents that are among the selected content.
    pub(super) fn unselected(&self, dependents: Vec<Dependent>) -> Vec<Dependent> {
        let selected: HashSet<_> = self
            .items
            .iter()
            .map(|item| (&item.repository, item.tag.as_deref(), &item.digest))
            .collect();
        let is_other = |dependent: &Dependent| {
            let tag = dependent.tag.as_ref().map(TagName::as_str);
            !selected.contains(&(&dependent.repository, tag, &dependent.digest))
        };
        dependents.into_iter().filter(is_other).collect()
    }
}

/// Lists the tags of a repository that match the pattern, if any, with numbers in them by value.
///
/// # Errors
/// [`Error::NameUnknown`].
pub async fn selected_tags(
    registry: &Registry,
    name: &RepositoryName,
    pattern: Option<&Glob>,
) -> Result<Vec<SelectedItem>, Error> {
    // fails for an unknown repository
    registry.tags().list(name, String::new(), Some(0)).await?;
    let mut items = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.tags().list_detailed(name, last, None).await?;
        let matching = page
            .items
            .into_iter()
            .filter(|row| pattern.is_none_or(|pattern| pattern.matches(&row.name)));
        items.extend(matching.map(|row| SelectedItem {
            repository: name.clone(),
            tag: Some(row.name),
            digest: row.digest,
        }));
        after = page.next;
    }
    let tag = |item: &SelectedItem| item.tag.clone().unwrap_or_default();
    items.sort_by(|one, other| compare_names(&tag(one), &tag(other)));
    Ok(items)
}
