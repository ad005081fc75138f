//! Selection of content by a reference or globs: `REPOSITORY[:TAG|@DIGEST]`.

use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{self, Deletion, Glob, ManifestReference, Registry};

use crate::cli::error::Error;
use crate::cli::terminal::reference::Target;

/// A name, or a glob that matches many.
enum Names<T> {
    One(T),
    Matching(Glob),
}

/// The selected part of a repository.
enum Part {
    Everything,
    Manifest(Digest),
    Tags(Names<TagName>),
}

/// A reference whose repository and tag may be globs.
pub(crate) struct Selector {
    text: String,
    repositories: Names<RepositoryName>,
    part: Part,
}

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

/// True if a text is a glob: names cannot contain these characters.
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Parses a glob.
pub(crate) fn pattern(text: &str) -> Result<Glob, Error> {
    Glob::try_from(text.to_owned()).map_err(Error::Other)
}

impl Selector {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if !is_glob(text) {
            let Target {
                repository,
                manifest,
            } = Target::parse(text)?;
            let part = match manifest {
                None => Part::Everything,
                Some(ManifestReference::Digest(digest)) => Part::Manifest(digest),
                Some(ManifestReference::Tag(tag)) => Part::Tags(Names::One(tag)),
            };
            return Ok(Self {
                text: text.to_owned(),
                repositories: Names::One(repository),
                part,
            });
        }
        let invalid =
            |error: &dyn std::fmt::Display| Error::Other(format!("cannot read '{text}': {error}"));
        let (name, part) = if let Some((name, digest)) = text.split_once('@') {
            (
                name,
                Part::Manifest(Digest::parse(digest).map_err(|error| invalid(&error))?),
            )
        } else if let Some((name, tag)) = text.split_once(':') {
            let tags = if is_glob(tag) {
                Names::Matching(pattern(tag)?)
            } else {
                Names::One(TagName::parse(tag).map_err(|error| invalid(&error))?)
            };
            (name, Part::Tags(tags))
        } else {
            (text, Part::Everything)
        };
        let repositories = if is_glob(name) {
            Names::Matching(pattern(name)?)
        } else {
            Names::One(RepositoryName::parse(name).map_err(|error| invalid(&error))?)
        };
        Ok(Self {
            text: text.to_owned(),
            repositories,
            part,
        })
    }

    /// Finds the selected content.
    ///
    /// # Errors
    /// A name is unknown, or nothing matches.
    pub(crate) async fn select(&self, registry: &Registry) -> Result<Selection, Error> {
        let mut selection = Selection::default();
        match &self.repositories {
            Names::One(name) => self.select_in(registry, name, &mut selection).await?,
            Names::Matching(pattern) => {
                for name in matching_repositories(registry, Some(pattern)).await? {
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
            return Err(Error::Other(format!(
                "nothing matches '{}': run registry ls to list repositories and tags",
                self.text
            )));
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
            Part::Everything => {
                selection.rows.extend(tags(registry, name, None).await?);
                Deletion::Everything
            }
            Part::Manifest(digest) => {
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

/// Lists repositories whose names match the pattern, if any.
pub(crate) async fn matching_repositories(
    registry: &Registry,
    pattern: Option<&Glob>,
) -> Result<Vec<RepositoryName>, Error> {
    let mut names = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.repositories().catalog(last, None).await?;
        let matching = page
            .items
            .iter()
            .filter(|name| pattern.is_none_or(|pattern| pattern.matches(name)));
        names.extend(matching.filter_map(|name| RepositoryName::parse(name).ok()));
        after = page.next;
    }
    Ok(names)
}
