//! Things that one module owns: SQL, the paths of the blob store, unsafe code.

use super::program::{Module, Program};
use super::source::files;

const SQL: &[&str] = &["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "PRAGMA "];
const BLOB_FOLDERS: &[&str] = &["blobs", "uploads"];
const FILE_CALLS: &[&str] = &["hard_link", "remove_file"];
/// Those that remove files of their own: databases, and links, of backups.
const OTHER_FILES: [&str; 2] = ["src/backup/", "src/meta/sqlite/"];

/// Modules of the library and the binary outside `owner`, a file or a folder with a slash.
fn modules_outside(owner: &str) -> Vec<Module> {
    let src = files("src");
    [("tarkeep", "src/lib.rs"), ("registry", "src/main.rs")]
        .into_iter()
        .flat_map(|(name, root)| Program::load(name, root, &src).modules.into_values())
        .filter(|module| !module.file.starts_with(owner))
        .collect()
}

#[test]
fn one_module_owns_sql() {
    for module in modules_outside("src/meta/") {
        for (text, line) in &module.mentions.strings {
            assert!(
                !SQL.iter().any(|word| text.contains(word)),
                "{}:{line} speaks SQL: {text}",
                module.file
            );
        }
    }
}

#[test]
fn one_module_owns_the_paths_of_blobs() {
    for module in modules_outside("src/blob/") {
        let owns_others = OTHER_FILES
            .iter()
            .any(|owner| module.file.starts_with(owner));
        for mention in &module.mentions.paths {
            assert!(
                owns_others
                    || !mention
                        .path
                        .last()
                        .is_some_and(|name| FILE_CALLS.contains(&&**name)),
                "{}:{} changes files",
                module.file,
                mention.line
            );
        }
        for (argument, line) in &module.mentions.joined {
            assert!(
                !BLOB_FOLDERS.contains(&&**argument),
                "{}:{line} has a path of the blob store",
                module.file
            );
        }
    }
    for module in modules_outside("src/blob/") {
        if module.file.starts_with("src/meta/") {
            for (text, line) in &module.mentions.strings {
                assert!(
                    !["blobs/", "uploads/"]
                        .iter()
                        .any(|word| text.contains(word)),
                    "{}:{line} has a path of the blob store: {text}",
                    module.file
                );
            }
        }
    }
}

/// The compiler denies unsafe code elsewhere, unless a file allows it.
#[test]
fn one_file_holds_unsafe_code() {
    let src = files("src");
    let allowing = src.iter().filter(|(_, text)| text.contains("(unsafe_code"));
    assert_eq!(
        allowing.map(|(file, _)| file).collect::<Vec<_>>(),
        ["src/sys.rs"]
    );
}
