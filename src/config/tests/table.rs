//! The table of keys.

use std::collections::BTreeSet;

use serde_json::json;

use crate::config::keys::{self, Status};
use crate::config::tests::{config, everything, load, with};
use crate::config::*;

/// Each key of distribution that is not honoured: accepted with one line that names it and its place, or refused.
#[test]
fn no_key_without_an_effect_is_passed_over_in_silence() {
    let mut numbers = (0, 0);
    for key in keys::all() {
        match key.status {
            Status::Supported => {}
            Status::Ignored(why) => {
                let mut tree = with(&key.path, json!("given"));
                if key.path.starts_with("health.file") {
                    tree["health"]["file"][0]["file"] = json!("/down");
                }
                let loaded =
                    load(&tree.to_string(), &[]).unwrap_or_else(|error| panic!("{tree}: {error}"));
                // a section without an effect is named as a whole
                let whole = keys::all()
                    .iter()
                    .find(|outer| keys::is_within(&key.path, &outer.path));
                let name = whole.unwrap().path.replace("[]", "[0]");
                assert!(
                    matches!(&*loaded.notes, [note] if note.starts_with(&format!("{name} has no effect: {why} ("))),
                    "{tree}: {:?}",
                    loaded.notes
                );
                numbers.0 += 1;
            }
            // what is switched off is no matter
            Status::Rejected(..) if key.path.ends_with("[].disabled") => {}
            Status::Rejected(_, why) => {
                let error = load(&with(&key.path, json!("true")).to_string(), &[])
                    .err()
                    .unwrap_or_else(|| panic!("{} is taken", key.path));
                assert!(
                    error.contains("is not supported: ") && error.contains(why),
                    "{}: {error}",
                    key.path
                );
                numbers.1 += 1;
            }
        }
    }
    assert!(numbers.0 > 15 && numbers.1 > 100, "{numbers:?}");
}

/// Unknown keys are refused at every depth, by the file and by variables.
#[test]
fn an_unknown_key_is_refused_in_every_section() {
    let sections: BTreeSet<_> = keys::all()
        .iter()
        .filter(|key| key.status == Status::Supported)
        .filter_map(|key| key.path.rsplit_once('.').map(|(section, _)| section))
        .chain([""])
        .collect();
    for section in sections {
        let path = keys::join(section, "nosuchkeyanywhere");
        let error = load(&with(&path, json!(1)).to_string(), &[])
            .err()
            .unwrap_or_else(|| panic!("{path} is taken"));
        assert!(
            error.contains(&format!(
                "config.yml line 1: unknown key {}",
                path.replace("[]", "[0]")
            )),
            "{error}"
        );
        if !section.is_empty() {
            let name = environment::name_of(&path);
            let error = load("", &[(&name, "1")])
                .err()
                .unwrap_or_else(|| panic!("{name} is taken"));
            assert!(
                error.contains(&format!("the variable {name}: unknown key")),
                "{error}"
            );
        }
    }
}

/// No drift between the table and the types: what is honoured fits a field, and each field is in the table.
#[test]
fn the_table_and_the_types_know_the_same_keys() {
    for login in ["none", "silly", "htpasswd", "token"] {
        config(&everything(login), &[]);
    }
    let honoured = || {
        keys::all()
            .iter()
            .filter(|key| key.status == Status::Supported)
    };
    let mut sections = BTreeSet::from([String::new()]);
    for key in honoured() {
        let ends = key
            .path
            .match_indices('.')
            .map(|(end, _)| key.path[..end].to_owned());
        sections.extend(ends);
    }
    for section in sections {
        let mut value = json!({"no such key": null});
        for part in section.split('.').rev().filter(|part| !part.is_empty()) {
            value = if part.ends_with("[]") {
                json!([value])
            } else {
                value
            };
            value = json!({part.trim_end_matches("[]"): value});
        }
        let error = serde_json::from_value::<Config>(value)
            .unwrap_err()
            .to_string();
        let (_, fields) = error
            .split_once("expected")
            .unwrap_or_else(|| panic!("{section}: {error}"));
        for field in fields.split('`').skip(1).step_by(2) {
            assert!(
                keys::members(&section).contains(&field),
                "{section} has {field}, of which the table knows nothing"
            );
        }
    }
}
