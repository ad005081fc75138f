//! The repositories that a list shows to a client.

use std::fmt;
use std::sync::Arc;

use crate::meta::{self, Reader};

/// Number of names that are read at a time.
const BATCH: usize = 1_000;

/// Decision whether a client may see a repository, by its name.
pub type IsVisible = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Repositories that a client may see.
#[derive(Clone, Default)]
pub enum Visibility {
    #[default]
    All,
    /// Those that begin with one of `prefixes`, sorted and none within another, if `is_visible` says so.
    ///
    /// Only names with these prefixes are read.
    Some {
        prefixes: Vec<String>,
        is_visible: IsVisible,
    },
}

impl fmt::Debug for Visibility {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("All"),
            Self::Some { prefixes, .. } => formatter.debug_tuple("Some").field(prefixes).finish(),
        }
    }
}

/// Names that a list asks for.
pub(in crate::registry) struct NameQuery {
    /// The names follow this one.
    pub after: String,
    /// They contain this text.
    pub term: String,
    /// Number of them to leave out.
    pub skip: usize,
    pub limit: usize,
}

impl Visibility {
    /// Reports whether a client may see a repository.
    pub fn shows(&self, repository: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some { is_visible, .. } => is_visible(repository),
        }
    }

    /// Reads names of repositories with content, in byte order.
    pub(in crate::registry) fn names(
        &self,
        meta: &Reader<'_>,
        query: &NameQuery,
    ) -> Result<Vec<String>, meta::Error> {
        let everything = [String::new()];
        let (prefixes, is_visible): (&[String], Option<&IsVisible>) = match self {
            Self::All => (&everything, None),
            Self::Some {
                prefixes,
                is_visible,
            } => (prefixes, Some(is_visible)),
        };
        let mut skipped = 0;
        let mut names = Vec::new();
        for prefix in prefixes {
            let mut after = query.after.clone();
            while names.len() < query.limit {
                let wanted = (query.limit - names.len())
                    .saturating_add(query.skip - skipped)
                    .min(BATCH);
                let batch = meta.repository_names(prefix, &after, &query.term, wanted)?;
                let Some(last) = batch.last().filter(|_| batch.len() == wanted) else {
                    take(batch, is_visible, query, &mut skipped, &mut names);
                    break;
                };
                after.clone_from(last);
                take(batch, is_visible, query, &mut skipped, &mut names);
            }
        }
        Ok(names)
    }
}

fn take(
    batch: Vec<String>,
    is_visible: Option<&IsVisible>,
    query: &NameQuery,
    skipped: &mut usize,
    names: &mut Vec<String>,
) {
    let visible = batch
        .into_iter()
        .filter(|name| is_visible.is_none_or(|is_visible| is_visible(name)));
    for name in visible {
        if *skipped < query.skip {
            *skipped += 1;
        } else if names.len() < query.limit {
            names.push(name);
        }
    }
}
