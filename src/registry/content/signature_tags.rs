//! Tags that sign an image by their name, as cosign's `sha256-<hex>.sig`.

use crate::meta::{self, Reader};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::policy::tag_policy::is_signature;

/// A tag that signs an image by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureTag {
    pub tag: TagName,
    /// Manifest that it points at.
    pub digest: Digest,
    /// Of that manifest alone, in bytes.
    pub size: u64,
}

/// Lists the tags that name a manifest.
pub(in crate::registry) fn signature_tags(
    meta: &Reader<'_>,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<Vec<SignatureTag>, meta::Error> {
    let Some(id) = meta.repository(repository)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let prefix = subject.as_str().replace(':', "-");
    for name in meta.tags_with_prefix(id, &prefix)? {
        let Some(tag) = TagName::parse(&name).ok().filter(|_| is_signature(&name)) else {
            continue;
        };
        if let Some(manifest) = meta.held_by_tag(repository, &tag)? {
            found.push(SignatureTag {
                tag,
                digest: manifest.digest,
                size: manifest.size,
            });
        }
    }
    Ok(found)
}
