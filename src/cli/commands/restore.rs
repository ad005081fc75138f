//! `registry restore`: lists deleted content, or restores it.

use std::io::{BufWriter, Write, stdout};
use std::time::Duration;

use serde_json::{Value, json};
use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{
    self, ManifestReference, Millis, Registry, RemovedTagRow, Restored, Retention, TrashRow,
};

use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::output::{
    self, Format, JsonArray, Table, exact_time, size, time, written,
};
use crate::cli::terminal::reference::{self, Target};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Manifest with its children and tags (REPOSITORY@DIGEST), removed tag (REPOSITORY:TAG), or everything deleted from a
    /// REPOSITORY [default: list what can be restored]
    #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]")]
    reference: Option<String>,
    #[command(flatten)]
    store: Store,
    /// Output format: table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let target = arguments
        .reference
        .as_deref()
        .map(Target::parse)
        .transpose()?;
    let (registry, retention) = arguments.store.open_with_rules().await?;
    let Some(Target {
        repository,
        manifest,
    }) = target
    else {
        return list(&registry, &retention, arguments.output).await;
    };
    let mut restorer = Restorer {
        repository,
        output: arguments.output,
        array: JsonArray::new(),
    };
    let outcome = match manifest {
        Some(ManifestReference::Digest(digest)) => restorer.manifest(&registry, &digest).await,
        Some(ManifestReference::Tag(tag)) => restorer.tag(&registry, &tag).await,
        None => restorer.everything(&registry, &retention).await,
    };
    restorer.finish().and(outcome)
}

/// Restores content, and prints each item.
struct Restorer {
    repository: RepositoryName,
    output: Format,
    array: JsonArray,
}

impl Restorer {
    /// Restores everything that was deleted from the repository, newest first: a tag that several manifests had goes to the
    /// last one. A failure does not stop the others.
    async fn everything(
        &mut self,
        registry: &Registry,
        retention: &Retention,
    ) -> Result<(), Error> {
        let mut manifests = Vec::new();
        let mut after = Some(String::new());
        while let Some(last) = after {
            let page = registry.trash().list(Some(&self.repository), last).await?;
            manifests.extend(
                page.items
                    .into_iter()
                    .map(|row| (row.deleted_at, row.digest)),
            );
            after = page.next;
        }
        manifests.sort_by_key(|(deleted_at, _)| std::cmp::Reverse(*deleted_at));
        let (mut failed, mut first) = (0, None);
        for (_, digest) in &manifests {
            match self.manifest(registry, digest).await {
                // restored with its index
                Ok(()) | Err(Error::Registry(registry::Error::NothingToRestore(_))) => {}
                Err(error) => {
                    failed += 1;
                    first.get_or_insert((digest, error));
                }
            }
        }
        let tags = self.removed_tags(registry, retention).await?;
        for row in &tags {
            match self.tag(registry, &reference::tag(&row.tag)?).await {
                // pushed meanwhile
                Ok(()) | Err(Error::Registry(registry::Error::NothingToRestore(_))) => {}
                Err(error) => return Err(error),
            }
        }
        match first {
            Some((digest, error)) => Err(Error::Other(format!(
                "{} could not be restored; the first, {digest}: {error}",
                output::count(failed, "manifest")
            ))),
            None if manifests.is_empty() && tags.is_empty() => {
                let remedy = "run registry restore to list what can be restored";
                Err(Error::Other(format!(
                    "nothing in {} was deleted within the grace period: {remedy}",
                    self.repository
                )))
            }
            None => Ok(()),
        }
    }

    /// Lists tags that were removed without their manifests; call it after restoring manifests.
    async fn removed_tags(
        &self,
        registry: &Registry,
        retention: &Retention,
    ) -> Result<Vec<RemovedTagRow>, Error> {
        let mut tags = Vec::new();
        let mut after = Some(String::new());
        while let Some(last) = after {
            let page = registry
                .trash()
                .removed_tags(Some(&self.repository), retention, last)
                .await?;
            tags.extend(page.items);
            after = page.next;
        }
        Ok(tags)
    }

    async fn manifest(&mut self, registry: &Registry, digest: &Digest) -> Result<(), Error> {
        let restored = registry
            .trash()
            .restore(&self.repository, digest, actor::local_user())
            .await?;
        self.tell_manifest(&restored)
    }

    async fn tag(&mut self, registry: &Registry, tag: &TagName) -> Result<(), Error> {
        let digest = registry
            .tags()
            .restore_removed(&self.repository, tag, actor::local_user())
            .await?;
        self.tell_tag(tag.as_str(), digest.as_str())
    }

    fn tell_manifest(&mut self, restored: &Restored) -> Result<(), Error> {
        let Restored {
            digest,
            others,
            tags,
        } = restored;
        let tags: Vec<&str> = tags.iter().map(|(tag, _)| tag.as_str()).collect();
        if self.output == Format::Json {
            return self.push(
                &json!({ "repository": self.repository.as_str(), "digest": digest.as_str(), "children": others.len(), "tags": tags }),
            );
        }
        let children = format!(
            "its {}",
            output::count(others.len() as u64, "child manifest")
        );
        let names = format!(
            "{} {}",
            if tags.len() == 1 { "tag" } else { "tags" },
            tags.join(", ")
        );
        let with = match (others.len(), tags.len()) {
            (0, 0) => String::new(),
            (0, _) => format!(" with {names}"),
            (_, 0) => format!(" with {children}"),
            (_, _) => format!(" with {children} and {names}"),
        };
        output::print(
            format!(
                "restored {digest} in {}{}\n",
                self.repository,
                output::plain(&with)
            )
            .as_bytes(),
        )
    }

    fn tell_tag(&mut self, tag: &str, digest: &str) -> Result<(), Error> {
        if self.output == Format::Json {
            return self.push(&json!({ "repository": self.repository.as_str(), "digest": digest, "children": 0, "tags": [tag] }));
        }
        output::print(
            format!(
                "restored tag {tag} in {}, which points at {digest}\n",
                self.repository
            )
            .as_bytes(),
        )
    }

    fn push(&mut self, value: &Value) -> Result<(), Error> {
        written(self.array.push(&mut stdout().lock(), value))
    }

    /// Ends the JSON array, if anything was printed.
    fn finish(&mut self) -> Result<(), Error> {
        if self.array.is_empty() {
            Ok(())
        } else {
            written(self.array.finish(&mut stdout().lock()))
        }
    }
}

/// Printer of the list of deleted content.
struct List<W: Write> {
    out: W,
    output: Format,
    table: Table,
    array: JsonArray,
    grace: Duration,
}

async fn list(registry: &Registry, retention: &Retention, output: Format) -> Result<(), Error> {
    let mut list = List {
        out: BufWriter::new(stdout().lock()),
        output,
        table: Table::new(&[
            "WHAT",
            "REPOSITORY",
            "DIGEST",
            "TAGS",
            "SIZE",
            "DELETED",
            "BY",
            "UNTIL",
        ]),
        array: JsonArray::new(),
        grace: retention.grace,
    };
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.trash().list(None, last).await?;
        page.items.iter().try_for_each(|row| list.manifest(row))?;
        list.print()?;
        after = page.next;
    }
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.trash().removed_tags(None, retention, last).await?;
        page.items.iter().try_for_each(|row| list.tag(row))?;
        list.print()?;
        after = page.next;
    }
    if output == Format::Json {
        written(list.array.finish(&mut list.out))
    } else {
        Ok(())
    }
}

impl<W: Write> List<W> {
    /// Returns the end of the grace period of a deletion.
    fn until(&self, deleted_at: Millis) -> Millis {
        deleted_at.saturating_add(Millis::try_from(self.grace.as_millis()).unwrap_or(Millis::MAX))
    }

    fn manifest(&mut self, row: &TrashRow) -> Result<(), Error> {
        let until = self.until(row.deleted_at);
        if self.output == Format::Json {
            let value = json!({
                "kind": "manifest", "repository": row.repository, "digest": row.digest.as_str(), "mediaType": row.media_type,
                "tags": row.tags, "size": row.size, "deleted": exact_time(row.deleted_at),
                "by": { "name": row.deleted_by.name, "address": row.deleted_by.address }, "until": exact_time(until),
            });
            return written(self.array.push(&mut self.out, &value));
        }
        let TrashRow {
            repository,
            digest,
            tags,
            deleted_at,
            deleted_by,
            ..
        } = row;
        let tags = if tags.is_empty() {
            "-".to_owned()
        } else {
            tags.join(",")
        };
        self.table.row(vec![
            "manifest".to_owned(),
            repository.clone(),
            digest.to_string(),
            tags,
            size(row.size),
            time(*deleted_at),
            output::actor(deleted_by),
            time(until),
        ]);
        Ok(())
    }

    /// Prints a tag that was removed without its manifest.
    fn tag(&mut self, row: &RemovedTagRow) -> Result<(), Error> {
        let until = self.until(row.removed_at);
        if self.output == Format::Json {
            let value = json!({
                "kind": "tag", "repository": row.repository, "digest": row.digest.as_str(), "tags": [row.tag],
                "deleted": exact_time(row.removed_at), "by": { "name": row.removed_by.name, "address": row.removed_by.address },
                "until": exact_time(until),
            });
            return written(self.array.push(&mut self.out, &value));
        }
        let RemovedTagRow {
            repository,
            tag,
            digest,
            removed_at,
            removed_by,
        } = row;
        self.table.row(vec![
            "tag".to_owned(),
            repository.clone(),
            digest.to_string(),
            tag.clone(),
            "-".to_owned(),
            time(*removed_at),
            output::actor(removed_by),
            time(until),
        ]);
        Ok(())
    }

    fn print(&mut self) -> Result<(), Error> {
        if self.output == Format::Table {
            written(self.table.print(&mut self.out))
        } else {
            Ok(())
        }
    }
}
