//! `registry rm`: shows what a deletion removes and frees, asks for confirmation, and deletes.

use std::io::stdout;

use tarkeep::oci::TagName;
use tarkeep::registry::{Deletion, DeletionEffect, Dependent, Retention};
use tarkeep::report::{self, Outcome, Selection, Undo, Viewer};

use crate::cli::actor;
use crate::cli::commands::changes::undo;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::confirm::Confirmation;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::removed;
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::values::{count, size, time};

#[derive(clap::Args)]
#[command(after_help = keys::RM)]
pub(crate) struct Arguments {
    /// Tag (REPOSITORY:TAG), manifest with its tags (REPOSITORY@DIGEST), or whole REPOSITORY; repository and tag may be quoted
    /// globs: 'team/app:pr-*', 'team/*:pr-*', 'old/**'
    #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]")]
    reference: String,
    /// Only show what would be deleted, and how much disk space that would free
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        dry_run,
        confirmation,
        store,
        output: Output { format },
    } = arguments;
    let parsed = Reference::parse(&reference)?;
    let flags = store.flags();
    let (registry, retention) = store.open_with_rules().await?;
    let named = parsed.resolve(&registry, "rm").await?;
    let selection = removed::explained(&registry, named.select(&registry).await).await?;
    let report = report::foresee_deletion(&registry, selection).await?;
    if !dry_run {
        confirmation.check_possible()?;
    }
    let selection = &report.selection;
    if format == Format::Text {
        show(selection, &report.effect, &retention)?;
    }
    if !dry_run {
        confirmation.ask(&format!(
            "remove {}{}?",
            what(selection),
            with_dependents(&report.effect.dependents)
        ))?;
    }
    let outcome = match dry_run {
        true => Outcome::Foreseen,
        false => {
            let undo = Undo::of(selection, &flags, &retention);
            report.delete(&registry, actor::local_user()).await?;
            Outcome::Done(undo)
        }
    };
    match (format, &outcome) {
        (Format::Json, _) => json::print(&report.as_json(&outcome, &Viewer::owner())),
        (Format::Text, Outcome::Foreseen) => Ok(()),
        (Format::Text, Outcome::Done(undo)) => {
            let undo = match undo {
                Some(undo) => undo::sentence(undo),
                None => "there is no undo, because gc.grace is 0".to_owned(),
            };
            output::say(&format!("removed {}; {undo}", what(selection)))
        }
    }
}

fn show(
    selection: &Selection,
    consequence: &DeletionEffect,
    retention: &Retention,
) -> Result<(), Error> {
    let columns = [
        Column::name("REPOSITORY"),
        Column::name("TAG"),
        Column::fixed("DIGEST"),
    ];
    let mut table = Table::new(&columns, Screen::of_stdout());
    for row in &selection.items {
        written(table.row(vec![
            row.repository.as_str().into(),
            row.tag.as_deref().into(),
            Cell::from(&row.digest),
        ]))?;
    }
    written(table.print(&mut stdout().lock()))?;
    show_dependents(&consequence.dependents)?;
    output::say(&sentence(selection, consequence, retention))
}

/// Lists the signatures and other referrers that are removed along with their images.
fn show_dependents(dependents: &[Dependent]) -> Result<(), Error> {
    if dependents.is_empty() {
        return Ok(());
    }
    let columns = [
        Column::name("REPOSITORY"),
        Column::name("TAG"),
        Column::fixed("DIGEST"),
        Column::text("TYPE"),
        Column::fixed("OF"),
    ];
    let mut table = Table::new(&columns, Screen::of_stdout());
    for dependent in dependents {
        written(table.row(vec![
            dependent.repository.as_str().into(),
            dependent.tag.as_ref().map(TagName::as_str).into(),
            Cell::from(&dependent.digest),
            dependent.kind.as_deref().unwrap_or("signature").into(),
            Cell::from(&dependent.subject),
        ]))?;
    }
    output::print("\nsignatures and other referrers that go along:\n")?;
    written(table.print(&mut stdout().lock()))?;
    output::print("\n")
}

/// Describes the dependents in a question: `, and 2 signatures or other referrers`.
fn with_dependents(dependents: &[Dependent]) -> String {
    match dependents.len() {
        0 => String::new(),
        1 => ", and 1 signature or other referrer".to_owned(),
        several => format!(", and {several} signatures or other referrers"),
    }
}

/// Summarises the deletion and the disk space that it frees.
fn sentence(selection: &Selection, consequence: &DeletionEffect, retention: &Retention) -> String {
    let DeletionEffect {
        deleted,
        untagged,
        kept,
        removals: goes,
        dependents: _,
    } = consequence;
    let tags = selection
        .items
        .iter()
        .filter(|row| row.tag.is_some())
        .count() as u64;
    let numbers = [(tags, "tag"), (*deleted, "manifest")]
        .into_iter()
        .filter(|(number, _)| *number > 0);
    let mut text = numbers
        .map(|(number, noun)| count(number, noun))
        .collect::<Vec<_>>()
        .join(" and ")
        + "; ";
    match goes.last.filter(|_| goes.bytes > 0) {
        Some(last) => {
            let when = if retention.enabled {
                "by"
            } else {
                "with the first registry gc after"
            };
            text += &format!(
                "frees {} in {} {when} {}",
                size(goes.bytes),
                count(goes.blobs, "blob"),
                time(last)
            );
        }
        None if untagged == kept && *kept > 0 => {
            text += "frees no disk space: the rules keep untagged manifests forever"
        }
        None => {
            text += "frees no disk space: its blobs are used elsewhere too, or are already due for removal"
        }
    }
    if *untagged > 0 {
        let they = if *untagged == 1 {
            "loses its last tag and is kept"
        } else {
            "lose their last tag and are kept"
        };
        let manifests = count(*untagged, "manifest");
        // what is kept forever may be pulled by digest
        let remedy = if untagged == kept {
            "registry rm REPOSITORY@DIGEST removes one now"
        } else {
            "registry gc --now frees what is deleted at once"
        };
        text += &format!(
            " ({manifests} {they} as long as the rules keep untagged manifests; {remedy})"
        );
    }
    text
}

/// Describes what is removed.
fn what(selection: &Selection) -> String {
    let tags: usize = selection
        .deletions
        .iter()
        .map(|(_, deletion)| {
            if let Deletion::Tags(tags) = deletion {
                tags.len()
            } else {
                0
            }
        })
        .sum();
    match &selection.deletions[..] {
        [(name, Deletion::Everything)] => {
            format!("repository {name} with all its tags and manifests")
        }
        [(name, Deletion::Manifest(digest))] => {
            format!("manifest {digest} of {name} with its tags")
        }
        [(name, Deletion::Tags(tags))] if tags.len() == 1 => format!("tag {} of {name}", tags[0]),
        [(name, Deletion::Tags(_))] => format!("{tags} tags of {name}"),
        [(_, Deletion::Everything), ..] => format!(
            "{} repositories with all their tags and manifests",
            selection.deletions.len()
        ),
        [(_, Deletion::Manifest(digest)), ..] => format!(
            "manifest {digest} of {} repositories with its tags",
            selection.deletions.len()
        ),
        _ => format!("{tags} tags of {} repositories", selection.deletions.len()),
    }
}
