//! An image for people: facts, then tables.

use std::io::stdout;

use tarkeep::oci::{Descriptor, Manifest};
use tarkeep::report::{DamageItem, ImageItem, ReferrerItem, RunItem, SignatureItem, Time};

use crate::cli::error::Error;
use crate::cli::terminal::output::{self, Screen, written};
use crate::cli::terminal::table::{Cell, Column, Table};
use crate::cli::terminal::values::{plain, short_digest, size, time};

/// Prints an image.
///
/// # Errors
/// A manifest that is none, from a server.
pub(super) fn print(image: &ImageItem) -> Result<(), Error> {
    let bytes = image.manifest.to_string();
    let manifest = Manifest::parse(Some(&image.media_type), bytes.as_bytes());
    let manifest = manifest.map_err(|error| Error::Other(error.to_string()))?;
    for (label, value) in facts(image, &manifest) {
        if !value.is_empty() {
            output::fact(label, &plain(&value))?;
        }
    }
    for DamageItem { digest, reason } in &image.damage {
        output::fact(
            "Damaged",
            &plain(&format!(
                "{digest}: {reason}; not served until it is pushed again"
            )),
        )?;
    }
    // the config of an image is shown as facts
    let config = manifest.config.iter().filter(|_| image.image.is_none());
    print_descriptors("Config", config)?;
    print_descriptors("Layers", manifest.layers.iter())?;
    print_children(image)?;
    print_signatures(&image.signatures, &image.referrers)
}

/// Returns facts with their labels; empty ones are not shown.
fn facts(image: &ImageItem, manifest: &Manifest) -> Vec<(&'static str, String)> {
    let subject = manifest.subject.as_ref().map(ToString::to_string);
    let mut facts = vec![
        ("Repository", image.repository.clone()),
        ("Cached from", image.upstream.clone().unwrap_or_default()),
        ("Digest", image.digest.clone()),
        ("Media type", image.media_type.clone()),
    ];
    // that of an image is its config's
    let gone = image.gone_tags.iter();
    let gone = gone.map(|gone| format!("tag {} since {}", gone.tag, time(gone.since.0)));
    let gone: Vec<_> = gone.collect();
    let artifact_type = image.artifact_type.clone();
    let artifact_type = artifact_type.filter(|_| image.image.is_none());
    facts.extend([
        ("Artifact type", artifact_type.unwrap_or_default()),
        ("Tags", image.tags.join(", ")),
        ("Gone upstream", gone.join(", ")),
        ("Size", format!("{} in total", size(image.size))),
        ("Platforms", image.platforms.join(", ")),
        ("Pushed", time(image.pushed.0)),
    ]);
    let created = image.created.map(|Time(at)| time(at)).unwrap_or_default();
    if let Some(run) = &image.image {
        facts.push(("Created", created));
        facts.extend(run_facts(run));
    }
    facts.push(("Subject", subject.unwrap_or_default()));
    let parents = image.referenced_by.iter();
    facts.extend(parents.map(|parent| ("Referenced by", parent.clone())));
    let annotations = manifest.annotations.iter();
    facts.extend(annotations.map(|(key, value)| ("Annotation", format!("{key}={value}"))));
    facts
}

fn run_facts(run: &RunItem) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Entrypoint", words(&run.entrypoint)),
        ("Command", words(&run.command)),
        (
            "Directory",
            run.working_directory.clone().unwrap_or_default(),
        ),
        ("Runs as", run.runs_as.clone().unwrap_or_default()),
    ];
    let environment = run.environment.iter();
    facts.extend(environment.map(|variable| ("Environment", variable.clone())));
    let labels = run.labels.iter();
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
fn print_children(image: &ImageItem) -> Result<(), Error> {
    if image.children.is_empty() && image.attestations.is_empty() {
        return Ok(());
    }
    let columns = [
        Column::text("PLATFORM"),
        Column::number("SIZE"),
        Column::fixed("DIGEST"),
        Column::text("TYPE"),
    ];
    let mut table = begin("Platforms", &columns)?;
    let row = |label: String, bytes: Option<u64>, name: &str, media_type: &str| {
        vec![
            label.into(),
            bytes.map_or("not stored".into(), Cell::Size),
            digest(name),
            media_type.into(),
        ]
    };
    for child in &image.children {
        let label = child.platform.clone().unwrap_or_default();
        written(table.row(row(label, child.size, &child.digest, &child.media_type)))?;
        let own = image.attestations.iter();
        for about in own.filter(|about| about.subject == child.digest) {
            let label = "  attestation".to_owned();
            written(table.row(row(label, about.size, &about.digest, &about.media_type)))?;
        }
    }
    let is_child = |digest: &str| image.children.iter().any(|child| child.digest == digest);
    let others = image.attestations.iter();
    for about in others.filter(|about| !is_child(&about.subject)) {
        let label = format!("attestation of {}", short_digest(&about.subject));
        written(table.row(row(label, about.size, &about.digest, &about.media_type)))?;
    }
    end(table)
}

/// Prints signatures by tag, and referrers.
fn print_signatures(tags: &[SignatureItem], referrers: &[ReferrerItem]) -> Result<(), Error> {
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
            Cell::digest(&signature.digest),
            Cell::Size(signature.size),
            "signature by tag".into(),
            (&*signature.tag).into(),
        ]))?;
    }
    for referrer in referrers {
        let kind = referrer.artifact_type.as_deref();
        written(table.row(vec![
            digest(&referrer.digest),
            Cell::Size(referrer.size),
            kind.unwrap_or(&referrer.media_type).into(),
            Cell::Empty,
        ]))?;
    }
    end(table)
}
