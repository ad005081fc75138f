//! Flags of commands that list repositories or tags, and the repositories that are meant.

use tarkeep::oci::{Glob, RepositoryName, TagName};
use tarkeep::registry::{self, ListOrder, ListQuery, Registry, now};

use crate::cli::error::Error;
use crate::cli::terminal::reference::{Named, Names, Reference};
use crate::cli::terminal::time_arg;
use crate::cli::terminal::values::exact_time;

/// Order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    Name,
    /// Largest first
    Size,
    /// Last pushed first
    Pushed,
    /// Last pulled first
    Pulled,
}

/// Flags that choose and sort what is listed.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// Order: name, size, pushed or pulled; largest and newest first
    #[arg(long, value_name = "ORDER", hide_possible_values = true)]
    sort: Option<Sort>,
    /// List only the first N
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// List only what was pushed since a time: 2026-11-21, 2026-11-21T10:29:00Z, or 2h for two hours ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
}

/// Listed content.
pub(crate) enum Listed {
    Repositories(ListQuery),
    /// Tags of these repositories.
    Tags(Vec<RepositoryName>, ListQuery),
}

impl Selection {
    /// Returns what a server is asked for.
    ///
    /// # Errors
    /// An invalid time.
    pub(crate) fn parameters(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let since = self
            .since
            .as_deref()
            .map(|text| time_arg::parse(text, now()));
        let sort = self.sort.map(|sort| match sort {
            Sort::Name => "name",
            Sort::Size => "size",
            Sort::Pushed => "pushed",
            Sort::Pulled => "pulled",
        });
        let sort = sort.map(|sort| ("sort", sort.to_owned()));
        let since = since.transpose()?.map(|since| ("since", exact_time(since)));
        Ok(sort.into_iter().chain(since).collect())
    }

    /// Returns the maximum number of items; `None` for all.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.limit
    }

    fn query(self, pattern: Option<Glob>, default: Sort) -> Result<ListQuery, Error> {
        let since = self.since.map(|text| time_arg::parse(&text, now()));
        Ok(ListQuery {
            pattern,
            since: since.transpose()?,
            order: match self.sort.unwrap_or(default) {
                Sort::Name => ListOrder::Name,
                Sort::Size => ListOrder::Size,
                Sort::Pushed => ListOrder::Pushed,
                Sort::Pulled => ListOrder::Pulled,
            },
            limit: self.limit,
            ..ListQuery::default()
        })
    }

    /// Turns the flags into a query about the repositories that are meant as a whole, all if none is named.
    ///
    /// # Errors
    /// No repository has that name, the reference names something in one, or the time is invalid.
    pub(crate) async fn of_repositories(
        self,
        reference: Option<Reference>,
        registry: &Registry,
        command: &str,
    ) -> Result<ListQuery, Error> {
        let Some(reference) = reference else {
            return self.query(None, Sort::Name);
        };
        let named = reference.resolve(registry, command).await?;
        let text = named.text.clone();
        if let Names::One(name) = &named.repositories {
            check_listed(registry, name).await?;
        }
        let glob = named.whole(command)?;
        if repositories(registry, Some(&glob)).await?.is_empty() {
            return Err(nothing_matches(&text));
        }
        self.query(Some(glob), Sort::Name)
    }

    /// Turns the flags into a query, and finds out whether repositories or tags are listed: tags if one repository is named.
    ///
    /// # Errors
    /// Nothing has that name, or the time is invalid.
    pub(crate) async fn of(
        self,
        named: Option<Named>,
        default: Sort,
        registry: &Registry,
        command: &str,
    ) -> Result<Listed, Error> {
        let query = |pattern| self.query(pattern, default);
        let Some(named) = named else {
            return Ok(Listed::Repositories(query(None)?));
        };
        let text = named.text.clone();
        Ok(match named.tags(command)? {
            (Names::Matching(glob), None) => {
                if repositories(registry, Some(&glob)).await?.is_empty() {
                    return Err(nothing_matches(&text));
                }
                Listed::Repositories(query(Some(glob))?)
            }
            (names, tags) => {
                let names = match names {
                    Names::One(name) => {
                        check_listed(registry, &name).await?;
                        vec![name]
                    }
                    Names::Matching(glob) => repositories(registry, Some(&glob)).await?,
                };
                Listed::Tags(names, query(tags.map(as_glob).transpose()?)?)
            }
        })
    }
}

/// Explains that a reference matches nothing.
pub(crate) fn nothing_matches(text: &str) -> Error {
    Error::Other(format!(
        "nothing matches '{text}': registry ls lists repositories, and registry ls REPOSITORY its tags"
    ))
}

/// Explains that the one tag which is named, or else the glob, matches nothing.
pub(crate) fn nothing_has(one_tag: Option<(RepositoryName, TagName)>, text: &str) -> Error {
    match one_tag {
        Some((repository, tag)) => Error::Registry(registry::Error::ManifestUnknown {
            repository,
            reference: tag.to_string(),
            needed_by: None,
        }),
        None => nothing_matches(text),
    }
}

/// Fails for a repository without content.
pub(crate) async fn check_listed(registry: &Registry, name: &RepositoryName) -> Result<(), Error> {
    let listed = registry.tags().list(name, String::new(), Some(0)).await;
    match listed {
        Ok(_) => Ok(()),
        Err(registry::Error::NameUnknown(_)) => {
            Err(Error::Registry(registry::Error::NameUnknown(name.clone())))
        }
        Err(other) => Err(other.into()),
    }
}

/// Lists repositories whose names match the pattern, if any.
pub(crate) async fn repositories(
    registry: &Registry,
    pattern: Option<&Glob>,
) -> Result<Vec<RepositoryName>, Error> {
    let query = ListQuery {
        pattern: pattern.cloned(),
        ..ListQuery::default()
    };
    Ok(registry.repositories().names(query).await?)
}

/// Turns a tag into the glob that matches it alone.
pub(crate) fn as_glob(tags: Names<TagName>) -> Result<Glob, Error> {
    match tags {
        Names::Matching(glob) => Ok(glob),
        // no tag contains a special character of globs
        Names::One(tag) => Glob::try_from(tag.to_string()).map_err(Error::Other),
    }
}
