//! An image for people: facts, then tables.

use std::io::stdout;

use tarkeep::oci::{Descriptor, ImageConfig, Referrer, RepositoryName};
use tarkeep::registry::{ChildDescription, Damaged, ImageDescription, SignatureTag};
use tarkeep::report::{ImageReport, built};

use crate::cli::error::Error;
use crate::cli::terminal::output::{self, Screen, written};
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::values::{plain, short_digest, size, time};

pub(super) fn print(report: &ImageReport) -> Result<(), Error> {
    let ImageReport {
        repository,
        description,
        referrers,
        damage,
    } = report;
    for (label, value) in facts(repository, description) {
        if !value.is_empty() {
            output::fact(label, &plain(&value))?;
        }
    }
    for Damaged { digest, damage } in damage {
        output::fact(
            "Damaged",
            &plain(&format!(
                "{digest}: {damage}; not served until it is pushed again"
            )),
        )?;
    }
    let manifest = &description.manifest;
    // the config of an image is shown as facts
    let config = manifest
        .config
        .iter()
        .filter(|_| description.config.is_none());
    print_descriptors("Config", config)?;
    print_descriptors("Layers", manifest.layers.iter())?;
    print_children(&description.children)?;
    print_signatures(&description.signature_tags, referrers)
}

/// Returns facts with their labels; empty ones are not shown.
fn facts(name: &RepositoryName, description: &ImageDescription) -> Vec<(&'static str, String)> {
    let ImageDescription {
        summary,
        manifest,
        tags,
        parents,
        config,
        ..
    } = description;
    let subject = manifest.subject.as_ref().map(ToString::to_string);
    let mut facts = vec![
        ("Repository", name.to_string()),
        ("Digest", summary.digest.to_string()),
        ("Media type", summary.media_type.clone()),
    ];
    // that of an image is its config's
    let artifact_type = manifest.artifact_type.clone().filter(|_| config.is_none());
    facts.extend([
        ("Artifact type", artifact_type.unwrap_or_default()),
        ("Tags", tags.join(", ")),
        ("Size", format!("{} in total", size(summary.size))),
        ("Platforms", summary.platforms.join(", ")),
        ("Pushed", time(summary.pushed_at)),
    ]);
    facts.extend(config.iter().flat_map(config_facts));
    facts.push(("Subject", subject.unwrap_or_default()));
    facts.extend(
        parents
            .iter()
            .map(|parent| ("Referenced by", parent.to_string())),
    );
    let annotations = manifest.annotations.iter();
    facts.extend(annotations.map(|(key, value)| ("Annotation", format!("{key}={value}"))));
    facts
}

fn config_facts(config: &ImageConfig) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Created", built(config).map(time).unwrap_or_default()),
        ("Entrypoint", words(&config.entrypoint)),
        ("Command", words(&config.command)),
        (
            "Directory",
            config.working_directory.clone().unwrap_or_default(),
        ),
        ("Runs as", config.user.clone().unwrap_or_default()),
    ];
    let environment = config.environment.iter();
    facts.extend(environment.map(|variable| ("Environment", variable.clone())));
    let labels = config.labels.iter();
    facts.extend(labels.map(|(key, value)| ("Label", format!("{key}={value}"))));
    facts
}

/// Joins the words of a command, quoted where a shell would split them.
fn words(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        if word.is_empty() || word.contains([' ', '\'', '"', '\n']) {
            format!("'{}'", word.replace('\'', r"'\''"))
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn begin(heading: &str, columns: &[Column]) -> Result<Table, Error> {
    output::print(&format!("\n{heading}:\n"))?;
    Ok(Table::new(columns, Screen::of_stdout()))
}

fn end(table: Table) -> Result<(), Error> {
    written(table.print(&mut stdout().lock()))
}

/// Shortens a digest on a terminal; clients wrote it.
fn digest(text: &str) -> Cell {
    match Screen::of_stdout() {
        Screen::Terminal { .. } => short_digest(text).into(),
        Screen::Pipe => text.into(),
    }
}

fn print_descriptors<'d>(
    heading: &str,
    descriptors: impl Iterator<Item = &'d Descriptor>,
) -> Result<(), Error> {
    let mut descriptors = descriptors.peekable();
    if descriptors.peek().is_none() {
        return Ok(());
    }
    let columns = [
        Column::fixed("DIGEST"),
        Column::number("SIZE"),
        Column::text("TYPE"),
    ];
    let mut table = begin(heading, &columns)?;
    for descriptor in descriptors {
        written(table.row(vec![
            digest(&descriptor.digest),
            Cell::Size(u64::try_from(descriptor.size).unwrap_or_default()),
            kind(descriptor).into(),
        ]))?;
    }
    end(table)
}

fn kind(descriptor: &Descriptor) -> &str {
    let artifact_type = descriptor.artifact_type.as_deref();
    artifact_type.unwrap_or(&descriptor.media_type)
}

/// Prints the children of an index, each with its attestations below it.
fn print_children(children: &[ChildDescription]) -> Result<(), Error> {
    if children.is_empty() {
        return Ok(());
    }
    let columns = [
        Column::text("PLATFORM"),
        Column::number("SIZE"),
        Column::fixed("DIGEST"),
        Column::text("TYPE"),
    ];
    let mut table = begin("Platforms", &columns)?;
    let row = |child: &ChildDescription, label: String| {
        vec![
            label.into(),
            child.size.map_or("not stored".into(), Cell::Size),
            digest(&child.digest),
            (&*child.media_type).into(),
        ]
    };
    let is_child = |digest: &str| children.iter().any(|child| child.digest == digest);
    for child in children {
        match &child.attested {
            Some(attested) if is_child(attested) => continue,
            Some(attested) => {
                let label = format!("attestation of {}", short_digest(attested));
                written(table.row(row(child, label)))?;
            }
            None => written(table.row(row(child, child.platform.clone().unwrap_or_default())))?,
        }
        let attestations = children
            .iter()
            .filter(|other| other.attested.as_deref() == Some(&*child.digest));
        for attestation in attestations {
            written(table.row(row(attestation, "  attestation".to_owned())))?;
        }
    }
    end(table)
}

/// Prints signatures by tag, and referrers.
fn print_signatures(tags: &[SignatureTag], referrers: &[Referrer]) -> Result<(), Error> {
    if tags.is_empty() && referrers.is_empty() {
        return Ok(());
    }
    let columns = [
        Column::fixed("DIGEST"),
        Column::number("SIZE"),
        Column::text("TYPE"),
        Column::name("TAG"),
    ];
    let mut table = begin("Signatures and other referrers", &columns)?;
    for signature in tags {
        written(table.row(vec![
            Cell::from(&signature.digest),
            Cell::Size(signature.size),
            "signature by tag".into(),
            signature.tag.as_str().into(),
        ]))?;
    }
    for referrer in referrers {
        written(table.row(vec![
            digest(&referrer.digest),
            Cell::Size(referrer.size as u64),
            referrer
                .artifact_type
                .as_deref()
                .unwrap_or(&referrer.media_type)
                .into(),
            Cell::Empty,
        ]))?;
    }
    end(table)
}
