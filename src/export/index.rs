//! The list of images in a layout, with names that other tools understand.

use std::collections::BTreeMap;

use crate::export::chosen;
use crate::export::plan::{EntryKind, Plan, PlannedEntry};
use crate::oci::layout::{IMAGE_NAME, LayoutIndex, OWN_NAME, REF_NAME};
use crate::oci::{Descriptor, MediaType};

/// Form of the short names of images, which must tell them apart.
#[derive(Clone, Copy)]
enum ShortNames {
    Tag,
    RepositoryAndTag,
}

/// Returns the content of the file.
pub(super) fn file(plan: &Plan) -> serde_json::Result<Vec<u8>> {
    let mut repositories = plan
        .entries()
        .filter(|entry| entry.kind == EntryKind::Image)
        .map(|entry| &entry.repository);
    let first = repositories.next();
    let names = if repositories.all(|other| Some(other) == first) {
        ShortNames::Tag
    } else {
        ShortNames::RepositoryAndTag
    };
    serde_json::to_vec(&LayoutIndex {
        schema_version: 2,
        media_type: MediaType::OCI_INDEX.to_owned(),
        manifests: plan
            .entries()
            .map(|entry| descriptor(entry, names))
            .collect(),
    })
}

fn descriptor(entry: &PlannedEntry, names: ShortNames) -> Descriptor {
    Descriptor {
        media_type: entry.media_type.clone(),
        digest: entry.digest.to_string(),
        size: i64::try_from(entry.size).unwrap_or(i64::MAX),
        urls: None,
        artifact_type: entry.artifact_type.clone(),
        platform: entry.platform.clone(),
        annotations: Some(annotations(entry, names)),
    }
}

fn annotations(entry: &PlannedEntry, names: ShortNames) -> BTreeMap<String, String> {
    let own = match &entry.tag {
        Some(tag) => format!("{}:{tag}", entry.repository.as_str()),
        None => entry.repository.as_str().to_owned(),
    };
    let mut annotations = BTreeMap::from([(OWN_NAME.to_owned(), own)]);
    // ctr would unpack a signature as an image, and fail, if it had a name like one
    if entry.kind == EntryKind::Image {
        let whole = chosen::name(&entry.repository, entry.tag.as_ref(), &entry.digest);
        if let Some(tag) = &entry.tag {
            let short = match names {
                ShortNames::Tag => tag.to_string(),
                ShortNames::RepositoryAndTag => whole.clone(),
            };
            annotations.insert(REF_NAME.to_owned(), short);
        }
        annotations.insert(IMAGE_NAME.to_owned(), whole);
    }
    annotations
}
