//! `docs/configuration.md` names every key; `UPDATE=1 cargo test --test integration table` writes it anew.

use std::fmt::Write;
use std::path::Path;

use tarkeep::config::keys::{self, Key, Status, When};

const START: &str = "<!-- keys: written by a test -->\n";
const END: &str = "<!-- end of keys -->\n";

/// A row per key; for a section rejected or ignored as a whole, one row with all its keys.
fn rows(section: &str) -> String {
    let mut text =
        String::from("| Key | Status | Default | Meaning |\n| --- | --- | --- | --- |\n");
    let mut whole: Option<&Key> = None;
    let mut rows: Vec<(&Key, Vec<&str>)> = Vec::new();
    for key in keys::all()
        .iter()
        .filter(|key| keys::section(&key.path) == section)
    {
        let outer = whole
            .and_then(|outer| key.path.strip_prefix(&*outer.path))
            .filter(|rest| rest.starts_with(['.', '[']));
        match (outer, rows.last_mut()) {
            (Some(rest), Some((_, members))) => members.push(rest.trim_start_matches('.')),
            _ => {
                whole = (key.status != Status::Supported).then_some(key);
                rows.push((key, Vec::new()));
            }
        }
    }
    for (key, members) in rows {
        let members = members
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let members = if members.is_empty() {
            members
        } else {
            format!(" with {members}")
        };
        let default = if key.default.is_empty() || key.default.starts_with('(') {
            key.default.to_owned()
        } else {
            format!("`{}`", key.default)
        };
        writeln!(
            text,
            "| `{}`{members} | {} | {default} | {} |",
            key.path,
            status(key),
            key.meaning.replace('|', "\\|")
        )
        .expect("memory");
    }
    text
}

fn status(key: &Key) -> String {
    match key.status {
        Status::Supported => {
            let ours = if key.is_ours { ", ours" } else { "" };
            let live = if key.is_live { ", live" } else { "" };
            let required = if key.is_required { ", required" } else { "" };
            format!("supported{ours}{live}{required}")
        }
        Status::Ignored(why) => format!("ignored: {why}"),
        Status::Rejected(when, why) => {
            let when = match when {
                When::Named => "rejected",
                When::Given => "rejected unless empty",
                When::Enabled => "rejected unless empty or disabled",
                When::EnabledExcept(names, reason) => {
                    return format!(
                        "rejected unless empty, disabled or {}: {why}; {}: {reason}",
                        names.join(", "),
                        names.join(", ")
                    );
                }
            };
            format!("{when}: {why}")
        }
    }
}

fn table() -> String {
    let mut sections: Vec<&str> = Vec::new();
    for key in keys::all() {
        let section = keys::section(&key.path);
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sections
        .iter()
        .map(|section| format!("\n### {section}\n\n{}", rows(section)))
        .collect()
}

#[test]
fn the_documented_table_matches_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(&path).expect("the documentation");
    let (before, rest) = text.split_once(START).expect("a mark");
    let (written, after) = rest.split_once(END).expect("a mark");
    let table = table() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{START}{table}{END}{after}"))
            .expect("the documentation can be written");
        return;
    }
    assert!(
        written == table,
        "docs/configuration.md has another table: UPDATE=1 cargo test --test integration table"
    );
}
