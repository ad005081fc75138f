//! `registry rm`: shows what a deletion removes and frees, asks for confirmation, and deletes.

use std::io::stdout;

use serde_json::json;
use tarkeep::oci::{Digest, RepositoryName};
use tarkeep::registry::{Deletion, Registry, Retention};
use tarkeep::remote::{Remote, RemotePage};
use tarkeep::report::{
    self, DeletionItem, DeletionReport, DependentItem, Outcome, Time, Undo, Viewer,
};

use crate::cli::actor;
use crate::cli::commands::changes::undo;
use crate::cli::error::Error;
use crate::cli::place::{Place, failed};
use crate::cli::store::Store;
use crate::cli::terminal::confirm::Confirmation;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::listing;
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::reference::{self, Names, Part, Reference, elsewhere};
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
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        dry_run,
        confirmation,
        place,
        output: Output { format },
    } = arguments;
    let parsed = Reference::parse(&reference)?;
    let flags = place.flags();
    let target = match place.server()? {
        Some(remote) => Target::Elsewhere(Box::new(Elsewhere::find(remote, parsed).await?)),
        None => Target::Here(Box::new(Here::find(place.store, parsed).await?)),
    };
    let (foreseen, what) = match &target {
        Target::Here(here) => (here.foreseen(), what(&here.report.selection.deletions)),
        Target::Elsewhere(there) => (there.foreseen.clone(), what(&there.deletions()?)),
    };
    if !dry_run {
        confirmation.check_possible()?;
    }
    if format == Format::Text {
        show(&foreseen)?;
    }
    if dry_run {
        return match format {
            Format::Json => json::print(&json!(foreseen)),
            Format::Text => Ok(()),
        };
    }
    let dependents = with_dependents(foreseen.referrers.len());
    confirmation.ask(&format!("remove {what}{dependents}?"))?;
    let done = match target {
        Target::Here(here) => here.delete(&flags).await?,
        Target::Elsewhere(there) => there.delete(&flags).await?,
    };
    match format {
        Format::Json => json::print(&json!(done)),
        Format::Text => {
            let undo = match &done.undo {
                Some(undo) => undo::sentence(undo),
                None => "there is no undo, because gc.grace is 0".to_owned(),
            };
            output::say(&format!("removed {what}; {undo}"))
        }
    }
}

/// Content to be deleted, here or at a server.
enum Target {
    Here(Box<Here>),
    Elsewhere(Box<Elsewhere>),
}

struct Here {
    registry: Registry,
    retention: Retention,
    report: DeletionReport,
}

impl Here {
    async fn find(store: Store, reference: Reference) -> Result<Self, Error> {
        let (registry, retention) = store.open_with_rules().await?;
        let named = reference.resolve(&registry, "rm").await?;
        let selection = removed::explained(&registry, named.select(&registry).await).await?;
        Ok(Self {
            report: report::foresee_deletion(&registry, selection).await?,
            retention,
            registry,
        })
    }

    fn item(&self, outcome: &Outcome) -> DeletionItem {
        self.report.item(outcome, &self.registry, &Viewer::owner())
    }

    fn foreseen(&self) -> DeletionItem {
        self.item(&Outcome::Foreseen)
    }

    async fn delete(&self, flags: &str) -> Result<DeletionItem, Error> {
        let undo = Undo::of(&self.report.selection, flags, &self.retention);
        let actor = actor::local_user();
        self.report.delete(&self.registry, actor).await?;
        Ok(self.item(&Outcome::Done(undo)))
    }
}

struct Elsewhere {
    remote: Remote,
    repository: RepositoryName,
    part: Part,
    foreseen: DeletionItem,
}

impl Elsewhere {
    async fn find(remote: Remote, reference: Reference) -> Result<Self, Error> {
        let named = reference.elsewhere("rm")?;
        let text = named.text.clone();
        let (Names::One(repository), part) = (named.repositories, named.part) else {
            return Err(Error::Other(format!(
                "a server deletes in one repository at a time, and '{text}' is a glob: registry ls '{text}' lists what it matches"
            )));
        };
        let part = elsewhere::part(&remote, &repository, part).await?;
        let (path, parameters) = place("deletions", &repository, &part);
        let foreseen: RemotePage<DeletionItem> =
            remote.get(&path, &parameters).await.map_err(failed)?;
        let foreseen = foreseen.body;
        if foreseen.items.is_empty() && !matches!(part, Part::Whole) {
            return Err(listing::nothing_matches(&text));
        }
        Ok(Self {
            remote,
            repository,
            part,
            foreseen,
        })
    }

    /// Returns what is deleted, to be named.
    fn deletions(&self) -> Result<Vec<(RepositoryName, Deletion)>, Error> {
        let tags = self.foreseen.items.iter();
        let tags = tags
            .filter_map(|item| item.tag.as_deref())
            .map(reference::tag);
        let deletion = match &self.part {
            Part::Whole => Deletion::Everything,
            Part::Digest(digest) => Deletion::Manifest(
                Digest::parse(digest).map_err(|error| Error::Other(error.to_string()))?,
            ),
            Part::Tags(_) => Deletion::Tags(tags.collect::<Result<_, _>>()?),
        };
        Ok(vec![(self.repository.clone(), deletion)])
    }

    async fn delete(self, flags: &str) -> Result<DeletionItem, Error> {
        let (path, parameters) = place("manifests", &self.repository, &self.part);
        let done = self.remote.delete(&path, &parameters).await;
        let mut done: DeletionItem = done.map_err(failed)?;
        for command in done.undo.iter_mut().flat_map(|undo| &mut undo.commands) {
            *command += flags;
        }
        Ok(done)
    }
}

/// Returns the route of a deletion, and its parameters; one of a single thing is below `noun`.
fn place(
    noun: &str,
    repository: &RepositoryName,
    part: &Part,
) -> (String, Vec<(&'static str, String)>) {
    match part {
        Part::Whole => (format!("selections/{repository}"), Vec::new()),
        Part::Tags(Names::Matching(glob)) => {
            let parameters = vec![("tags", glob.to_string())];
            (format!("selections/{repository}"), parameters)
        }
        Part::Tags(Names::One(tag)) => (format!("{noun}/{repository}/{tag}"), Vec::new()),
        Part::Digest(digest) => (format!("{noun}/{repository}/{digest}"), Vec::new()),
    }
}

fn show(foreseen: &DeletionItem) -> Result<(), Error> {
    let columns = [
        Column::name("REPOSITORY"),
        Column::name("TAG"),
        Column::fixed("DIGEST"),
    ];
    let mut table = Table::new(&columns, Screen::of_stdout());
    for item in &foreseen.items {
        written(table.row(vec![
            (&*item.repository).into(),
            item.tag.as_deref().into(),
            Cell::digest(&item.digest),
        ]))?;
    }
    written(table.print(&mut stdout().lock()))?;
    show_dependents(&foreseen.referrers)?;
    output::say(&sentence(foreseen))
}

/// Lists the signatures and other referrers that are removed along with their images.
fn show_dependents(dependents: &[DependentItem]) -> Result<(), Error> {
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
        let kind = dependent.artifact_type.as_deref();
        written(table.row(vec![
            (&*dependent.repository).into(),
            dependent.tag.as_deref().into(),
            Cell::digest(&dependent.digest),
            kind.unwrap_or("signature").into(),
            Cell::digest(&dependent.subject),
        ]))?;
    }
    output::print("\nsignatures and other referrers that go along:\n")?;
    written(table.print(&mut stdout().lock()))?;
    output::print("\n")
}

/// Describes the dependents in a question: `, and 2 signatures or other referrers`.
fn with_dependents(number: usize) -> String {
    match number {
        0 => String::new(),
        1 => ", and 1 signature or other referrer".to_owned(),
        several => format!(", and {several} signatures or other referrers"),
    }
}

/// Summarises the deletion and the disk space that it frees.
fn sentence(foreseen: &DeletionItem) -> String {
    let tags = foreseen.items.iter().filter(|item| item.tag.is_some());
    let numbers = [
        (tags.count() as u64, "tag"),
        (foreseen.manifest_count, "manifest"),
    ];
    let numbers = numbers.into_iter().filter(|(number, _)| *number > 0);
    let mut text = numbers
        .map(|(number, noun)| count(number, noun))
        .collect::<Vec<_>>()
        .join(" and ")
        + "; "
        + &freed(foreseen);
    let untagged = &foreseen.untagged;
    if untagged.manifest_count > 0 {
        let they = if untagged.manifest_count == 1 {
            "loses its last tag and is kept"
        } else {
            "lose their last tag and are kept"
        };
        let manifests = count(untagged.manifest_count, "manifest");
        // what is kept forever may be pulled by digest
        let remedy = if untagged.manifest_count == untagged.kept_count {
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

/// Says how much disk space is freed, and when.
fn freed(foreseen: &DeletionItem) -> String {
    let untagged = &foreseen.untagged;
    let Some(frees) = &foreseen.frees else {
        return "what it frees depends on repositories that this login may not see".to_owned();
    };
    match frees.at {
        Some(Time(last)) => {
            let when = match foreseen.collects {
                true => "by",
                false => "with the first registry gc after",
            };
            let (bytes, blobs) = (size(frees.size), count(frees.blob_count, "blob"));
            format!("frees {bytes} in {blobs} {when} {}", time(last))
        }
        None if untagged.manifest_count == untagged.kept_count && untagged.kept_count > 0 => {
            "frees no disk space: the rules keep untagged manifests forever".to_owned()
        }
        None => {
            "frees no disk space: its blobs are used elsewhere too, or are already due for removal"
                .to_owned()
        }
    }
}

/// Describes what is removed.
fn what(deletions: &[(RepositoryName, Deletion)]) -> String {
    let tags: usize = deletions
        .iter()
        .map(|(_, deletion)| {
            if let Deletion::Tags(tags) = deletion {
                tags.len()
            } else {
                0
            }
        })
        .sum();
    match deletions {
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
            deletions.len()
        ),
        [(_, Deletion::Manifest(digest)), ..] => format!(
            "manifest {digest} of {} repositories with its tags",
            deletions.len()
        ),
        _ => format!("{tags} tags of {} repositories", deletions.len()),
    }
}
