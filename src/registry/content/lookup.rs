//! Look-ups of names and digests that people type in part.

use crate::meta::{self, RepositorySource};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::{Manifests, Repositories};

/// Maximum number of digests that a prefix is resolved to; more than one is too many anyway.
const CANDIDATES: usize = 4;

impl Repositories<'_> {
    /// Returns the origin of a repository's content; `None` if nothing is stored or remembered of it.
    pub async fn source(self, name: &RepositoryName) -> Result<Option<RepositorySource>, Error> {
        let source = meta::point(|reader| reader.repository_source(name));
        Ok(self.registry.meta.read(source).await?)
    }

    /// Reports whether anything is stored or remembered of a repository, or of one below it.
    pub async fn is_known_below(self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.registry
            .scan(move |meta| meta.is_known_below(&name))
            .await
    }
}

impl Manifests<'_> {
    /// Lists digests that begin with `prefix`, with its algorithm or without: of manifests in a repository, deleted ones
    /// included, or of manifests and blobs anywhere.
    ///
    /// If there is none, those whose deletion can no longer be undone.
    pub async fn find_digests(
        self,
        repository: Option<&RepositoryName>,
        prefix: &str,
    ) -> Result<Vec<Digest>, Error> {
        let prefixes: Vec<_> = if prefix.contains(':') {
            vec![prefix.to_owned()]
        } else {
            let of = |algorithm: Algorithm| format!("{}:{prefix}", algorithm.as_str());
            Algorithm::ALL.into_iter().map(of).collect()
        };
        let repository = repository.cloned();
        self.registry
            .scan(move |meta| {
                let mut found = Vec::new();
                for prefix in &prefixes {
                    found.extend(match &repository {
                        Some(name) => meta.digests_in(name, prefix, CANDIDATES)?,
                        None => meta.digests_anywhere(prefix, CANDIDATES)?,
                    });
                }
                if found.is_empty() {
                    for prefix in &prefixes {
                        found.extend(meta.ended_digests(
                            repository.as_ref(),
                            prefix,
                            CANDIDATES,
                        )?);
                    }
                }
                Ok(found)
            })
            .await
    }
}
