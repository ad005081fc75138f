//! Settings of a mirror.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::oci::{Glob, RepositoryName};
use crate::registry::SyncRule;
use crate::upstream;

/// Settings of a mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorSettings {
    /// Name below which its repositories are; `None` if the whole registry is its cache, or they keep their names.
    pub prefix: Option<RepositoryName>,
    /// Host of the upstream, as containerd names it by `?ns=`.
    pub namespace: Option<String>,
    pub upstream: upstream::Settings,
    /// Time for which a tag is not asked for again.
    pub fresh: Duration,
    /// Repositories by their names upstream; empty for all.
    pub allow: Vec<Glob>,
    /// True if it is moved here: what comes is one's own, and pushes are taken.
    pub adopts: bool,
    /// Maximum number of requests in a second that do not come from clients.
    pub rate: Option<NonZeroU32>,
    /// Content that is fetched ahead of clients.
    pub sync: Vec<SyncRule>,
}
