//! One image, and everything about it.

use serde_json::{Value, json};

use crate::oci::{Digest, ImageConfig, Referrer, RepositoryName};
use crate::registry::{
    ChildDescription, Damaged, Error, ImageDescription, ManifestReference, Millis, Registry,
};
use crate::report::damage::damage;
use crate::report::values::Time;

/// An image, and everything about it.
#[derive(Debug)]
pub struct ImageReport {
    pub repository: RepositoryName,
    pub description: ImageDescription,
    pub referrers: Vec<Referrer>,
    pub damage: Vec<Damaged>,
}

/// Describes an image.
///
/// # Errors
/// [`Error::ManifestUnknown`] and [`Error::ManifestDamaged`], and those of the database.
pub async fn image(
    registry: &Registry,
    repository: &RepositoryName,
    reference: &ManifestReference,
) -> Result<ImageReport, Error> {
    let description = registry.manifests().describe(repository, reference).await?;
    let digest = &description.summary.digest;
    let referrers = referrers(registry, repository, digest).await?;
    let reports = registry.reports();
    Ok(ImageReport {
        damage: reports.damage_within(repository, digest).await?,
        repository: repository.clone(),
        referrers,
        description,
    })
}

async fn referrers(
    registry: &Registry,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Referrer>, Error> {
    let mut found = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let manifests = registry.manifests();
        let page = manifests.referrers(repository, digest, None, last).await?;
        found.extend(page.items);
        after = page.next;
    }
    Ok(found)
}

impl ImageReport {
    /// Converts it to JSON.
    pub fn as_json(&self) -> Value {
        let ImageDescription {
            summary,
            manifest,
            bytes,
            tags,
            parents,
            config,
            children,
            signature_tags,
        } = &self.description;
        let shown = children.iter().filter(|child| child.attested.is_none());
        let signatures = signature_tags.iter().map(|signature| {
            json!({
                "tag": signature.tag.as_str(), "digest": signature.digest.as_str(), "size": signature.size,
            })
        });
        json!({
            "repository": self.repository.as_str(),
            "digest": summary.digest.as_str(),
            "mediaType": summary.media_type,
            "artifactType": manifest.artifact_type,
            "size": summary.size,
            "platforms": summary.platforms,
            "created": config.as_ref().and_then(built).map(Time),
            "pushed": Time(summary.pushed_at),
            "tags": tags,
            "image": config.as_ref().map(run),
            "children": shown.map(|one| child(one, children)).collect::<Vec<_>>(),
            "signatures": signatures.collect::<Vec<_>>(),
            "referrers": self.referrers,
            "referencedBy": parents.iter().map(Digest::as_str).collect::<Vec<_>>(),
            "damage": damage(&self.damage),
            "manifest": serde_json::from_slice::<Value>(bytes).unwrap_or_default(),
        })
    }
}

/// Returns the build time of an image, if it is a time.
pub fn built(config: &ImageConfig) -> Option<Millis> {
    let created: jiff::Timestamp = config.created.as_deref()?.parse().ok()?;
    Some(created.as_millisecond())
}

fn run(config: &ImageConfig) -> Value {
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
