//! The documentation: the files and links that it names exist.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::source::files;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn markdown(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Reads every page of the documentation.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<_> = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "benches/README.md",
    ]
    .map(|page| root().join(page))
    .into();
    markdown(&root().join("docs"), &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a page");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// Returns the anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_source_file_that_the_documentation_names_exists() {
    let sources: Vec<_> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| files(folder).into_keys())
        .map(PathBuf::from)
        .collect();
    // a file by the end of its path; anything else in these folders by its whole path
    let name = Regex::new(
        r"`([A-Za-z0-9_./-]+\.rs|(?:src|tests|benches|migrations|\.ci)/[A-Za-z0-9_./-]+)`",
    )
    .expect("an expression");
    let mut missing = Vec::new();
    let mut named = 0;
    for (page, text) in pages() {
        for found in name.captures_iter(&text) {
            let path = &found[1];
            named += 1;
            let is_source = || sources.iter().any(|source| source.ends_with(path));
            if !root().join(path).exists() && !is_source() {
                missing.push(format!("{}: {path}", page.display()));
            }
        }
    }
    assert!(named > 50, "{named} paths");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("an expression");
    let mut broken = Vec::new();
    for (page, text) in pages() {
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            let is_there = if anchor.is_empty() {
                path.exists()
            } else {
                fs::read_to_string(&path)
                    .is_ok_and(|text| anchors(&text).iter().any(|heading| heading == anchor))
            };
            if !is_there {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
