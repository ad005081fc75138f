//! Two images side by side: what a host pulls, layers, and configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;

use crate::oci::{ImageConfig, RepositoryName};
use crate::registry::{Error, ImageDescription, ManifestReference, Registry};
use crate::ui::align::{Line, Sign, aligned};
use crate::ui::layers::{Layer, layers};
use crate::ui::page::Page;
use crate::ui::parts::label_name;
use crate::ui::parts::{Size, Text, scaled, short};
use crate::ui::query::Query;
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// An image that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub repository: RepositoryName,
    pub reference: ManifestReference,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            repository,
            reference,
        } = self;
        match reference {
            ManifestReference::Tag(tag) => write!(f, "{repository}:{tag}"),
            ManifestReference::Digest(digest) => write!(f, "{repository}@{digest}"),
        }
    }
}

impl Named {
    /// Short name for columns.
    fn label(&self) -> String {
        match &self.reference {
            ManifestReference::Tag(tag) => tag.to_string(),
            ManifestReference::Digest(digest) => short(digest.as_str()).to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "compare.html")]
struct ComparePage {
    shell: Shell,
    from: Named,
    to: Named,
    platforms: Vec<(String, String, bool)>,
    lines: Vec<Line>,
    settings: Vec<Setting>,
    stacks: Stacks,
    sizes: Sizes,
}

#[derive(Template)]
#[template(path = "compare_form.html")]
struct FormPage {
    shell: Shell,
    from: Option<Named>,
}

/// A setting of the configuration in one image or both.
struct Setting {
    sign: Sign,
    name: String,
    from: Option<String>,
    to: Option<String>,
}

impl ComparePage {
    fn count(&self, sign: Sign) -> usize {
        self.lines.iter().filter(|line| line.sign == sign).count()
    }

    fn same(&self) -> usize {
        self.count(Sign::Same)
    }

    fn differences(&self) -> String {
        let word = |sign: Sign| format!("{} {}", self.count(sign), sign.word());
        [Sign::Changed, Sign::Added, Sign::Removed]
            .map(word)
            .join(", ")
    }

    /// Bytes that a host with the first image pulls for the second.
    fn pulled(&self) -> Size {
        Size(self.sizes.pulled)
    }

    fn former_size(&self) -> Size {
        Size(self.sizes.from)
    }

    fn new_size(&self) -> Size {
        Size(self.sizes.to)
    }

    fn grows(&self) -> bool {
        self.sizes.to >= self.sizes.from
    }

    fn difference(&self) -> Size {
        Size(self.sizes.to.abs_diff(self.sizes.from))
    }

    fn swapped(&self) -> String {
        let query = Query::default().with("from", Some(&self.to.to_string()));
        query.with("to", Some(&self.from.to_string())).to_string()
    }
}

/// Both images as stacks of layers, to scale, with the base at the bottom.
struct Stacks(Vec<(Sign, Option<u64>, Option<u64>)>);

impl fmt::Display for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEIGHT: u64 = 150;
        let from: u64 = self.0.iter().filter_map(|part| part.1).sum();
        let to: u64 = self.0.iter().filter_map(|part| part.2).sum();
        let whole = from.max(to);
        f.write_str("<svg class=\"stacks\" viewBox=\"0 0 280 160\" aria-hidden=\"true\">")?;
        for (x, is_first) in [(0, true), (184, false)] {
            let mut bottom = HEIGHT + 6;
            for (sign, from, to) in &self.0 {
                let Some(size) = (if is_first { from } else { to }) else {
                    continue;
                };
                let height = scaled(*size, whole, HEIGHT).max(3);
                bottom = bottom.saturating_sub(height);
                let class = match (sign, is_first) {
                    (Sign::Same, _) => "same",
                    (Sign::Removed, _) => "removed",
                    (_, true) => "former",
                    (_, false) => "new",
                };
                write!(
                    f,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{bottom}\" width=\"96\" height=\"{}\" rx=\"1\"/>",
                    height.saturating_sub(1)
                )?;
            }
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Stacks {}

/// Makes the page that asks which images to compare.
///
/// # Errors
/// None of its own.
pub fn compare_form(reader: &Reader, from: Option<Named>) -> Result<Page, Error> {
    let twin = Twin {
        command: format!("registry ls --server {}", reader.site.url),
        api: "repositories".to_owned(),
    };
    Page::of(&FormPage {
        shell: Shell::new(reader, Section::Repositories, "Compare", twin),
        from,
    })
}

/// Makes the comparison of two images, of one platform.
///
/// # Errors
/// [`Error::NameUnknown`] for a repository that the reader may not pull, [`Error::ManifestUnknown`], and those of the
/// database.
pub async fn compare(
    registry: &Registry,
    reader: &Reader,
    from: Named,
    to: Named,
    platform: Option<&str>,
) -> Result<Page, Error> {
    for named in [&from, &to] {
        if !reader.viewer.shows(named.repository.as_str()) {
            return Err(Error::NameUnknown(named.repository.clone()));
        }
    }
    let whole = describe(registry, &to).await?;
    let names = whole
        .children
        .iter()
        .filter_map(|child| child.platform.clone());
    let names: BTreeSet<String> = names.collect();
    let platform = platform
        .map(str::to_owned)
        .filter(|name| names.contains(name));
    let platform = platform.or_else(|| names.first().cloned());
    let first = of_platform(
        registry,
        &from,
        describe(registry, &from).await?,
        platform.as_deref(),
    );
    let first = first.await?;
    let second = of_platform(registry, &to, whole, platform.as_deref()).await?;
    let (from_layers, _) = layers(registry, reader, &from.repository, &first).await?;
    let (to_layers, _) = layers(registry, reader, &to.repository, &second).await?;
    let lines = aligned(&stored(from_layers), &stored(to_layers));
    let both = Query::default().with("from", Some(&from.to_string()));
    let both = both.with("to", Some(&to.to_string()));
    let link = |name: &String| {
        let query = both.clone().with("platform", Some(name));
        (
            name.clone(),
            query.to_string(),
            platform.as_ref() == Some(name),
        )
    };
    let twin = Twin {
        command: format!("registry inspect {to}"),
        api: format!("manifests/{}/{}", to.repository, to.reference),
    };
    let title = format!("{} and {}", from, to.label());
    Page::of(&ComparePage {
        shell: Shell::new(reader, Section::Repositories, title, twin),
        platforms: names.iter().take(20).map(link).collect(),
        sizes: Sizes::of(&first, &second),
        settings: settings(first.config.as_ref(), second.config.as_ref()),
        stacks: Stacks(
            lines
                .iter()
                .map(|line| (line.sign, line.from, line.to))
                .collect(),
        ),
        lines,
        from,
        to,
    })
}

async fn describe(registry: &Registry, named: &Named) -> Result<ImageDescription, Error> {
    let manifests = registry.manifests();
    manifests
        .describe(&named.repository, &named.reference)
        .await
}

/// Returns the image of a platform in an index, or its first one; an image is its own.
async fn of_platform(
    registry: &Registry,
    named: &Named,
    whole: ImageDescription,
    platform: Option<&str>,
) -> Result<ImageDescription, Error> {
    let stored = || whole.children.iter().filter(|child| child.size.is_some());
    let wanted = stored().find(|child| platform.is_some() && child.platform.as_deref() == platform);
    let child = wanted.or_else(|| stored().find(|child| child.platform.is_some()));
    let child = child.and_then(|child| ManifestReference::parse(&child.digest).ok());
    match child {
        Some(child) => {
            registry
                .manifests()
                .describe(&named.repository, &child)
                .await
        }
        None => Ok(whole),
    }
}

fn stored(layers: Vec<Layer>) -> Vec<Layer> {
    layers
        .into_iter()
        .filter(|layer| layer.size.is_some())
        .collect()
}

/// Sizes of the layers of two images, each counted once.
struct Sizes {
    from: u64,
    to: u64,
    /// Layers of the second one that the first does not have.
    pulled: u64,
}

impl Sizes {
    fn of(from: &ImageDescription, to: &ImageDescription) -> Self {
        let (from, to) = (sizes(from), sizes(to));
        let new = to.iter().filter(|(digest, _)| !from.contains_key(*digest));
        Self {
            pulled: new.map(|(_, size)| size).sum(),
            from: from.values().sum(),
            to: to.values().sum(),
        }
    }
}

/// Returns the sizes of the layers of an image, by digest.
fn sizes(image: &ImageDescription) -> BTreeMap<&str, u64> {
    let layers = image.manifest.layers.iter();
    layers
        .map(|layer| {
            let size = u64::try_from(layer.size).unwrap_or_default();
            (&*layer.digest, size)
        })
        .collect()
}

/// Compares two configurations, differences first.
fn settings(from: Option<&ImageConfig>, to: Option<&ImageConfig>) -> Vec<Setting> {
    let (mut from, mut to) = (named_settings(from), named_settings(to));
    let names: BTreeSet<String> = from.keys().chain(to.keys()).cloned().collect();
    let setting = |name: String| {
        let (from, to) = (from.remove(&name), to.remove(&name));
        let sign = match (&from, &to) {
            (Some(one), Some(other)) if one == other => Sign::Same,
            (Some(_), Some(_)) => Sign::Changed,
            (Some(_), None) => Sign::Removed,
            _ => Sign::Added,
        };
        Setting {
            sign,
            name,
            from,
            to,
        }
    };
    let mut all: Vec<_> = names.into_iter().map(setting).collect();
    all.sort_by_key(|setting| setting.sign == Sign::Same);
    all.truncate(200);
    all
}

fn named_settings(config: Option<&ImageConfig>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let Some(config) = config else {
        return all;
    };
    for (name, words) in [("ENTRYPOINT", &config.entrypoint), ("CMD", &config.command)] {
        if !words.is_empty() {
            all.insert(name.to_owned(), words.join(" "));
        }
    }
    for (name, word) in [
        ("USER", &config.user),
        ("WORKDIR", &config.working_directory),
    ] {
        all.extend(word.as_ref().map(|word| (name.to_owned(), word.clone())));
    }
    let variables = config.environment.iter().map(|variable| {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        (format!("ENV {name}"), value.to_owned())
    });
    let labels = config.labels.iter();
    let labels = labels.map(|(name, value)| (format!("LABEL {}", label_name(name)), value.clone()));
    all.extend(variables.chain(labels));
    all
}
