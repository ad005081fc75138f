//! `registry webhook deliveries`.

use serde_json::json;
use tarkeep::registry::{DeliveryFilter, Registry};
use tarkeep::report::{self, DeliveryItem};

use super::arguments::DeliveriesArguments;
use crate::cli::error::Error;
use crate::cli::place::RemoteList;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

/// Rows read at once.
const PAGE: usize = 1000;

const COLUMNS: [Column; 9] = [
    Column::number("EVENT"),
    Column::fixed("TIME"),
    Column::name("WEBHOOK"),
    Column::fixed("KIND"),
    Column::text("ABOUT"),
    Column::fixed("STATE"),
    Column::number("ATTEMPTS"),
    Column::fixed("NEXT"),
    Column::text("ANSWER"),
];

pub(super) async fn run(arguments: DeliveriesArguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let limit = match arguments.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let mut list = Deliveries { format, list: None };
    match arguments.place.server()? {
        Some(remote) => {
            let mut deliveries = RemoteList::new(&remote, "deliveries", "deliveries");
            deliveries.limit = Some(limit);
            let name = arguments.name.map(|name| ("webhook", name));
            let failed = arguments.failed.then(|| ("failed", "true".to_owned()));
            deliveries.parameters = name.into_iter().chain(failed).collect();
            deliveries.each(|item| list.push(&item)).await?;
        }
        None => {
            let registry = arguments.place.store.open().await?;
            let filter = DeliveryFilter {
                endpoint: arguments.name,
                is_failed: arguments.failed,
            };
            local(&registry, &filter, limit, &mut list).await?;
        }
    }
    match list.list {
        Some(list) => list.finish(),
        None if format == Format::Text => output::say("there are no such deliveries"),
        None => List::begin(format, "deliveries", &COLUMNS)?.finish(),
    }
}

/// Lists the deliveries of a store, page by page.
async fn local(
    registry: &Registry,
    filter: &DeliveryFilter,
    limit: usize,
    list: &mut Deliveries,
) -> Result<(), Error> {
    let (mut last, mut shown): (Option<String>, _) = (None, 0);
    loop {
        let wanted = PAGE.min(limit - shown);
        let page = report::deliveries(registry, filter.clone(), last.as_deref(), wanted).await?;
        page.items.iter().try_for_each(|item| list.push(item))?;
        shown += page.items.len();
        last = page.next;
        if last.is_none() || shown == limit {
            return Ok(());
        }
    }
}

/// A list that begins with its first item.
struct Deliveries {
    format: Format,
    list: Option<List>,
}

impl Deliveries {
    fn push(&mut self, item: &DeliveryItem) -> Result<(), Error> {
        let list = match &mut self.list {
            Some(list) => list,
            None => {
                let list = List::begin(self.format, "deliveries", &COLUMNS)?;
                self.list.insert(list)
            }
        };
        list.push(|| cells(item), || json!(item))
    }
}

/// Subject of an event: an image, or nothing for events of the whole registry.
fn about(row: &DeliveryItem) -> String {
    let name = row.repository.as_deref().unwrap_or_default();
    match (&row.tag, &row.digest) {
        (Some(tag), _) => format!("{name}:{tag}"),
        (None, Some(digest)) => format!("{name}@{digest}"),
        (None, None) => name.to_owned(),
    }
}

fn answer(row: &DeliveryItem) -> String {
    let status = row.status.map(|status| format!("{status} "));
    let duration = row
        .milliseconds
        .map(|duration| format!("in {duration} ms "));
    let text = row.answer.as_deref().unwrap_or_default();
    let answer = status.unwrap_or_default() + &duration.unwrap_or_default() + text;
    answer.trim_end().to_owned()
}

fn cells(item: &DeliveryItem) -> Vec<Cell> {
    vec![
        Cell::Count(item.event.unsigned_abs()),
        Cell::from(item.at),
        (&*item.webhook).into(),
        (&*item.kind).into(),
        about(item).into(),
        (&*item.state).into(),
        Cell::Count(item.attempt_count),
        item.next.into(),
        answer(item).into(),
    ]
}
