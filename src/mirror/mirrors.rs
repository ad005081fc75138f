//! All mirrors of a registry, and which of them a repository belongs to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::brought::BroughtBlob;
use super::counters::MirrorCounters;
use super::flights::{Airspace, Flights};
use super::settings::MirrorSettings;
use crate::log_limit::LogLimiter;
use crate::oci::{Glob, RepositoryName, TagName};
use crate::registry::{Actor, Registry};
use crate::upstream::{Quota, Upstream};

/// Maximum number of tags whose last check is remembered.
const TAGS: usize = 1 << 16;
/// Period in which each repository that is served although its upstream fails is logged once.
const LOG_PERIOD: Duration = Duration::from_secs(60);
/// Maximum number of such lines in a period.
const LOG_LINES: usize = 100;

/// All mirrors of a registry. Copies share everything.
#[derive(Clone, Default)]
pub struct Mirrors(Arc<Vec<Mirror>>);

/// Times at which an upstream was last asked for tags.
type Checks = Arc<Mutex<HashMap<(RepositoryName, TagName), Instant>>>;

/// One upstream, mirrored below a prefix.
pub(super) struct Mirror {
    settings: MirrorSettings,
    upstream: Upstream,
    checked: Checks,
    pub(super) counters: Arc<MirrorCounters>,
    pub(super) space: Airspace,
    pub(super) manifests: Flights<()>,
    pub(super) blobs: Flights<BroughtBlob>,
    /// Questions about blobs; an answer is a size, if it is known.
    pub(super) sizes: Flights<Option<u64>>,
    pub(super) stale: LogLimiter<RepositoryName>,
}

/// A repository of a mirror, with what is needed to fetch from its upstream.
pub(super) struct Mirrored {
    pub registry: Registry,
    pub upstream: Upstream,
    /// Name here.
    pub name: RepositoryName,
    /// Name upstream.
    pub source: RepositoryName,
    pub actor: Actor,
    checked: Checks,
    counters: Arc<MirrorCounters>,
}

impl Mirrors {
    /// Creates the mirrors; no upstream needs to be up. Files are read, which may block.
    ///
    /// # Errors
    /// Those of [`Upstream::new`], with the mirror's number.
    pub fn new(settings: Vec<MirrorSettings>) -> Result<Self, (usize, String)> {
        let (mut mirrors, mut space) = (Vec::new(), Airspace::of_each());
        for (number, settings) in settings.into_iter().enumerate() {
            let upstream = Upstream::new(&settings.upstream).map_err(|error| (number, error))?;
            mirrors.push(Mirror {
                settings,
                upstream,
                checked: Arc::default(),
                counters: Arc::default(),
                space: space(),
                manifests: Flights::default(),
                blobs: Flights::default(),
                sizes: Flights::default(),
                stale: LogLimiter::new("upstreams that fail", LOG_PERIOD, LOG_LINES),
            });
        }
        Ok(Self(Arc::new(mirrors)))
    }

    /// Returns the name here of a repository that a client looks up in a namespace (`?ns=`).
    pub fn name_in(&self, namespace: &str, name: &RepositoryName) -> Option<RepositoryName> {
        let mut mirrors = self.0.iter();
        let mirror =
            mirrors.find(|mirror| mirror.settings.namespace.as_deref() == Some(namespace))?;
        RepositoryName::parse(&format!("{}/{name}", mirror.settings.prefix)).ok()
    }

    /// Returns the mirrors by their prefixes, each with its counters and the quota that its upstream named last.
    pub fn counters(&self) -> impl Iterator<Item = (&str, &MirrorCounters, Option<Quota>)> {
        self.0.iter().map(|mirror| {
            let prefix = mirror.settings.prefix.as_str();
            (prefix, &*mirror.counters, mirror.upstream.quota())
        })
    }

    /// Reports whether a repository shows the content of an upstream.
    pub fn has(&self, name: &RepositoryName) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &RepositoryName) -> Option<(&Mirror, RepositoryName)> {
        self.0.iter().find_map(|mirror| {
            let rest = name
                .as_str()
                .strip_prefix(mirror.settings.prefix.as_str())?;
            let source = RepositoryName::parse(rest.strip_prefix('/')?).ok()?;
            Some((mirror, source))
        })
    }

    /// Finds the mirror of a repository, unless it may not be fetched.
    pub(super) fn mirrored(
        &self,
        registry: &Registry,
        name: &RepositoryName,
    ) -> Option<(&Mirror, Mirrored)> {
        let (mirror, source) = self.find(name)?;
        let allow = &mirror.settings.allow;
        let is_allowed = |glob: &Glob| glob.matches(source.as_str());
        let is_open = allow.is_empty() || allow.iter().any(is_allowed);
        // nothing is stored while the registry takes no changes
        if !is_open || registry.check_writable().is_err() {
            return None;
        }
        let actor = Actor {
            name: Some(format!("mirror {}", mirror.settings.prefix)),
            ..Actor::default()
        };
        let mirrored = Mirrored {
            registry: registry.clone(),
            upstream: mirror.upstream.clone(),
            name: name.clone(),
            source,
            actor,
            checked: Arc::clone(&mirror.checked),
            counters: Arc::clone(&mirror.counters),
        };
        Some((mirror, mirrored))
    }
}

impl Mirror {
    /// Reports whether the upstream was asked for a tag a short time ago.
    pub fn is_fresh(&self, name: &RepositoryName, tag: &TagName) -> bool {
        let key = (name.clone(), tag.clone());
        let checked = self.checked.lock();
        checked
            .get(&key)
            .is_some_and(|at| at.elapsed() < self.settings.fresh)
    }
}

impl Mirrored {
    /// Notes that the upstream was asked for a tag.
    pub fn checked(&self, tag: &TagName) {
        self.counters.mark_present(&self.name, tag);
        let mut checked = self.checked.lock();
        if checked.len() >= TAGS {
            checked.clear();
        }
        checked.insert((self.name.clone(), tag.clone()), Instant::now());
    }
}
