//! `registry restore`: lists deleted content, or restores it.

use std::collections::BTreeSet;

use serde_json::json;
use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{self, Registry, RemovedTagRow, Retention};
use tarkeep::report::{self, RestorableItem, RestoredItem, Viewer};

use crate::cli::actor;
use crate::cli::commands::changes::later;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format, Output, Screen};
use crate::cli::terminal::reference::{self, Names, Part, Reference};
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::{count, plain};

/// Number of items that are read at once.
const PAGE: usize = 1000;

#[derive(clap::Args)]
#[command(after_help = keys::RESTORE)]
pub(crate) struct Arguments {
    /// Manifest with its children and tags (REPOSITORY@DIGEST), removed tag (REPOSITORY:TAG), or everything deleted from a
    /// REPOSITORY [default: list what can be restored]
    #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]")]
    reference: Option<String>,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        store,
        output: Output { format },
    } = arguments;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    let (registry, retention) = store.open_with_rules().await?;
    let Some(reference) = reference else {
        return list(&registry, format).await;
    };
    let named = reference.resolve(&registry, "restore").await?;
    let (repository, part) = named.one_repository("restore")?;
    let mut restorer = Restorer {
        repository,
        json: (format == Format::Json).then(Vec::new),
        tags: BTreeSet::new(),
    };
    let outcome = match part {
        Part::Digest(prefix) => {
            let name = restorer.repository.clone();
            let digest = reference::digest(&registry, Some(&name), &prefix).await?;
            restorer.manifest(&registry, &digest).await
        }
        Part::Tags(Names::One(tag)) => restorer.tag(&registry, &tag).await,
        Part::Tags(Names::Matching(_)) | Part::Whole => {
            restorer.everything(&registry, &retention).await
        }
    };
    restorer.finish(&registry).await.and(outcome)
}

/// Restores content, and prints each item.
struct Restorer {
    repository: RepositoryName,
    /// Restored items, if they are to be printed as JSON.
    json: Option<Vec<RestoredItem>>,
    /// Restored tags.
    tags: BTreeSet<String>,
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
                count(failed, "manifest")
            ))),
            None if manifests.is_empty() && tags.is_empty() => {
                let ended = registry.trash().last_undo_end(Some(&self.repository));
                let why = match ended.await? {
                    Some(end) => format!("the undo of what was deleted there ended on {end}"),
                    None => "nothing was deleted there within the grace period".to_owned(),
                };
                Err(Error::Other(format!(
                    "nothing in {} can be restored, because {why}: registry restore lists what can be restored",
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
        let who = actor::local_user();
        let item = report::restore_manifest(registry, &self.repository, digest, who).await?;
        self.tags.extend(item.tags.iter().cloned());
        if let Some(items) = &mut self.json {
            items.push(item);
            return Ok(());
        }
        let children = format!("its {}", count(item.child_count, "child manifest"));
        let names = format!(
            "{} {}",
            if item.tags.len() == 1 { "tag" } else { "tags" },
            item.tags.join(", ")
        );
        let with = match (item.child_count, item.tags.len()) {
            (0, 0) => String::new(),
            (0, _) => format!(" with {names}"),
            (_, 0) => format!(" with {children}"),
            (_, _) => format!(" with {children} and {names}"),
        };
        output::say(&format!(
            "restored {} in {}{}",
            item.digest,
            self.repository,
            plain(&with)
        ))
    }

    async fn tag(&mut self, registry: &Registry, tag: &TagName) -> Result<(), Error> {
        let who = actor::local_user();
        let item = report::restore_tag(registry, &self.repository, tag, who).await?;
        self.tags.extend(item.tags.iter().cloned());
        if let Some(items) = &mut self.json {
            items.push(item);
            return Ok(());
        }
        output::say(&format!(
            "restored tag {tag} in {}, which points at {}",
            item.repository, item.digest
        ))
    }

    /// Says which restored tags a rule removes later; prints everything if it is to be JSON, unless nothing was restored.
    async fn finish(&mut self, registry: &Registry) -> Result<(), Error> {
        let tags = std::mem::take(&mut self.tags);
        let removals = registry
            .tags()
            .removals_of_restored(&self.repository, tags)
            .await?;
        match self.json.take() {
            Some(items) if items.is_empty() => Ok(()),
            Some(items) => {
                let restored = report::restored_json(&items, &self.repository, &removals);
                json::print(&restored)
            }
            None => later::say(&self.repository, &removals),
        }
    }
}

/// Lists what can be restored.
async fn list(registry: &Registry, format: Format) -> Result<(), Error> {
    let columns = [
        Column::fixed("WHAT"),
        Column::name("REPOSITORY"),
        Column::fixed("DIGEST"),
        Column::name("TAGS"),
        Column::number("SIZE"),
        Column::fixed("DELETED"),
        Column::text("BY"),
        Column::fixed("UNTIL"),
    ];
    let mut list = List::begin(format, "restorable", &columns)?;
    let (owner, mut is_empty) = (Viewer::owner(), true);
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = report::trash(registry, &owner, last, PAGE).await?;
        is_empty &= page.items.is_empty();
        for item in &page.items {
            list.push(|| cells(item), || json!(item))?;
        }
        after = page.next;
    }
    if format == Format::Json {
        return list.finish();
    }
    if !is_empty {
        list.finish()?;
        return match Screen::of_stdout() {
            Screen::Pipe => Ok(()),
            Screen::Terminal { .. } => output::say(
                "registry restore REPOSITORY:TAG or REPOSITORY@DIGEST brings it back until the time in the last column",
            ),
        };
    }
    output::say(&match registry.trash().last_undo_end(None).await? {
        Some(end) => format!("nothing can be restored: the last undo ended on {end}"),
        None => "nothing can be restored: nothing was deleted within the grace period".to_owned(),
    })
}

fn cells(item: &RestorableItem) -> Vec<Cell> {
    vec![
        (&*item.kind).into(),
        (&*item.repository).into(),
        Cell::digest(&item.digest),
        item.tags.join(",").into(),
        item.size.map_or(Cell::Empty, Cell::Size),
        Cell::from(item.deleted),
        Cell::who(&item.who),
        Cell::from(item.until),
    ]
}
