//! Signatures and other referrers that are removed along with their subjects.

use std::collections::HashSet;

use crate::meta::{self, Reader};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::content::signature_tags::signature_tags;
use crate::registry::report::removal::{PlannedRemoval, RemovalKind};

/// Maximum number of referrers read at once.
const BATCH: usize = 1000;

/// A signature or another referrer that is removed along with its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    pub repository: RepositoryName,
    /// Tag that names the subject, such as `sha256-<hex>.sig`; `None` for a referrer.
    pub tag: Option<TagName>,
    pub digest: Digest,
    /// Artifact type of a referrer, or else its media type.
    pub kind: Option<String>,
    pub subject: Digest,
}

/// Lists what goes along with removed manifests: removed referrers, and the signature tags that name the manifests.
pub(super) fn of_removed(
    meta: &Reader<'_>,
    removals: &[&PlannedRemoval],
) -> Result<Vec<Dependent>, meta::Error> {
    let manifests: Vec<(RepositoryName, &Digest)> = removals
        .iter()
        .filter(|removal| removal.kind == RemovalKind::Manifest)
        .filter_map(|removal| {
            let repository = RepositoryName::parse(removal.repository.as_deref()?).ok()?;
            Some((repository, &removal.digest))
        })
        .collect();
    let removed: HashSet<(&str, &Digest)> = manifests
        .iter()
        .map(|(repository, digest)| (repository.as_str(), *digest))
        .collect();
    let mut found = Vec::new();
    for (repository, subject) in &manifests {
        let referrers = referrers(meta, repository, subject)?;
        found.extend(
            referrers
                .into_iter()
                .filter(|referrer| removed.contains(&(repository.as_str(), &referrer.digest))),
        );
        let tags = signature_tags(meta, repository, subject)?;
        found.extend(tags.into_iter().map(|signature| Dependent {
            repository: repository.clone(),
            tag: Some(signature.tag),
            digest: signature.digest,
            kind: None,
            subject: Digest::clone(subject),
        }));
    }
    Ok(found)
}

fn referrers(
    meta: &Reader<'_>,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<Vec<Dependent>, meta::Error> {
    let mut found: Vec<Dependent> = Vec::new();
    loop {
        let after = found.last().map_or("", |last| last.digest.as_str());
        let page = meta.referrers(repository, subject, None, after, BATCH)?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page.into_iter().map(|row| Dependent {
            repository: repository.clone(),
            tag: None,
            digest: row.digest,
            kind: Some(row.artifact_type.unwrap_or(row.media_type)),
            subject: subject.clone(),
        }));
    }
}
