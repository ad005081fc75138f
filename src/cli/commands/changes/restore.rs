//! `registry restore`: lists deleted content, or restores it.

use std::collections::BTreeSet;

use serde_json::json;
use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::Registry;
use tarkeep::remote::Remote;
use tarkeep::report::{self, RestorableItem, RestoredItem, Viewer};

use crate::cli::actor;
use crate::cli::commands::changes::restore_elsewhere;
use crate::cli::commands::changes::restored::Shown;
use crate::cli::error::Error;
use crate::cli::place::{Place, RemoteList};
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format, Output, Screen};
use crate::cli::terminal::reference::{self, Names, Part, Reference};
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::count;

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
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        place,
        output: Output { format },
    } = arguments;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    if let Some(remote) = place.server()? {
        return elsewhere(&remote, reference, format).await;
    }
    let registry = place.store.open().await?;
    let Some(reference) = reference else {
        return list(&registry, format).await;
    };
    let named = reference.resolve(&registry, "restore").await?;
    let (repository, part) = named.one_repository("restore")?;
    let mut restorer = Restorer {
        repository,
        shown: Shown::new(format),
        tags: BTreeSet::new(),
    };
    let outcome = match part {
        Part::Digest(prefix) => {
            let name = restorer.repository.clone();
            let digest = reference::digest(&registry, Some(&name), &prefix).await?;
            restorer.manifest(&registry, &digest).await
        }
        Part::Tags(Names::One(tag)) => restorer.tag(&registry, &tag).await,
        Part::Tags(Names::Matching(_)) | Part::Whole => restorer.everything(&registry).await,
    };
    restorer.finish(&registry).await.and(outcome)
}

/// Restores content, and prints each item.
struct Restorer {
    repository: RepositoryName,
    shown: Shown,
    /// Restored tags.
    tags: BTreeSet<String>,
}

impl Restorer {
    /// Restores everything that was deleted from the repository. A failure does not stop the others.
    async fn everything(&mut self, registry: &Registry) -> Result<(), Error> {
        let (who, repository) = (actor::local_user(), self.repository.clone());
        let (mut count_restored, mut written) = (0, Ok(()));
        let (mut failures, mut first) = (0, None);
        let add = |item| {
            count_restored += 1;
            let added = self.add(item);
            if written.is_ok() {
                written = added;
            }
        };
        let failed = |digest, error| {
            failures += 1;
            first.get_or_insert((digest, error));
        };
        report::restore_everything(registry, &repository, &who, add, failed).await?;
        written?;
        match first {
            Some((digest, error)) => Err(Error::Other(format!(
                "{} could not be restored; the first, {digest}: {error}",
                count(failures, "manifest")
            ))),
            None if count_restored == 0 => {
                let ended = registry.trash().last_undo_end(Some(&repository));
                let why = match ended.await? {
                    Some(end) => format!("the undo of what was deleted there ended on {end}"),
                    None => "nothing was deleted there within the grace period".to_owned(),
                };
                Err(Error::Other(format!(
                    "nothing in {repository} can be restored, because {why}: registry restore lists what can be restored"
                )))
            }
            None => Ok(()),
        }
    }

    fn add(&mut self, item: RestoredItem) -> Result<(), Error> {
        self.tags.extend(item.tags.iter().cloned());
        self.shown.add(item)
    }

    async fn manifest(&mut self, registry: &Registry, digest: &Digest) -> Result<(), Error> {
        let who = actor::local_user();
        let item = report::restore_manifest(registry, &self.repository, digest, who).await?;
        self.add(item)
    }

    async fn tag(&mut self, registry: &Registry, tag: &TagName) -> Result<(), Error> {
        let who = actor::local_user();
        let item = report::restore_tag(registry, &self.repository, tag, who).await?;
        self.add(item)
    }

    /// Says which restored tags a rule removes later; prints everything if it is to be JSON, unless nothing was restored.
    async fn finish(&mut self, registry: &Registry) -> Result<(), Error> {
        let tags = std::mem::take(&mut self.tags);
        let removals = registry
            .tags()
            .removals_of_restored(&self.repository, tags)
            .await?;
        let shown = std::mem::take(&mut self.shown);
        shown.finish(&report::removal_items(&self.repository, &removals))
    }
}

const COLUMNS: [Column; 8] = [
    Column::fixed("WHAT"),
    Column::name("REPOSITORY"),
    Column::fixed("DIGEST"),
    Column::name("TAGS"),
    Column::number("SIZE"),
    Column::fixed("DELETED"),
    Column::text("BY"),
    Column::fixed("UNTIL"),
];

/// Lists what can be restored, or restores, at a server.
async fn elsewhere(
    remote: &Remote,
    reference: Option<Reference>,
    format: Format,
) -> Result<(), Error> {
    if let Some(reference) = reference {
        return restore_elsewhere::run(remote, reference, format).await;
    }
    let mut list = List::begin(format, "restorable", &COLUMNS)?;
    let asked = RemoteList::new(remote, "trash", "restorable");
    let push = |item: RestorableItem| list.push(|| cells(&item), || json!(item));
    match (asked.each(push).await?, format) {
        (0, Format::Text) => output::say("nothing can be restored"),
        _ => list.finish(),
    }
}

/// Lists what can be restored.
async fn list(registry: &Registry, format: Format) -> Result<(), Error> {
    let mut list = List::begin(format, "restorable", &COLUMNS)?;
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
