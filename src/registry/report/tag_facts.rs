//! Facts that decide what becomes of a tag: who set it, what else points there, what is attached, which rule decides.

use std::collections::HashSet;

use crate::meta::{Actor, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::content::signature_tags::signature_tags;
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::tag_policy::TagDecision;

/// Facts about a tag.
#[derive(Clone, Debug)]
pub struct TagFacts {
    pub tag: String,
    pub set_by: Actor,
    /// Other tags of the same digest.
    pub siblings: Vec<String>,
    pub attached: Vec<Attached>,
    pub is_immutable: bool,
    /// Decision of the rules; `None` if no policy applies to the repository.
    pub decision: Option<TagDecision>,
}

/// Kind of an artifact that is attached to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attached {
    Signature,
    Sbom,
    Provenance,
    Other,
}

impl Attached {
    /// Tells a kind by the type that the artifact names, which vouches for nothing.
    pub fn of(artifact_type: &str) -> Self {
        let name = artifact_type.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["spdx", "cyclonedx", "sbom", "syft"]) {
            Self::Sbom
        } else if has(&["in-toto", "slsa", "provenance", "attest"]) {
            Self::Provenance
        } else if has(&["cosign", "notary", "signature", "sigstore"]) {
            Self::Signature
        } else {
            Self::Other
        }
    }
}

impl Reports<'_> {
    /// Returns those of some digests that a repository holds as manifests.
    pub async fn stored(
        self,
        repository: &RepositoryName,
        digests: Vec<String>,
    ) -> Result<HashSet<String>, Error> {
        let name = repository.clone();
        self.registry
            .scan(move |meta| {
                let mut found = HashSet::new();
                for text in digests {
                    if let Ok(digest) = Digest::parse(&text)
                        && meta.manifest_in(&name, &digest)?.is_some()
                    {
                        found.insert(text);
                    }
                }
                Ok(found)
            })
            .await
    }

    /// Returns facts about tags of a repository, without those that were removed meanwhile.
    pub async fn tag_facts(
        self,
        repository: &RepositoryName,
        tags: Vec<String>,
        retention: &Retention,
    ) -> Result<Vec<TagFacts>, Error> {
        let preview = self.preview_policy(repository, retention, now()).await?;
        let policy = retention.policy(repository.as_str()).cloned();
        let name = repository.clone();
        self.registry
            .scan(move |meta| {
                let mut found = Vec::with_capacity(tags.len());
                for tag in tags {
                    let Some((row, set_by)) = meta.tag_with_setter(&name, &tag)? else {
                        continue;
                    };
                    let mut siblings = meta.tags_of(&name, &row.digest)?;
                    siblings.retain(|other| *other != tag);
                    let kinds = meta.referrer_types(&name, &row.digest)?;
                    let mut attached: Vec<_> =
                        kinds.iter().map(|kind| Attached::of(kind)).collect();
                    if !signature_tags(meta, &name, &row.digest)?.is_empty() {
                        attached.push(Attached::Signature);
                    }
                    attached.sort_unstable();
                    attached.dedup();
                    let policy = policy.as_ref();
                    found.push(TagFacts {
                        set_by,
                        siblings,
                        attached,
                        is_immutable: policy.is_some_and(|policy| policy.is_immutable(&tag)),
                        decision: preview.decide(row),
                        tag,
                    });
                }
                Ok(found)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_types() {
        for (artifact_type, kind) in [
            (
                "application/vnd.dev.cosign.artifact.sig.v1+json",
                Attached::Signature,
            ),
            ("application/vnd.cncf.notary.signature", Attached::Signature),
            ("application/spdx+json", Attached::Sbom),
            ("application/vnd.cyclonedx+json", Attached::Sbom),
            ("application/vnd.in-toto+json", Attached::Provenance),
            ("application/vnd.example", Attached::Other),
        ] {
            assert_eq!(Attached::of(artifact_type), kind);
        }
    }
}
