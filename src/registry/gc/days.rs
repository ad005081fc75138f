//! Sizes and pushes by day, for charts: recorded by the first collection of the day.

use crate::meta::{DayNumber, Reader, WriteTx, day_of, now};
use crate::registry::error::Error;
use crate::registry::gc::run::SweepRun;

/// Number of days that are kept: of each repository, and of the whole store.
const REPOSITORY_DAYS: DayNumber = 100;
const STORE_DAYS: DayNumber = 400;
/// Number of rows that are written or deleted at once.
const BATCH: usize = 500;

/// Sizes that changed since the day before, and that of the whole store.
struct Sizes {
    changed: Vec<(String, u64)>,
    store: u64,
}

impl SweepRun<'_> {
    /// Records sizes and pushes, and forgets days that are too old; once a day.
    pub(super) async fn days(&mut self) -> Result<(), Error> {
        let today = day_of(now());
        let registry = self.registry.clone();
        if registry.scan(move |meta| meta.has_day(today)).await? {
            return Ok(());
        }
        let Sizes { changed, store } = registry.scan(move |meta| sizes(meta, today)).await?;
        for some in changed.chunks(BATCH) {
            let some = some.to_vec();
            let record = move |tx: &WriteTx<'_>| {
                for (repository, size) in &some {
                    tx.set_day_size(today, repository, *size)?;
                }
                Ok::<_, Error>(())
            };
            self.write(record).await?;
        }
        let (pushes, last) = registry
            .scan(|meta| {
                let last = meta.last_audit()?;
                Ok((meta.pushes_since(meta.last_counted_push()?, last)?, last))
            })
            .await?;
        // what says that the day is done is written last
        let finish = move |tx: &WriteTx<'_>| {
            tx.add_pushes(&pushes, today, last)?;
            Ok::<_, Error>(tx.set_day_size(today, "", store)?)
        };
        self.write(finish).await?;
        let (repositories, store) = (today - REPOSITORY_DAYS, today - STORE_DAYS);
        let forget =
            move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.forget_days(repositories, store, BATCH)?);
        while self.write(forget).await? > 0 {}
        Ok(())
    }
}

fn sizes(meta: &Reader<'_>, today: DayNumber) -> Result<Sizes, crate::meta::Error> {
    let (totals, idle) = (meta.totals()?, meta.idle_bytes(i64::MAX)?);
    let before = meta.sizes_before(today)?;
    let sizes = meta.sizes()?;
    let known = |list: &[(String, u64)], name: &str| {
        let place = list.binary_search_by(|(other, _)| other.as_str().cmp(name));
        place.ok().map(|place| list[place].1)
    };
    let gone = before
        .iter()
        .filter(|(name, size)| !name.is_empty() && *size > 0 && known(&sizes, name).is_none());
    let gone: Vec<_> = gone.map(|(name, _)| (name.clone(), 0)).collect();
    let is_other = |(name, size): &(String, u64)| known(&before, name).unwrap_or_default() != *size;
    let mut changed: Vec<_> = sizes.iter().filter(|one| is_other(one)).cloned().collect();
    changed.extend(gone);
    Ok(Sizes {
        changed,
        store: totals.blob_bytes.saturating_sub(idle.due),
    })
}
