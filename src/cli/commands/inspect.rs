//! `registry inspect`.

use std::io::stdout;

use serde_json::{Value, json};
use tarkeep::oci::{Descriptor, RepositoryName};
use tarkeep::registry::{ImageDescription, Registry};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::values::{plain, short_digest, size, time};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Image; the digest may be shortened [default tag: latest]
    #[arg(value_name = "REPOSITORY[:TAG|@DIGEST]")]
    reference: String,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        store,
        output: Output { format },
    } = arguments;
    let reference = Reference::parse(&reference)?;
    let registry = store.open().await?;
    let named = reference.resolve(&registry, "inspect").await?;
    let (name, reference) = named.manifest(&registry, "inspect").await?;
    let description = registry.manifests().describe(&name, &reference).await?;
    let referrers = referrers(&registry, &name, &description).await?;
    match format {
        Format::Json => json::print(&as_json(&name, &description, &referrers)),
        Format::Text => print(&name, &description, &referrers),
    }
}

async fn referrers(
    registry: &Registry,
    name: &RepositoryName,
    description: &ImageDescription,
) -> Result<Vec<Descriptor>, Error> {
    let mut found = Vec::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry
            .manifests()
            .referrers(name, &description.summary.digest, None, last)
            .await?;
        found.extend(page.items);
        after = page.next;
    }
    Ok(found)
}

fn as_json(
    name: &RepositoryName,
    description: &ImageDescription,
    referrers: &[Descriptor],
) -> Value {
    let ImageDescription {
        summary,
        manifest,
        bytes,
        tags,
        parents,
    } = description;
    json!({
        "repository": name.as_str(),
        "digest": summary.digest.as_str(),
        "mediaType": summary.media_type,
        "artifactType": manifest.artifact_type,
        "size": summary.size,
        "platforms": summary.platforms,
        "pushed": json::time(summary.pushed_at),
        "tags": tags,
        "referrers": referrers,
        "referencedBy": parents.iter().map(tarkeep::oci::Digest::as_str).collect::<Vec<_>>(),
        "manifest": serde_json::from_slice::<Value>(bytes).unwrap_or_default(),
    })
}

fn print(
    name: &RepositoryName,
    description: &ImageDescription,
    referrers: &[Descriptor],
) -> Result<(), Error> {
    let ImageDescription {
        summary,
        manifest,
        tags,
        parents,
        ..
    } = description;
    let mut facts = vec![
        ("Repository", name.to_string()),
        ("Digest", summary.digest.to_string()),
        ("Media type", summary.media_type.clone()),
        (
            "Artifact type",
            manifest.artifact_type.clone().unwrap_or_default(),
        ),
        ("Tags", tags.join(", ")),
        ("Size", format!("{} in total", size(summary.size))),
        ("Platforms", summary.platforms.join(", ")),
        ("Pushed", time(summary.pushed_at)),
        (
            "Subject",
            manifest
                .subject
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
    ];
    facts.extend(
        parents
            .iter()
            .map(|parent| ("Referenced by", parent.to_string())),
    );
    for (label, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        output::say(&format!("{label:14} {}", plain(value)))?;
    }
    for (key, value) in &manifest.annotations {
        output::say(&format!(
            "{:14} {}={}",
            "Annotation",
            plain(key),
            plain(value)
        ))?;
    }
    let config: Vec<_> = manifest.config.iter().cloned().collect();
    for (heading, descriptors) in [
        ("Config", &config[..]),
        ("Layers", &manifest.layers),
        ("Manifests", &manifest.children),
        ("Referrers", referrers),
    ] {
        print_descriptors(heading, descriptors)?;
    }
    Ok(())
}

fn print_descriptors(heading: &str, descriptors: &[Descriptor]) -> Result<(), Error> {
    if descriptors.is_empty() {
        return Ok(());
    }
    output::print(&format!("\n{heading}:\n"))?;
    let columns = [
        Column::fixed("DIGEST"),
        Column::number("SIZE"),
        Column::text("TYPE"),
        Column::text("PLATFORM"),
    ];
    let screen = Screen::of_stdout();
    let mut table = Table::new(&columns, screen);
    for descriptor in descriptors {
        let platform = descriptor
            .platform
            .as_ref()
            .map(|platform| format!("{}/{}", platform.os, platform.architecture));
        let kind = descriptor
            .artifact_type
            .clone()
            .unwrap_or_else(|| descriptor.media_type.clone());
        let digest = match screen {
            Screen::Terminal { .. } => short_digest(&descriptor.digest),
            Screen::Pipe => &descriptor.digest,
        };
        written(table.row(vec![
            digest.into(),
            Cell::Size(u64::try_from(descriptor.size).unwrap_or_default()),
            kind.into(),
            platform.into(),
        ]))?;
    }
    written(table.print(&mut stdout().lock()))
}
