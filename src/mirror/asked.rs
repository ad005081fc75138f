//! Lists that are asked for: once for all who want the same, a few at a time, and remembered.
//!
//! A list is long, and its length is the upstream's choice. So the number of those that are read at once is bounded, for each upstream
//! and for all, and so are those that wait for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::Error;
use super::flights::{AllFetches, FetchLimits, Flights};
use super::recent::Recent;
use crate::oci::{Referrer, RepositoryName};
use crate::upstream::{self, name_size, referrer_size};

/// Maximum time for a whole list, and for its turn.
const PATIENCE: Duration = Duration::from_secs(30);
/// Maximum number of lists that are read at once from one upstream, and from all.
const TURNS: usize = 2;
const ALL_TURNS: usize = 4;

/// Lists of all upstreams. Copies share everything.
#[derive(Clone)]
pub(super) struct AllLists {
    tags: Recent<ListKey, BTreeSet<String>>,
    referrers: Recent<ListKey, Vec<Referrer>>,
    fetches: AllFetches,
    turns: Arc<Semaphore>,
}

/// Lists of one upstream.
pub(super) struct Lists {
    all: AllLists,
    limits: FetchLimits,
    turns: Arc<Semaphore>,
    tags: Flights<Arc<BTreeSet<String>>>,
    referrers: Flights<Arc<Vec<Referrer>>>,
}

/// A repository of an upstream, and what its list is about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ListKey(String);

impl ListKey {
    pub fn of(name: &RepositoryName, subject: &str) -> Self {
        Self(format!("{name}@{subject}"))
    }
}

impl Default for AllLists {
    fn default() -> Self {
        Self {
            tags: Recent::default(),
            referrers: Recent::default(),
            fetches: AllFetches::of_lists(),
            turns: Arc::new(Semaphore::new(ALL_TURNS)),
        }
    }
}

impl AllLists {
    /// Returns the lists of one more upstream.
    pub fn one(&self) -> Lists {
        Lists {
            all: self.clone(),
            limits: self.fetches.one(),
            turns: Arc::new(Semaphore::new(TURNS)),
            tags: Flights::default(),
            referrers: Flights::default(),
        }
    }

    /// Forgets what was listed.
    pub fn forget(&self) {
        self.tags.clear();
        self.referrers.clear();
    }
}

impl Lists {
    /// Returns tags that are not older than `fresh`, or asks once for all who wait.
    ///
    /// # Errors
    /// [`Error::Crowded`] if too many lists are wanted, and those of `asking`.
    pub async fn tags<F>(
        &self,
        key: ListKey,
        fresh: Duration,
        asking: F,
    ) -> Result<Arc<BTreeSet<String>>, Error>
    where
        F: Future<Output = Result<BTreeSet<String>, upstream::Error>> + Send + 'static,
    {
        let keep = Keep {
            recent: self.all.tags.clone(),
            size: |tags| tags.iter().map(|tag| name_size(tag)).sum(),
            fresh,
        };
        self.list(&self.tags, keep, key, asking).await
    }

    /// Returns referrers that are not older than `fresh`, or asks once for all who wait.
    ///
    /// # Errors
    /// As [`Self::tags`].
    pub async fn referrers<F>(
        &self,
        key: ListKey,
        fresh: Duration,
        asking: F,
    ) -> Result<Arc<Vec<Referrer>>, Error>
    where
        F: Future<Output = Result<Vec<Referrer>, upstream::Error>> + Send + 'static,
    {
        let keep = Keep {
            recent: self.all.referrers.clone(),
            size: |referrers| referrers.iter().map(referrer_size).sum(),
            fresh,
        };
        self.list(&self.referrers, keep, key, asking).await
    }

    async fn list<T, F>(
        &self,
        flights: &Flights<Arc<T>>,
        keep: Keep<T>,
        key: ListKey,
        asking: F,
    ) -> Result<Arc<T>, Error>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T, upstream::Error>> + Send + 'static,
    {
        if let Some(known) = keep.recent.get(&key) {
            return Ok(known);
        }
        let turns = [Arc::clone(&self.turns), Arc::clone(&self.all.turns)];
        let name = key.0.clone();
        let work = |_| async move {
            // another one may have ended meanwhile
            if let Some(known) = keep.recent.get(&key) {
                return Ok(known);
            }
            let _turns = in_turn(turns).await?;
            let asked = timeout(PATIENCE, asking).await;
            let asked = asked.unwrap_or(Err(upstream::Error::Timeout(PATIENCE)))?;
            let (size, asked) = ((keep.size)(&asked), Arc::new(asked));
            keep.recent.keep(key, &asked, size, keep.fresh);
            Ok(asked)
        };
        flights.join(&self.limits, name, work).await
    }
}

/// Place where a list is remembered, and for how long.
struct Keep<T> {
    recent: Recent<ListKey, T>,
    size: fn(&T) -> usize,
    fresh: Duration,
}

async fn in_turn(turns: [Arc<Semaphore>; 2]) -> Result<[OwnedSemaphorePermit; 2], Error> {
    let [own, all] = turns;
    let waiting = timeout(PATIENCE, async move {
        let own = own.acquire_owned().await.ok()?;
        Some([own, all.acquire_owned().await.ok()?])
    });
    waiting.await.ok().flatten().ok_or(Error::Crowded)
}
