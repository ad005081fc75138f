//! Everything that belongs to the chosen images, found before anything is written.

use std::collections::{BTreeMap, HashSet};

use crate::export::chosen::{self, ChosenImage, Companions, ExportOptions, LoadableBy};
use crate::export::docker::{DockerImage, is_image};
use crate::export::earlier::EarlierExport;
use crate::export::error::Error;
use crate::export::platform;
use crate::export::spool::Spool;
use crate::oci::{Digest, Platform, RepositoryName, TagName};
use crate::registry::{self, ExportedManifest, Registry};

/// Kind of an entry in the list of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Image,
    /// A tag that names its subject.
    Signature,
    Referrer,
}

/// A manifest in the list of a layout.
#[derive(Clone, Debug)]
pub struct PlannedEntry {
    pub kind: EntryKind,
    pub repository: RepositoryName,
    pub tag: Option<TagName>,
    pub digest: Digest,
    pub media_type: String,
    /// Of the manifest alone, in bytes.
    pub size: u64,
    pub artifact_type: Option<String>,
    /// Platform for which it was taken out of an index.
    pub platform: Option<Platform>,
}

/// A child of an index that is named and not stored, as in a sparse index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentChild {
    pub image: String,
    pub digest: Digest,
}

/// A blob that an image needs.
pub(super) struct PlannedBlob {
    /// In bytes.
    pub size: u64,
    /// Number of the first image that needs it.
    pub image: usize,
}

/// Content of an export.
pub struct Plan {
    /// By repository, tag and digest.
    pub(super) entries: BTreeMap<(RepositoryName, Option<TagName>, Digest), PlannedEntry>,
    pub(super) manifests: Spool,
    pub(super) blobs: BTreeMap<Digest, PlannedBlob>,
    /// Names of the chosen images, for messages.
    pub(super) images: Vec<String>,
    pub(super) docker: Option<BTreeMap<Digest, DockerImage>>,
    pub absent: Vec<AbsentChild>,
    /// Content that an earlier export holds, and this one leaves out.
    pub held: Amount,
}

/// An amount of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub manifests: u64,
    pub blobs: u64,
    /// Of both, in bytes.
    pub size: u64,
}

/// A manifest to be read.
struct Visit {
    repository: RepositoryName,
    digest: Digest,
    role: Role,
}

/// Reason why a manifest belongs to an export.
enum Role {
    Chosen(Option<TagName>, Option<Platform>),
    Child,
    Companion(Option<TagName>),
}

impl Plan {
    /// Finds everything that belongs to the images.
    ///
    /// # Errors
    /// An image is gone, damaged or incomplete, or is not there for the platform.
    pub async fn of(
        registry: &Registry,
        images: Vec<ChosenImage>,
        options: &ExportOptions,
    ) -> Result<Self, Error> {
        let mut planner = Planner {
            registry,
            options,
            visited: HashSet::new(),
            plan: Self {
                entries: BTreeMap::new(),
                manifests: Spool::new(),
                blobs: BTreeMap::new(),
                images: Vec::new(),
                docker: (options.loadable_by == LoadableBy::Docker).then(BTreeMap::new),
                absent: Vec::new(),
                held: Amount::default(),
            },
        };
        for image in images {
            planner.image(image).await?;
        }
        Ok(planner.plan)
    }

    /// Leaves out what an earlier export holds.
    pub fn leave_out(&mut self, earlier: &EarlierExport) {
        for digest in earlier.digests() {
            if let Some(size) = self.manifests.leave_out(digest) {
                self.held.manifests += 1;
                self.held.size += size;
            }
            if let Some(blob) = self.blobs.remove(digest) {
                self.held.blobs += 1;
                self.held.size += blob.size;
            }
        }
    }

    /// Lists the manifests that have a place in the list of the layout, in its order.
    pub fn entries(&self) -> impl Iterator<Item = &PlannedEntry> {
        self.entries.values()
    }

    /// Returns how much is written.
    pub fn amount(&self) -> Amount {
        let (manifests, blobs) = (self.manifests.sizes(), self.blobs.values());
        let (mut amount, mut size) = (Amount::default(), 0);
        for (_, bytes) in manifests {
            amount.manifests += 1;
            size += bytes;
        }
        for blob in blobs {
            amount.blobs += 1;
            size += blob.size;
        }
        Amount { size, ..amount }
    }
}

/// A plan in the making.
struct Planner<'p> {
    registry: &'p Registry,
    options: &'p ExportOptions,
    visited: HashSet<(RepositoryName, Digest)>,
    plan: Plan,
}

impl Planner<'_> {
    /// Plans an image with everything that belongs to it.
    async fn image(&mut self, image: ChosenImage) -> Result<(), Error> {
        let name = image.name();
        self.plan.images.push(name.clone());
        let mut visits = vec![self.chosen(image, &name).await?];
        while let Some(visit) = visits.pop() {
            self.visit(visit, &name, &mut visits).await?;
        }
        Ok(())
    }

    /// Replaces a chosen index by its image for the chosen platform, if there is one.
    async fn chosen(&self, image: ChosenImage, name: &str) -> Result<Visit, Error> {
        let visit = |digest, platform| Visit {
            repository: image.repository.clone(),
            digest,
            role: Role::Chosen(image.tag.clone(), platform),
        };
        let Some(wanted) = &self.options.platform else {
            return Ok(visit(image.digest, None));
        };
        let read = self.read(&image.repository, &image.digest, name).await?;
        let other = |present| Error::OtherPlatform {
            image: name.to_owned(),
            wanted: wanted.to_string(),
            present,
        };
        if !read.manifest.children.is_empty() {
            let children = &read.manifest.children;
            let child = platform::choose(wanted, children);
            let child = child.ok_or_else(|| other(platform::present(children)))?;
            let digest = Digest::parse(&child.digest).map_err(registry::Error::from)?;
            return Ok(visit(digest, child.platform.clone()));
        }
        let platform = self.platform_of(&read).await?;
        match platform {
            Some(platform) if !wanted.matches(&platform) => {
                Err(other(platform::name_of(&platform)))
            }
            // artifacts are for every platform
            platform => Ok(visit(image.digest, platform)),
        }
    }

    /// Reads the platform of an image from its config; `None` for an artifact.
    async fn platform_of(&self, read: &ExportedManifest) -> Result<Option<Platform>, Error> {
        let Some(config) = read
            .manifest
            .config
            .as_ref()
            .filter(|config| is_image(&config.media_type))
        else {
            return Ok(None);
        };
        let bytes = self.registry.manifests().config(&config.digest).await?;
        Ok(bytes.as_deref().and_then(Platform::of_config))
    }

    async fn read(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        name: &str,
    ) -> Result<ExportedManifest, Error> {
        let read = self.registry.export().manifest(repository, digest).await;
        read.map_err(Error::of_manifest(name, digest))
    }

    /// Plans a manifest, and adds those to be visited because of it.
    async fn visit(
        &mut self,
        visit: Visit,
        name: &str,
        visits: &mut Vec<Visit>,
    ) -> Result<(), Error> {
        let Visit {
            repository,
            digest,
            role,
        } = visit;
        let is_new = self.visited.insert((repository.clone(), digest.clone()));
        if !is_new && matches!(role, Role::Child) {
            return Ok(());
        }
        let read = self.read(&repository, &digest, name).await?;
        self.enter(&repository, role, &read, name)?;
        if !is_new {
            return Ok(());
        }
        self.plan
            .manifests
            .add(&digest, &read.bytes)
            .map_err(Error::Spool)?;
        // it may be a blob elsewhere
        self.plan.blobs.remove(&digest);
        for (blob, size) in read.blobs {
            if !self.plan.manifests.contains(&blob) {
                let image = self.plan.images.len() - 1;
                let planned = PlannedBlob { size, image };
                self.plan.blobs.entry(blob).or_insert(planned);
            }
        }
        let absent = read.absent.into_iter().map(|digest| AbsentChild {
            image: name.to_owned(),
            digest,
        });
        self.plan.absent.extend(absent);
        let follow = |digest, role| Visit {
            repository: repository.clone(),
            digest,
            role,
        };
        visits.extend(
            read.children
                .into_iter()
                .map(|child| follow(child, Role::Child)),
        );
        if self.options.companions == Companions::Include {
            let companions = self
                .registry
                .export()
                .companions(&repository, &digest)
                .await?;
            let companions = companions.into_iter();
            visits.extend(companions.map(|one| follow(one.digest, Role::Companion(one.tag))));
        }
        Ok(())
    }

    /// Adds a manifest to the list of the layout, if it has a place there.
    fn enter(
        &mut self,
        repository: &RepositoryName,
        role: Role,
        read: &ExportedManifest,
        name: &str,
    ) -> Result<(), Error> {
        let (kind, tag, platform) = match role {
            Role::Child => return Ok(()),
            Role::Companion(None) => (EntryKind::Referrer, None, None),
            Role::Companion(tag) => (EntryKind::Signature, tag, None),
            Role::Chosen(Some(tag), _) if registry::is_signature(tag.as_str()) => {
                (EntryKind::Signature, Some(tag), None)
            }
            Role::Chosen(tag, platform) => (EntryKind::Image, tag, platform),
        };
        if kind == EntryKind::Image
            && let Some(images) = &mut self.plan.docker
        {
            let image = images.entry(read.digest.clone());
            let image = image.or_insert(DockerImage::of(read, name)?);
            image.tags.extend(
                tag.as_ref()
                    .map(|tag| chosen::name(repository, Some(tag), &read.digest)),
            );
        }
        let entry = PlannedEntry {
            kind,
            repository: repository.clone(),
            tag: tag.clone(),
            digest: read.digest.clone(),
            media_type: read.media_type.clone(),
            size: read.bytes.len() as u64,
            artifact_type: read
                .manifest
                .artifact_type
                .clone()
                .filter(|_| kind != EntryKind::Image),
            platform,
        };
        let key = (repository.clone(), tag, read.digest.clone());
        // a referrer that was chosen as well counts as chosen
        if kind == EntryKind::Image || !self.plan.entries.contains_key(&key) {
            self.plan.entries.insert(key, entry);
        }
        Ok(())
    }
}
