//! What a registry serves, to be compared with what another one serves of the same store.

use std::collections::BTreeMap;

use crate::harness::api::{Api, Content, Manifest, list, text};
use crate::harness::fixture::assert_same;

/// Everything that tags lead to.
pub struct Served {
    /// Manifests by repository and tag.
    pub tags: BTreeMap<(String, String), Manifest>,
    /// Manifests and blobs by repository.
    content: BTreeMap<String, Content>,
}

impl Served {
    /// Reads all of it by the API.
    pub fn by(api: &Api) -> Self {
        let repositories = list(&api.json("_catalog?n=1000")["repositories"]);
        Self::of(api, &repositories.iter().map(text).collect::<Vec<_>>())
    }

    /// Reads some repositories.
    pub fn of(api: &Api, repositories: &[impl AsRef<str>]) -> Self {
        let mut served = Self {
            tags: BTreeMap::new(),
            content: BTreeMap::new(),
        };
        for repository in repositories.iter().map(AsRef::as_ref) {
            for tag in api.tags(repository) {
                let content = api.content(repository, &tag);
                let place = (repository.to_owned(), tag.clone());
                served.tags.insert(place, api.manifest(repository, &tag));
                let all = served.content.entry(repository.to_owned()).or_default();
                all.extend(content);
            }
        }
        served
    }

    /// Repositories that have tags.
    pub fn repositories(&self) -> Vec<&str> {
        self.content.keys().map(String::as_str).collect()
    }

    /// Compares tags, media types, digests and all bytes.
    #[track_caller]
    pub fn assert_same_as(&self, other: &Self) {
        let names = |served: &Self| {
            let digests = served.tags.iter().map(|(place, manifest)| {
                let Manifest {
                    media_type, digest, ..
                } = manifest;
                format!("{}:{} {media_type} {digest}", place.0, place.1)
            });
            digests.collect::<Vec<_>>()
        };
        assert_eq!(names(self), names(other));
        assert_eq!(self.repositories(), other.repositories());
        for (repository, content) in &self.content {
            assert_same(content, &other.content[repository]);
        }
    }
}
