//! The files of the store of `docker-registry`, which nobody else may change.

use crate::harness::sandbox::Sandbox;

/// Describes every file and directory below `place`: its number, mode, owner, time, size and content.
pub fn snapshot(sandbox: &Sandbox, place: &str) -> Vec<String> {
    let described = sandbox.run(format!(
        "find {place}/docker -printf %p\\t%i\\t%m\\t%U\\t%G\\t%T@\\t%y\\n"
    ));
    let hashed = sandbox.run(format!(
        "find {place}/docker -type f -exec sha256sum {{}} +"
    ));
    let both = format!("{}{}", described.stdout, hashed.stdout);
    let mut lines: Vec<String> = both.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Compares two snapshots, and shows only the lines that differ.
#[track_caller]
pub fn assert_unchanged(before: &[String], after: &[String]) {
    let only = |left: &[String], right: &[String]| {
        let lines = left.iter().filter(|line| !right.contains(line));
        lines.cloned().collect::<Vec<_>>()
    };
    assert_eq!(only(before, after), only(after, before));
}
