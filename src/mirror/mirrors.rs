//! All mirrors of a registry, and which of them a repository belongs to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::brought::BroughtBlob;
use super::counters::MirrorCounters;
use super::error::Error;
use super::flights::{FetchLimits, Flights};
use super::recent::Recent;
use super::settings::MirrorSettings;
use crate::log_limit::LogLimiter;
use crate::oci::{Digest, Glob, Referrer, RepositoryName, TagName};
use crate::registry::{self, Actor, ImportPiece, Registry, RepositorySource};
use crate::upstream::Upstream;

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

/// One upstream, mirrored below a prefix or by the whole registry.
pub(super) struct Mirror {
    settings: MirrorSettings,
    upstream: Upstream,
    checked: Checks,
    pub(super) counters: Arc<MirrorCounters>,
    pub(super) limits: FetchLimits,
    pub(super) manifests: Flights<()>,
    pub(super) blobs: Flights<BroughtBlob>,
    /// Questions about blobs; an answer is a size, if it is known.
    pub(super) sizes: Flights<Option<u64>>,
    pub(super) stale: LogLimiter<RepositoryName>,
    /// Tags that it has lately listed.
    pub(super) tags: Recent<RepositoryName, BTreeSet<String>>,
    pub(super) referrers: Recent<(RepositoryName, Digest), Vec<Referrer>>,
}

/// A repository of a mirror, with what is needed to fetch from its upstream.
pub(super) struct Mirrored {
    pub registry: Registry,
    pub upstream: Upstream,
    /// Name here.
    pub name: RepositoryName,
    /// Name upstream.
    pub source: RepositoryName,
    pub(super) origin: RepositorySource,
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
        let (mut mirrors, mut limits) = (Vec::new(), FetchLimits::of_each());
        for (number, settings) in settings.into_iter().enumerate() {
            let upstream = Upstream::new(&settings.upstream).map_err(|error| (number, error))?;
            mirrors.push(Mirror {
                settings,
                upstream,
                checked: Arc::default(),
                counters: Arc::default(),
                limits: limits(),
                manifests: Flights::default(),
                blobs: Flights::default(),
                sizes: Flights::default(),
                stale: LogLimiter::new("upstreams that fail", LOG_PERIOD, LOG_LINES),
                tags: Recent::default(),
                referrers: Recent::default(),
            });
        }
        Ok(Self(Arc::new(mirrors)))
    }

    /// Reports whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reports whether any upstream is found by a namespace.
    pub fn have_namespaces(&self) -> bool {
        self.0
            .iter()
            .any(|mirror| mirror.settings.namespace.is_some())
    }

    /// Returns the prefix of the upstream for a namespace (`?ns=`).
    pub fn prefix_of(&self, namespace: &str) -> Option<&RepositoryName> {
        let mut mirrors = self.0.iter();
        let mirror =
            mirrors.find(|mirror| mirror.settings.namespace.as_deref() == Some(namespace))?;
        mirror.settings.prefix.as_ref()
    }

    /// Returns the mirrors by their prefixes, each with its counters and its upstream.
    pub fn counters(&self) -> impl Iterator<Item = (&str, &MirrorCounters, &Upstream)> {
        self.0.iter().map(|mirror| {
            let prefix = mirror.settings.prefix.as_ref();
            let prefix = prefix.map(RepositoryName::as_str).unwrap_or_default();
            (prefix, &*mirror.counters, &mirror.upstream)
        })
    }

    /// Reports whether the whole registry is a cache of one upstream.
    pub fn are_everything(&self) -> bool {
        self.0.iter().any(|mirror| mirror.settings.prefix.is_none())
    }

    /// Reports whether a repository is an upstream's, and so takes no pushes.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn have(
        &self,
        registry: &Registry,
        name: &RepositoryName,
    ) -> Result<bool, registry::Error> {
        match self.find(name) {
            Some(_) => Ok(!is_own(registry, name).await?),
            None => Ok(false),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Mirror> {
        self.0.iter()
    }

    pub(super) fn find(&self, name: &RepositoryName) -> Option<(&Mirror, RepositoryName)> {
        self.0.iter().find_map(|mirror| {
            let source = match &mirror.settings.prefix {
                Some(prefix) => {
                    let rest = name.as_str().strip_prefix(prefix.as_str())?;
                    RepositoryName::parse(rest.strip_prefix('/')?).ok()?
                }
                None => name.clone(),
            };
            Some((mirror, source))
        })
    }

    /// Finds the mirror of a repository, unless it may not be fetched or is one's own.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn mirrored(
        &self,
        registry: &Registry,
        name: &RepositoryName,
    ) -> Result<Option<(&Mirror, Mirrored)>, Error> {
        let Some((mirror, source)) = self.find(name) else {
            return Ok(None);
        };
        let (allow, full) = (&mirror.settings.allow, mirror.upstream.name(&source));
        let is_allowed = |glob: &Glob| glob.matches(full.as_str());
        let is_open = allow.is_empty() || allow.iter().any(is_allowed);
        // nothing is stored while the registry takes no changes
        if !is_open || registry.check_writable().is_err() || is_own(registry, name).await? {
            return Ok(None);
        }
        let place = mirror.settings.prefix.as_ref();
        let place = place.map_or(&*mirror.settings.upstream.url, RepositoryName::as_str);
        let actor = Actor {
            name: Some(format!("mirror {place}")),
            ..Actor::default()
        };
        let mirrored = Mirrored {
            registry: registry.clone(),
            upstream: mirror.upstream.clone(),
            name: name.clone(),
            source,
            origin: RepositorySource::Upstream(mirror.settings.upstream.url.as_str().into()),
            actor,
            checked: Arc::clone(&mirror.checked),
            counters: Arc::clone(&mirror.counters),
        };
        Ok(Some((mirror, mirrored)))
    }
}

/// Reports whether a repository has content that comes from no upstream.
async fn is_own(registry: &Registry, name: &RepositoryName) -> Result<bool, registry::Error> {
    let source = registry.repositories().source(name).await?;
    Ok(source == Some(RepositorySource::Own))
}

impl Mirror {
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub fn prefix(&self) -> Option<&RepositoryName> {
        self.settings.prefix.as_ref()
    }

    pub fn url(&self) -> &str {
        &self.settings.upstream.url
    }

    /// Time for which the upstream is not asked the same again.
    pub fn fresh(&self) -> Duration {
        self.settings.fresh
    }

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
    /// Records content of the upstream.
    ///
    /// # Errors
    /// Those of the database, and [`registry::Error::NoCache`] if the repository became one's own.
    pub async fn record_pieces(&self, pieces: Vec<ImportPiece>) -> Result<(), Error> {
        let (origin, actor) = (self.origin.clone(), self.actor.clone());
        Ok(self.registry.import().record(pieces, origin, actor).await?)
    }

    /// Notes that the upstream was asked for a tag, and has it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn checked(&self, tag: &TagName) -> Result<(), Error> {
        if self.counters.mark_present(&self.name, tag) {
            let upstreams = self.registry.upstreams();
            upstreams.mark_present(&self.name, tag).await?;
        }
        let mut checked = self.checked.lock();
        if checked.len() >= TAGS {
            checked.clear();
        }
        checked.insert((self.name.clone(), tag.clone()), Instant::now());
        Ok(())
    }
}
