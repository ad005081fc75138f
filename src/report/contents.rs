//! The content of artifacts that are no images: charts, lists of packages, provenance, files. All of it is what somebody pushed.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::import::{ArchiveText, archive_texts};
use crate::oci::{Descriptor, Digest, Manifest, MediaType, RepositoryName};
use crate::registry::{Attached, Error, ImageDescription, Registry};
use crate::threads::blocking;

/// Media types of charts: the metadata, and the archive.
const CHART: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART_ARCHIVE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Maximum size of a blob that is read, in bytes.
const LONGEST: u64 = 8 << 20;
/// Maximum number of packages.
const PACKAGES: usize = 20_000;
/// Annotation that names a file.
const TITLE: &str = "org.opencontainers.image.title";

/// Content of an artifact; empty for what is unknown, damaged or too large.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ContentItem {
    pub chart: Option<ChartItem>,
    pub packages: Option<Vec<PackageItem>>,
    pub provenance: Option<ProvenanceItem>,
    pub files: Vec<FileItem>,
}

/// Helm chart.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChartItem {
    pub name: String,
    pub version: String,
    pub app_version: String,
    pub description: String,
    pub home: String,
    #[serde(skip_deserializing)]
    pub readme: Option<String>,
    #[serde(skip_deserializing)]
    pub values: Option<String>,
}

/// Package of an SBOM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageItem {
    pub name: String,
    pub version: String,
    pub license: String,
}

/// Statement about how something was built, which nobody verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvenanceItem {
    pub builder: String,
    pub source: String,
    pub revision: String,
    pub invocation: String,
}

/// File of an artifact.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileItem {
    pub name: String,
    pub media_type: String,
    pub digest: String,
    pub size: u64,
}

/// Describes the content of an artifact.
///
/// # Errors
/// Those of the database; content that cannot be read is left out.
pub async fn content(
    registry: &Registry,
    repository: &RepositoryName,
    described: &ImageDescription,
) -> Result<ContentItem, Error> {
    let manifest = &described.manifest;
    let mut item = ContentItem::default();
    let Some(first) = manifest.layers.first() else {
        return Ok(item);
    };
    let config = manifest.config.as_ref();
    let config_type = config.map_or("", |config| config.media_type.as_str());
    let is_image = matches!(
        config_type,
        MediaType::OCI_CONFIG | MediaType::DOCKER_CONFIG
    );
    // BuildKit's attestations have the config of an image
    if is_image && Attached::of(&first.media_type) == Attached::Other {
        return Ok(item);
    }
    item.files = files(manifest);
    if config_type == CHART {
        let metadata = config.map_or("", |config| &*config.digest);
        let metadata = blob(registry, repository, metadata).await?;
        let mut chart: ChartItem = parsed(metadata.as_deref()).unwrap_or_default();
        let mut layers = manifest.layers.iter();
        if let Some(archive) = layers.find(|layer| layer.media_type == CHART_ARCHIVE)
            && let Some(archive) = blob(registry, repository, &archive.digest).await?
        {
            for text in texts(archive).await {
                let shown = Some(text.text).filter(|text| !text.is_empty());
                match &*text.name {
                    "README.md" => chart.readme = shown,
                    _ => chart.values = shown,
                }
            }
        }
        item.chart = Some(chart);
        return Ok(item);
    }
    let named = manifest.artifact_type.as_deref().unwrap_or(config_type);
    let kind = match Attached::of(named) {
        Attached::Other => Attached::of(&first.media_type),
        kind => kind,
    };
    if let Attached::Sbom | Attached::Provenance = kind {
        let bytes = blob(registry, repository, &first.digest).await?;
        let read = || {
            let bytes = bytes.map(unwrapped);
            (packages(bytes.as_deref()), provenance(bytes.as_deref()))
        };
        (item.packages, item.provenance) = blocking::run(read).await.unwrap_or_default();
    }
    Ok(item)
}

async fn blob(
    registry: &Registry,
    repository: &RepositoryName,
    digest: &str,
) -> Result<Option<Vec<u8>>, Error> {
    match Digest::parse(digest) {
        Ok(digest) => {
            registry
                .manifests()
                .content(repository, &digest, LONGEST)
                .await
        }
        Err(_) => Ok(None),
    }
}

/// Reads the texts of a chart, on a thread that may wait; none of what is no chart.
async fn texts(archive: Vec<u8>) -> Vec<ArchiveText> {
    let read = || archive_texts(archive, &["README.md", "values.yaml"]);
    let texts = blocking::run(read).await;
    texts.map_or_else(|_| Vec::new(), Result::unwrap_or_default)
}

fn files(manifest: &Manifest) -> Vec<FileItem> {
    let file = |layer: &Descriptor| {
        let title = layer.annotations.as_ref().and_then(|all| all.get(TITLE));
        FileItem {
            name: title.cloned().unwrap_or_default(),
            media_type: layer.media_type.clone(),
            digest: layer.digest.clone(),
            size: u64::try_from(layer.size).unwrap_or_default(),
        }
    };
    manifest.layers.iter().map(file).collect()
}

fn parsed<T: DeserializeOwned>(bytes: Option<&[u8]>) -> Option<T> {
    serde_json::from_slice(bytes?).ok()
}

/// Envelope of a signed statement.
#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

/// Returns the statement in an envelope; everything else as it is.
fn unwrapped(bytes: Vec<u8>) -> Vec<u8> {
    let envelope: Option<Envelope> = parsed(Some(&bytes));
    let payload = envelope.and_then(|envelope| STANDARD.decode(envelope.payload).ok());
    payload.unwrap_or(bytes)
}

/// SBOM of either format, or a statement with one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sbom {
    packages: Option<Packages>,
    components: Option<Packages>,
    predicate: Option<Predicate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Predicate {
    packages: Option<Packages>,
    components: Option<Packages>,
}

/// The first packages of a list.
struct Packages(Vec<PackageItem>);

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Package {
    name: String,
    version: Option<String>,
    version_info: Option<String>,
    license_concluded: Option<String>,
    license_declared: Option<String>,
}

impl<'d> Deserialize<'d> for Packages {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PackageVisitor)
    }
}

struct PackageVisitor;

impl<'d> Visitor<'d> for PackageVisitor {
    type Value = Packages;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of packages")
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<Packages, A::Error> {
        let mut items = Vec::new();
        while items.len() < PACKAGES
            && let Some(package) = list.next_element::<Package>()?
        {
            let known = |license: &String| !matches!(&**license, "NOASSERTION" | "NONE");
            let declared = package.license_declared.filter(known);
            items.push(PackageItem {
                name: package.name,
                version: package.version.or(package.version_info).unwrap_or_default(),
                license: package
                    .license_concluded
                    .filter(known)
                    .or(declared)
                    .unwrap_or_default(),
            });
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Packages(items))
    }
}

fn packages(bytes: Option<&[u8]>) -> Option<Vec<PackageItem>> {
    let sbom: Sbom = parsed(bytes)?;
    let predicate = sbom.predicate.unwrap_or_default();
    let mut lists = [
        sbom.packages,
        sbom.components,
        predicate.packages,
        predicate.components,
    ];
    let list = lists.iter_mut().find_map(Option::take)?;
    Some(list.0)
}

/// Statement about how something was built, of either version of SLSA's provenance, as far as it is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Statement {
    predicate: Build,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Build {
    builder: Named,
    invocation: Invocation,
    metadata: BuildMetadata,
    run_details: RunDetails,
    build_definition: BuildDefinition,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Invocation {
    config_source: Source,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BuildMetadata {
    #[serde(rename = "buildInvocationID")]
    build_invocation: Option<String>,
    invocation_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RunDetails {
    builder: Named,
    metadata: BuildMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BuildDefinition {
    resolved_dependencies: First<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    uri: Option<String>,
    digest: SourceDigest,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SourceDigest {
    git_commit: Option<String>,
    sha1: Option<String>,
}

/// The first of a list, whose others are not kept.
#[derive(Default)]
struct First<T>(Option<T>);

impl<'d, T: Deserialize<'d>> Deserialize<'d> for First<T> {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

struct FirstVisitor<T>(PhantomData<T>);

impl<'d, T: Deserialize<'d>> Visitor<'d> for FirstVisitor<T> {
    type Value = First<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<First<T>, A::Error> {
        let first = list.next_element()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}

fn provenance(bytes: Option<&[u8]>) -> Option<ProvenanceItem> {
    let build = parsed::<Statement>(bytes)?.predicate;
    let former = build.invocation.config_source;
    let source = build.build_definition.resolved_dependencies.0;
    let source = source.unwrap_or_default();
    let revision = source.digest.git_commit.or(source.digest.sha1);
    let invocation = build.run_details.metadata.invocation_id;
    let or_former =
        |newer: Option<String>, former: Option<String>| newer.or(former).unwrap_or_default();
    let item = ProvenanceItem {
        builder: or_former(build.run_details.builder.id, build.builder.id),
        source: or_former(source.uri, former.uri),
        revision: or_former(revision, former.digest.sha1),
        invocation: or_former(invocation, build.metadata.build_invocation),
    };
    let is_empty = [
        &item.builder,
        &item.source,
        &item.revision,
        &item.invocation,
    ]
    .iter()
    .all(|text| text.is_empty());
    (!is_empty).then_some(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_of_every_format() {
        let spdx = r#"{"spdxVersion": "SPDX-2.3", "packages": [{"name": "a", "versionInfo": "1", "licenseConcluded": "NOASSERTION", "licenseDeclared": "MIT"}]}"#;
        let found = packages(Some(spdx.as_bytes())).unwrap();
        let expected = ("a", "1", "MIT");
        let first = &found[0];
        assert_eq!((&*first.name, &*first.version, &*first.license), expected);
        let cyclone = r#"{"components": [{"name": "b", "version": "2"}, {"name": "c"}]}"#;
        assert_eq!(packages(Some(cyclone.as_bytes())).unwrap().len(), 2);
        let statement = format!(r#"{{"predicate": {spdx}}}"#);
        assert_eq!(packages(Some(statement.as_bytes())).unwrap(), found);
        let many = format!(r#"{{"packages": [{}{{}}]}}"#, "{},".repeat(PACKAGES));
        assert_eq!(packages(Some(many.as_bytes())).unwrap().len(), PACKAGES);
        for broken in ["", "[]", r#"{"packages": {}}"#, &"[".repeat(100_000)] {
            assert_eq!(packages(Some(broken.as_bytes())), None);
        }
    }

    #[test]
    fn provenance_of_both_versions_is_read() {
        let old = r#"{"predicate": {"builder": {"id": "x"}, "invocation": {"configSource": {"uri": "git+https://x", "digest": {"sha1": "y"}}}}}"#;
        let new = r#"{"predicate": {"runDetails": {"builder": {"id": "x"}}, "buildDefinition": {"resolvedDependencies": [{"uri": "git+https://x", "digest": {"gitCommit": "y"}}]}}}"#;
        let found = provenance(Some(old.as_bytes())).unwrap();
        assert_eq!((&*found.builder, &*found.revision), ("x", "y"));
        assert_eq!(provenance(Some(new.as_bytes())).unwrap(), found);
        assert_eq!(provenance(Some(b"{}")), None);
        let more = new.replace("}}]}}", "}}, 7, {}]}}");
        assert_eq!(provenance(Some(more.as_bytes())).unwrap(), found);
        let envelope = format!(r#"{{"payload": "{}"}}"#, STANDARD.encode(old));
        assert_eq!(unwrapped(envelope.into_bytes()), old.as_bytes());
    }
}
