//! Tags of several repositories of a source that would become one tag here.

use std::collections::BTreeMap;

use crate::oci::{Digest, RepositoryName, TagName};

/// A tag that several repositories of the source have, each with another image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// Repository here.
    pub repository: RepositoryName,
    pub tag: TagName,
    /// Repositories of the source.
    pub sources: Vec<RepositoryName>,
}

/// Tags by the place that they get here, with the repositories that have them.
#[derive(Default)]
pub(super) struct Tags(BTreeMap<(RepositoryName, TagName), BTreeMap<RepositoryName, Digest>>);

impl Tags {
    /// Adds a tag of a repository of the source, which gets the name `here`.
    pub fn add(
        &mut self,
        here: &RepositoryName,
        tag: TagName,
        source: &RepositoryName,
        target: Digest,
    ) {
        let sources = self.0.entry((here.clone(), tag)).or_default();
        sources.insert(source.clone(), target);
    }

    /// Returns the tags that several repositories point at different images.
    pub fn collisions(&self) -> Vec<Collision> {
        let differ = |sources: &BTreeMap<_, Digest>| {
            let mut targets = sources.values();
            let first = targets.next();
            targets.any(|target| Some(target) != first)
        };
        let found = self.0.iter().filter(|(_, sources)| differ(sources));
        found
            .map(|((repository, tag), sources)| Collision {
                repository: repository.clone(),
                tag: tag.clone(),
                sources: sources.keys().cloned().collect(),
            })
            .collect()
    }
}
