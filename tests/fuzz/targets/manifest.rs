//! Manifests and configs, as a push checks them: memory as foretold, every reader sees the same, and bytes come back as pushed.
//!
//! An input is a `Content-Type`, which may be empty, a line feed, and a manifest.

#![no_main]

#[path = "../support/heap.rs"]
mod heap;
#[path = "../support/json.rs"]
mod json;
#[path = "../support/scratch.rs"]
mod scratch;
#[path = "../support/store.rs"]
mod store;

use std::cell::RefCell;

use json::Json;
use libfuzzer_sys::fuzz_target;
use store::{Store, actor};
use tarkeep::oci::{
    ImageConfig, MAX_DEPTH, Manifest, Outline, Platform, RepositoryName, check_image_config,
};
use tarkeep::registry::{Error, ManifestPush, ManifestReference, Precondition, TagChanges};

/// Memory that an error and its text may take beyond the outline, in bytes.
const SLACK: usize = 4096;

/// Fields of manifests and descriptors that a rule or a client looks at.
const FIELDS: [&str; 8] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
];
const DESCRIPTOR_FIELDS: [&str; 5] = ["mediaType", "digest", "size", "urls", "platform"];

thread_local! {
    static STORE: RefCell<Store> = RefCell::new(Store::new());
}

fuzz_target!(|data: &[u8]| {
    let end = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (content_type, document) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let content_type = std::str::from_utf8(content_type)
        .ok()
        .filter(|text| !text.is_empty());
    let outline = Outline::of(document);
    if outline.depth <= MAX_DEPTH {
        let (_, most) = heap::most_during(|| Manifest::parse(content_type, document).map(drop));
        assert!(
            most <= outline.memory + SLACK,
            "{most} bytes, of {outline:?}"
        );
        config(document);
    }
    STORE.with_borrow_mut(|store| {
        store.use_once();
        push(store, content_type, document, outline);
    });
});

/// Pushes a manifest, and pulls it.
fn push(store: &Store, content_type: Option<&str>, document: &[u8], outline: Outline) {
    let repository = RepositoryName::parse("team/app").expect("a name");
    let tag = tarkeep::oci::TagName::parse("v1").expect("a tag");
    let reference = ManifestReference::Tag(tag);
    let push = ManifestPush {
        reference: reference.clone(),
        tags: Vec::new(),
        content_type: content_type.map(str::to_owned),
        bytes: document.to_vec().into(),
        condition: Precondition::default(),
        tag_changes: TagChanges::All,
    };
    let manifests = store.registry.manifests();
    match store
        .runtime
        .block_on(manifests.push(&repository, push, actor()))
    {
        Ok(pushed) => {
            let stored = store
                .runtime
                .block_on(manifests.get(&repository, &reference))
                .expect("it is stored");
            assert_eq!((&*stored.bytes, &stored.digest), (document, &pushed.digest));
            let again =
                Manifest::parse(Some(&stored.media_type), document).expect("it is read again");
            assert_eq!(again.subject, pushed.subject);
            assert!(outline.depth <= MAX_DEPTH);
            // what nobody reads may have halves of characters in it, which have no text
            if let Ok(json) = serde_json::from_slice(document) {
                check_readers(&json);
            }
        }
        Err(
            Error::ManifestInvalid(_)
            | Error::ManifestTooLarge { .. }
            | Error::Digest(_)
            | Error::ReferencesUnknown { .. },
        ) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// Asserts that Go's clients see no other fields than those with the exact names.
fn check_readers(manifest: &Json) {
    check_fields(manifest, &FIELDS);
    for list in ["layers", "manifests"] {
        for (_, value) in manifest.fields(list) {
            value
                .elements()
                .iter()
                .for_each(|descriptor| check_fields(descriptor, &DESCRIPTOR_FIELDS));
        }
    }
    for part in ["config", "subject"] {
        manifest
            .fields(part)
            .iter()
            .for_each(|(_, descriptor)| check_fields(descriptor, &DESCRIPTOR_FIELDS));
    }
}

fn check_fields(object: &Json, names: &[&str]) {
    for name in names {
        let found: Vec<_> = object.fields(name).iter().map(|(key, _)| *key).collect();
        assert!(
            found.is_empty() || found == [*name],
            "{found:?} are taken for {name}"
        );
    }
}

/// Checks a document as a config.
fn config(document: &[u8]) {
    let is_checked = check_image_config(document).is_ok();
    let read = (ImageConfig::parse(document), Platform::of_config(document));
    let Ok(config @ Json::Object(_)) = serde_json::from_slice(document) else {
        return;
    };
    if !is_checked {
        assert!(
            read.0.is_none() && read.1.is_none(),
            "a config that clients see differently is read"
        );
        return;
    }
    check_fields(
        &config,
        &[
            "architecture",
            "os",
            "variant",
            "config",
            "rootfs",
            "history",
        ],
    );
    for (_, run) in config.fields("config") {
        for field in ["User", "Entrypoint", "Cmd", "Env", "Labels", "WorkingDir"] {
            assert!(run.fields(field).len() <= 1, "{field} occurs twice");
        }
    }
}
