//! Settings of a mirror.

use std::time::Duration;

use crate::oci::{Glob, RepositoryName};
use crate::upstream;

/// Settings of a mirror.
#[derive(Clone, Debug)]
pub struct MirrorSettings {
    /// Name below which its repositories are; `None` if the whole registry is its cache.
    pub prefix: Option<RepositoryName>,
    /// Host of the upstream, as containerd names it by `?ns=`.
    pub namespace: Option<String>,
    pub upstream: upstream::Settings,
    /// Time for which a tag is not asked for again.
    pub fresh: Duration,
    /// Repositories by their names upstream; empty for all.
    pub allow: Vec<Glob>,
}
