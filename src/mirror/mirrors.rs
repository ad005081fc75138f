//! All mirrors of a registry, and which of them a repository belongs to.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::asked::{AllLists, Lists};
use super::brought::BroughtBlob;
use super::counters::MirrorCounters;
use super::error::Error;
use super::flights::{AllFetches, FetchLimits, Flights};
use super::notes::{Notes, Served};
use super::settings::MirrorSettings;
use crate::oci::{Glob, RepositoryName, TagName};
use crate::registry::{
    self, Actor, AdoptionItem, ImportPiece, Registry, RepositorySource, SyncRule,
};
use crate::upstream::{BackgroundLimits, Upstream};

/// Maximum number of tags whose last check is remembered.
const TAGS: usize = 1 << 16;

/// All mirrors of a registry. Copies share everything, and see the same changes.
#[derive(Clone)]
pub struct Mirrors {
    all: Arc<ArcSwap<Vec<Arc<Mirror>>>>,
    fetches: AllFetches,
    lists: AllLists,
    changed: Arc<Notify>,
}

/// Mirrors of a new configuration, ready to take the place of the present ones.
pub struct NewMirrors(Vec<Arc<Mirror>>);

/// An upstream through whose repositories a walk goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedUpstream {
    /// Name below which its repositories are; `None` where they keep their names.
    pub prefix: Option<RepositoryName>,
    pub url: String,
    pub allow: Vec<Glob>,
    /// Maximum number of requests in a second that do not come from clients.
    pub rate: Option<NonZeroU32>,
}

/// An upstream from which content is fetched ahead of clients.
#[derive(Clone)]
pub struct Synced {
    pub walked: WalkedUpstream,
    pub rules: Vec<SyncRule>,
    pub upstream: Upstream,
    pub counters: Arc<MirrorCounters>,
}

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
    pub(super) notes: Arc<Notes>,
    pub(super) lists: Lists,
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
    notes: Arc<Notes>,
}

impl NewMirrors {
    /// Returns the registries that are to be adopted.
    pub fn adopted(&self) -> Vec<WalkedUpstream> {
        let adopting = self.0.iter().filter(|mirror| mirror.settings.adopts);
        adopting.map(|mirror| mirror.walked()).collect()
    }
}

impl Default for Mirrors {
    fn default() -> Self {
        Self {
            all: Arc::default(),
            fetches: AllFetches::of_content(),
            lists: AllLists::default(),
            changed: Arc::default(),
        }
    }
}

impl Mirrors {
    /// Creates the mirrors; no upstream needs to be up. Files are read, which may block.
    ///
    /// # Errors
    /// Those of [`Upstream::new`], with the mirror's number.
    pub fn new(settings: Vec<MirrorSettings>) -> Result<Self, (usize, String)> {
        let mirrors = Self::default();
        mirrors.replace(mirrors.prepare(settings)?);
        Ok(mirrors)
    }

    /// Creates the mirrors of new settings; those that are the same stay as they are. Files are read, which may block.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn prepare(&self, settings: Vec<MirrorSettings>) -> Result<NewMirrors, (usize, String)> {
        let (mut mirrors, present) = (Vec::new(), self.all.load());
        for (number, settings) in settings.into_iter().enumerate() {
            let same = present.iter().find(|mirror| mirror.settings == settings);
            if let Some(same) = same {
                mirrors.push(Arc::clone(same));
                continue;
            }
            let upstream = Upstream::new(&settings.upstream).map_err(|error| (number, error))?;
            mirrors.push(Arc::new(Mirror {
                notes: Arc::new(Notes::new(&settings.upstream.url)),
                settings,
                upstream,
                checked: Arc::default(),
                counters: Arc::default(),
                limits: self.fetches.one(),
                manifests: Flights::default(),
                blobs: Flights::default(),
                sizes: Flights::default(),
                lists: self.lists.one(),
            }));
        }
        // what has a prefix comes before what is everywhere
        mirrors.sort_by_key(|mirror| mirror.settings.prefix.is_none());
        Ok(NewMirrors(mirrors))
    }

    /// Puts others in the place of the present mirrors, unless they are the same. Fetches that are under way go on.
    pub fn replace(&self, new: NewMirrors) {
        if !self.are(&new) {
            self.all.store(Arc::new(new.0));
            self.lists.forget();
            self.changed.notify_waiters();
        }
    }

    /// Reports whether a new configuration changes nothing.
    pub fn are(&self, NewMirrors(new): &NewMirrors) -> bool {
        let present = self.all.load();
        let mut pairs = present.iter().zip(new.iter());
        present.len() == new.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// Reports whether any registry is being adopted.
    pub fn are_adopting(&self) -> bool {
        self.all.load().iter().any(|mirror| mirror.settings.adopts)
    }

    /// Completes with the next change of the mirrors.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Reports whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.load().is_empty()
    }

    /// Reports whether any upstream is found by a namespace.
    pub fn have_namespaces(&self) -> bool {
        let all = self.all.load();
        all.iter().any(|mirror| mirror.settings.namespace.is_some())
    }

    /// Returns the prefix of the upstream for a namespace (`?ns=`).
    pub fn prefix_of(&self, namespace: &str) -> Option<RepositoryName> {
        let all = self.all.load();
        let is_meant =
            |mirror: &&Arc<Mirror>| mirror.settings.namespace.as_deref() == Some(namespace);
        let mirror = all.iter().find(is_meant)?;
        mirror.settings.prefix.clone()
    }

    /// Reports whether the whole registry is a cache of one upstream.
    pub fn are_everything(&self) -> bool {
        let all = self.all.load();
        all.iter()
            .any(|mirror| mirror.settings.prefix.is_none() && !mirror.settings.adopts)
    }

    /// Returns the registries that are being adopted.
    pub fn adopted(&self) -> Vec<(WalkedUpstream, Upstream)> {
        let all = self.all.load();
        let adopting = all.iter().filter(|mirror| mirror.settings.adopts);
        adopting
            .map(|mirror| (mirror.walked(), mirror.in_background()))
            .collect()
    }

    /// Returns the upstreams from which content is fetched ahead of clients.
    pub fn synced(&self) -> Vec<Synced> {
        let all = self.all.load();
        let synced = all.iter().filter(|mirror| !mirror.settings.sync.is_empty());
        let synced = synced.map(|mirror| Synced {
            walked: mirror.walked(),
            rules: mirror.settings.sync.clone(),
            upstream: mirror.in_background(),
            counters: Arc::clone(&mirror.counters),
        });
        synced.collect()
    }

    /// Reports whether a repository is of a registry that is being adopted.
    pub fn adopt(&self, name: &RepositoryName) -> bool {
        let found = self.find(name);
        found.is_some_and(|(mirror, _)| mirror.settings.adopts)
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
            Some((mirror, _)) if !mirror.settings.adopts => Ok(!is_own(registry, name).await?),
            _ => Ok(false),
        }
    }

    /// Fails for a repository that the configuration of its upstream leaves out.
    ///
    /// # Errors
    /// [`Error::NotAllowed`].
    pub fn check_allowed(&self, name: &RepositoryName) -> Result<(), Error> {
        let found = self.find(name);
        let Some((mirror, source)) = found.filter(|(mirror, source)| !mirror.allows(source)) else {
            return Ok(());
        };
        let error = Error::NotAllowed {
            upstream: mirror.place().to_owned(),
            source_name: mirror.upstream.name(&source),
        };
        mirror.notes.warn(name, "", Served::Nothing, &error);
        Err(error)
    }

    /// Returns the name of a repository here by which its upstream knows it: `hub/library/redis` for `hub/redis`.
    pub fn whole_name(&self, name: RepositoryName) -> RepositoryName {
        let Some((mirror, source)) = self.find(&name) else {
            return name;
        };
        let whole = mirror.upstream.name(&source);
        match mirror.prefix() {
            Some(prefix) => RepositoryName::parse(&format!("{prefix}/{whole}")).unwrap_or(name),
            None => whole,
        }
    }

    pub(super) fn all(&self) -> Arc<Vec<Arc<Mirror>>> {
        self.all.load_full()
    }

    pub(super) fn find(&self, name: &RepositoryName) -> Option<(Arc<Mirror>, RepositoryName)> {
        self.all.load().iter().find_map(|mirror| {
            let source = match &mirror.settings.prefix {
                Some(prefix) => {
                    let rest = name.as_str().strip_prefix(prefix.as_str())?;
                    RepositoryName::parse(rest.strip_prefix('/')?).ok()?
                }
                None => name.clone(),
            };
            Some((Arc::clone(mirror), source))
        })
    }

    /// Finds the mirror of a repository, unless it may not be fetched, is one's own, or was adopted completely.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn mirrored(
        &self,
        registry: &Registry,
        name: &RepositoryName,
    ) -> Result<Option<(Arc<Mirror>, Mirrored)>, Error> {
        let Some((mirror, source)) = self.find(name) else {
            return Ok(None);
        };
        // nothing is stored while the registry takes no changes
        if !mirror.allows(&source) || registry.check_writable().is_err() {
            return Ok(None);
        }
        let origin = match mirror.settings.adopts {
            true if registry.upstreams().is_adopting(mirror.name()).await? => RepositorySource::Own,
            false if !is_own(registry, name).await? => {
                RepositorySource::Upstream(mirror.settings.upstream.url.as_str().into())
            }
            _ => return Ok(None),
        };
        let place = mirror.place();
        let role = match mirror.settings.adopts {
            true => "adoption of",
            false => "mirror",
        };
        let actor = Actor::for_upstream(role, place);
        let mirrored = Mirrored {
            registry: registry.clone(),
            upstream: mirror.upstream.clone(),
            name: name.clone(),
            source,
            origin,
            actor,
            checked: Arc::clone(&mirror.checked),
            counters: Arc::clone(&mirror.counters),
            notes: Arc::clone(&mirror.notes),
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

    /// Reports whether a repository there may be fetched.
    fn allows(&self, source: &RepositoryName) -> bool {
        let (allow, full) = (&self.settings.allow, self.upstream.name(source));
        allow.is_empty() || allow.iter().any(|glob| glob.matches(full.as_str()))
    }

    /// Its prefix, or its URL.
    fn place(&self) -> &str {
        self.prefix().map_or(self.url(), RepositoryName::as_str)
    }

    fn walked(&self) -> WalkedUpstream {
        let settings = &self.settings;
        WalkedUpstream {
            prefix: settings.prefix.clone(),
            url: settings.upstream.url.clone(),
            allow: settings.allow.clone(),
            rate: settings.rate,
        }
    }

    /// Its prefix, or nothing.
    pub fn name(&self) -> &str {
        self.prefix().map_or("", RepositoryName::as_str)
    }

    /// Returns the upstream for work that no client waits for.
    pub fn in_background(&self) -> Upstream {
        let limits = BackgroundLimits::at(self.settings.rate);
        self.upstream.in_background(&limits)
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
    /// Reports whether what comes is one's own.
    pub fn is_adopted(&self) -> bool {
        self.origin == RepositorySource::Own
    }

    /// Reports whether something that is not here may come: it was not deleted here while its registry is adopted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn may_come(&self, item: AdoptionItem<'_>) -> Result<bool, Error> {
        let upstreams = self.registry.upstreams();
        Ok(!self.is_adopted() || upstreams.may_adopt(&self.name, item).await?)
    }

    /// Logs how the upstream was asked for `what`, and returns that.
    ///
    /// # Errors
    /// The outcome's.
    pub fn noted<T>(
        &self,
        what: &str,
        served: Served,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        self.notes.learn(&self.name, what, served, &outcome);
        outcome
    }

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
