//! Request lines, and the names, tags, digests, globs and places that requests and commands are made of.
//!
//! An input is a method, a space, and a path with its query; all of it is also parsed as each kind of name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tarkeep::http::fuzz;
use tarkeep::import::{NameMap, Place};
use tarkeep::oci::{Digest, Glob, MediaType, RepositoryName, TagName};

fuzz_target!(|text: &str| {
    if let Some((method, target)) = text.split_once(' ') {
        fuzz::route(method, target);
    }
    if let Ok(name) = RepositoryName::parse(text) {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(tag) = TagName::parse(text) {
        assert_eq!(tag.as_str(), text);
    }
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.as_str(), text);
        let length = digest.hex().len();
        assert_eq!(
            length,
            digest
                .hex()
                .trim_matches(|c: char| !c.is_ascii_hexdigit())
                .len()
        );
    }
    if let Some(kind) = MediaType::parse(text) {
        assert_eq!(MediaType::parse(kind.as_str()), Some(kind));
    }
    if let Ok(glob) = Glob::for_repositories(text) {
        assert_eq!(glob.as_str(), text);
        let _ = glob.matches("team/app");
    }
    if let Ok(glob) = Glob::for_tags(text) {
        let _ = glob.matches("v1.2.3");
    }
    if let Ok(Place { repository, tag }) = Place::parse(text) {
        let written = match &tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => repository.to_string(),
        };
        // a name whose first part looks like a host loses it, once
        assert!(text.contains(&written), "{written} of {text}");
    }
    let _ = NameMap::parse(text);
});
