//! One image, and everything about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::oci::{Digest, ImageConfig, Referrer, RepositoryName};
use crate::registry::{
    ChildDescription, Damaged, Error, GoneTag, ImageDescription, ManifestReference, Millis,
    Registry, SignatureTag,
};
use crate::report::damage::{DamageItem, damage};
use crate::report::values::Time;

/// An image, and everything about it.
#[derive(Debug)]
pub struct ImageReport {
    pub repository: RepositoryName,
    pub description: ImageDescription,
    pub referrers: Vec<Referrer>,
    pub damage: Vec<Damaged>,
}

/// An image as reports show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageItem {
    pub repository: String,
    pub digest: String,
    pub media_type: String,
    pub artifact_type: Option<String>,
    pub size: u64,
    pub platforms: Vec<String>,
    pub created: Option<Time>,
    pub pushed: Time,
    pub tags: Vec<String>,
    pub image: Option<RunItem>,
    pub children: Vec<ChildItem>,
    pub attestations: Vec<AttestationItem>,
    pub signatures: Vec<SignatureItem>,
    pub referrers: Vec<ReferrerItem>,
    pub referenced_by: Vec<String>,
    pub damage: Vec<DamageItem>,
    /// URL of the upstream that it is cached from.
    pub upstream: Option<String>,
    /// Its tags that the upstream does not have any more.
    #[serde(default)]
    pub gone_tags: Vec<GoneTagItem>,
    pub manifest: Value,
}

/// Cached tag that its upstream does not have any more.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GoneTagItem {
    pub tag: String,
    pub since: Time,
}

/// Configuration by which an image is run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunItem {
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub environment: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub runs_as: Option<String>,
    pub working_directory: Option<String>,
}

/// Image or artifact of an index.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildItem {
    pub digest: String,
    pub media_type: String,
    pub platform: Option<String>,
    /// `None` if it is not stored.
    pub size: Option<u64>,
    /// Digests of the attestations about it.
    pub attestations: Vec<String>,
}

/// Attestation of an index about one of its images.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationItem {
    pub digest: String,
    pub media_type: String,
    pub size: Option<u64>,
    pub subject: String,
}

/// Tag that signs an image by its name.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SignatureItem {
    pub tag: String,
    pub digest: String,
    pub size: u64,
}

/// Descriptor of a manifest that is about an image.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerItem {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Value>,
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
    /// Converts it to what `docs/json.md` describes.
    pub fn item(&self) -> ImageItem {
        let ImageDescription {
            summary,
            manifest,
            bytes,
            tags,
            parents,
            config,
            children,
            signature_tags,
            cached,
        } = &self.description;
        let shown = children.iter().filter(|child| child.attested.is_none());
        let gone = cached.iter().flat_map(|cached| &cached.gone_tags);
        ImageItem {
            repository: self.repository.to_string(),
            digest: summary.digest.to_string(),
            media_type: summary.media_type.clone(),
            artifact_type: manifest.artifact_type.clone(),
            size: summary.size,
            platforms: summary.platforms.clone(),
            created: config.as_ref().and_then(built).map(Time),
            pushed: Time(summary.pushed_at),
            tags: tags.clone(),
            image: config.as_ref().map(run),
            children: shown.map(|one| child(one, children)).collect(),
            attestations: children.iter().filter_map(attestation).collect(),
            signatures: signature_tags.iter().map(signature).collect(),
            referrers: self.referrers.iter().map(referrer).collect(),
            referenced_by: parents.iter().map(ToString::to_string).collect(),
            damage: damage(&self.damage),
            upstream: cached.as_ref().map(|cached| cached.upstream.to_string()),
            gone_tags: gone.map(gone_tag).collect(),
            manifest: serde_json::from_slice(bytes).unwrap_or_default(),
        }
    }

    /// Converts it to JSON.
    pub fn as_json(&self) -> Value {
        json!(self.item())
    }
}

/// Returns the build time of an image, if it is a time.
pub fn built(config: &ImageConfig) -> Option<Millis> {
    let created: jiff::Timestamp = config.created.as_deref()?.parse().ok()?;
    Some(created.as_millisecond())
}

fn run(config: &ImageConfig) -> RunItem {
    RunItem {
        entrypoint: config.entrypoint.clone(),
        command: config.command.clone(),
        environment: config.environment.clone(),
        labels: config.labels.clone(),
        runs_as: config.user.clone(),
        working_directory: config.working_directory.clone(),
    }
}

fn child(child: &ChildDescription, all: &[ChildDescription]) -> ChildItem {
    let attestations = all
        .iter()
        .filter(|other| other.attested.as_deref() == Some(&*child.digest))
        .map(|other| other.digest.clone());
    ChildItem {
        digest: child.digest.clone(),
        media_type: child.media_type.clone(),
        platform: child.platform.clone(),
        size: child.size,
        attestations: attestations.collect(),
    }
}

fn attestation(child: &ChildDescription) -> Option<AttestationItem> {
    Some(AttestationItem {
        digest: child.digest.clone(),
        media_type: child.media_type.clone(),
        size: child.size,
        subject: child.attested.clone()?,
    })
}

fn signature(tag: &SignatureTag) -> SignatureItem {
    SignatureItem {
        tag: tag.tag.to_string(),
        digest: tag.digest.to_string(),
        size: tag.size,
    }
}

fn gone_tag(tag: &GoneTag) -> GoneTagItem {
    GoneTagItem {
        tag: tag.name.clone(),
        since: Time(tag.since),
    }
}

fn referrer(referrer: &Referrer) -> ReferrerItem {
    let annotations = referrer.annotations.as_ref();
    ReferrerItem {
        media_type: referrer.media_type.clone(),
        digest: referrer.digest.clone(),
        size: referrer.size as u64,
        artifact_type: referrer.artifact_type.clone(),
        annotations: annotations.and_then(|raw| serde_json::from_str(raw.get()).ok()),
    }
}
