//! `registry webhook ls`.

use serde_json::json;
use tarkeep::report::{self, WebhookItem};

use super::arguments::ListArguments;
use crate::cli::error::Error;
use crate::cli::place::RemoteList;
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
    let webhooks = match arguments.place.server()? {
        Some(remote) => {
            RemoteList::new(&remote, "webhooks", "webhooks")
                .all()
                .await?
        }
        None => report::webhooks(&arguments.place.store.open().await?).await?,
    };
    if format == Format::Text && webhooks.is_empty() {
        return output::say(
            "no server has had a webhook here: the section webhooks of the configuration sets some",
        );
    }
    let mut list = List::begin(format, "webhooks", &COLUMNS)?;
    for webhook in &webhooks {
        list.push(|| cells(webhook), || json!(webhook))?;
    }
    list.finish()
}

fn cells(webhook: &WebhookItem) -> Vec<Cell> {
    vec![
        (&*webhook.name).into(),
        webhook.succeeded.into(),
        Cell::Count(webhook.failure_count),
        Cell::Count(webhook.waiting_count),
        Cell::Count(webhook.given_up_count),
    ]
}
