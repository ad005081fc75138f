//! Why something is kept, or when it is removed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::oci::Digest;
use crate::registry::{
    CachedImage, ChainEnd, ChainStep, Error, Explanation, HolderChain, Registry, RemovalKind,
    Retention, TagDecision, TagHold,
};
use crate::report::damage::{DamageItem, damage};
use crate::report::trash::restorable_until;
use crate::report::values::{Time, Who};
use crate::report::viewer::Viewer;

/// Why a digest is kept, by the rules of the registry.
#[derive(Debug)]
pub struct WhyReport {
    pub digest: Digest,
    pub why: Explanation,
    pub retention: Retention,
}

/// Reasons for which a digest is kept, as reports show them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyItem {
    pub digest: String,
    /// `blob`, `manifest`, both, or neither.
    pub kinds: Vec<String>,
    /// Of the blob.
    pub size: Option<u64>,
    pub chains: Vec<ChainItem>,
    /// Number of chains that are not listed.
    pub more_count: u64,
    pub more_is_exact: bool,
    pub removals: Vec<RemovalReason>,
    pub restorable: Vec<DeletedItem>,
    /// True if only its file is left.
    pub awaits_removal: bool,
    pub damage: Vec<DamageItem>,
    /// Images that need it, if it is a damaged blob.
    pub damaged_images: Vec<String>,
    /// True if the server collects by itself.
    pub collects: bool,
}

/// Path from a digest up to what keeps it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChainItem {
    pub repository: String,
    /// URL of the upstream that the repository is a cache of.
    pub upstream: Option<String>,
    pub steps: Vec<StepItem>,
    pub end: EndItem,
}

/// Manifest of a path.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StepItem {
    /// `manifest`, `index` or `subject`.
    pub kind: String,
    pub digest: String,
}

/// End of a path.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndItem {
    /// `tags`, `untagged` or `lease`.
    pub kind: String,
    pub tags: Vec<HoldItem>,
    /// Number of tags that are not listed.
    pub more_count: u64,
    pub until: Option<Time>,
    pub reason: Option<String>,
}

/// Tag that keeps a manifest.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldItem {
    pub tag: String,
    /// Time since which the upstream does not have it.
    pub gone_since: Option<Time>,
    pub decision: Option<DecisionItem>,
}

/// Decision of the retention rules about a tag.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DecisionItem {
    pub kept: bool,
    pub reason: String,
    pub until: Option<Time>,
}

/// Removal that is planned.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RemovalReason {
    pub kind: RemovalKind,
    /// `None` for a blob.
    pub repository: Option<String>,
    pub digest: String,
    pub at: Time,
    pub reason: String,
}

/// Deletion that can be undone.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeletedItem {
    pub repository: String,
    pub digest: String,
    pub tags: Vec<String>,
    pub deleted: Time,
    pub who: Who,
    pub until: Time,
}

/// Finds what keeps a digest, as far as the viewer may see it; `None` if it is unknown to them.
///
/// # Errors
/// Those of the database.
pub async fn why(
    registry: &Registry,
    digest: &Digest,
    viewer: &Viewer,
) -> Result<Option<WhyReport>, Error> {
    let retention = registry.settings().retention.clone();
    let reports = registry.reports();
    let why = reports.explain(digest, &retention, viewer.shown.clone());
    let why = why.await?;
    Ok((!why.is_unknown()).then(|| WhyReport {
        digest: digest.clone(),
        why,
        retention,
    }))
}

impl WhyReport {
    /// Converts it to what `docs/json.md` describes.
    pub fn item(&self, viewer: &Viewer) -> WhyItem {
        let why = &self.why;
        let removals = why.removals.iter().map(|removal| RemovalReason {
            kind: removal.kind,
            repository: removal.repository.clone(),
            digest: removal.digest.to_string(),
            at: Time(removal.at),
            reason: removal.why.clone(),
        });
        let deleted = why.trash.iter().map(|row| DeletedItem {
            repository: row.repository.clone(),
            digest: self.digest.to_string(),
            tags: row.tags.clone(),
            deleted: Time(row.deleted_at),
            who: viewer.who(&row.deleted_by),
            until: Time(restorable_until(row.deleted_at, self.retention.grace)),
        });
        let kinds = [("blob", why.blob.is_some()), ("manifest", why.is_manifest)];
        let kinds = kinds.into_iter().filter(|(_, is_one)| *is_one);
        WhyItem {
            digest: self.digest.to_string(),
            kinds: kinds.map(|(kind, _)| kind.to_owned()).collect(),
            size: why.blob,
            chains: why.chains.iter().map(chain).collect(),
            more_count: why.more,
            more_is_exact: !why.is_cut,
            removals: removals.collect(),
            restorable: deleted.collect(),
            awaits_removal: why.is_removal,
            damage: damage(&why.damage),
            damaged_images: why.damaged_images.clone(),
            collects: self.retention.enabled,
        }
    }

    /// Converts it to JSON.
    pub fn as_json(&self, viewer: &Viewer) -> Value {
        json!(self.item(viewer))
    }
}

fn chain(chain: &HolderChain) -> ChainItem {
    let (kind, tags, more, until, reason) = match &chain.end {
        ChainEnd::Tags { tags, more } => ("tags", &tags[..], *more, None, None),
        ChainEnd::Idle { until, why } => ("untagged", &[][..], 0, *until, Some(why)),
        ChainEnd::Lease { until } => ("lease", &[][..], 0, Some(*until), None),
    };
    let step = |step: &ChainStep| StepItem {
        kind: step.kind.as_str().to_owned(),
        digest: step.digest.to_string(),
    };
    let cached = chain.cached.as_ref();
    ChainItem {
        repository: chain.repository.clone(),
        upstream: cached.map(|cached| cached.upstream.to_string()),
        steps: chain.steps.iter().map(step).collect(),
        end: EndItem {
            kind: kind.to_owned(),
            tags: tags.iter().map(|tag| hold(tag, cached)).collect(),
            more_count: more,
            until: until.map(Time),
            reason: reason.cloned(),
        },
    }
}

fn hold(hold: &TagHold, cached: Option<&CachedImage>) -> HoldItem {
    let mut gone = cached.iter().flat_map(|cached| &cached.gone_tags);
    let gone = gone.find(|tag| tag.name == hold.name);
    let decision = |decision: &TagDecision| DecisionItem {
        kept: decision.is_kept,
        reason: decision.reason.clone(),
        until: decision.until.map(Time),
    };
    HoldItem {
        tag: hold.name.clone(),
        gone_since: gone.map(|tag| Time(tag.since)),
        decision: hold.decision.as_ref().map(decision),
    }
}
