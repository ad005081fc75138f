//! `registry rm`: shows what a deletion removes and frees, asks for confirmation, and deletes.

use serde_json::{Value, json};
use tarkeep::registry::{self, Deletion, DeletionEffect, Registry, Retention};

use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::confirm::Confirmation;
use crate::cli::terminal::output::{self, Format, Table, size, time, written};
use crate::cli::terminal::selection::{Selection, Selector};

#[derive(clap::Args)]
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
    /// Output format: table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        dry_run,
        confirmation,
        store,
        output,
    } = arguments;
    let selector = Selector::parse(&reference)?;
    let (registry, retention) = store.open_with_rules().await?;
    let selection = selector.select(&registry).await?;
    check_mutable(&selection, &retention)?;
    if !dry_run {
        confirmation.check_possible()?;
    }
    let consequence = registry
        .reports()
        .preview_deletion(selection.deletions.clone(), &retention)
        .await?;
    if output == Format::Table {
        show(&selection, &consequence, &retention)?;
    }
    if !dry_run {
        confirmation.ask(&format!("remove {}?", what(&selection)))?;
        remove(&registry, &selection).await?;
    }
    match output {
        Format::Json => {
            let removed = if dry_run {
                Value::Null
            } else {
                json!(reference)
            };
            output::print(format!("{:#}\n", as_json(removed, &selection, &consequence)).as_bytes())
        }
        Format::Table if dry_run => Ok(()),
        Format::Table => output::print(format!("removed {}\n", what(&selection)).as_bytes()),
    }
}

/// Rejects immutable tags before anything is shown or removed, rather than halfway.
fn check_mutable(selection: &Selection, retention: &Retention) -> Result<(), Error> {
    let immutable = selection.rows.iter().find_map(|row| {
        let policy = retention.policy(row.repository.as_str())?;
        let tag = row.tag.as_ref().filter(|tag| policy.is_immutable(tag))?;
        Some(registry::Error::TagImmutable {
            repository: row.repository.clone(),
            tag: tag.clone(),
        })
    });
    immutable.map_or(Ok(()), |error| Err(error.into()))
}

fn show(
    selection: &Selection,
    consequence: &DeletionEffect,
    retention: &Retention,
) -> Result<(), Error> {
    let mut table = Table::new(&["REPOSITORY", "TAG", "DIGEST"]);
    for row in &selection.rows {
        table.row(vec![
            row.repository.to_string(),
            row.tag.clone().unwrap_or_else(|| "-".to_owned()),
            row.digest.to_string(),
        ]);
    }
    written(table.print(&mut std::io::stdout().lock()))?;
    output::print(format!("{}\n", sentence(selection, consequence, retention)).as_bytes())
}

/// Summarises the deletion and the disk space that it frees.
fn sentence(selection: &Selection, consequence: &DeletionEffect, retention: &Retention) -> String {
    let DeletionEffect {
        deleted,
        untagged,
        kept,
        removals: goes,
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
        .map(|(number, noun)| output::count(number, noun))
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
                output::count(goes.blobs, "blob"),
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
        let manifests = output::count(*untagged, "manifest");
        text += &format!(
            " ({manifests} {they} as long as the rules keep untagged manifests; registry rm REPOSITORY@DIGEST removes one now)"
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
                let reference = tarkeep::registry::ManifestReference::Digest(digest.clone());
                registry
                    .manifests()
                    .delete(repository, &reference, actor.clone())
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

fn as_json(removed: Value, selection: &Selection, consequence: &DeletionEffect) -> Value {
    let items =
        selection.rows.iter().map(|row| json!({ "repository": row.repository.as_str(), "tag": row.tag, "digest": row.digest.as_str() }));
    let DeletionEffect {
        deleted,
        untagged,
        kept,
        removals: goes,
    } = consequence;
    json!({
        "removed": removed,
        "items": items.collect::<Vec<_>>(),
        "manifests": deleted,
        "untagged": { "manifests": untagged, "keptForever": kept },
        "comesBack": { "bytes": goes.bytes, "blobs": goes.blobs, "by": goes.last.filter(|_| goes.bytes > 0).map(time) },
    })
}
