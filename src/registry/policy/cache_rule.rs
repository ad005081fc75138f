//! Rules about what is cached of an upstream.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::meta::{self, CachedImage, Reader};
use crate::registry::policy::sync_rule::SyncRule;

/// Limits of what is cached of one upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheRule {
    /// Prefix of its repositories; empty where the whole registry is its cache.
    pub name: String,
    /// Time after their last use for which images are kept; `None` for any time.
    pub unused: Option<Duration>,
    /// Maximum size of the blobs that images need, in bytes.
    pub size: Option<u64>,
    /// Content that is fetched ahead of clients.
    pub sync: Vec<SyncRule>,
}

impl CacheRule {
    /// Reports whether any tag of a repository here is among those that are fetched ahead.
    pub(in crate::registry) fn is_ahead(&self, repository: &str, tags: &[String]) -> bool {
        self.source(repository).is_some_and(|source| {
            let holds = |tag: &String| self.sync.iter().any(|rule| rule.holds(source, tag));
            !self.sync.is_empty() && tags.iter().any(holds)
        })
    }

    /// Returns the name there of a repository here.
    fn source<'n>(&self, repository: &'n str) -> Option<&'n str> {
        match &*self.name {
            "" => Some(repository),
            name => repository.strip_prefix(name)?.strip_prefix('/'),
        }
    }

    /// Reports whether any tag of an image, or of a part of it, is among those that are fetched ahead.
    pub(in crate::registry) fn is_image_ahead(
        &self,
        meta: &Reader<'_>,
        image: &CachedImage,
    ) -> Result<bool, meta::Error> {
        // most repositories are named by no rule
        let is_named = self.source(&image.repository).is_some_and(|source| {
            let mut rules = self.sync.iter();
            rules.any(|rule| rule.repository.matches(source))
        });
        if !is_named {
            return Ok(false);
        }
        for (part, _) in meta.image_parts(image.id)? {
            if self.is_ahead(&image.repository, &meta.tags_on(part)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns its upstream, in words.
    pub(in crate::registry) fn place(&self) -> String {
        match &*self.name {
            "" => "the cache".to_owned(),
            name => format!("the cache of {name}"),
        }
    }
}
