//! `registry import`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tarkeep::import::{
    Collision, Healed, Importer, MovedTag, NameMap, Place, Problem, Report, Selection, Source,
    Unmatched,
};
use tarkeep::oci::Glob;
use tarkeep::registry::{BlobCheck, Pace, Registry, UnsoundBlob, Way};

use super::remote::Remote;
use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::from_config::log;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::progress::Line;
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::values::{count, few, plain, size};

/// Interval at which the progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);
/// Maximum number of moved tags that are named as text.
const NAMED: usize = 20;
/// Maximum number of repositories of the source that are named.
const NAMED_REPOSITORIES: usize = 5;
/// Columns of a plan.
const COLUMNS: [Column; 4] = [
    Column::name("REPOSITORY"),
    Column::number("TAGS"),
    Column::number("MANIFESTS"),
    Column::number("BLOBS"),
];

/// Import images from another registry, the store of a registry:2, an archive or a layout; a server may be running
///
/// registry import /srv/registry-2          the whole store of a registry:2
/// registry import https://old.example      a registry that is running
/// registry import DIR --only 'team/**'     some of its repositories
/// registry import DIR --map 'a/**=b/**'    under other names
/// docker save app:v1 | registry import -   images of docker, podman or skopeo
/// registry import app.tar team/app:v1      an image under that name
///
/// From another registry come tags, images with all platforms, and what is about
/// them; what is here is not fetched again. An import that was cut off goes on.
/// Files of a store are linked instead of copied where that is possible. Imports
/// may be repeated, and then cost what has changed: import while the old registry
/// works, stop it, import again. Tags that an import has set move with the next
/// one; tags that were pushed or changed here stay, and are named.
/// Exit code 3: something was left out, or a flag fits nothing; it is named
/// (docs/import.md).
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(after_help = keys::IMPORT)]
pub(crate) struct Arguments {
    /// URL of a registry; directory of a registry:2 or of an image layout; archive of an image layout or of docker save (.tar, .tar.gz), or - for one
    /// on standard input
    source: PathBuf,
    /// Name for the images of a layout or archive [default: the names in it]
    #[arg(value_name = "REPOSITORY[:TAG]", value_parser = Place::parse, conflicts_with_all = ["only", "map"])]
    place: Option<Place>,
    /// Import only repositories whose names there match; quoted, and may be repeated
    #[arg(long, value_name = "GLOB", value_parser = Glob::for_repositories)]
    only: Vec<Glob>,
    /// Rename a repository, or all below a prefix: 'old/**=new/**'; may be repeated, and the first that fits applies
    #[arg(long, value_name = "OLD=NEW", value_parser = NameMap::parse)]
    map: Vec<NameMap>,
    /// Copy the files of blobs even where they could be linked
    #[arg(long)]
    copy: bool,
    /// Move tags that were pushed or removed here, too: without it they stay, and are named
    #[arg(long)]
    move_tags: bool,
    /// Only show what would be imported or moved, and what would be left out
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        source,
        place,
        only,
        map,
        copy,
        move_tags,
        dry_run,
        remote,
        store,
        output: Output { format },
    } = arguments;
    log::start_quiet()?;
    let source = remote.open(&source)?;
    if place.is_some() && matches!(source, Source::Distribution(_) | Source::Remote(_)) {
        return Err(Error::Other(
            "another registry has names for its images: select and rename them with --only and --map".to_owned(),
        ));
    }
    let selection = Selection { only, maps: map };
    let actor = actor::local_user();
    let (mut importer, registry) = if dry_run {
        let registry = store.open_if_there().await?;
        (Importer::plan(registry, selection, actor), None)
    } else {
        let registry = store.open_or_create().await?;
        let way = if copy { Way::Copy } else { Way::Link };
        let importer = Importer::new(registry.clone(), selection, way, actor);
        (importer, Some(registry))
    };
    importer.place = place;
    importer.moves_tags = move_tags;
    let line = Line::new().filter(|_| format == Format::Text);
    read(&importer, source, line.as_ref()).await?;
    let mut outcome = Outcome {
        report: importer.finish(),
        checked: BlobCheck::default(),
        unsound: Vec::new(),
        is_dry_run: dry_run,
    };
    if let Some(registry) = registry {
        outcome.check(&registry, line.as_ref()).await?;
    }
    drop(line);
    outcome.print(format)?;
    outcome.end()
}

/// Reads the source, and shows how far that is.
async fn read(importer: &Importer, source: Source, line: Option<&Line>) -> Result<(), Error> {
    let reading = importer.run(source);
    tokio::pin!(reading);
    loop {
        tokio::select! {
            done = &mut reading => return Ok(done?),
            () = tokio::time::sleep(SHOWN_EVERY) => {}
        }
        if let Some(line) = line {
            let state = importer.state();
            line.show(&format!(
                "{} of {}, {}, {} of new blobs",
                state.repositories_done,
                repositories(state.repositories),
                count(state.manifests, "new manifest"),
                size(state.size)
            ));
        }
    }
}

/// Result of the command.
struct Outcome {
    report: Report,
    checked: BlobCheck,
    unsound: Vec<UnsoundBlob>,
    is_dry_run: bool,
}

impl Outcome {
    /// Compares blobs that were linked with their digests.
    async fn check(&mut self, registry: &Registry, line: Option<&Line>) -> Result<(), Error> {
        let unsound = &mut self.unsound;
        let mut watch = |counts: &BlobCheck, found: Option<UnsoundBlob>| {
            unsound.extend(found);
            if let Some(line) = line {
                line.show(&format!(
                    "imported; comparing blobs with their digests: {} of {}",
                    size(counts.size),
                    count(counts.sound, "blob")
                ));
            }
        };
        let checking = registry.import().check_blobs(Pace::Half, &mut watch);
        self.checked = checking.await?;
        Ok(())
    }

    fn print(&self, format: Format) -> Result<(), Error> {
        if format == Format::Json {
            return json::print(&self.as_json());
        }
        if self.is_dry_run && !self.report.repositories.is_empty() {
            self.print_plan()?;
        }
        let lines: String = self.report.problems.iter().map(problem).collect();
        let unsound: String = self.unsound.iter().map(damaged).collect();
        let collisions: String = self.report.collisions.iter().map(collision).collect();
        output::print(&(collisions + &lines + &unsound))?;
        if !self.report.collisions.is_empty() {
            return Ok(());
        }
        self.say_moved()?;
        self.say_healed()?;
        output::say(&self.sentence())
    }

    /// Prints what each repository would get.
    fn print_plan(&self) -> Result<(), Error> {
        let mut table = Table::new(&COLUMNS, Screen::of_stdout());
        for (name, new) in &self.report.repositories {
            let counts = [new.tags, new.manifests, new.blobs].map(Cell::Count);
            let row = [Cell::from(name.as_str())].into_iter().chain(counts);
            written(table.row(row.collect()))?;
        }
        written(table.print(&mut std::io::stdout().lock()))
    }

    /// Names the first tags that move.
    fn say_moved(&self) -> Result<(), Error> {
        let moved = &self.report.moved;
        let verb = if self.is_dry_run {
            "would move"
        } else {
            "moved"
        };
        let one = |tag: &MovedTag| {
            let MovedTag {
                repository,
                tag,
                was,
                digest,
            } = tag;
            format!("{verb} {repository}:{tag} from {was} to {digest}")
        };
        output::say_first(moved, NAMED, one, |rest| {
            format!("{verb} {}", count(rest.len() as u64, "more tag"))
        })
    }

    /// Names the first pieces that were damaged here, and came sound.
    fn say_healed(&self) -> Result<(), Error> {
        let verb = if self.is_dry_run {
            "would heal"
        } else {
            "healed"
        };
        let one = |healed: &Healed| match healed {
            Healed::Blob(digest) => format!("{verb} blob {digest}"),
            Healed::Manifest(repository, digest) => {
                format!("{verb} manifest {digest} of {repository}")
            }
        };
        output::say_first(&self.report.healed, NAMED, one, |rest| {
            format!("{verb} {}", count(rest.len() as u64, "more piece"))
        })
    }

    fn sentence(&self) -> String {
        let report = &self.report;
        let of = |number: fn(&tarkeep::import::NewContent) -> u64| {
            report.repositories.values().map(number).sum::<u64>()
        };
        let verb = if self.is_dry_run {
            "would import"
        } else {
            "imported"
        };
        let what = format!(
            "{verb} {} and {} in {}, and {} with {}",
            count(of(|new| new.tags), "tag"),
            count(of(|new| new.manifests), "manifest"),
            repositories(report.repositories.len() as u64),
            count(report.blobs, "blob"),
            size(report.size),
        );
        let undo = match report.moved.is_empty() || self.is_dry_run {
            true => "",
            false => "; registry tag restore REPOSITORY:TAG takes the move of a tag back",
        };
        let way = match (self.is_dry_run, report.linked, report.copied) {
            (true, ..) | (false, 0, 0) => String::new(),
            (false, _, 0) => ", whose files are hard links to those of the source".to_owned(),
            (false, _, copied) => format!(", of which {} were copied", size(copied)),
        };
        let healed = match (report.healed.len() as u64, self.is_dry_run) {
            (0, _) => String::new(),
            (number, true) => format!("; {} would heal", count(number, "damaged piece")),
            (number, false) => format!("; {} healed", count(number, "damaged piece")),
        };
        let uncompared = match report.uncompared {
            0 => String::new(),
            number => format!(
                "; the plan has not compared {} with {}, which the import does: what differs is left out",
                count(number, "blob"),
                if number == 1 {
                    "its digest"
                } else {
                    "their digests"
                },
            ),
        };
        what + &way + &healed + &uncompared + undo
    }

    /// Fails if something was left out, or a flag fits nothing.
    fn end(&self) -> Result<(), Error> {
        if !self.report.collisions.is_empty() {
            return Err(Error::Other(
                "nothing was imported: several repositories of the source would set the same tag to different images, and are \
                 named in the output; give them different names with --map, or choose one with --only"
                    .to_owned(),
            ));
        }
        if let Some(unmatched) = &self.report.unmatched {
            return Err(Error::LeftOut(unmatched_sentence(unmatched)));
        }
        if self.report.is_complete() && self.unsound.is_empty() {
            return Ok(());
        }
        let verb = if self.is_dry_run { "would be" } else { "was" };
        let remedy = match self.unsound.is_empty() {
            true => "",
            false => "; push the images with a damaged blob again",
        };
        Err(Error::LeftOut(format!(
            "something {verb} left out, and is named in the output{remedy}"
        )))
    }

    fn as_json(&self) -> Value {
        let report = &self.report;
        let repositories = report.repositories.iter().map(|(name, new)| {
            json!({
                "repository": name.as_str(), "tagCount": new.tags, "manifestCount": new.manifests,
                "blobCount": new.blobs,
            })
        });
        let moved = report.moved.iter().map(|tag| {
            json!({
                "repository": tag.repository.as_str(), "tag": tag.tag.as_str(), "was": tag.was.as_str(),
                "digest": tag.digest.as_str(),
            })
        });
        let healed = report.healed.iter().map(|healed| match healed {
            Healed::Blob(digest) => {
                json!({ "kind": "blob", "repository": null, "digest": digest.as_str() })
            }
            Healed::Manifest(repository, digest) => {
                json!({ "kind": "manifest", "repository": repository.as_str(), "digest": digest.as_str() })
            }
        });
        let collisions = report.collisions.iter().map(|collision| {
            let sources = collision.sources.iter().map(|source| source.as_str());
            json!({
                "repository": collision.repository.as_str(), "tag": collision.tag.as_str(),
                "sources": sources.collect::<Vec<_>>(),
            })
        });
        let problems = report.problems.iter().map(|problem| {
            json!({
                "path": problem.path.to_string_lossy(), "problem": problem.damage.to_string(),
                "outcome": problem.damage.outcome(),
            })
        });
        let unsound = self.unsound.iter().map(|blob| {
            let images = blob.images.iter().map(|image| {
                json!({ "repository": image.repository, "digest": image.digest.as_str(), "tags": image.tags })
            });
            json!({
                "digest": blob.digest.as_str(), "problem": unsoundness(blob),
                "images": images.collect::<Vec<_>>(),
            })
        });
        json!({
            "dryRun": self.is_dry_run,
            "repositories": repositories.collect::<Vec<_>>(),
            "blobCount": report.blobs, "size": report.size,
            "linkedCount": report.linked, "copiedSize": report.copied,
            "uncomparedCount": report.uncompared, "checkedCount": self.checked.sound,
            "moved": moved.collect::<Vec<_>>(),
            "healed": healed.collect::<Vec<_>>(),
            "collisions": collisions.collect::<Vec<_>>(),
            "problems": problems.collect::<Vec<_>>(),
            "damagedBlobs": unsound.collect::<Vec<_>>(),
            "unmatched": report.unmatched.iter().flat_map(|unmatched| &unmatched.flags).collect::<Vec<_>>(),
        })
    }
}

fn collision(collision: &Collision) -> String {
    let sources: Vec<_> = collision
        .sources
        .iter()
        .map(|source| source.as_str())
        .collect();
    format!(
        "{}:{} would come from {}\n",
        collision.repository,
        collision.tag,
        sources.join(" and from ")
    )
}

fn repositories(number: u64) -> String {
    match number {
        1 => "1 repository".to_owned(),
        number => format!("{number} repositories"),
    }
}

/// Says which flags fit nothing in the source, and what it has.
fn unmatched_sentence(unmatched: &Unmatched) -> String {
    let Unmatched { flags, names } = unmatched;
    let has = match names.is_empty() {
        true => "no image there has a name".to_owned(),
        false => format!("it has {}", few(names, NAMED_REPOSITORIES)),
    };
    format!("nothing in the source fits {}: {has}", flags.join(" and "))
}

fn problem(problem: &Problem) -> String {
    let (path, damage) = (problem.path.to_string_lossy(), problem.damage.to_string());
    let outcome = problem.damage.outcome();
    format!("{}: {}: {outcome}\n", plain(&path), plain(&damage))
}

fn damaged(blob: &UnsoundBlob) -> String {
    let mut text = format!("blob {}: {}\n", blob.digest, plain(&unsoundness(blob)));
    for name in blob.image_names() {
        text += &format!("  needed by {name}\n");
    }
    text
}

fn unsoundness(blob: &UnsoundBlob) -> String {
    match blob.is_served {
        true => blob.problem.clone(),
        false => format!("{}; it is not served", blob.problem),
    }
}
