//! `registry webhook deliveries`.

use serde_json::json;
use tarkeep::registry::DeliveryFilter;
use tarkeep::report::{self, DeliveryItem};

use super::arguments::DeliveriesArguments;
use crate::cli::error::Error;
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
    let registry = arguments.store.open().await?;
    let filter = DeliveryFilter {
        endpoint: arguments.name,
        is_failed: arguments.failed,
    };
    let limit = match arguments.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let (mut last, mut shown): (Option<String>, _) = (None, 0);
    let mut list: Option<List> = None;
    loop {
        let wanted = PAGE.min(limit - shown);
        let page = report::deliveries(&registry, filter.clone(), last.as_deref(), wanted).await?;
        for item in &page.items {
            let list = match &mut list {
                Some(list) => list,
                None => list.insert(List::begin(format, "deliveries", &COLUMNS)?),
            };
            list.push(|| cells(item), || json!(item))?;
        }
        shown += page.items.len();
        last = page.next;
        if last.is_none() || shown == limit {
            break;
        }
    }
    match list {
        Some(list) => list.finish(),
        None if format == Format::Text => output::say("there are no such deliveries"),
        None => List::begin(format, "deliveries", &COLUMNS)?.finish(),
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
        item.state.into(),
        Cell::Count(item.attempt_count),
        item.next.into(),
        answer(item).into(),
    ]
}
