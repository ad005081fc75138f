//! `registry ls --untagged`: images that no tag, index or subject holds.

use serde_json::{Value, json};
use tarkeep::registry::{ListQuery, Registry, Retention, UntaggedImage};

use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

/// Lists them, with their former tags and the time at which each is removed.
pub(super) async fn list(
    registry: &Registry,
    query: ListQuery,
    retention: &Retention,
    format: Format,
) -> Result<(), Error> {
    let columns = [
        Column::name("REPOSITORY"),
        Column::fixed("DIGEST"),
        Column::name("WAS").optional(),
        Column::number("SIZE"),
        Column::fixed("UNTAGGED"),
        Column::fixed("PULLED").optional(),
        Column::fixed("CHECKED").optional(),
        Column::fixed("STAYS UNTIL"),
    ];
    let images = registry.reports().untagged(query, retention).await?;
    if images.is_empty() && format == Format::Text {
        return output::say("every image has a tag, or is part of one that has");
    }
    let mut list = List::begin(format, "images", &columns)?;
    for image in &images {
        list.push(|| cells(image), || as_json(image))?;
    }
    list.finish()
}

fn cells(image: &UntaggedImage) -> Vec<Cell> {
    vec![
        (&*image.repository).into(),
        Cell::from(&image.digest),
        image.tags.join(",").into(),
        Cell::Size(image.size),
        Cell::Time(image.since),
        Cell::time(image.pulled_at),
        Cell::time(image.checked_at),
        image.until.map_or("forever".into(), Cell::Time),
    ]
}

fn as_json(image: &UntaggedImage) -> Value {
    json!({
        "repository": image.repository, "digest": image.digest.as_str(), "size": image.size, "formerTags": image.tags,
        "since": json::time(image.since), "pulled": image.pulled_at.map(json::time),
        "checked": image.checked_at.map(json::time), "until": image.until.map(json::time),
    })
}
