//! Manifests of mirrors.

use bytes::Bytes;

use super::error::Error;
use super::mirrors::{Mirrored, Mirrors};
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::{
    self, Hasher, ImportPiece, ImportedManifest, ImportedTag, ManifestReference, Registry, now,
};
use crate::upstream::ManifestHead;

/// Comparison of the content here with the upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currency {
    /// As far as is known.
    Current,
    /// The upstream could not be asked.
    Stale,
}

impl Mirrors {
    /// Brings a manifest of a mirror here, if it is not here or its tag may have moved. Other repositories are left alone.
    ///
    /// An upstream without it is no error: the registry tells the client.
    ///
    /// # Errors
    /// Failures of an upstream, if there is nothing here to serve instead.
    pub async fn bring_manifest(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Currency, Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name) else {
            return Ok(Currency::Current);
        };
        let here = registry.manifests().get(name, reference).await.ok();
        let image = match reference {
            ManifestReference::Digest(_) if here.is_some() => return Ok(Currency::Current),
            ManifestReference::Tag(tag) if here.is_some() && mirror.is_fresh(name, tag) => {
                return Ok(Currency::Current);
            }
            ManifestReference::Digest(digest) => format!("{name}@{digest}"),
            ManifestReference::Tag(tag) => format!("{name}:{tag}"),
        };
        let known = here.as_ref().map(|manifest| manifest.digest.clone());
        let reference = reference.clone();
        let work = |_| async move {
            match reference {
                ManifestReference::Digest(digest) => mirrored.bring_by_digest(&digest, None).await,
                ManifestReference::Tag(tag) => mirrored.check(&tag, known).await,
            }
        };
        let brought = mirror
            .manifests
            .join(&mirror.space, image.clone(), work)
            .await;
        match brought {
            Ok(()) => Ok(Currency::Current),
            Err(error) if here.is_some() => {
                if mirror.stale.may_log(name.clone()) {
                    tracing::warn!(image, %error, "served what is here: the upstream fails");
                }
                Ok(Currency::Stale)
            }
            Err(error) if error.is_absence() => Ok(Currency::Current),
            Err(error) => Err(error),
        }
    }
}

impl Mirrored {
    /// Asks what a tag points at, and brings that; `known` is what it points at here.
    async fn check(&self, tag: &TagName, known: Option<Digest>) -> Result<(), Error> {
        let asking = self
            .upstream
            .head_manifest(&self.source, tag.as_str(), known.as_ref());
        match asking.await? {
            ManifestHead::Unchanged => {}
            ManifestHead::Found {
                digest: Some(digest),
            } => self.bring_by_digest(&digest, Some(tag)).await?,
            ManifestHead::Found { digest: None } => {
                let bytes = self.upstream.manifest(&self.source, tag.as_str()).await?;
                let digest = Hasher::digest(Algorithm::Sha256, &bytes);
                self.record(&digest, Some(bytes), Some(tag)).await?;
            }
        }
        self.checked(tag);
        Ok(())
    }

    /// Brings a manifest, and points a tag at it.
    async fn bring_by_digest(&self, digest: &Digest, tag: Option<&TagName>) -> Result<(), Error> {
        let reference = ManifestReference::Digest(digest.clone());
        let here = self.registry.manifests().get(&self.name, &reference).await;
        if here.is_ok() {
            return self.record(digest, None, tag).await;
        }
        let bytes = self
            .upstream
            .manifest(&self.source, digest.as_str())
            .await?;
        self.record(digest, Some(bytes), tag).await
    }

    /// Stores a manifest without what it names, which clients ask for themselves, and points a tag at it.
    async fn record(
        &self,
        digest: &Digest,
        bytes: Option<Bytes>,
        tag: Option<&TagName>,
    ) -> Result<(), Error> {
        let mut pieces = Vec::new();
        if let Some(bytes) = bytes {
            let parsed = ImportedManifest::parse(digest.clone(), bytes, now());
            let manifest = parsed.map_err(|error| match error {
                registry::Error::DigestMismatch { .. } => Error::Altered(digest.clone()),
                error => error.into(),
            })?;
            pieces.push(ImportPiece::Manifests(self.name.clone(), vec![manifest]));
        }
        if let Some(tag) = tag {
            let mut tag = ImportedTag::following(tag.clone(), digest.clone(), now(), Vec::new());
            // it is the upstream's, whatever was done to it here
            tag.moves = true;
            pieces.push(ImportPiece::Tags(self.name.clone(), vec![tag]));
        }
        Ok(self
            .registry
            .import()
            .record(pieces, self.actor.clone())
            .await?)
    }
}
