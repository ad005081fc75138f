//! Holds the layers apart: what a module may name is written here, and the source is read to see that it does.

use std::fs;
use std::path::{Path, PathBuf};

/// A module, what it must not mention, and why.
const RULES: &[(&str, &[&str], &str)] = &[
    (
        "oci",
        &[
            "crate::", "std::fs", "std::net", "tokio", "rusqlite", "axum", "hyper",
        ],
        "the vocabulary does nothing",
    ),
    ("log", &["crate::"], "the log tells what others say"),
    (
        "telemetry",
        &["crate::", "prometheus"],
        "counters know nobody who reads them",
    ),
    ("log_limit", &["crate::"], "whoever speaks knows what of"),
    ("background_writer", &["crate::"], "lines are anybody's"),
    ("client_key", &["crate::"], "addresses are nobody's"),
    ("redact", &["crate::"], "a secret is one whoever says it"),
    ("dir_check", &["crate::"], "a directory is one whoever asks"),
    ("file_watch", &["crate::"], "files are anybody's"),
    ("atomic_file", &["crate::"], "files are anybody's"),
    (
        "health",
        &[
            "crate::meta",
            "crate::blob",
            "crate::http",
            "crate::config",
            "rusqlite",
            "r2d2",
        ],
        "health checks are a caller of the operations",
    ),
    (
        "blob",
        &[
            "crate::meta",
            "crate::registry",
            "crate::http",
            "crate::config",
            "rusqlite",
            "axum",
            "hyper",
            "tokio",
        ],
        "files know no facts",
    ),
    (
        "meta",
        &[
            "crate::blob",
            "crate::registry",
            "crate::http",
            "crate::config",
            "axum",
            "hyper",
            "blobs/",
            "uploads/",
        ],
        "facts know no files",
    ),
    (
        "registry",
        &[
            "crate::http",
            "crate::config",
            "rusqlite",
            "axum",
            "hyper",
            "http::",
            "PathBuf::from",
            "fs::",
        ],
        "rules know no transport",
    ),
    (
        "auth",
        &[
            "crate::registry",
            "crate::meta",
            "crate::blob",
            "crate::http",
            "crate::config",
            "rusqlite",
            "axum",
            "hyper",
            "http::",
        ],
        "who may do something has nothing to do with how it is done",
    ),
    (
        "http",
        &[
            "crate::meta",
            "crate::blob",
            "crate::config",
            "rusqlite",
            "r2d2",
        ],
        "the wire knows only the operations",
    ),
    (
        "tls",
        &[
            "crate::meta",
            "crate::blob",
            "crate::registry",
            "crate::http",
            "crate::config",
            "axum",
        ],
        "encryption knows nothing of what it carries",
    ),
    (
        "background",
        &[
            "crate::meta",
            "crate::blob",
            "crate::http",
            "crate::config",
            "rusqlite",
            "r2d2",
        ],
        "what the server does by itself is a caller of the operations",
    ),
    (
        "config",
        &[
            "crate::meta",
            "crate::blob",
            "crate::registry",
            "crate::http::",
            "crate::oci",
            "crate::background",
            "tokio",
            "hyper",
        ],
        "the configuration knows no part of the server",
    ),
    (
        "cli",
        &[
            "rusqlite",
            "r2d2",
            "tarkeep::meta",
            "tarkeep::blob",
            "axum",
            "hyper",
        ],
        "the command line is a caller of the operations",
    ),
];

/// Exceptions, each with its reason.
const ALLOWED: &[(&str, &str)] = &[
    // the vocabulary's modules name each other
    ("oci", "crate::oci"),
    // both of its lines and of requests' are written by a thread, and what is lost is counted
    ("log/mod.rs", "crate::background_writer"),
    ("background_writer.rs", "crate::telemetry"),
    // the data directory itself is the operations' to make; what is in it is not
    ("registry/mod.rs", "PathBuf"),
    ("registry/mod.rs", "std::fs::DirBuilder"),
    ("registry/mod.rs", "std::os::unix::fs"),
    // a file handle is passed on, not opened
    ("registry/pull.rs", "std::fs::File"),
];

fn source(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a directory");
        entries.for_each(|entry| source(&entry.expect("an entry").path(), found));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    source(&root, &mut found);
    let relative = |path: &PathBuf| {
        path.strip_prefix(&root)
            .expect("inside")
            .display()
            .to_string()
    };
    found
        .iter()
        .map(|path| (relative(path), fs::read_to_string(path).expect("source")))
        .collect()
}

/// The code of a file: no comments, and nothing after its unit tests begin.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn dependencies_point_down_only() {
    let mut broken = Vec::new();
    for (file, text) in files() {
        let rules = RULES.iter().filter(|(module, ..)| {
            file.starts_with(&format!("{module}/")) || file == format!("{module}.rs")
        });
        for (_, forbidden, why) in rules {
            for (number, line) in code(&text) {
                let line = ALLOWED
                    .iter()
                    .filter(|(place, _)| file.starts_with(place))
                    .fold(line.to_owned(), |line, (_, word)| line.replace(word, ""));
                let offence = forbidden.iter().find(|word| line.contains(**word));
                broken
                    .extend(offence.map(|word| format!("src/{file}:{number} names {word}: {why}")));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn one_module_owns_sql() {
    let sql = ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "PRAGMA "];
    for (file, text) in files()
        .into_iter()
        .filter(|(file, _)| !file.starts_with("meta/"))
    {
        for (number, line) in code(&text) {
            assert!(
                !sql.iter().any(|word| line.contains(word)),
                "src/{file}:{number} speaks SQL"
            );
        }
    }
}

#[test]
fn one_module_owns_the_paths_of_blobs() {
    for (file, text) in files()
        .into_iter()
        .filter(|(file, _)| !file.starts_with("blob/"))
    {
        for (number, line) in code(&text) {
            for word in [
                "join(\"blobs\")",
                "join(\"uploads\")",
                "hard_link",
                "remove_file",
            ] {
                assert!(
                    !line.contains(word),
                    "src/{file}:{number} has a path of the blob store"
                );
            }
        }
    }
}

#[test]
fn unsafe_lives_in_one_file() {
    let holders: Vec<_> = files()
        .into_iter()
        .filter(|(_, text)| code(text).any(|(_, line)| line.contains("unsafe ")))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(holders, ["sys.rs"]);
}
