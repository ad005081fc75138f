//! Manifests of mirrors.

use bytes::Bytes;

use super::error::Error;
use super::mirrors::{Mirrored, Mirrors};
use super::notes::Served;
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{
    self, AdoptionItem, ImportPiece, ImportedTag, ManifestReference, MirroredManifest, Registry,
    now,
};
use crate::upstream::ManifestHead;

/// Comparison of the content here with the upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currency {
    /// As far as is known.
    Current,
    /// The upstream could not be asked.
    Stale,
    /// The upstream has it no more.
    Gone,
    /// No upstream has more than what is here, if anything is.
    Alone,
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
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(Currency::Alone);
        };
        let here = registry.manifests().get(name, reference).await.ok();
        let item = match reference {
            ManifestReference::Digest(digest) => AdoptionItem::Digest(digest),
            ManifestReference::Tag(tag) => AdoptionItem::Tag(tag),
        };
        // what is here, or was deleted here, is nobody else's any more
        if mirrored.is_adopted() && (here.is_some() || !mirrored.may_come(item).await?) {
            return Ok(Currency::Current);
        }
        let image = match reference {
            ManifestReference::Digest(_) if here.is_some() => return Ok(Currency::Current),
            ManifestReference::Tag(tag) if here.is_some() && mirror.is_fresh(name, tag) => {
                return Ok(Currency::Current);
            }
            ManifestReference::Digest(digest) => format!("{name}@{digest}"),
            ManifestReference::Tag(tag) => format!("{name}:{tag}"),
        };
        let known = here.as_ref().map(|manifest| manifest.digest.clone());
        let tag = match reference {
            ManifestReference::Tag(tag) => Some(tag.clone()),
            ManifestReference::Digest(_) => None,
        };
        let reference = reference.clone();
        let served = match known {
            Some(_) => Served::Here,
            None => Served::Nothing,
        };
        let what = image.clone();
        let work = |_| async move {
            let brought = match reference {
                ManifestReference::Digest(digest) => mirrored.bring_by_digest(&digest, None).await,
                ManifestReference::Tag(tag) => mirrored.check(&tag, known).await,
            };
            mirrored.noted(&what, served, brought)
        };
        let brought = mirror.manifests.join(&mirror.limits, image, work).await;
        match brought {
            Ok(()) => Ok(Currency::Current),
            Err(error) if here.is_some() => {
                mirror.counters.stale.add(1);
                let Some(tag) = tag.filter(|_| error.is_lasting()) else {
                    return Ok(Currency::Stale);
                };
                if mirror.counters.mark_gone(name, &tag) {
                    registry.upstreams().mark_gone(name, &tag).await?;
                }
                match error.is_absence() {
                    true => Ok(Currency::Gone),
                    false => Ok(Currency::Stale),
                }
            }
            Err(error) if error.is_absence() => Ok(Currency::Alone),
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
                self.record(None, bytes, Some(tag)).await?;
            }
        }
        self.checked(tag).await
    }

    /// Brings a manifest, and points a tag at it.
    async fn bring_by_digest(&self, digest: &Digest, tag: Option<&TagName>) -> Result<(), Error> {
        let reference = ManifestReference::Digest(digest.clone());
        let here = self.registry.manifests().get(&self.name, &reference).await;
        if here.is_ok() {
            return self.point(tag, digest).await;
        }
        let bytes = self
            .upstream
            .manifest(&self.source, digest.as_str())
            .await?;
        self.record(Some(digest), bytes, tag).await
    }

    /// Points a tag at a manifest that is here.
    async fn point(&self, tag: Option<&TagName>, digest: &Digest) -> Result<(), Error> {
        let Some(tag) = tag else {
            return Ok(());
        };
        let (name, target) = (tag.clone(), digest.clone());
        let tag = match self.is_adopted() {
            true => ImportedTag::adopted(name, target, now()),
            false => ImportedTag::mirrored(name, target, now()),
        };
        let pieces = vec![ImportPiece::Tags(self.name.clone(), vec![tag])];
        self.record_pieces(pieces).await
    }

    /// Stores a manifest without what it names, which clients ask for themselves, and points a tag at it.
    async fn record(
        &self,
        digest: Option<&Digest>,
        bytes: Bytes,
        tag: Option<&TagName>,
    ) -> Result<(), Error> {
        let mirrored = MirroredManifest {
            digest: digest.cloned(),
            bytes,
            tag: tag.cloned(),
        };
        let import = self.registry.import();
        let recorded = import.mirror(
            &self.name,
            mirrored,
            self.origin.clone(),
            self.actor.clone(),
        );
        recorded.await.map_err(|error| match error {
            registry::Error::DigestMismatch { expected, actual } => {
                Error::Altered { expected, actual }
            }
            registry::Error::ManifestInvalid(cause) => Error::Invalid(cause.to_string()),
            error => error.into(),
        })
    }
}
