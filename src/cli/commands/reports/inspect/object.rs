//! An image as JSON.

use serde_json::{Value, json};
use tarkeep::oci::{ImageConfig, Referrer, RepositoryName};
use tarkeep::registry::{ChildDescription, Damaged, ImageDescription};

use crate::cli::terminal::json;

pub(super) fn of(
    name: &RepositoryName,
    description: &ImageDescription,
    referrers: &[Referrer],
    damage: &[Damaged],
) -> Value {
    let ImageDescription {
        summary,
        manifest,
        bytes,
        tags,
        parents,
        config,
        children,
        signature_tags,
    } = description;
    let children = children.iter().filter(|child| child.attested.is_none());
    let signatures = signature_tags.iter().map(|signature| {
        json!({
            "tag": signature.tag.as_str(), "digest": signature.digest.as_str(), "size": signature.size,
        })
    });
    json!({
        "repository": name.as_str(),
        "digest": summary.digest.as_str(),
        "mediaType": summary.media_type,
        "artifactType": manifest.artifact_type,
        "size": summary.size,
        "platforms": summary.platforms,
        "created": config.as_ref().and_then(created).map(json::time),
        "pushed": json::time(summary.pushed_at),
        "tags": tags,
        "image": config.as_ref().map(image),
        "children": children.map(|one| child(one, &description.children)).collect::<Vec<_>>(),
        "signatures": signatures.collect::<Vec<_>>(),
        "referrers": referrers,
        "referencedBy": parents.iter().map(tarkeep::oci::Digest::as_str).collect::<Vec<_>>(),
        "damage": json::damage(damage),
        "manifest": serde_json::from_slice::<Value>(bytes).unwrap_or_default(),
    })
}

/// Returns the build time of an image, if it is a time.
pub(super) fn created(config: &ImageConfig) -> Option<tarkeep::registry::Millis> {
    let created: jiff::Timestamp = config.created.as_deref()?.parse().ok()?;
    Some(created.as_millisecond())
}

fn image(config: &ImageConfig) -> Value {
    json!({
        "entrypoint": config.entrypoint, "command": config.command, "environment": config.environment,
        "labels": config.labels, "runsAs": config.user, "workingDirectory": config.working_directory,
    })
}

fn child(child: &ChildDescription, all: &[ChildDescription]) -> Value {
    let attestations = all
        .iter()
        .filter(|other| other.attested.as_deref() == Some(&*child.digest))
        .map(|other| &*other.digest);
    json!({
        "digest": child.digest, "mediaType": child.media_type, "platform": child.platform, "size": child.size,
        "attestations": attestations.collect::<Vec<_>>(),
    })
}
