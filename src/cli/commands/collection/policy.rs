//! `registry policy preview`: the decision of the retention rules about each tag.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tarkeep::oci::{RepositoryName, TagName};
use tarkeep::registry::{Millis, PolicyPreview, Registry, Retention, RuleEffect, TagDecision, now};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::{check_listed, nothing_matches, repositories};
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::reference::{Names, Reference};
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::values::{count, size};
use crate::cli::terminal::{json, time_arg};

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
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Command::Preview(PreviewArguments {
        reference,
        removed_only,
        at,
        store,
        output: Output { format },
    }) = arguments.command;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    let at = at.map_or(Ok(now()), |text| time_arg::parse(&text, now()))?;
    let (registry, retention) = store.open_with_rules().await?;
    let (repositories, tags) = match reference {
        None => (repositories(&registry, None).await?, None),
        Some(reference) => meant(&registry, reference).await?,
    };
    let effects = registry
        .reports()
        .rule_effects(repositories.clone(), &retention, at)
        .await?;
    if format == Format::Text {
        show_summary(&effects, &retention)?;
        if !removed_only && tags.is_none() {
            say_untagged(&repositories, &retention)?;
        }
        output::print("\n")?;
    }
    let preview = Preview {
        registry: &registry,
        retention: &retention,
        at,
        tags,
        removed_only,
    };
    preview.list(&repositories, &effects, format).await
}

/// Returns the repositories that a reference means, and which of their tags.
async fn meant(
    registry: &Registry,
    reference: Reference,
) -> Result<(Vec<RepositoryName>, Option<Names<TagName>>), Error> {
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
    Ok((names, tags))
}

/// Prints what each rule removes.
fn show_summary(effects: &[RuleEffect], retention: &Retention) -> Result<(), Error> {
    let has_rules = retention
        .policies
        .iter()
        .any(|policy| !policy.tags.is_empty());
    if !has_rules {
        return output::say("no rules about tags are configured (policies): every tag stays");
    }
    let columns = [
        Column::name("POLICY"),
        Column::text("RULE"),
        Column::number("TAGS"),
        Column::number("REMOVED"),
        Column::number("FREES"),
    ];
    let mut table = Table::new(&columns, Screen::of_stdout());
    for effect in effects.iter().filter(|effect| effect.removed_tags > 0) {
        written(table.row(vec![
            (&*effect.policy).into(),
            (&*effect.rule).into(),
            Cell::Count(effect.tags),
            Cell::Count(effect.removed_tags),
            Cell::Size(effect.bytes),
        ]))?;
    }
    let removed: u64 = effects.iter().map(|effect| effect.removed_tags).sum();
    if removed == 0 {
        return output::say("the rules remove no tags");
    }
    written(table.print(&mut std::io::stdout().lock()))?;
    let bytes = effects.iter().map(|effect| effect.bytes).sum();
    output::say(&format!(
        "{} removed, which frees {} once nothing else keeps the images",
        count(removed, "tag"),
        size(bytes)
    ))
}

/// A list of decisions.
struct Preview<'r> {
    registry: &'r Registry,
    retention: &'r Retention,
    at: Millis,
    tags: Option<Names<TagName>>,
    removed_only: bool,
}

impl Preview<'_> {
    /// Lists decisions page by page, without holding all of them in memory.
    async fn list(
        &self,
        repositories: &[RepositoryName],
        effects: &[RuleEffect],
        format: Format,
    ) -> Result<(), Error> {
        let columns = [
            Column::name("REPOSITORY"),
            Column::name("TAG"),
            Column::fixed("DECISION"),
            Column::fixed("UNTIL"),
            Column::text("WHY"),
            Column::name("POLICY").optional(),
        ];
        let mut list = List::object(format, &columns);
        list.field("at", &json::time(self.at))?;
        let summary: Vec<_> = effects.iter().map(effect_json).collect();
        list.field("summary", &Value::from(summary))?;
        list.next("tags")?;
        let mut rules = Vec::new();
        for name in repositories {
            let preview = self
                .registry
                .reports()
                .preview_policy(name, self.retention, self.at)
                .await?;
            self.tags_of(name, &preview, &mut list).await?;
            rules.push(json!({
                "repository": name.as_str(), "policy": preview.policy, "keepUntagged": preview.untagged.to_string(),
            }));
        }
        list.field("repositories", &Value::from(rules))?;
        list.finish()
    }

    async fn tags_of(
        &self,
        name: &RepositoryName,
        preview: &PolicyPreview,
        list: &mut List,
    ) -> Result<(), Error> {
        let mut after = Some(String::new());
        while let Some(last) = after {
            let page = self
                .registry
                .reports()
                .preview_tags(name, preview, last)
                .await?;
            for decision in page
                .items
                .iter()
                .filter(|decision| self.is_listed(decision))
            {
                list.push(
                    || cells(name, preview, decision),
                    || as_json(name, preview, decision),
                )?;
            }
            after = page.next;
        }
        Ok(())
    }

    fn is_listed(&self, decision: &TagDecision) -> bool {
        let is_named = match &self.tags {
            None => true,
            Some(Names::One(tag)) => tag.as_str() == decision.tag,
            Some(Names::Matching(glob)) => glob.matches(&decision.tag),
        };
        is_named && !(self.removed_only && decision.is_kept)
    }
}

fn effect_json(effect: &RuleEffect) -> Value {
    json!({
        "policy": effect.policy, "rule": effect.rule, "tagCount": effect.tags, "removedCount": effect.removed_tags,
        "frees": { "size": effect.bytes, "blobCount": effect.blobs },
    })
}

fn cells(name: &RepositoryName, preview: &PolicyPreview, decision: &TagDecision) -> Vec<Cell> {
    let verdict = if decision.is_kept { "kept" } else { "removed" };
    vec![
        name.as_str().into(),
        (&*decision.tag).into(),
        verdict.into(),
        Cell::time(decision.until),
        (&*decision.reason).into(),
        preview.policy.as_deref().into(),
    ]
}

/// Says how long manifests without a tag stay in the repositories.
fn say_untagged(repositories: &[RepositoryName], retention: &Retention) -> Result<(), Error> {
    let rules: BTreeSet<_> = repositories
        .iter()
        .map(|name| {
            let policy = retention.policy(name.as_str());
            let policy = policy.map(|policy| policy.repositories.to_string());
            let time = retention.untagged_rule(name.as_str()).to_string();
            (policy, time)
        })
        .collect();
    rules
        .iter()
        .try_for_each(|(policy, time)| output::say(&untagged_sentence(policy.as_deref(), time)))
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

fn as_json(name: &RepositoryName, preview: &PolicyPreview, decision: &TagDecision) -> Value {
    json!({
        "repository": name.as_str(), "tag": decision.tag, "policy": preview.policy, "kept": decision.is_kept,
        "reason": decision.reason, "until": decision.until.map(json::time),
    })
}
