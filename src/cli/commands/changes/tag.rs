//! `registry tag`: pointing a tag at an image, its history, and moving it back.

use serde_json::json;
use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{Promotion, Purpose, Registry, RestoreTarget, TagRestoration, now};
use tarkeep::remote::Remote;
use tarkeep::report::{self, RestorableItem, StateItem, Viewer};

use crate::cli::actor;
use crate::cli::commands::changes::later;
use crate::cli::error::Error;
use crate::cli::place::{Place, RemoteList};
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::reference::{self, Names, Part, Reference};
use crate::cli::terminal::removed;
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::{time_arg, values};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = keys::TAG)]
pub(crate) struct Arguments {
    /// Image that the tag is to point at
    #[arg(value_name = "SOURCE", required = true)]
    source: Option<String>,
    /// Tag, new or existing: TAG in the repository of SOURCE, or REPOSITORY:TAG in any
    #[arg(value_name = "[REPOSITORY:]TAG", required = true)]
    target: Option<String>,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show what a tag points at and pointed at before: since when, set by whom, and how that ended
    History(History),
    /// Move a tag back to an earlier manifest, even if that was deleted meanwhile
    Restore(RestoreArguments),
}

#[derive(clap::Args)]
#[command(after_help = keys::TAG)]
struct History {
    /// Tag, existing or removed
    #[arg(value_name = "REPOSITORY:TAG")]
    reference: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
#[command(after_help = keys::TAG)]
struct RestoreArguments {
    /// Tag, existing or removed
    #[arg(value_name = "REPOSITORY:TAG")]
    reference: String,
    /// Digest, or a time at which the tag pointed there: 2026-11-21T10:29:00Z, 2026-11-21 (midnight UTC), or 2h for two hours
    /// ago [default: the previous manifest]
    #[arg(long, value_name = "DIGEST|TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments {
        Arguments {
            command: Some(Command::History(arguments)),
            ..
        } => history(arguments).await,
        Arguments {
            command: Some(Command::Restore(arguments)),
            ..
        } => restore(arguments).await,
        Arguments {
            source,
            target,
            store,
            output: Output { format },
            command: None,
        } => {
            let (source, target) = (source.unwrap_or_default(), target.unwrap_or_default());
            promote(&source, &target, store, format).await
        }
    }
}

async fn promote(source: &str, target: &str, store: Store, format: Format) -> Result<(), Error> {
    let source = Reference::parse(source)?;
    let registry = store.open().await?;
    let source = source.resolve(&registry, "tag").await?;
    let said = source.text.clone();
    let (from, reference) = source.manifest(&registry, "tag").await?;
    let (repository, tag) = new_place(&registry, &from, target).await?;
    let promotion = registry
        .tags()
        .promote(
            &from,
            &reference,
            &repository,
            &tag,
            Purpose::Promote,
            actor::local_user(),
        )
        .await;
    let Promotion { was, digest, .. } =
        removed::explained(&registry, promotion.map_err(Error::from)).await?;
    match format {
        Format::Json => json::print(&json!({
            "repository": repository.as_str(),
            "tag": tag.as_str(),
            "digest": digest.as_str(),
            "was": was.as_ref().map(Digest::as_str),
        })),
        Format::Text => output::say(&match was {
            Some(was) if was == digest => {
                format!("tag {tag} of {repository} already points at {digest}")
            }
            Some(was) => format!(
                "moved tag {tag} of {repository} from {was} to {digest}, which is {said}{}",
                undo_of_move(&registry, &repository, &tag, &was)
            ),
            None => format!("tag {tag} of {repository} points at {digest}, which is {said}"),
        }),
    }
}

/// Finds the tag that is to be set: of the named repository, or of that of the source for `TAG` and `:TAG`.
///
/// # Errors
/// A name that may be a tag and is a repository, or no tag at all.
async fn new_place(
    registry: &Registry,
    from: &RepositoryName,
    text: &str,
) -> Result<(RepositoryName, TagName), Error> {
    let is_marked = text.starts_with(':');
    if let Ok(tag) = TagName::parse(text.trim_start_matches(':')) {
        let repository = RepositoryName::parse(text).ok().filter(|_| !is_marked);
        return match repository {
            Some(name) if listing::check_listed(registry, &name).await.is_ok() => {
                Err(Error::Other(format!(
                    "'{text}' is a repository, and may be a tag too: write {from}:{text} for the tag, or {text}:TAG for one of that repository"
                )))
            }
            _ => Ok((from.clone(), tag)),
        };
    }
    let named = Reference::parse(text)?.resolve(registry, "tag").await?;
    match (&named.repositories, &named.part) {
        (Names::One(name), Part::Whole) => Err(Error::Other(format!(
            "'{text}' names no tag: write {name}:TAG for a tag there, or TAG alone for one of {from}"
        ))),
        _ => named.tag("tag"),
    }
}

const COLUMNS: [Column; 6] = [
    Column::fixed("DIGEST"),
    Column::fixed("SINCE"),
    Column::text("BY"),
    Column::text("FROM"),
    Column::fixed("UNTIL"),
    Column::text("ENDED"),
];

async fn history(arguments: History) -> Result<(), Error> {
    let History {
        reference,
        place,
        output: Output { format },
    } = arguments;
    let reference = Reference::parse(&reference)?;
    if let Some(remote) = place.server()? {
        return history_elsewhere(&remote, reference, format).await;
    }
    let registry = place.store.open().await?;
    let named = reference.resolve(&registry, "tag history").await?;
    let (repository, tag) = named.tag("tag history")?;
    let mut list = List::object(format, &COLUMNS);
    let owner = Viewer::owner();
    let mut page = report::history(&registry, &repository, &tag, None, &owner).await?;
    if page.items.is_empty() {
        return Err(Error::Other(format!(
            "{repository} has no tag {tag}, and no history of it: registry ls {repository} lists its tags"
        )));
    }
    begin(&mut list, &repository, &tag)?;
    loop {
        for state in &page.items {
            list.push(|| as_row(state), || json!(state))?;
        }
        let Some(last) = page.next else { break };
        page = report::history(&registry, &repository, &tag, Some(&last), &owner).await?;
    }
    list.finish()?;
    match removed::tag(&registry, &repository, &tag).await? {
        Some(sentence) if format == Format::Text => output::say(&sentence),
        _ => Ok(()),
    }
}

fn begin(list: &mut List, repository: &RepositoryName, tag: &TagName) -> Result<(), Error> {
    list.field("repository", &json!(repository.as_str()))?;
    list.field("tag", &json!(tag.as_str()))?;
    list.next("states")
}

async fn history_elsewhere(
    remote: &Remote,
    reference: Reference,
    format: Format,
) -> Result<(), Error> {
    let (repository, tag) = reference.elsewhere("tag history")?.tag("tag history")?;
    let path = format!("history/{repository}/{tag}");
    let states: Vec<StateItem> = RemoteList::new(remote, path, "states").all().await?;
    let mut list = List::object(format, &COLUMNS);
    begin(&mut list, &repository, &tag)?;
    for state in &states {
        list.push(|| as_row(state), || json!(state))?;
    }
    list.finish()?;
    let is_removed = states.first().is_some_and(|state| state.end.is_some());
    if format == Format::Json || !is_removed {
        return Ok(());
    }
    let mut trash = RemoteList::new(remote, "trash", "restorable");
    trash.parameters = vec![("repository", repository.to_string())];
    let trash: Vec<RestorableItem> = trash.all().await?;
    let found = trash
        .iter()
        .find(|item| item.tags.iter().any(|one| one == tag.as_str()));
    match found {
        Some(item) => output::say(&removed::said(&repository, &tag, item)),
        None => Ok(()),
    }
}

fn as_row(state: &StateItem) -> Vec<Cell> {
    let (until, ended) = match &state.end {
        None => (Cell::Empty, Cell::Empty),
        Some(end) => {
            let who = values::named(end.who.name.as_deref(), end.who.address.as_deref());
            (Cell::from(end.at), format!("{} by {who}", end.how).into())
        }
    };
    vec![
        Cell::digest(&state.digest),
        Cell::from(state.since),
        state.who.name.as_deref().into(),
        state.who.address.as_deref().into(),
        until,
        ended,
    ]
}

async fn restore(arguments: RestoreArguments) -> Result<(), Error> {
    let RestoreArguments {
        reference,
        to,
        dry_run,
        store,
        output: Output { format },
    } = arguments;
    let reference = Reference::parse(&reference)?;
    let registry = store.open().await?;
    let named = reference.resolve(&registry, "tag restore").await?;
    let (repository, tag) = named.tag("tag restore")?;
    let to = target(&registry, &repository, to.as_deref()).await?;
    let tags = registry.tags();
    let (restoration, removals) = match dry_run {
        true => tags.plan_restore(&repository, &tag, to).await?,
        false => {
            let actor = actor::local_user();
            let restoration = tags.restore(&repository, &tag, to, actor).await?;
            let restored = [tag.to_string()].into();
            let removals = tags.removals_of_restored(&repository, restored).await?;
            (restoration, removals)
        }
    };
    let removals = report::removal_items(&repository, &removals);
    match format {
        Format::Json => json::print(&json!({
            "repository": repository.as_str(),
            "tag": tag.as_str(),
            "digest": restoration.digest.as_str(),
            "was": restoration.was.as_ref().map(Digest::as_str),
            "pushed": restoration.pushed_at.map(json::time),
            "dryRun": dry_run,
            "removals": removals,
        })),
        Format::Text => {
            let undo = match &restoration.was {
                Some(was) if !dry_run && *was != restoration.digest => {
                    undo_of_move(&registry, &repository, &tag, was)
                }
                _ => String::new(),
            };
            output::say(&(sentence(&repository, &tag, &restoration, dry_run) + &undo))?;
            later::say(&removals)
        }
    }
}

/// Says how the former target of a tag comes back, and until when.
fn undo_of_move(
    registry: &Registry,
    repository: &RepositoryName,
    tag: &TagName,
    was: &Digest,
) -> String {
    let short = values::short_digest(was.as_str());
    let command = format!("registry tag restore {repository}:{tag} --to {short}");
    match report::undo_until(&registry.settings().retention) {
        Some(until) => format!("; {}", values::brings_back(&command, until)),
        None => String::new(),
    }
}

/// Says what a restore has done or would do.
fn sentence(
    repository: &RepositoryName,
    tag: &TagName,
    restoration: &TagRestoration,
    dry_run: bool,
) -> String {
    let digest = &restoration.digest;
    let done = match (&restoration.was, dry_run) {
        (Some(was), _) if was == digest => {
            return format!("tag {tag} of {repository} already points at {digest}");
        }
        (Some(was), false) => format!("moved tag {tag} of {repository} from {was} to {digest}"),
        (Some(was), true) => {
            format!("would move tag {tag} of {repository} from {was} to {digest}")
        }
        (None, false) => format!("restored tag {tag} of {repository}, which points at {digest}"),
        (None, true) => format!("would restore tag {tag} of {repository} to {digest}"),
    };
    let pushed = restoration
        .pushed_at
        .map(|time| format!(", pushed {}", values::time(time)));
    let deleted = restoration
        .is_deleted
        .then_some(", whose manifest comes back from the trash");
    format!(
        "{done}{}{}",
        pushed.unwrap_or_default(),
        deleted.unwrap_or_default()
    )
}

/// Parses the value of `--to`: a digest or a prefix of one, or a time.
async fn target(
    registry: &Registry,
    repository: &RepositoryName,
    text: Option<&str>,
) -> Result<RestoreTarget, Error> {
    let Some(text) = text else {
        return Ok(RestoreTarget::Previous);
    };
    if let Ok(time) = time_arg::parse(text, now()) {
        return Ok(RestoreTarget::At(time));
    }
    let parsed = Reference::parse(text);
    match parsed.as_ref().ok().and_then(Reference::digest_alone) {
        Some(prefix) => {
            let digest = reference::digest(registry, Some(repository), prefix).await?;
            Ok(RestoreTarget::Digest(digest))
        }
        None if text.starts_with("sha") => Err(Error::Other(format!(
            "'{text}' is not a digest: write sha256: and 64 hex digits, or enough of them to be unique"
        ))),
        None => time_arg::parse(text, now()).map(RestoreTarget::At),
    }
}
