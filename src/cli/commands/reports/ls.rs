//! `registry ls`: repositories, or tags.

use serde_json::{Value, json};
use tarkeep::registry::{
    self, Damaged, ImageSummary, ListQuery, Registry, RepositoryRow, TagKey, TagRow,
};

use crate::cli::commands::reports::untagged;
use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::{Listed, Selection, Sort, nothing_has};
use crate::cli::terminal::output::{Format, Output};
use crate::cli::terminal::reference::{Named, Reference};
use crate::cli::terminal::removed;
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::count;

/// Maximum number of tags whose details are read at once.
const BATCH: usize = 500;

/// List repositories, or the tags of one
///
/// registry ls                        all repositories
/// registry ls team/app               tags of a repository
/// registry ls 'team/**'              repositories that match a glob (quoted)
/// registry ls 'team/app:pr-*'        tags that match a glob
/// registry ls --sort size --limit 10 the ten largest repositories
/// registry ls --untagged team/app    images without a tag
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Repository whose tags are listed, or a quoted glob: 'team/*' for repositories, 'team/*:pr-*' for tags [default: all
    /// repositories]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
    /// List images that no tag points at, with the tags that they had: those of a repository, of a glob, or of all
    #[arg(long)]
    untagged: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        untagged: is_untagged,
        selection,
        store,
        output: Output { format },
    } = arguments;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    let (registry, retention) = store.open_with_rules().await?;
    if is_untagged {
        let query = selection.of_repositories(reference, &registry, "ls --untagged");
        let query = removed::explained(&registry, query.await).await?;
        return untagged::list(&registry, query, &retention, format).await;
    }
    let (text, named) = match reference {
        None => (String::new(), None),
        Some(reference) => {
            let named = reference.resolve(&registry, "ls").await?;
            (named.text.clone(), Some(named))
        }
    };
    let one_tag = named.as_ref().and_then(Named::one_tag);
    let listed = selection.of(named, Sort::Name, &registry, "ls").await;
    match removed::explained(&registry, listed).await? {
        Listed::Repositories(query) => repositories(&registry, query, format).await,
        Listed::Tags(names, query) => {
            // an empty repository is no mistake, but a tag that does not exist is
            let must_match = query.pattern.is_some() && query.since.is_none();
            let is_one = names.len() == 1;
            let keys = registry.tags().find(names, query).await?;
            if keys.is_empty() && must_match {
                return removed::explained(&registry, Err(nothing_has(one_tag, &text))).await;
            }
            tags(&registry, keys, is_one, format).await
        }
    }
}

async fn repositories(registry: &Registry, query: ListQuery, format: Format) -> Result<(), Error> {
    let columns = [
        Column::name("REPOSITORY"),
        Column::number("TAGS"),
        Column::number("MANIFESTS"),
        Column::number("SIZE"),
        Column::fixed("PUSHED"),
        Column::fixed("PULLED"),
        Column::fixed("CHECKED").optional(),
    ];
    let mut list = List::begin(format, "repositories", &columns)?;
    for row in registry.repositories().find(query).await? {
        let RepositoryRow {
            name,
            tags,
            manifests,
            size,
            pushed_at,
            pulled_at,
            checked_at,
        } = row;
        list.push(
            || {
                vec![
                    (&*name).into(),
                    Cell::Count(tags),
                    Cell::Count(manifests),
                    Cell::Size(size),
                    Cell::Time(pushed_at),
                    Cell::time(pulled_at),
                    Cell::time(checked_at),
                ]
            },
            || {
                json!({
                    "repository": name, "tagCount": tags, "manifestCount": manifests, "size": size,
                    "pushed": json::time(pushed_at), "pulled": pulled_at.map(json::time),
                    "checked": checked_at.map(json::time),
                })
            },
        )?;
    }
    list.finish()
}

async fn tags(
    registry: &Registry,
    keys: Vec<TagKey>,
    is_one: bool,
    format: Format,
) -> Result<(), Error> {
    let mut columns = vec![
        Column::name("TAG"),
        Column::number("SIZE"),
        Column::text("PLATFORMS").optional(),
        Column::fixed("PUSHED"),
        Column::fixed("PULLED"),
        Column::fixed("CHECKED").optional(),
        Column::fixed("DIGEST"),
    ];
    let has_damage = registry.reports().has_damage().await?;
    if has_damage {
        columns.push(Column::text("DAMAGED"));
    }
    if !is_one {
        columns.insert(0, Column::name("REPOSITORY"));
    }
    let mut list = List::begin(format, "tags", &columns)?;
    for keys in keys.chunks(BATCH) {
        for (key, row) in registry.tags().details(keys.to_vec()).await? {
            let summary = match registry
                .manifests()
                .summarise(&key.repository, &row.digest)
                .await
            {
                // deleted since the row was read
                Err(registry::Error::ManifestUnknown { .. }) => continue,
                Err(registry::Error::ManifestDamaged { .. }) => None,
                other => Some(other?),
            };
            let damage = match has_damage {
                true => {
                    let reports = registry.reports();
                    Some(reports.damage_within(&key.repository, &row.digest).await?)
                }
                false => None,
            };
            let item = Item {
                key,
                row,
                summary,
                damage,
            };
            list.push(|| item.cells(is_one), || item.as_json())?;
        }
    }
    list.finish()
}

/// A listed tag.
struct Item {
    key: TagKey,
    row: TagRow,
    /// `None` if the manifest is damaged.
    summary: Option<ImageSummary>,
    /// `None` if nothing at all is damaged.
    damage: Option<Vec<Damaged>>,
}

impl Item {
    fn cells(&self, is_one: bool) -> Vec<Cell> {
        let (row, summary) = (&self.row, self.summary.as_ref());
        let platforms = summary.map(|summary| summary.platforms.join(","));
        let mut cells = vec![
            Cell::from(&*row.name),
            summary.map_or(Cell::Empty, |summary| Cell::Size(summary.size)),
            platforms.unwrap_or_default().into(),
            Cell::Time(row.pushed_at),
            row.pulled_at.map_or("never".into(), Cell::Time),
            Cell::time(row.checked_at),
            Cell::from(&row.digest),
        ];
        if let Some(damage) = &self.damage {
            cells.push(match damage.len() as u64 {
                0 => Cell::Empty,
                pieces => count(pieces, "piece").into(),
            });
        }
        if !is_one {
            cells.insert(0, self.key.repository.as_str().into());
        }
        cells
    }

    fn as_json(&self) -> Value {
        let (row, summary) = (&self.row, self.summary.as_ref());
        json!({
            "repository": self.key.repository.as_str(), "tag": row.name, "digest": row.digest.as_str(),
            "mediaType": summary.map(|summary| &summary.media_type), "size": summary.map(|summary| summary.size),
            "platforms": summary.map_or(&[][..], |summary| &summary.platforms),
            "pushed": json::time(row.pushed_at), "pulled": row.pulled_at.map(json::time), "pullCount": row.pulls,
            "checked": row.checked_at.map(json::time),
            "damage": json::damage(self.damage.as_deref().unwrap_or_default()),
        })
    }
}
