//! Choice of what is exported.

use crate::oci::{Digest, PlatformName, RepositoryName, TagName};

/// An image that was asked for.
#[derive(Clone, Debug)]
pub struct ChosenImage {
    pub repository: RepositoryName,
    /// `None` if it was named by digest.
    pub tag: Option<TagName>,
    pub digest: Digest,
}

/// Treatment of signatures and other referrers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companions {
    Include,
    Leave,
}

/// Readers of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadableBy {
    /// Every tool that knows image layouts.
    Layouts,
    /// These, and every version of `docker load`.
    Docker,
}

/// Options of an export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Platform of which images are taken out of their indexes.
    pub platform: Option<PlatformName>,
    pub companions: Companions,
    pub loadable_by: LoadableBy,
}

impl ChosenImage {
    /// Returns the name by which people know it: `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    pub fn name(&self) -> String {
        name(&self.repository, self.tag.as_ref(), &self.digest)
    }
}

/// Names an image by its tag, or else by its digest.
pub(super) fn name(repository: &RepositoryName, tag: Option<&TagName>, digest: &Digest) -> String {
    let repository = repository.as_str();
    match tag {
        Some(tag) => format!("{repository}:{tag}"),
        None => format!("{repository}@{digest}"),
    }
}
