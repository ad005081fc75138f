//! Selection of content by a reference, with globs or without.

use tarkeep::oci::{Digest, Glob, RepositoryName, TagName};
use tarkeep::registry::{self, Deletion, ManifestReference, Registry};

use crate::cli::error::Error;
use crate::cli::terminal::listing;
use crate::cli::terminal::reference::{self, Named, Names, Part};

/// A selected tag or manifest.
pub(crate) struct Row {
    pub repository: RepositoryName,
    /// `None` for a manifest without tags.
    pub tag: Option<String>,
    pub digest: Digest,
}

/// The selected content: rows for people, deletions for the operations.
#[derive(Default)]
pub(crate) struct Selection {
    pub rows: Vec<Row>,
    pub deletions: Vec<(RepositoryName, Deletion)>,
}

impl Named {
    /// Finds the selected content.
    ///
    /// # Errors
    /// A name is unknown, or nothing matches.
    pub(crate) async fn select(&self, registry: &Registry) -> Result<Selection, Error> {
        let mut selection = Selection::default();
        match &self.repositories {
            Names::One(name) => self.select_in(registry, name, &mut selection).await?,
            Names::Matching(pattern) => {
                for name in listing::repositories(registry, Some(pattern)).await? {
                    match self.select_in(registry, &name, &mut selection).await {
                        // not in this repository, or deleted meanwhile
                        Err(Error::Registry(
                            registry::Error::ManifestUnknown { .. }
                            | registry::Error::NameUnknown(_),
                        )) => {}
                        other => other?,
                    }
                }
            }
        }
        if selection.deletions.is_empty() {
            return Err(listing::nothing_matches(&self.text));
        }
        Ok(selection)
    }

    async fn select_in(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        selection: &mut Selection,
    ) -> Result<(), Error> {
        let row = |tag: Option<&str>, digest: &Digest| Row {
            repository: name.clone(),
            tag: tag.map(str::to_owned),
            digest: digest.clone(),
        };
        let deletion = match &self.part {
            Part::Whole => {
                selection.rows.extend(tags(registry, name, None).await?);
                Deletion::Everything
            }
            Part::Digest(prefix) => {
                // a glob matches repositories that may not have it
                let within = self.repositories.glob().is_none().then_some(name);
                let digest = &reference::digest(registry, within, prefix).await?;
                let description = registry
                    .manifests()
                    .describe(name, &ManifestReference::Digest(digest.clone()))
                    .await?;
                if let Some(holder) = description.parents.into_iter().next() {
                    return Err(registry::Error::InUse {
                        digest: digest.clone(),
                        holder,
                    }
                    .into());
                }
                selection
                    .rows
                    .extend(description.tags.iter().map(|tag| row(Some(tag), digest)));
                if description.tags.is_empty() {
                    selection.rows.push(row(None, digest));
                }
                Deletion::Manifest(digest.clone())
            }
            Part::Tags(Names::One(tag)) => {
                let manifest = registry
                    .manifests()
                    .get(name, &ManifestReference::Tag(tag.clone()))
                    .await?;
                selection
                    .rows
                    .push(row(Some(tag.as_str()), &manifest.digest));
                Deletion::Tags(vec![tag.clone()])
            }
            Part::Tags(Names::Matching(pattern)) => {
                let rows = tags(registry, name, Some(pattern)).await?;
                if rows.is_empty() {
                    return Ok(());
                }
                let names = rows
                    .iter()
                    .filter_map(|row| TagName::parse(row.tag.as_deref()?).ok())
                    .collect();
                selection.rows.extend(rows);
                Deletion::Tags(names)
            }
        };
        selection.deletions.push((name.clone(), deletion));
        Ok(())
    }
}

/// Lists the tags of a repository that match the pattern, if any.
async fn tags(
    registry: &Registry,
    name: &RepositoryName,
    pattern: Option<&Glob>,
) -> Result<Vec<Row>, Error> {
    // fails for an unknown repository
    registry.tags().list(name, String::new(), Some(0)).await?;
    let mut rows = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.tags().list_detailed(name, last, None).await?;
        let matching = page
            .items
            .into_iter()
            .filter(|row| pattern.is_none_or(|pattern| pattern.matches(&row.name)));
        rows.extend(matching.map(|row| Row {
            repository: name.clone(),
            tag: Some(row.name),
            digest: row.digest,
        }));
        after = page.next;
    }
    Ok(rows)
}
