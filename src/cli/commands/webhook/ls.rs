//! `registry webhook ls`.

use serde_json::{Value, json};
use tarkeep::registry::EndpointRow;

use super::arguments::ListArguments;
use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 5] = [
    Column::name("WEBHOOK"),
    Column::fixed("LAST SUCCESS"),
    Column::number("FAILURES SINCE"),
    Column::number("WAITING"),
    Column::number("GIVEN UP"),
];

pub(super) async fn run(arguments: ListArguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let registry = arguments.store.open().await?;
    let webhooks = registry.outbox().endpoints().await?;
    if format == Format::Text && webhooks.is_empty() {
        return output::say(
            "no server has had a webhook here: the section webhooks of the configuration sets some",
        );
    }
    let mut list = List::begin(format, "webhooks", &COLUMNS)?;
    for webhook in &webhooks {
        list.push(|| cells(webhook), || as_json(webhook))?;
    }
    list.finish()
}

fn cells(webhook: &EndpointRow) -> Vec<Cell> {
    vec![
        (&*webhook.name).into(),
        Cell::time(webhook.succeeded_at),
        Cell::Count(webhook.failures),
        Cell::Count(webhook.waiting),
        Cell::Count(webhook.dead),
    ]
}

fn as_json(webhook: &EndpointRow) -> Value {
    json!({
        "name": webhook.name,
        "succeeded": webhook.succeeded_at.map(json::time),
        "failureCount": webhook.failures,
        "waitingCount": webhook.waiting,
        "givenUpCount": webhook.dead,
    })
}
