//! `registry policy preview`: the decision of the retention rules about each tag.

use std::io::{BufWriter, Write, stdout};
use std::time::Duration;

use serde_json::{Value, json};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{Glob, KeepUntagged, PolicyPreview, Registry, Retention, TagDecision};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::output::{Format, JsonArray, Table, exact_time, time, written};
use crate::cli::terminal::selection::{is_glob, pattern};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List every tag, whether the rules keep or remove it, why, and until when; changes nothing
    Preview(Look),
}

#[derive(clap::Args)]
struct Look {
    /// Repository, or a quoted glob such as 'team/**' [default: all]
    #[arg(value_name = "REPOSITORY|GLOB")]
    repositories: Option<String>,
    #[command(flatten)]
    store: Store,
    /// Output format: table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Command::Preview(Look {
        repositories,
        store,
        output,
    }) = arguments.command;
    let (registry, retention) = store.open_with_rules().await?;
    let out = BufWriter::new(stdout().lock());
    let table = Table::new(&["REPOSITORY", "TAG", "DECISION", "UNTIL", "WHY", "POLICY"]);
    let mut list = List {
        registry: &registry,
        retention: &retention,
        output,
        out,
        table,
        array: JsonArray::new(),
    };
    match repositories.as_deref() {
        Some(name) if !is_glob(name) => {
            let name =
                RepositoryName::parse(name).map_err(|error| Error::Other(error.to_string()))?;
            // fails for an unknown repository
            registry.tags().list(&name, String::new(), Some(0)).await?;
            list.repository(&name).await?;
        }
        glob => {
            let pattern = glob.map(pattern).transpose()?;
            let is_any = list.matching(pattern.as_ref()).await?;
            if let (false, Some(glob)) = (is_any, glob) {
                return Err(Error::Other(format!(
                    "no repository matches '{glob}': run registry ls to list them"
                )));
            }
        }
    }
    list.finish()
}

/// Prints decisions page by page, without holding all of them in memory.
struct List<'r, W: Write> {
    registry: &'r Registry,
    retention: &'r Retention,
    output: Format,
    out: W,
    table: Table,
    array: JsonArray,
}

impl<W: Write> List<'_, W> {
    /// Prints all repositories whose names match, and reports whether there were any.
    async fn matching(&mut self, pattern: Option<&Glob>) -> Result<bool, Error> {
        let mut is_any = false;
        let mut after = Some(String::new());
        while let Some(last) = after {
            let page = self.registry.repositories().catalog(last, None).await?;
            for name in page
                .items
                .iter()
                .filter(|name| pattern.is_none_or(|pattern| pattern.matches(name)))
            {
                if let Ok(name) = RepositoryName::parse(name) {
                    is_any = true;
                    self.repository(&name).await?;
                }
            }
            after = page.next;
        }
        Ok(is_any)
    }

    async fn repository(&mut self, name: &RepositoryName) -> Result<(), Error> {
        let preview = self
            .registry
            .reports()
            .preview_policy(name, self.retention)
            .await?;
        let mut tags = JsonArray::new();
        if self.output == Format::Json {
            let text = |value: Option<&str>| json!(value);
            written(self.array.begin_item(&mut self.out).and_then(|()| {
                let (policy, untagged) = (
                    text(preview.policy.as_deref()),
                    preview.untagged.to_string(),
                );
                write!(
                    self.out,
                    "{{ \"repository\": {}, \"policy\": {policy}, ",
                    json!(name.as_str())
                )?;
                write!(
                    self.out,
                    "\"keepUntagged\": {}, \"tags\": ",
                    json!(untagged)
                )
            }))?;
        }
        let mut after = Some(String::new());
        while let Some(last) = after {
            let page = self
                .registry
                .reports()
                .preview_tags(name, &preview, last)
                .await?;
            for decision in page.items {
                match self.output {
                    Format::Json => written(tags.push(&mut self.out, &as_json(&decision)))?,
                    Format::Table => self.table.row(as_row(name, &preview, decision)),
                }
            }
            if self.output == Format::Table {
                written(self.table.print(&mut self.out))?;
            }
            after = page.next;
        }
        written(match self.output {
            Format::Json => tags
                .end(&mut self.out)
                .and_then(|()| write!(self.out, " }}")),
            Format::Table => {
                self.table.row(untagged_row(name, &preview));
                self.table.print(&mut self.out)
            }
        })
    }

    fn finish(mut self) -> Result<(), Error> {
        written(match self.output {
            Format::Json => self.array.finish(&mut self.out),
            Format::Table => self.table.print(&mut self.out),
        })
    }
}

fn as_row(name: &RepositoryName, preview: &PolicyPreview, decision: TagDecision) -> Vec<String> {
    let TagDecision {
        tag,
        is_kept,
        reason,
        until,
    } = decision;
    let (verdict, until) = (
        if is_kept { "kept" } else { "removed" },
        until.map_or_else(|| "-".to_owned(), time),
    );
    vec![
        name.to_string(),
        tag,
        verdict.to_owned(),
        until,
        reason,
        policy_of(preview),
    ]
}

/// Returns the row about untagged manifests.
fn untagged_row(name: &RepositoryName, preview: &PolicyPreview) -> Vec<String> {
    let (verdict, why) = match preview.untagged {
        KeepUntagged::Forever => ("kept", "untagged manifests are kept forever".to_owned()),
        KeepUntagged::For(Duration::ZERO) => (
            "removed",
            "untagged manifests are kept only for the lease and grace period".to_owned(),
        ),
        time => ("removed", format!("untagged manifests are kept for {time}")),
    };
    vec![
        name.to_string(),
        "(untagged)".to_owned(),
        verdict.to_owned(),
        "-".to_owned(),
        why,
        policy_of(preview),
    ]
}

fn policy_of(preview: &PolicyPreview) -> String {
    preview.policy.clone().unwrap_or_else(|| "-".to_owned())
}

fn as_json(decision: &TagDecision) -> Value {
    let TagDecision {
        tag,
        is_kept,
        reason,
        until,
    } = decision;
    json!({ "tag": tag, "kept": is_kept, "reason": reason, "until": until.map(exact_time) })
}
