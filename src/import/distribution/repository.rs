//! One repository: the digests of its blobs and manifests, and its tags with their history.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::import::damage::Damage;
use crate::import::distribution::link::{self, EntryKind, entries, links_by_digest, unexpected};
use crate::import::error::Error;
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{ImportedTag, Millis};

/// A repository of the store.
#[derive(Clone, Debug)]
pub(in crate::import) struct StoredRepository {
    pub name: RepositoryName,
    pub(super) directory: PathBuf,
}

/// Content that a repository links to.
#[derive(Clone, Debug)]
pub(in crate::import) struct LinkedContent {
    /// Digest that names it in the repository.
    pub digest: Digest,
    /// Digest that names its file, which is another one if it was pushed with SHA-512.
    pub stored_as: Digest,
    pub path: PathBuf,
    /// Time of its last push.
    pub time: Millis,
}

impl StoredRepository {
    /// Lists the blobs, but for the known ones.
    pub fn layers(
        &self,
        known: &HashSet<Digest>,
        report: &mut dyn FnMut(&Path, Damage),
    ) -> Result<Vec<LinkedContent>, Error> {
        linked(&self.directory.join("_layers"), known, report)
    }

    /// Lists the manifests, but for the known ones.
    pub fn revisions(
        &self,
        known: &HashSet<Digest>,
        report: &mut dyn FnMut(&Path, Damage),
    ) -> Result<Vec<LinkedContent>, Error> {
        let manifests = self.directory.join("_manifests");
        unexpected(&manifests, report, &|name| {
            ["revisions", "tags"].contains(&name)
        })?;
        linked(&manifests.join("revisions"), known, report)
    }

    /// Directory of the repository.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Path of a tag, to name it in a report.
    pub fn tag_path(&self, tag: &TagName) -> PathBuf {
        self.directory.join("_manifests/tags").join(tag.as_str())
    }

    /// Lists the tags.
    pub fn tags(&self, report: &mut dyn FnMut(&Path, Damage)) -> Result<Vec<ImportedTag>, Error> {
        let mut found = Vec::new();
        for entry in entries(&self.directory.join("_manifests/tags"), report)? {
            if entry.kind != EntryKind::Directory {
                report(&entry.path, Damage::Foreign);
                continue;
            }
            let name = match TagName::parse(&entry.name) {
                Ok(name) => name,
                Err(error) => {
                    report(&entry.path, Damage::Name(error.to_string()));
                    continue;
                }
            };
            let path = entry.path.join("current/link");
            let Some(current) = link::read(&path)? else {
                report(&entry.path, Damage::NoTarget);
                continue;
            };
            match current.target {
                Ok(target) => {
                    let former = former(&entry.path, &target, report)?;
                    let tag = ImportedTag::following(name, target, current.time, former);
                    found.push(tag);
                }
                Err(damage) => report(&path, damage),
            }
        }
        Ok(found)
    }
}

/// Lists the targets that a tag had before, oldest first.
fn former(
    tag: &Path,
    current: &Digest,
    report: &mut dyn FnMut(&Path, Damage),
) -> Result<Vec<(Digest, Millis)>, Error> {
    let mut found = Vec::new();
    for (digest, path, link) in links_by_digest(&tag.join("index"), &HashSet::new(), report)? {
        match link.target {
            Ok(_) if digest != *current => found.push((digest, link.time)),
            Ok(_) => {}
            Err(damage) => report(&path, damage),
        }
    }
    found.sort_by_key(|(_, time)| *time);
    Ok(found)
}

fn linked(
    path: &Path,
    known: &HashSet<Digest>,
    report: &mut dyn FnMut(&Path, Damage),
) -> Result<Vec<LinkedContent>, Error> {
    let mut found = Vec::new();
    for (digest, path, link) in links_by_digest(path, known, report)? {
        let stored_as = match link.target {
            Ok(target) => target,
            // a power failure leaves such links; the content itself is verified
            Err(Damage::EmptyLink) => {
                report(&path, Damage::MendedLink);
                digest.clone()
            }
            Err(damage) => {
                report(&path, damage);
                continue;
            }
        };
        found.push(LinkedContent {
            digest,
            stored_as,
            path,
            time: link.time,
        });
    }
    Ok(found)
}
