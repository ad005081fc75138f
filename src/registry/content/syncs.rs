//! Rules about what is fetched ahead from upstreams, with their last runs.

use std::collections::BTreeSet;

use crate::meta::{Millis, Sync, SyncEnd, SyncRow, WriteTx, now};
use crate::oci::{RepositoryName, TagName};
use crate::registry::error::Error;
use crate::registry::facades::Upstreams;

/// First pause after a run that has failed, in milliseconds; each further one is twice as long.
const FIRST_PAUSE: Millis = 30_000;
/// Longest pause after a run that has failed, in milliseconds.
const LONGEST_PAUSE: Millis = 3_600_000;

/// Tags that an upstream lists otherwise than before.
#[derive(Clone, Debug, Default)]
pub struct Relisted {
    /// Those that are gone since.
    pub gone: Vec<TagName>,
    /// Those that were gone, and are there again.
    pub returned: Vec<TagName>,
}

impl SyncRow {
    /// Returns the time of the next run; `None` if it is due since ever.
    ///
    /// After a failure that is soon, and later each time; never later than the next run would be anyway.
    pub fn next_at(&self) -> Option<Millis> {
        let last = self.completed_at.max(self.failed_at)?;
        let pause = match self.failures {
            0 => self.sync.every,
            failures => {
                let doubled = FIRST_PAUSE << (failures - 1).min(16);
                doubled.min(LONGEST_PAUSE).min(self.sync.every)
            }
        };
        Some(last.saturating_add(pause))
    }
}

impl Upstreams<'_> {
    /// Sets what is fetched ahead. Of a rule that is new there was no run.
    pub async fn set_syncs(self, syncs: Vec<Sync>) -> Result<(), Error> {
        if syncs.is_empty() && self.syncs().await?.is_empty() {
            return Ok(());
        }
        let set = move |tx: &WriteTx<'_>| Ok(tx.set_syncs(&syncs)?);
        self.registry.meta.write(set).await
    }

    /// Returns what is fetched ahead, with the last runs.
    pub async fn syncs(self) -> Result<Vec<SyncRow>, Error> {
        self.registry.scan(|reader| reader.syncs()).await
    }

    /// Records that no run is under way, as after a start.
    pub async fn end_begun_syncs(self, syncs: &[Sync]) -> Result<(), Error> {
        let syncs = syncs.to_vec();
        let end = move |tx: &WriteTx<'_>| {
            for sync in &syncs {
                tx.end_begun_sync(&sync.upstream, &sync.rule)?;
            }
            Ok::<_, Error>(())
        };
        self.registry.meta.write(end).await
    }

    /// Records that a run has begun.
    pub async fn begin_sync(self, sync: &Sync) -> Result<(), Error> {
        let sync = sync.clone();
        let begin = move |tx: &WriteTx<'_>| Ok(tx.begin_sync(&sync.upstream, &sync.rule, now())?);
        self.registry.meta.write(begin).await
    }

    /// Records how a run has ended, durably: after a restart it is not made again before its time.
    pub async fn end_sync(self, sync: &Sync, end: SyncEnd) -> Result<(), Error> {
        let sync = sync.clone();
        let record =
            move |tx: &WriteTx<'_>| Ok(tx.end_sync(&sync.upstream, &sync.rule, &end, now())?);
        self.registry.meta.write(record).await
    }

    /// Marks the tags of a cached repository that its upstream does not list, of those that a rule names.
    pub async fn mark_unlisted(
        self,
        repository: &RepositoryName,
        listed: &BTreeSet<String>,
        is_named: impl Fn(&str) -> bool,
    ) -> Result<Relisted, Error> {
        let name = repository.clone();
        let here = self.registry.scan(move |reader| reader.cached_tags(&name));
        let (mut gone, mut present) = (BTreeSet::new(), BTreeSet::new());
        for (tag, is_gone) in here.await? {
            match (listed.contains(&tag), is_gone) {
                (true, true) => present.insert(tag),
                (false, false) if is_named(&tag) => gone.insert(tag),
                _ => false,
            };
        }
        if gone.is_empty() && present.is_empty() {
            return Ok(Relisted::default());
        }
        let names = |tags: &BTreeSet<String>| -> Vec<_> {
            let names = tags.iter().filter_map(|tag| TagName::parse(tag).ok());
            names.collect()
        };
        let relisted = Relisted {
            gone: names(&gone),
            returned: names(&present),
        };
        let name = repository.clone();
        let mark = move |tx: &WriteTx<'_>| {
            let since = Some(now());
            for tag in &gone {
                tx.set_gone(&name, tag, since)?;
            }
            for tag in &present {
                tx.set_gone(&name, tag, None)?;
            }
            Ok::<_, Error>(())
        };
        self.registry.meta.write(mark).await?;
        Ok(relisted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_again_soon_and_later_each_time() {
        let row = |every, completed_at, failed_at, failures| SyncRow {
            sync: Sync {
                upstream: String::new(),
                url: String::new(),
                rule: String::new(),
                every,
            },
            begun_at: None,
            completed_at,
            failed_at,
            failure: None,
            failures,
            repositories: 0,
            tags: 0,
            missing_tags: 0,
            problems: Vec::new(),
        };
        let day = 86_400_000;
        assert_eq!(row(day, None, None, 0).next_at(), None);
        assert_eq!(row(day, Some(5), None, 0).next_at(), Some(day + 5));
        assert_eq!(row(day, Some(5), Some(7), 1).next_at(), Some(30_007));
        assert_eq!(row(day, None, Some(7), 3).next_at(), Some(120_007));
        assert_eq!(row(day, None, Some(7), 99).next_at(), Some(3_600_007));
        assert_eq!(row(100, None, Some(7), 99).next_at(), Some(107));
        // one that went through after failures
        assert_eq!(row(day, Some(9), Some(7), 0).next_at(), Some(day + 9));
    }
}
