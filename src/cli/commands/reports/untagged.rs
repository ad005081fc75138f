//! `registry ls --untagged`: images that no tag, index or subject holds.

use serde_json::json;
use tarkeep::registry::{ListQuery, Registry};
use tarkeep::report::{self, UntaggedItem};

use crate::cli::error::Error;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

/// Lists them, with their former tags and the time at which each is removed.
pub(super) async fn list(
    registry: &Registry,
    query: ListQuery,
    format: Format,
) -> Result<(), Error> {
    let images = report::untagged(registry, query).await?.items;
    show(&images, format)
}

/// Shows them.
pub(super) fn show(images: &[UntaggedItem], format: Format) -> Result<(), Error> {
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
    if images.is_empty() && format == Format::Text {
        return output::say("every image has a tag, or is part of one that has");
    }
    let mut list = List::begin(format, "images", &columns)?;
    for image in images {
        list.push(|| cells(image), || json!(image))?;
    }
    list.finish()
}

fn cells(image: &UntaggedItem) -> Vec<Cell> {
    vec![
        (&*image.repository).into(),
        Cell::digest(&image.digest),
        image.former_tags.join(",").into(),
        Cell::Size(image.size),
        Cell::from(image.since),
        image.pulled.into(),
        image.checked.into(),
        image.until.map_or("forever".into(), Cell::from),
    ]
}
