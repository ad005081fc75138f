//! An image: how to pull it, its platforms, layers and configuration, what is attached, and what became of its tag.

use std::collections::{BTreeMap, HashSet};

use askama::Template;

use crate::oci::{ImageConfig, RepositoryName};
use crate::registry::{
    Attached, ChildDescription, Error, ImageDescription, ManifestReference, Registry,
};
use crate::report::{self, ImageReport, StateItem, TagFactsItem, built};
use crate::ui::contents::Contents;
use crate::ui::layers::{Layer, Strip, layers};
use crate::ui::page::Page;
use crate::ui::parts::{
    CommandBox, Count, Moment, Promise, Short, Size, Text, label_name, link, short,
};
use crate::ui::query::Query;
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Number of former states of the tag.
const STATES: usize = 6;
/// Maximum number of labels.
const LABELS: usize = 100;

#[derive(Template)]
#[template(path = "image.html")]
struct ImagePage {
    shell: Shell,
    name: String,
    tag: Option<String>,
    report: ImageReport,
    facts: Option<TagFactsItem>,
    platforms: Vec<PlatformLink>,
    /// Platform that is shown; the image itself if it has one only.
    shown: ImageDescription,
    shown_platform: Option<String>,
    layers: Vec<Layer>,
    strip: Strip,
    attached: Vec<Artifact>,
    states: Vec<StateItem>,
    /// Digests of those whose manifests are still there.
    stored: HashSet<String>,
    /// Cursor of the states after those.
    has_more_states: bool,
    uses: Vec<Use>,
    contents: Contents,
    may_delete: bool,
}

/// Link to a platform of an index.
struct PlatformLink {
    name: String,
    size: Option<u64>,
    attestations: usize,
    query: String,
    is_current: bool,
}

/// Artifact that is about the image.
struct Artifact {
    kind: &'static str,
    icon: &'static str,
    artifact_type: String,
    digest: String,
    size: u64,
}

/// Label or annotation.
struct Label {
    name: Text,
    value: Text,
    link: Option<String>,
}

/// Command of a client.
struct Use {
    client: &'static str,
    command: String,
}

impl ImagePage {
    fn folder(&self) -> &str {
        self.name
            .rfind('/')
            .map_or("", |slash| &self.name[..=slash])
    }

    fn last(&self) -> &str {
        self.name
            .rfind('/')
            .map_or(&self.name, |slash| &self.name[slash + 1..])
    }

    fn digest(&self) -> &str {
        self.report.description.summary.digest.as_str()
    }

    fn size(&self) -> Size {
        Size(self.report.description.summary.size)
    }

    fn pushed(&self) -> Moment {
        Moment(self.report.description.summary.pushed_at)
    }

    fn who(&self) -> Option<Text> {
        let who = self.states.first()?.who.name.as_deref();
        who.map(Text::of)
    }

    /// Other tags of the same digest.
    fn siblings(&self) -> impl Iterator<Item = &String> {
        let tags = self.report.description.tags.iter();
        tags.filter(|tag| self.tag.as_ref() != Some(*tag)).take(20)
    }

    fn use_boxes(&self) -> impl Iterator<Item = (&'static str, CommandBox<'_>)> {
        let boxed = |one: &Use| (one.client, self.shell.command(one.command.clone()));
        self.uses.iter().map(boxed)
    }

    fn kind(&self) -> Text {
        let description = &self.report.description;
        let kind = description.manifest.artifact_type.as_deref();
        Text::of(kind.unwrap_or(&description.summary.media_type))
    }

    fn parents(&self) -> usize {
        self.report.description.parents.len()
    }

    fn config(&self) -> Option<&ImageConfig> {
        self.shown.config.as_ref()
    }

    fn created(&self) -> Option<Moment> {
        self.config().and_then(built).map(Moment)
    }

    /// Labels and annotations, each once.
    fn labels(&self) -> Vec<Label> {
        let labels = self.config().map(|config| config.labels.iter());
        let labels = labels.into_iter().flatten();
        let all = labels.chain(&self.shown.manifest.annotations);
        let all: BTreeMap<_, _> = all.map(|(key, value)| (label_name(key), value)).collect();
        let label = |(name, value): (&str, &String)| Label {
            name: Text::of(name),
            value: Text::of(value),
            link: link(value).map(str::to_owned),
        };
        all.into_iter().take(LABELS).map(label).collect()
    }
}

/// Choices of a reader on the page of an image.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'c> {
    /// Digest of the child that is shown.
    pub platform: Option<&'c str>,
    /// Text that packages are to have.
    pub packages: Option<&'c str>,
}

/// Makes the page of an image.
///
/// # Errors
/// [`Error::ManifestUnknown`], and those of the database.
pub async fn image(
    registry: &Registry,
    reader: &Reader,
    name: &RepositoryName,
    reference: &ManifestReference,
    chosen: Chosen<'_>,
) -> Result<Page, Error> {
    let report = report::image(registry, name, reference).await?;
    let tag = match reference {
        ManifestReference::Tag(tag) => Some(tag),
        ManifestReference::Digest(_) => None,
    };
    let (mut facts, mut states, mut has_more_states) = (None, Vec::new(), false);
    if let Some(tag) = tag {
        let viewer = &reader.viewer;
        facts = report::tag_facts(registry, name, vec![tag.to_string()], viewer)
            .await?
            .pop();
        let page = report::history(registry, name, tag, None, viewer).await?;
        has_more_states = page.items.len() > STATES;
        states = page.items;
        states.truncate(STATES);
    }
    let child = child(&report.description, chosen.platform);
    let shown_platform = match child {
        Some(child) => child.platform.clone(),
        None => report.description.summary.platforms.first().cloned(),
    };
    let platforms = platforms(&report.description, child);
    let shown = match child.and_then(|child| ManifestReference::parse(&child.digest).ok()) {
        Some(child) => registry.manifests().describe(name, &child).await?,
        None => registry.manifests().describe(name, reference).await?,
    };
    let (layers, strip) = layers(registry, reader, name, &shown).await?;
    let whole = format!("{name}{}", at(reference));
    let title = match tag {
        Some(tag) => format!("{name}:{tag}"),
        None => format!(
            "{name}@{}",
            short(report.description.summary.digest.as_str())
        ),
    };
    let twin = Twin {
        command: format!("registry inspect {whole}"),
        api: format!("manifests/{name}/{reference}"),
    };
    let settings = registry.settings();
    Page::of(&ImagePage {
        shell: Shell::new(reader, Section::Repositories, title, twin),
        name: name.to_string(),
        tag: tag.map(ToString::to_string),
        may_delete: reader.may_delete && settings.delete && !settings.read_only,
        uses: uses(reader, &report, &whole),
        attached: attached(&report),
        facts,
        platforms,
        shown_platform,
        layers,
        strip,
        stored: report::stored(registry, name, &states).await?,
        states,
        has_more_states,
        contents: Contents::of(registry, name, &shown, chosen.packages).await?,
        shown,
        report,
    })
}

/// Part of an image's name that names the tag or digest.
fn at(reference: &ManifestReference) -> String {
    match reference {
        ManifestReference::Tag(tag) => format!(":{tag}"),
        ManifestReference::Digest(digest) => format!("@{digest}"),
    }
}

/// Returns the child of an index that is shown: the one asked for, or the first with a platform.
fn child<'d>(
    description: &'d ImageDescription,
    asked: Option<&str>,
) -> Option<&'d ChildDescription> {
    let mut stored = description
        .children
        .iter()
        .filter(|child| child.size.is_some());
    let mut all = stored.clone();
    let named = asked.and_then(|asked| all.find(|child| child.digest == asked));
    named.or_else(|| stored.find(|child| child.platform.is_some()))
}

fn platforms(
    description: &ImageDescription,
    current: Option<&ChildDescription>,
) -> Vec<PlatformLink> {
    let children = description.children.iter();
    let shown = children.filter(|child| child.attested.is_none());
    let link = |child: &ChildDescription| {
        let attested = |other: &&ChildDescription| other.attested.as_ref() == Some(&child.digest);
        PlatformLink {
            name: child
                .platform
                .clone()
                .unwrap_or_else(|| short(&child.digest).to_owned()),
            size: child.size,
            attestations: description.children.iter().filter(attested).count(),
            query: Query::default()
                .with("platform", Some(&child.digest))
                .to_string(),
            is_current: current.is_some_and(|current| current.digest == child.digest),
        }
    };
    shown.take(50).map(link).collect()
}

fn attached(report: &ImageReport) -> Vec<Artifact> {
    let artifact = |artifact_type: &str, digest: &str, size: u64| {
        let (kind, icon) = match Attached::of(artifact_type) {
            Attached::Signature => ("Signature", "signature"),
            Attached::Sbom => ("SBOM", "sbom"),
            Attached::Provenance => ("Provenance", "provenance"),
            Attached::Other => ("Artifact", "files"),
        };
        Artifact {
            kind,
            icon,
            artifact_type: artifact_type.to_owned(),
            digest: digest.to_owned(),
            size,
        }
    };
    let referrers = report.referrers.iter().map(|referrer| {
        let artifact_type = referrer.artifact_type.as_deref();
        let artifact_type = artifact_type.unwrap_or(&referrer.media_type);
        artifact(artifact_type, &referrer.digest, referrer.size as u64)
    });
    let signatures = report.description.signature_tags.iter();
    let signatures = signatures.map(|tag| Artifact {
        artifact_type: tag.tag.to_string(),
        ..artifact("signature", tag.digest.as_str(), tag.size)
    });
    referrers.chain(signatures).take(100).collect()
}

/// Commands that get an image, by its kind.
fn uses(reader: &Reader, report: &ImageReport, whole: &str) -> Vec<Use> {
    let host = reader.site.host();
    let image = format!("{host}/{whole}");
    let kind = report
        .description
        .manifest
        .artifact_type
        .as_deref()
        .unwrap_or_default();
    let row = |client, command: String| Use { client, command };
    if kind.contains("helm") {
        let (chart, version) = whole.split_once([':', '@']).unwrap_or((whole, ""));
        return vec![
            row(
                "helm",
                format!("helm pull oci://{host}/{chart} --version {version}"),
            ),
            row("oras", format!("oras pull {image}")),
        ];
    }
    let is_image =
        report.description.config.is_some() || !report.description.summary.platforms.is_empty();
    if !is_image {
        return vec![
            row("oras", format!("oras pull {image}")),
            row("skopeo", format!("skopeo copy docker://{image} oci:image")),
        ];
    }
    vec![
        row("docker", format!("docker pull {image}")),
        row("podman", format!("podman pull {image}")),
        row("containerd", format!("ctr images pull {image}")),
        row("skopeo", format!("skopeo copy docker://{image} oci:image")),
        row("Kubernetes", format!("kubectl run app --image={image}")),
        row("cosign", format!("cosign verify --key cosign.pub {image}")),
    ]
}
