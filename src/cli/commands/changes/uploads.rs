//! `registry uploads`: lists open upload sessions, and drops them.

use serde_json::{Value, json};
use tarkeep::oci::Glob;
use tarkeep::registry::{self, Millis, Registry, UploadSession, now};

use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::confirm::Confirmation;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::reference::{self, Reference};
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::{count, size};
use crate::cli::terminal::{json, time_arg};

/// Minimum length of a shortened id.
const SHORTEST_ID: usize = 4;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = keys::UPLOADS)]
pub(crate) struct Arguments {
    #[command(flatten)]
    list: ListArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List open uploads: how large, since when, last used when, and by whom
    Ls(ListArguments),
    /// Drop open uploads and what they received; their clients have to begin again
    Rm(RmArguments),
}

#[derive(clap::Args)]
struct ListArguments {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct RmArguments {
    /// Id of an upload or the beginning of one, repository, or quoted glob: '**' for all
    #[arg(value_name = "ID|REPOSITORY", required = true)]
    references: Vec<String>,
    #[command(flatten)]
    idle: Idle,
    /// Only list what would be dropped
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

#[derive(clap::Args)]
struct Choice {
    /// Id of an upload or the beginning of one, repository, or quoted glob: 'team/*' [default: all]
    #[arg(value_name = "ID|REPOSITORY")]
    references: Vec<String>,
    #[command(flatten)]
    idle: Idle,
}

#[derive(clap::Args)]
struct Idle {
    /// Only uploads that received nothing for this long, or since a time: 1h, 2026-11-21
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    idle: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        None => list(arguments.list).await,
        Some(Command::Ls(arguments)) => list(arguments).await,
        Some(Command::Rm(arguments)) => rm(arguments).await,
    }
}

const COLUMNS: [Column; 6] = [
    Column::name("REPOSITORY"),
    Column::fixed("ID"),
    Column::number("SIZE"),
    Column::fixed("STARTED"),
    Column::fixed("LAST USED"),
    Column::text("BY"),
];

async fn list(arguments: ListArguments) -> Result<(), Error> {
    let ListArguments {
        choice: Choice { references, idle },
        store,
        output: Output { format },
    } = arguments;
    let idle_since = idle.since()?;
    let registry = store.open().await?;
    let sessions = chosen(&registry, &references, idle_since).await?;
    if format == Format::Text && sessions.is_empty() {
        return output::say("no upload is open");
    }
    let mut list = List::begin(format, "sessions", &COLUMNS)?;
    push_all(&sessions, &mut list)?;
    list.finish()?;
    match format {
        Format::Json => Ok(()),
        Format::Text => output::say(&total(&sessions)),
    }
}

async fn rm(arguments: RmArguments) -> Result<(), Error> {
    let RmArguments {
        references,
        idle,
        dry_run,
        confirmation,
        store,
        output: Output { format },
    } = arguments;
    let idle_since = idle.since()?;
    let registry = store.open().await?;
    let mut sessions = chosen(&registry, &references, idle_since).await?;
    if sessions.is_empty() {
        return Err(Error::Other(format!(
            "no open upload is meant by {}: registry uploads lists them",
            references.join(" ")
        )));
    }
    if !dry_run {
        confirmation.check_possible()?;
    }
    if format == Format::Text {
        let mut list = List::begin(format, "items", &COLUMNS)?;
        push_all(&sessions, &mut list)?;
        list.finish()?;
    }
    let mut failures = Vec::new();
    if !dry_run {
        confirmation.ask(&format!("drop {}?", total(&sessions)))?;
        let mut dropped = Vec::with_capacity(sessions.len());
        for session in sessions {
            match drop_session(&registry, &session).await {
                Ok(()) => dropped.push(session),
                Err(error) => failures.push(format!("{} stays: {error}", session.id)),
            }
        }
        sessions = dropped;
    }
    match format {
        Format::Json => json::print(&json!({
            "removed": !dry_run,
            "items": sessions.iter().map(as_json).collect::<Vec<_>>(),
            "size": bytes(&sessions),
        }))?,
        Format::Text if dry_run => output::say(&format!("would drop {}", total(&sessions)))?,
        Format::Text => output::say(&format!("dropped {}", total(&sessions)))?,
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Error::Other(failures.join("\n"))),
    }
}

/// Ends a session; one that has ended meanwhile is no failure.
async fn drop_session(registry: &Registry, session: &UploadSession) -> Result<(), Error> {
    let repository = reference::repository(&session.repository)?;
    let cancelled = registry
        .uploads()
        .cancel(&repository, &session.id, actor::local_user())
        .await;
    match cancelled {
        Err(registry::Error::UploadUnknown(_)) => Ok(()),
        other => Ok(other?),
    }
}

impl Idle {
    /// Returns the time since which nothing may have been received.
    fn since(&self) -> Result<Option<Millis>, Error> {
        let parse = |text: &String| time_arg::parse(text, now());
        self.idle.as_ref().map(parse).transpose()
    }
}

/// Lists the open sessions that are meant, all if none is named; longest unused first.
async fn chosen(
    registry: &Registry,
    references: &[String],
    idle_since: Option<Millis>,
) -> Result<Vec<UploadSession>, Error> {
    let mut sessions = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.uploads().list(last).await?;
        sessions.extend(page.items);
        after = page.next;
    }
    if !references.is_empty() {
        let mut meant = Vec::with_capacity(references.len());
        for reference in references {
            meant.push(Meant::of(reference, &sessions, registry).await?);
        }
        sessions.retain(|session| meant.iter().any(|meant| meant.includes(session)));
    }
    sessions.retain(|session| idle_since.is_none_or(|since| session.active_at <= since));
    sessions.sort_by_key(|session| session.active_at);
    Ok(sessions)
}

/// Meaning of an argument.
enum Meant {
    Session(String),
    Repositories(Glob),
}

impl Meant {
    /// Finds out whether a text is the id of an open session, or the only beginning of one, or names repositories.
    async fn of(
        text: &str,
        sessions: &[UploadSession],
        registry: &Registry,
    ) -> Result<Self, Error> {
        let mut beginning = sessions
            .iter()
            .map(|session| session.id.as_str())
            .filter(|id| text.len() >= SHORTEST_ID && id.starts_with(text));
        match (beginning.next(), beginning.next()) {
            (Some(id), None) => Ok(Self::Session(id.to_owned())),
            (Some(id), Some(other)) => Err(Error::Other(format!(
                "several uploads begin with {text}: add digits, as in {id} or {other}"
            ))),
            (None, _) => {
                let named = Reference::parse(text)?.resolve(registry, "uploads").await?;
                Ok(Self::Repositories(named.whole("uploads")?))
            }
        }
    }

    fn includes(&self, session: &UploadSession) -> bool {
        match self {
            Self::Session(id) => session.id.as_str() == id,
            Self::Repositories(glob) => glob.matches(&session.repository),
        }
    }
}

fn push_all(sessions: &[UploadSession], list: &mut List) -> Result<(), Error> {
    sessions
        .iter()
        .try_for_each(|session| list.push(|| cells(session), || as_json(session)))
}

fn cells(session: &UploadSession) -> Vec<Cell> {
    vec![
        (&*session.repository).into(),
        Cell::Upload(session.id.clone()),
        Cell::Size(session.size),
        Cell::Time(session.started_at),
        Cell::Time(session.active_at),
        Cell::actor(&session.started_by),
    ]
}

fn as_json(session: &UploadSession) -> Value {
    json!({
        "id": session.id.as_str(),
        "repository": session.repository,
        "size": session.size,
        "started": json::time(session.started_at),
        "active": json::time(session.active_at),
        "who": json::who(&session.started_by),
    })
}

fn bytes(sessions: &[UploadSession]) -> u64 {
    sessions.iter().map(|session| session.size).sum()
}

fn total(sessions: &[UploadSession]) -> String {
    let number = count(sessions.len() as u64, "open upload");
    format!("{number} with {}", size(bytes(sessions)))
}
