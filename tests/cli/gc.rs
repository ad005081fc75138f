//! Output of `registry gc`.

use std::process::Command;

use super::{bytes_on_disk, json, text};
use crate::support::{Image, Server, Terminal};

/// Nothing is kept, and collection runs only when the test starts it.
const AT_ONCE: [(&str, &str); 3] = [
    ("REGISTRY_GC_ENABLED", "false"),
    ("REGISTRY_GC_LEASE", "0s"),
    ("REGISTRY_GC_GRACE", "0s"),
];

fn push_and_remove(server: &Server, seeds: std::ops::Range<u64>) {
    let mut client = server.client();
    seeds.for_each(|seed| Image::small(seed).push(&mut client, "app", &format!("v{seed}")));
    text(server, &["rm", "app"]);
    assert!(bytes_on_disk(server) > 0);
}

#[test]
fn only_a_terminal_sees_a_progress_bar() {
    let server = Server::with(&AT_ONCE);
    push_and_remove(&server, 0..20);
    let shown = server.at_terminal(&["gc"], "");
    let (bar, rest) = shown.text.split_once("collected ").expect("a sentence");
    // links first; each may take a blob and its file along
    assert!(
        bar.contains("] 0 of 120, 0 B freed, 0s ") && bar.contains('\r') && !bar.contains('\n'),
        "the bar is drawn on one line: {bar:?}"
    );
    assert!(
        shown.status.success()
            && bar.ends_with("\r\x1b[2K")
            && rest.starts_with("0 tags, 0 manifests, 40 blobs and 0 uploads; 40 files with "),
        "the bar is gone when the sentence is printed: {shown:?}"
    );
    assert_eq!(bytes_on_disk(&server), 0);

    for arguments in [
        &["gc", "--output", "json"][..],
        &["gc", "--dry-run"],
        &["garbage-collect", "--quiet"],
    ] {
        push_and_remove(&server, 0..2);
        let config = server
            .directory()
            .join("../config.yml")
            .display()
            .to_string();
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}",
            server.directory().display()
        );
        std::fs::write(&config, text).expect("a file");
        let shown = match arguments {
            ["garbage-collect", ..] => Terminal::run(
                Command::new(env!("CARGO_BIN_EXE_registry"))
                    .args(arguments)
                    .arg(&config),
                "",
            ),
            _ => server.at_terminal(arguments, ""),
        };
        assert!(
            shown.status.success() && !shown.text.contains(" freed, "),
            "{arguments:?}: {shown:?}"
        );
    }
    push_and_remove(&server, 2..4);
    let output = server.cli(&["gc"]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn counts_of_one_are_in_the_singular() {
    let server = Server::with(&AT_ONCE);
    push_and_remove(&server, 0..1);
    Image::small(1).push(&mut server.client(), "app", "v1");
    text(&server, &["rm", "app:v1"]);
    let shown = text(&server, &["gc", "--dry-run"]);
    assert!(
        shown.contains("0 tags, 0 manifests and 2 blobs with ")
            && shown.contains("; 0 tags, 1 manifest and 2 blobs with "),
        "{shown}"
    );
    assert_eq!(json(&server, &["gc"])["blobCount"], 2);
}

#[test]
fn the_output_names_the_rules_that_removed_tags() {
    let rules = "[{repositories: 'a*', tags: [{match: ['v*'], newest: 1}]}]";
    let server = Server::with(&[&AT_ONCE[..1], &[("REGISTRY_POLICIES", rules)]].concat());
    let push = |range: std::ops::Range<u64>| {
        let mut client = server.client();
        range.for_each(|seed| Image::small(seed).push(&mut client, "app", &format!("v{seed}")));
    };
    push(1..4);
    let swept = json(&server, &["gc"]);
    assert_eq!(
        swept["rules"],
        serde_json::json!([{
            "repository": "app", "policy": "a*", "rule": "v*", "tagCount": 2, "tags": ["v1", "v2"],
        }])
    );
    push(4..5);
    let sentence = text(&server, &["gc"]);
    assert!(
        sentence.contains(
            "rule 'v*' of policy 'a*' removed 1 tag of app: v3; registry restore app:TAG brings one back"
        ),
        "{sentence}"
    );
    assert_eq!(json(&server, &["gc"])["rules"], serde_json::json!([]));
}
