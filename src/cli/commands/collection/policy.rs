//! `registry policy preview`: the decision of the retention rules about each tag.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;
use tarkeep::oci::{Glob, RepositoryName};
use tarkeep::registry::{Millis, Registry, Retention, now};
use tarkeep::remote::{Remote, RemotePage};
use tarkeep::report::{
    self, Decided, DecisionItem, DecisionPlace, PreviewItem, PreviewQuery, RuleEffectItem,
    RulesItem, Time, Viewer,
};

use crate::cli::error::Error;
use crate::cli::from_config::retention::edited;
use crate::cli::place::{Place, failed};
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::{as_glob, check_listed, nothing_matches, repositories};
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::reference::{Names, Reference};
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::time_arg;
use crate::cli::terminal::values::{count, exact_time, size};

/// Number of tags that are decided about at once.
const PAGE: usize = 1000;

#[derive(clap::Args)]
#[command(after_help = keys::POLICY)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Sum up what each rule removes, then list every tag, whether it is kept, why, and until when; changes nothing
    Preview(PreviewArguments),
}

#[derive(clap::Args)]
#[command(after_help = keys::POLICY)]
struct PreviewArguments {
    /// Repository, tag, or a quoted glob: 'team/**', 'team/*:pr-*' [default: all]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
    /// List only tags that are removed
    #[arg(long)]
    removed_only: bool,
    /// Decide as at a time: 2027-01-31, 2027-01-31T10:29:00Z, or +30d for 30 days from now [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// YAML file whose policies are tried in the place of those in force
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Command::Preview(arguments) = arguments.command;
    let asked = Asked {
        reference: arguments
            .reference
            .as_deref()
            .map(Reference::parse)
            .transpose()?,
        at: arguments
            .at
            .map_or(Ok(now()), |text| time_arg::parse(&text, now()))?,
        which: match arguments.removed_only {
            true => Decided::Removed,
            false => Decided::All,
        },
        rules: arguments.rules.map(read).transpose()?,
    };
    let format = arguments.output.format;
    match arguments.place.server()? {
        Some(remote) => asked.elsewhere(&remote)?.show(format).await,
        None => {
            let (registry, retention) = arguments.place.store.open_with_rules().await?;
            asked.here(&registry, retention).await?.show(format).await
        }
    }
}

/// Reads a file of rules.
fn read(path: PathBuf) -> Result<String, Error> {
    let text = std::fs::read_to_string(&path);
    text.map_err(|error| Error::Other(format!("cannot read {}: {error}", path.display())))
}

/// Preview that is asked for.
struct Asked {
    reference: Option<Reference>,
    at: Millis,
    which: Decided,
    /// Text of the rules to try.
    rules: Option<String>,
}

/// Place that a preview comes from.
enum Source<'r> {
    Here {
        registry: &'r Registry,
        retention: Retention,
        query: PreviewQuery,
    },
    There {
        remote: &'r Remote,
        path: String,
        parameters: Vec<(&'static str, String)>,
        rules: Option<String>,
    },
}

/// Preview, page by page.
struct Preview<'r> {
    source: Source<'r>,
    /// True if neither tags nor removals are chosen.
    is_whole: bool,
}

impl Asked {
    async fn here(self, registry: &Registry, retention: Retention) -> Result<Preview<'_>, Error> {
        let retention = match self.rules {
            Some(text) => edited(&text).map_err(Error::Other)?.over(&retention),
            None => retention,
        };
        let (repositories, tags) = match self.reference {
            None => (repositories(registry, None).await?, None),
            Some(reference) => meant(registry, reference).await?,
        };
        Ok(Preview {
            is_whole: tags.is_none() && self.which == Decided::All,
            source: Source::Here {
                registry,
                retention,
                query: PreviewQuery {
                    repositories,
                    tags,
                    which: self.which,
                    at: self.at,
                },
            },
        })
    }

    fn elsewhere(self, remote: &Remote) -> Result<Preview<'_>, Error> {
        let mut parameters = vec![("at", exact_time(self.at)), ("n", PAGE.to_string())];
        if self.which == Decided::Removed {
            parameters.push(("removed", "true".to_owned()));
        }
        let mut is_whole = self.which == Decided::All;
        let mut path = "policies".to_owned();
        if let Some(reference) = self.reference {
            let named = reference.elsewhere("policy preview")?;
            let (names, tags) = named.tags("policy preview")?;
            is_whole &= tags.is_none();
            parameters.extend(tags.map(|tags| ("tags", tags.to_string())));
            match names {
                Names::One(name) => path = format!("policies/{name}"),
                Names::Matching(glob) => parameters.push(("repositories", glob.to_string())),
            }
        }
        Ok(Preview {
            is_whole,
            source: Source::There {
                remote,
                path,
                parameters,
                rules: self.rules,
            },
        })
    }
}

/// Returns the repositories that a reference means, and which of their tags.
async fn meant(
    registry: &Registry,
    reference: Reference,
) -> Result<(Vec<RepositoryName>, Option<Glob>), Error> {
    let named = reference.resolve(registry, "policy preview").await?;
    let text = named.text.clone();
    let (names, tags) = named.tags("policy preview")?;
    let names = match names {
        Names::One(name) => {
            check_listed(registry, &name).await?;
            vec![name]
        }
        Names::Matching(glob) => repositories(registry, Some(&glob)).await?,
    };
    if names.is_empty() {
        return Err(nothing_matches(&text));
    }
    Ok((names, tags.map(as_glob).transpose()?))
}

impl Source<'_> {
    /// Returns a page, and the cursor of the next.
    async fn page(&self, last: Option<String>) -> Result<(PreviewItem, Option<String>), Error> {
        match self {
            Self::Here {
                registry,
                retention,
                query,
            } => {
                let place = (last.as_deref().and_then(DecisionPlace::parse), PAGE);
                let viewer = Viewer::owner();
                Ok(report::preview(registry, retention, query, place, &viewer).await?)
            }
            Self::There {
                remote,
                path,
                parameters,
                rules,
            } => {
                let mut parameters = parameters.clone();
                parameters.extend(last.map(|last| ("last", last)));
                let page = match rules {
                    Some(rules) => {
                        let body = json!({ "rules": rules });
                        remote.get_by(path, &parameters, &body).await
                    }
                    None => remote.get(path, &parameters).await,
                };
                let RemotePage { body, next } = page.map_err(failed)?;
                Ok((body, next))
            }
        }
    }
}

impl Preview<'_> {
    /// Lists decisions page by page, without holding all of them in memory.
    async fn show(&self, format: Format) -> Result<(), Error> {
        let (first, mut next) = self.source.page(None).await?;
        if format == Format::Text {
            show_summary(&first.summary)?;
            if self.is_whole {
                say_untagged(&first.repositories)?;
            }
            output::print("\n")?;
        }
        let columns = [
            Column::name("REPOSITORY"),
            Column::name("TAG"),
            Column::fixed("DECISION"),
            Column::fixed("UNTIL"),
            Column::text("WHY"),
            Column::name("POLICY").optional(),
        ];
        let mut list = List::object(format, &columns);
        list.field("at", &json!(first.at))?;
        list.field("summary", &json!(first.summary))?;
        list.next("tags")?;
        let mut tags = first.tags;
        loop {
            for decision in &tags {
                list.push(|| cells(decision), || json!(decision))?;
            }
            let Some(last) = next else { break };
            let page = self.source.page(Some(last)).await?;
            (tags, next) = (page.0.tags, page.1);
        }
        list.field("repositories", &json!(first.repositories))?;
        list.finish()
    }
}

/// Prints what each rule removes.
fn show_summary(effects: &[RuleEffectItem]) -> Result<(), Error> {
    if effects.is_empty() {
        return output::say("no rule about tags (policies) decides here: every tag stays");
    }
    let columns = [
        Column::name("POLICY"),
        Column::text("RULE"),
        Column::number("TAGS"),
        Column::number("REMOVED"),
        Column::number("FREES"),
    ];
    let mut table = Table::new(&columns, Screen::of_stdout());
    for effect in effects.iter().filter(|effect| effect.removed_count > 0) {
        written(table.row(vec![
            (&*effect.policy).into(),
            (&*effect.rule).into(),
            Cell::Count(effect.tag_count),
            Cell::Count(effect.removed_count),
            effect.frees.map_or(Cell::Empty, |frees| Cell::Size(frees.size)),
        ]))?;
    }
    let removed: u64 = effects.iter().map(|effect| effect.removed_count).sum();
    if removed == 0 {
        return output::say("the rules remove no tags");
    }
    written(table.print(&mut std::io::stdout().lock()))?;
    let frees: Option<Vec<_>> = effects.iter().map(|effect| effect.frees).collect();
    let frees = frees.map(|all| all.iter().map(|frees| frees.size).sum());
    let removed = count(removed, "tag");
    output::say(&match frees {
        Some(bytes) => format!(
            "{removed} removed, which frees {} once nothing else keeps the images",
            size(bytes)
        ),
        None => format!("{removed} removed"),
    })
}

fn cells(decision: &DecisionItem) -> Vec<Cell> {
    let verdict = if decision.kept { "kept" } else { "removed" };
    vec![
        (&*decision.repository).into(),
        (&*decision.tag).into(),
        verdict.into(),
        Cell::time(decision.until.map(|Time(at)| at)),
        (&*decision.reason).into(),
        decision.policy.as_deref().into(),
    ]
}

/// Says how long manifests without a tag stay in the repositories.
fn say_untagged(rules: &[RulesItem]) -> Result<(), Error> {
    let rules: BTreeSet<_> = rules
        .iter()
        .map(|rules| (rules.policy.as_deref(), &*rules.keep_untagged))
        .collect();
    rules
        .iter()
        .try_for_each(|(policy, time)| output::say(&untagged_sentence(*policy, time)))
}

/// Says how long manifests without a tag stay, by a policy or by `gc.keepuntagged`.
fn untagged_sentence(policy: Option<&str>, time: &str) -> String {
    let place = match policy {
        Some(policy) => format!(" in the repositories of policy '{policy}'"),
        None => " where no policy applies".to_owned(),
    };
    let stay = match time {
        "forever" => "stay forever".to_owned(),
        "0s" => "stay for the lease and the grace period only".to_owned(),
        time => format!("stay for {time}"),
    };
    format!("images without a tag{place} {stay} (keepuntagged)")
}
