//! `registry webhook deliveries`.

use serde_json::{Value, json};
use tarkeep::registry::{DeliveryFilter, DeliveryRow, DeliveryState};

use super::arguments::DeliveriesArguments;
use crate::cli::error::Error;
use crate::cli::terminal::json;
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
    let outbox = arguments.store.open().await?;
    let outbox = outbox.outbox();
    let filter = DeliveryFilter {
        endpoint: arguments.name,
        is_failed: arguments.failed,
    };
    let limit = match arguments.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let (mut after, mut shown) = (None, 0);
    let mut list: Option<List> = None;
    loop {
        let wanted = PAGE.min(limit - shown);
        let page = outbox
            .deliveries(filter.clone(), after.clone(), wanted)
            .await?;
        for row in &page {
            let list = match &mut list {
                Some(list) => list,
                None => list.insert(List::begin(format, "deliveries", &COLUMNS)?),
            };
            list.push(|| cells(row), || as_json(row))?;
            after = Some((row.event, row.endpoint.clone()));
        }
        shown += page.len();
        if page.len() < wanted || shown == limit {
            break;
        }
    }
    match list {
        Some(list) => list.finish(),
        None if format == Format::Text => output::say("there are no such deliveries"),
        None => List::begin(format, "deliveries", &COLUMNS)?.finish(),
    }
}

fn state(row: &DeliveryRow) -> &'static str {
    match row.state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Dead => "given-up",
    }
}

/// Subject of an event: an image, or nothing for events of the whole registry.
fn about(row: &DeliveryRow) -> String {
    let name = row.repository.as_deref().unwrap_or_default();
    match (&row.tag, &row.digest) {
        (Some(tag), _) => format!("{name}:{tag}"),
        (None, Some(digest)) => format!("{name}@{digest}"),
        (None, None) => name.to_owned(),
    }
}

fn answer(row: &DeliveryRow) -> String {
    let status = row.status.map(|status| format!("{status} "));
    let duration = row.duration.map(|duration| format!("in {duration} ms "));
    let text = row.answer.as_deref().unwrap_or_default();
    let answer = status.unwrap_or_default() + &duration.unwrap_or_default() + text;
    answer.trim_end().to_owned()
}

fn cells(row: &DeliveryRow) -> Vec<Cell> {
    let next = Some(row.due_at).filter(|_| row.state == DeliveryState::Waiting);
    vec![
        Cell::Count(row.event.unsigned_abs()),
        Cell::Time(row.at),
        (&*row.endpoint).into(),
        (&*row.kind).into(),
        about(row).into(),
        state(row).into(),
        Cell::Count(row.attempts),
        Cell::time(next),
        answer(row).into(),
    ]
}

fn as_json(row: &DeliveryRow) -> Value {
    let next = Some(row.due_at).filter(|_| row.state == DeliveryState::Waiting);
    json!({
        "event": row.event,
        "id": row.uuid,
        "at": json::time(row.at),
        "webhook": row.endpoint,
        "kind": row.kind,
        "repository": row.repository,
        "tag": row.tag,
        "digest": row.digest,
        "state": state(row),
        "attemptCount": row.attempts,
        "tried": row.tried_at.map(json::time),
        "next": next.map(json::time),
        "status": row.status,
        "milliseconds": row.duration,
        "answer": row.answer,
    })
}
