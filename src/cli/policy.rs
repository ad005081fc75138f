//! `registry policy preview`: what the rules decide about each tag, without doing it.

use std::io::{BufWriter, Write, stdout};

use registry::oci::RepositoryName;
use registry::registry::{Decision, KeepUntagged, Preview, Registry};
use serde_json::json;

use super::output::{Format, JsonArray, Table, exact_time, time, written};
use super::selection::{is_glob, matching_repositories};
use super::{Failure, Store, settings};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List every tag with the rule that decides about it, kept or removed, and until when; changes nothing
    Preview(Look),
}

#[derive(clap::Args)]
struct Look {
    /// Only this repository, or those that match a glob, which the shell must not touch: 'team/**'
    #[arg(value_name = "REPOSITORY|GLOB")]
    repositories: Option<String>,
    #[command(flatten)]
    store: Store,
    /// Print a table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Command::Preview(Look { repositories, store, output }) = arguments.command;
    let (registry, retention) = store.open_with_rules()?;
    let names = names(&registry, repositories.as_deref()).await?;
    let mut out = BufWriter::new(stdout().lock());
    let mut table = Table::new(&["REPOSITORY", "TAG", "DECISION", "UNTIL", "WHY", "POLICY"]);
    let mut array = JsonArray::new();
    for name in names {
        let preview = registry.preview(&name, &retention).await?;
        match output {
            Format::Json => push(&mut array, &mut out, &name, &preview)?,
            Format::Table => {
                rows(&name, &preview).into_iter().for_each(|row| table.row(row));
                written(table.print(&mut out))?;
            }
        }
    }
    written(match output {
        Format::Json => array.finish(&mut out),
        Format::Table => table.print(&mut out),
    })
}

async fn names(registry: &Registry, wanted: Option<&str>) -> Result<Vec<RepositoryName>, Failure> {
    let Some(wanted) = wanted else { return matching_repositories(registry, None).await };
    if is_glob(wanted) {
        let names = matching_repositories(registry, Some(&settings::pattern(wanted)?)).await?;
        if names.is_empty() {
            return Err(Failure::Other(format!("no repository matches '{wanted}': registry ls lists what is there")));
        }
        return Ok(names);
    }
    let name = RepositoryName::parse(wanted).map_err(|error| Failure::Other(error.to_string()))?;
    // for its error
    registry.tags(&name, String::new(), Some(0)).await?;
    Ok(vec![name])
}

fn rows(name: &RepositoryName, preview: &Preview) -> Vec<Vec<String>> {
    let policy = preview.policy.clone().unwrap_or_else(|| "-".to_owned());
    let row = |tag: &str, decision: &str, until: String, why: String| {
        vec![name.to_string(), tag.to_owned(), decision.to_owned(), until, why, policy.clone()]
    };
    let mut rows: Vec<_> = preview
        .tags
        .iter()
        .map(|Decision { tag, is_kept, reason, until }| {
            let until = until.map_or_else(|| "-".to_owned(), time);
            row(tag, if *is_kept { "kept" } else { "removed" }, until, reason.clone())
        })
        .collect();
    if preview.policy.is_none() {
        rows.push(row("*", "kept", "-".to_owned(), "no policy matches the repository".to_owned()));
    }
    let (decision, why) = match preview.untagged {
        KeepUntagged::Forever => ("kept", "manifests without a tag stay for ever".to_owned()),
        KeepUntagged::Never => ("removed", "manifests without a tag stay for lease and grace period only".to_owned()),
        time => ("removed", format!("manifests without a tag stay for {time}")),
    };
    rows.push(row("(untagged)", decision, "-".to_owned(), why));
    rows
}

fn push(array: &mut JsonArray, out: &mut impl Write, name: &RepositoryName, preview: &Preview) -> Result<(), Failure> {
    let tags = preview.tags.iter().map(
        |Decision { tag, is_kept, reason, until }| json!({ "tag": tag, "kept": is_kept, "reason": reason, "until": until.map(exact_time) }),
    );
    let value = json!({
        "repository": name.as_str(),
        "policy": preview.policy,
        "keepUntagged": preview.untagged.to_string(),
        "tags": tags.collect::<Vec<_>>(),
    });
    written(array.push(out, &value))
}
