//! Why something is kept, or when it is removed.

use serde_json::{Value, json};

use crate::oci::Digest;
use crate::registry::{
    ChainEnd, Error, Explanation, HolderChain, Millis, Registry, Retention, TagHold, TrashRow,
};
use crate::report::damage::damage;
use crate::report::trash::restorable_until;
use crate::report::values::Time;
use crate::report::viewer::Viewer;

/// Why a digest is kept, by the rules of the registry.
#[derive(Debug)]
pub struct WhyReport {
    pub digest: Digest,
    pub why: Explanation,
    pub retention: Retention,
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
    /// Returns the time until which a deletion can be undone.
    pub fn restorable_until(&self, row: &TrashRow) -> Millis {
        restorable_until(row.deleted_at, self.retention.grace)
    }

    /// Converts it to JSON.
    pub fn as_json(&self, viewer: &Viewer) -> Value {
        let why = &self.why;
        let removals = why.removals.iter().map(|removal| {
            json!({
                "kind": removal.kind, "repository": removal.repository, "digest": removal.digest.as_str(),
                "at": Time(removal.at), "reason": removal.why,
            })
        });
        let deleted = why.trash.iter().map(|row| {
            json!({
                "repository": row.repository, "digest": self.digest.as_str(), "tags": row.tags,
                "deleted": Time(row.deleted_at), "who": viewer.who(&row.deleted_by),
                "until": Time(self.restorable_until(row)),
            })
        });
        let kinds: Vec<_> = [("blob", why.blob.is_some()), ("manifest", why.is_manifest)]
            .into_iter()
            .filter_map(|(kind, is_one)| is_one.then_some(kind))
            .collect();
        json!({
            "digest": self.digest.as_str(),
            "kinds": kinds,
            "size": why.blob,
            "chains": why.chains.iter().map(chain).collect::<Vec<_>>(),
            "moreCount": why.more,
            "moreIsExact": !why.is_cut,
            "removals": removals.collect::<Vec<_>>(),
            "restorable": deleted.collect::<Vec<_>>(),
            "awaitsRemoval": why.is_removal,
            "damage": damage(&why.damage),
            "damagedImages": why.damaged_images,
        })
    }
}

fn chain(chain: &HolderChain) -> Value {
    let steps: Vec<_> = chain
        .steps
        .iter()
        .map(|step| json!({ "kind": step.kind.as_str(), "digest": step.digest.as_str() }))
        .collect();
    let (kind, tags, more, until, reason) = match &chain.end {
        ChainEnd::Tags { tags, more } => ("tags", &tags[..], *more, None, None),
        ChainEnd::Idle { until, why } => ("untagged", &[][..], 0, *until, Some(why)),
        ChainEnd::Lease { until } => ("lease", &[][..], 0, Some(*until), None),
    };
    let end = json!({
        "kind": kind, "tags": tags.iter().map(hold).collect::<Vec<_>>(), "moreCount": more,
        "until": until.map(Time), "reason": reason,
    });
    json!({ "repository": chain.repository, "steps": steps, "end": end })
}

fn hold(hold: &TagHold) -> Value {
    let decision = hold.decision.as_ref().map(|decision| {
        json!({
            "kept": decision.is_kept, "reason": decision.reason, "until": decision.until.map(Time),
        })
    });
    json!({ "tag": hold.name, "decision": decision })
}
