//! `registry rm`: shows what a deletion removes and frees, asks for confirmation, and deletes.

use std::collections::HashSet;
use std::io::stdout;

use serde_json::{Value, json};
use tarkeep::oci::TagName;
use tarkeep::registry::{
    Deletion, DeletionEffect, Dependent, ManifestReference, Precondition, Registry, Retention,
};

use crate::cli::actor;
use crate::cli::commands::changes::undo::Undo;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::confirm::Confirmation;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::removed;
use crate::cli::terminal::selection::Selection;
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
    check_mutable(&selection, &retention)?;
    if !dry_run {
        confirmation.check_possible()?;
    }
    let mut consequence = registry
        .reports()
        .preview_deletion(selection.deletions.clone(), &retention)
        .await?;
    consequence.dependents = unselected(consequence.dependents, &selection);
    if format == Format::Text {
        show(&selection, &consequence, &retention)?;
    }
    if !dry_run {
        confirmation.ask(&format!(
            "remove {}{}?",
            what(&selection),
            with_dependents(&consequence.dependents)
        ))?;
    }
    let undo = Undo::of(&selection, &flags, &retention).filter(|_| !dry_run);
    if !dry_run {
        remove(&registry, &selection).await?;
    }
    match format {
        Format::Json => json::print(&as_json(dry_run, &selection, &consequence, undo.as_ref())),
        Format::Text if dry_run => Ok(()),
        Format::Text => {
            let undo = match undo {
                Some(undo) => undo.sentence(),
                None => "there is no undo, because gc.grace is 0".to_owned(),
            };
            output::say(&format!("removed {}; {undo}", what(&selection)))
        }
    }
}

/// Rejects immutable tags before anything is shown or removed, rather than halfway.
fn check_mutable(selection: &Selection, retention: &Retention) -> Result<(), Error> {
    for row in &selection.rows {
        if let Some(tag) = &row.tag {
            retention.check_mutable(&row.repository, tag)?;
        }
    }
    Ok(())
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
    for row in &selection.rows {
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

/// Leaves out dependents that are shown among the selected content.
fn unselected(dependents: Vec<Dependent>, selection: &Selection) -> Vec<Dependent> {
    let selected: HashSet<_> = selection
        .rows
        .iter()
        .map(|row| (&row.repository, row.tag.as_deref(), &row.digest))
        .collect();
    dependents
        .into_iter()
        .filter(|dependent| {
            let tag = dependent.tag.as_ref().map(TagName::as_str);
            !selected.contains(&(&dependent.repository, tag, &dependent.digest))
        })
        .collect()
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
        .rows
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

async fn remove(registry: &Registry, selection: &Selection) -> Result<(), Error> {
    let actor = actor::local_user();
    for (repository, deletion) in &selection.deletions {
        match deletion {
            Deletion::Everything => {
                registry
                    .repositories()
                    .delete(repository, actor.clone())
                    .await?
            }
            Deletion::Manifest(digest) => {
                let reference = ManifestReference::Digest(digest.clone());
                registry
                    .manifests()
                    .delete(
                        repository,
                        &reference,
                        Precondition::default(),
                        actor.clone(),
                    )
                    .await?;
            }
            Deletion::Tags(tags) => {
                registry
                    .tags()
                    .delete(repository, tags, actor.clone())
                    .await?
            }
        }
    }
    Ok(())
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

fn as_json(
    is_dry_run: bool,
    selection: &Selection,
    consequence: &DeletionEffect,
    undo: Option<&Undo>,
) -> Value {
    let items =
        selection.rows.iter().map(|row| json!({ "repository": row.repository.as_str(), "tag": row.tag, "digest": row.digest.as_str() }));
    let DeletionEffect {
        deleted,
        untagged,
        kept,
        removals: goes,
        dependents,
    } = consequence;
    let dependents = dependents.iter().map(|dependent| {
        json!({
            "repository": dependent.repository.as_str(),
            "tag": dependent.tag.as_ref().map(TagName::as_str),
            "digest": dependent.digest.as_str(),
            "artifactType": dependent.kind,
            "subject": dependent.subject.as_str(),
        })
    });
    json!({
        "removed": !is_dry_run,
        "items": items.collect::<Vec<_>>(),
        "referrers": dependents.collect::<Vec<_>>(),
        "manifestCount": deleted,
        "untagged": { "manifestCount": untagged, "keptCount": kept },
        "frees": {
            "size": goes.bytes, "blobCount": goes.blobs,
            "at": goes.last.filter(|_| goes.bytes > 0).map(json::time),
        },
        "undo": undo.map(Undo::as_json),
    })
}
