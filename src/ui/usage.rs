//! The disk: what uses it, and what comes back when.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;

use crate::oci::RepositoryName;
use crate::registry::{Error, ListOrder, ListQuery, Registry, RemovalTotals, WaitCause};
use crate::report::{self, DiskItem, MOST_GROWTH_DAYS, StoreReport, TagUsageItem, UsageItem};
use crate::ui::disk::DiskBar;
use crate::ui::growth::GrowthCharts;
use crate::ui::page::Page;
use crate::ui::parts::{Bar, Count, ImageName, RepositoryLabel, Size};
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Number of the largest repositories, and of days on which something comes back.
const LARGEST: usize = 50;
const DAYS: usize = 14;
/// Number of the largest tags, and of those that are measured to find them.
const TAGS: usize = 10;
const MEASURED_TAGS: usize = 50;

#[derive(Template)]
#[template(path = "usage.html")]
struct UsagePage {
    shell: Shell,
    disk: Option<DiskItem>,
    bar: Option<DiskBar>,
    store: Option<StoreReport>,
    days: Vec<Return>,
    causes: Vec<Return>,
    largest: Vec<Row>,
    tags: Vec<TagRow>,
    growth: GrowthCharts,
    days_shown: u32,
    is_exclusive: bool,
}

/// Tag, with what deleting it would free.
struct TagRow {
    usage: TagUsageItem,
    largest: u64,
}

impl TagRow {
    fn weight(&self) -> u64 {
        self.usage.exclusive_size.unwrap_or_default()
    }

    fn bar(&self) -> Bar {
        Bar {
            part: self.weight(),
            whole: self.largest,
            class: "",
        }
    }

    fn label(&self) -> ImageName<'_> {
        ImageName {
            repository: &self.usage.repository,
            tag: &self.usage.tag,
        }
    }
}

impl UsagePage {
    /// Numbers of days that are offered.
    fn offers(&self) -> [(u32, &'static str); 3] {
        [(30, "30 d"), (90, "90 d"), (365, "1 y")]
    }

    fn is_shown(&self, days: impl Borrow<u32>) -> bool {
        self.days_shown == *days.borrow()
    }
}

/// Space that comes back.
struct Return {
    /// Day or cause.
    what: String,
    totals: RemovalTotals,
    largest: u64,
}

impl Return {
    fn bar(&self) -> Bar {
        Bar {
            part: self.totals.bytes,
            whole: self.largest,
            class: "waiting",
        }
    }
}

struct Row {
    usage: UsageItem,
    largest: u64,
}

impl Row {
    fn weight(&self) -> u64 {
        self.usage.exclusive_size.unwrap_or(self.usage.size)
    }

    fn bar(&self) -> Bar {
        Bar {
            part: self.weight(),
            whole: self.largest,
            class: "",
        }
    }

    fn label(&self) -> RepositoryLabel<'_> {
        RepositoryLabel(&self.usage.repository)
    }
}

/// Makes the page of the disk, with growth over some days.
///
/// # Errors
/// Those of the database and of the disk.
pub async fn usage(registry: &Registry, reader: &Reader, days: u32) -> Result<Page, Error> {
    let is_exclusive = reader.viewer.sees_everything();
    let (store, disk) = match is_exclusive {
        true => (
            Some(report::store(registry).await?),
            report::disk(registry).await,
        ),
        false => (None, None),
    };
    let twin = Twin {
        command: format!("registry du --server {}", reader.site.url),
        api: "usage".to_owned(),
    };
    let live = disk.map(|disk| disk.live);
    let days_shown = days.clamp(2, MOST_GROWTH_DAYS);
    Page::of(&UsagePage {
        growth: GrowthCharts::of(registry, reader, days_shown, live).await?,
        days_shown,
        tags: largest_tags(registry, reader).await?,
        shell: Shell::new(reader, Section::Usage, "Usage", twin),
        bar: disk.map(DiskBar::of),
        disk,
        days: store.as_ref().map(returning_days).unwrap_or_default(),
        causes: store.as_ref().map(causes).unwrap_or_default(),
        store,
        largest: largest(registry, reader).await?,
        is_exclusive,
    })
}

fn returning_days(store: &StoreReport) -> Vec<Return> {
    let now = store.forecast.due();
    let now = (now.bytes > 0).then(|| ("at the next sweep".to_owned(), now));
    let later = store.days().into_iter();
    returns(now.into_iter().chain(later).take(DAYS).collect())
}

fn causes(store: &StoreReport) -> Vec<Return> {
    let words = |cause| match cause {
        WaitCause::Undo => "the end of undo",
        WaitCause::Lease => "the end of a lease",
        WaitCause::Untagged => "the end of the time for untagged images",
        WaitCause::Rule => "a rule that removes tags",
        WaitCause::Cache => "a cached image that nobody uses",
    };
    let waiting = store.forecast.waiting().into_iter();
    returns(
        waiting
            .map(|one| (words(one.cause).to_owned(), one.totals))
            .collect(),
    )
}

fn returns(all: Vec<(String, RemovalTotals)>) -> Vec<Return> {
    let largest = all
        .iter()
        .map(|(_, totals)| totals.bytes)
        .max()
        .unwrap_or_default();
    let one = |(what, totals)| Return {
        what,
        totals,
        largest,
    };
    all.into_iter().map(one).collect()
}

/// Returns the largest tags by what deleting each would free, among those of the largest images; none for whoever is not told.
async fn largest_tags(registry: &Registry, reader: &Reader) -> Result<Vec<TagRow>, Error> {
    if !reader.viewer.sees_everything() {
        return Ok(Vec::new());
    }
    let names = registry.repositories().names(ListQuery::default()).await?;
    let query = ListQuery {
        order: ListOrder::Size,
        limit: Some(MEASURED_TAGS),
        ..ListQuery::default()
    };
    let keys = registry.tags().find(names, query).await?.items;
    let mut names: Vec<_> = keys.iter().map(|key| (*key.repository).clone()).collect();
    names.sort();
    names.dedup();
    let settings = registry.settings();
    let reports = registry.reports();
    let baseline = reports.baseline(&names, &settings.retention).await?;
    let measured = report::tag_usage(registry, keys, &Arc::new(baseline), &reader.viewer).await?;
    let mut rows: Vec<_> = measured
        .into_iter()
        .map(|usage| TagRow { usage, largest: 0 })
        .filter(|row| row.weight() > 0)
        .collect();
    rows.sort_by_key(|row| Reverse(row.weight()));
    rows.truncate(TAGS);
    let largest = rows.first().map_or(0, TagRow::weight);
    rows.iter_mut().for_each(|row| row.largest = largest);
    Ok(rows)
}

/// Returns the largest repositories, heaviest first.
async fn largest(registry: &Registry, reader: &Reader) -> Result<Vec<Row>, Error> {
    let query = ListQuery {
        order: ListOrder::Size,
        limit: Some(LARGEST),
        shown: reader.viewer.shown.clone(),
        ..ListQuery::default()
    };
    let items = report::repositories(registry, query).await?.items;
    let names = items
        .iter()
        .map(|item| RepositoryName::parse(&item.repository));
    let names = names.filter_map(Result::ok).collect();
    let found = report::overview(registry, names, &reader.viewer).await?;
    let rows = found.into_iter().map(|one| Row {
        usage: one.usage,
        largest: 0,
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| Reverse(row.weight()));
    let largest = rows.first().map_or(0, Row::weight);
    rows.iter_mut().for_each(|row| row.largest = largest);
    Ok(rows)
}
