//! The source files of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Text by path; paths are relative to the repository's root.
pub type Files = BTreeMap<String, String>;

/// Reads every Rust file below a folder of the repository.
pub fn files(folder: &str) -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Files::new();
    collect(root, &root.join(folder), &mut found);
    assert!(!found.is_empty(), "no source in {folder}");
    found
}

fn collect(root: &Path, path: &Path, found: &mut Files) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            collect(root, &entry.expect("an entry").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let name = path.strip_prefix(root).expect("a file of the repository");
        let text = fs::read_to_string(path).expect("source");
        found.insert(name.display().to_string(), text);
    }
}
