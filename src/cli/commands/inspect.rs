//! `registry inspect`.

use std::io::{self, Write, stdout};

use serde_json::{Value, json};
use tarkeep::oci::{Descriptor, RepositoryName};
use tarkeep::registry::{ImageDescription, Registry};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::output::{self, Format, Table, plain, size, time, written};
use crate::cli::terminal::reference::Target;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Image: REPOSITORY:TAG or REPOSITORY@DIGEST [default tag: latest]
    #[arg(value_name = "REF")]
    reference: String,
    #[command(flatten)]
    store: Store,
    /// Output format: table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let target = Target::parse(&arguments.reference)?;
    let (name, reference) = target.manifest_or_latest()?;
    let registry = arguments.store.open().await?;
    let description = registry.manifests().describe(&name, &reference).await?;
    let referrers = referrers(&registry, &name, &description).await?;
    match arguments.output {
        Format::Json => {
            output::print(format!("{:#}\n", as_json(&name, &description, &referrers)).as_bytes())
        }
        Format::Table => written(print(&name, &description, &referrers)),
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
        "pushed": time(summary.pushed_at),
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
) -> io::Result<()> {
    let ImageDescription {
        summary,
        manifest,
        tags,
        parents,
        ..
    } = description;
    let mut out = stdout().lock();
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
        writeln!(out, "{label:14} {}", plain(value))?;
    }
    for (key, value) in &manifest.annotations {
        writeln!(out, "{:14} {}={}", "Annotation", plain(key), plain(value))?;
    }
    let config: Vec<_> = manifest.config.iter().cloned().collect();
    for (heading, descriptors) in [
        ("Config", &config[..]),
        ("Layers", &manifest.layers),
        ("Manifests", &manifest.children),
        ("Referrers", referrers),
    ] {
        print_descriptors(&mut out, heading, descriptors)?;
    }
    Ok(())
}

fn print_descriptors(
    out: &mut impl Write,
    heading: &str,
    descriptors: &[Descriptor],
) -> io::Result<()> {
    if descriptors.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{heading}:")?;
    let mut table = Table::new(&["  DIGEST", "SIZE", "TYPE", "PLATFORM"]);
    for descriptor in descriptors {
        let platform = descriptor
            .platform
            .as_ref()
            .map(|platform| format!("{}/{}", platform.os, platform.architecture));
        let kind = descriptor
            .artifact_type
            .clone()
            .unwrap_or_else(|| descriptor.media_type.clone());
        let bytes = u64::try_from(descriptor.size).unwrap_or_default();
        table.row(vec![
            format!("  {}", descriptor.digest),
            size(bytes),
            kind,
            platform.unwrap_or_default(),
        ]);
    }
    table.print(out)
}
