//! Manifests with the content that they need, and everything that is about them.

use std::collections::BTreeMap;

use crate::blob::Hasher;
use crate::meta::{self, Reader, StoredManifest};
use crate::oci::{Digest, Manifest, RepositoryName, TagName};
use crate::registry::content::reference::ManifestReference;
use crate::registry::content::signature_tags::signature_tags;
use crate::registry::error::Error;
use crate::registry::facades::Export;

/// A manifest, with the content that it needs.
#[derive(Debug)]
pub struct ExportedManifest {
    pub digest: Digest,
    pub media_type: String,
    /// Exactly as pushed.
    pub bytes: bytes::Bytes,
    pub manifest: Manifest,
    /// Children of an index that are manifests.
    pub children: Vec<Digest>,
    /// Blobs with their sizes, in bytes; foreign layers only if they are stored.
    pub blobs: BTreeMap<Digest, u64>,
    /// Children of an index that are not stored.
    pub absent: Vec<Digest>,
}

/// A signature or another referrer of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// Tag that names the subject, such as `sha256-<hex>.sig`; `None` for a referrer.
    pub tag: Option<TagName>,
    pub digest: Digest,
}

/// References of a manifest, by where they are.
#[derive(Default)]
struct Located {
    children: Vec<Digest>,
    blobs: BTreeMap<Digest, u64>,
    absent: Vec<Digest>,
    missing: Vec<Digest>,
}

impl Export<'_> {
    /// Reads a manifest, and promises that it stays for at least half a lease.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::DigestMismatch`] if its bytes are damaged; [`Error::ReferencesUnknown`] if a blob
    /// that it needs is not stored.
    pub async fn manifest(
        self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<ExportedManifest, Error> {
        let reference = ManifestReference::Digest(digest.clone());
        let manifests = self.registry.manifests();
        let stored = manifests.promise(repository, &reference).await?;
        let StoredManifest {
            digest,
            media_type,
            bytes,
            ..
        } = (*stored).clone();
        let name = repository.clone();
        let read = self.registry.scan(move |reader| {
            let actual = Hasher::digest(digest.algorithm(), &bytes);
            if actual != digest {
                return Ok(Err(Error::DigestMismatch {
                    expected: digest,
                    actual,
                }));
            }
            let manifest = match Manifest::parse(Some(&media_type), &bytes) {
                Ok(manifest) => manifest,
                Err(error) => return Ok(Err(error.into())),
            };
            let located = locate(reader, &name, &manifest)?;
            if !located.missing.is_empty() {
                return Ok(Err(Error::ReferencesUnknown {
                    repository: name,
                    digests: located.missing,
                }));
            }
            Ok(Ok(ExportedManifest {
                digest,
                media_type,
                bytes,
                manifest,
                children: located.children,
                blobs: located.blobs,
                absent: located.absent,
            }))
        });
        read.await?
    }

    /// Lists everything that is about a manifest: its referrers, and the tags that name it.
    pub async fn companions(
        self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Companion>, Error> {
        let (name, subject) = (repository.clone(), subject.clone());
        self.registry
            .scan(move |reader| {
                let mut found: Vec<Companion> = Vec::new();
                let mut after = String::new();
                // one row at a time, because each brings its whole manifest
                while let Some(row) = reader.referrers(&name, &subject, None, &after, 1)?.pop() {
                    row.digest.as_str().clone_into(&mut after);
                    found.push(Companion {
                        tag: None,
                        digest: row.digest,
                    });
                }
                let tags = signature_tags(reader, &name, &subject)?;
                found.extend(tags.into_iter().map(|signature| Companion {
                    tag: Some(signature.tag),
                    digest: signature.digest,
                }));
                Ok(found)
            })
            .await
    }
}

/// Finds out where the references of a manifest are.
fn locate(
    reader: &Reader<'_>,
    name: &RepositoryName,
    manifest: &Manifest,
) -> Result<Located, meta::Error> {
    let mut located = Located::default();
    let Some(repository) = reader.repository(name)? else {
        let digests = manifest.references.iter().map(|one| one.digest.clone());
        located.missing.extend(digests);
        return Ok(located);
    };
    for reference in &manifest.references {
        let digest = reference.digest.clone();
        if reference.is_child && reader.manifest(repository, &digest)?.is_some() {
            located.children.push(digest);
        } else if let Some(blob) = reader.blob_in(repository, &digest)? {
            located.blobs.insert(digest, blob.size);
        } else if reference.is_child {
            located.absent.push(digest);
        } else if !reference.is_optional {
            located.missing.push(digest);
        }
    }
    Ok(located)
}
