//! Disk usage for people: columns and cells of its tables, and its sentences.

use tarkeep::report::{StoreItem, TagUsageItem, UsageItem};

use crate::cli::error::Error;
use crate::cli::terminal::output;
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::{count, size};

pub(super) const REPOSITORY_COLUMNS: [Column; 6] = [
    Column::name("REPOSITORY"),
    Column::number("TAGS"),
    Column::number("MANIFESTS"),
    Column::number("SIZE"),
    Column::number("LOGICAL"),
    Column::number("EXCLUSIVE"),
];

pub(super) fn cells(usage: &UsageItem) -> Vec<Cell> {
    vec![
        (&*usage.repository).into(),
        Cell::Count(usage.tag_count),
        Cell::Count(usage.manifest_count),
        Cell::Size(usage.size),
        Cell::Size(usage.logical_size),
        usage.exclusive_size.map_or(Cell::Empty, Cell::Size),
    ]
}

/// Prints what the store holds.
pub(super) fn print_store(store: &StoreItem) -> Result<(), Error> {
    let held = |bytes, number, noun| format!("{} in {}", size(bytes), count(number, noun));
    let (now, later) = (&store.garbage.now, &store.garbage.later);
    let uploads = &store.uploads;
    let mut facts = vec![
        ("Blobs", held(store.blobs.size, store.blobs.count, "blob")),
        ("Uploads", held(uploads.size, uploads.count, "open session")),
        ("Garbage now", held(now.size, now.blob_count, "blob")),
        ("Garbage later", held(later.size, later.blob_count, "blob")),
    ];
    for day in &later.days {
        let held = held(day.size, day.blob_count, "blob");
        facts.push(("", format!("  {}  {held}", day.date)));
    }
    if later.undo.blob_count > 0 {
        let held = held(later.undo.size, later.undo.blob_count, "blob");
        facts.push((
            "",
            format!("  for undo    {held}: registry gc --now frees that"),
        ));
    }
    let (manifests, trash, database) = (&store.manifests, &store.trash, &store.database);
    let manifests = held(manifests.size, manifests.count, "manifest");
    let deleted = held(trash.size, trash.count, "manifest");
    facts.extend([
        ("Manifests", format!("{manifests}, in the database")),
        (
            "Deleted",
            format!("{deleted}, in the database, until their grace period ends"),
        ),
        (
            "Database",
            format!(
                "{}, of which {} free, and a log of {}",
                size(database.size),
                size(database.free_size),
                size(database.log_size)
            ),
        ),
        ("Free disk", size(store.disk.free_size)),
    ]);
    let refused = store.disk.reason.as_ref();
    facts.extend(refused.map(|reason| ("Pushes", format!("are refused: {reason}"))));
    output::print("\n")?;
    facts
        .iter()
        .try_for_each(|(label, fact)| output::fact(label, fact))
}

/// Returns the columns of tags; those of one repository do not name it.
pub(super) fn tag_columns(is_one: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::name("TAG"),
        Column::number("LOGICAL"),
        Column::number("EXCLUSIVE"),
        Column::fixed("DIGEST"),
    ];
    if !is_one {
        columns.insert(0, Column::name("REPOSITORY"));
    }
    columns
}

pub(super) fn tag_cells(usage: &TagUsageItem, is_one: bool) -> Vec<Cell> {
    let mut cells = vec![
        Cell::from(&*usage.tag),
        Cell::Size(usage.logical_size),
        usage.exclusive_size.map_or(Cell::Empty, Cell::Size),
        Cell::digest(&usage.digest),
    ];
    if !is_one {
        cells.insert(0, (&*usage.repository).into());
    }
    cells
}

/// Prints the usage of the repositories whose tags were listed.
pub(super) fn say_totals(usages: &[UsageItem]) -> Result<(), Error> {
    output::print("\n")?;
    for usage in usages {
        output::say(&format!(
            "{}: {} and {}; {}, {} logical, {} exclusive to it",
            usage.repository,
            count(usage.tag_count, "tag"),
            count(usage.manifest_count, "manifest"),
            size(usage.size),
            size(usage.logical_size),
            usage.exclusive_size.map(size).unwrap_or_default()
        ))?;
    }
    Ok(())
}
