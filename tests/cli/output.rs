//! Output for people and for scripts: what fits a terminal, what a pipe gets, and JSON that is one object.

use serde_json::Value;

use super::{json, push_index, refusal, text};
use crate::support::{Image, Server};

const LONG: &str = "a-team-with-a-long-name/and-a-department/some-application-that-does-much";
const LONG_TAG: &str = "feature-branch-about-something-important-that-took-a-while-20261127.1";

/// A server with long names, an index with a signature, and deleted content.
fn full_server() -> Server {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: 'a-team-with-a-long-name/**', tags: [{match: ['pr-*'], newest: 1}]}]",
    )]);
    let mut client = server.client();
    push_index(&mut client);
    for (seed, tag) in (1..).zip([LONG_TAG, "pr-2", "pr-10", "gone"]) {
        Image::small(seed).push(&mut client, LONG, tag);
    }
    client.get(&format!("/v2/{LONG}/manifests/pr-10"));
    text(&server, &["rm", &format!("{LONG}:gone")]);
    text(
        &server,
        &[
            "rm",
            &format!("{LONG}@{}", Image::small(2).digest()),
            "--yes",
        ],
    );
    server
}

#[test]
fn no_table_wraps_on_a_terminal() {
    let server = full_server();
    let tagged = format!("{LONG}:{LONG_TAG}");
    for arguments in [
        &["ls"][..],
        &["ls", LONG],
        &["ls", "**:*"],
        &["du"],
        &["du", LONG],
        &["du", "**:*"],
        &["inspect", &tagged],
        &["inspect", "team/app:v1"],
        &["policy", "preview"],
        &["restore"],
        &["tag", "history", &tagged],
        &["gc", "--dry-run"],
    ] {
        let shown = server.at_terminal(arguments, "");
        assert!(shown.status.success(), "{arguments:?}: {}", shown.text);
        shown.assert_fits();
    }
}

#[test]
fn errors_break_between_words_on_a_terminal() {
    let server = full_server();
    for arguments in [
        &["inspect", LONG][..],
        &["ls", "nobody"],
        &["tag", "restore", "team/app:v1"],
        &["gc", "--now", "team/app:v1"],
    ] {
        let shown = server.at_terminal(arguments, "");
        assert!(!shown.status.success(), "{shown:?}");
        shown.assert_fits();
        assert!(shown.text.lines().count() > 1, "{shown:?}");
    }
}

/// Whoever mistypes a name is told where the names are.
#[test]
fn unknown_names_are_answered_with_where_names_are() {
    let server = full_server();
    for (arguments, remedy) in [
        (&["ls", "nobody"][..], "registry ls lists repositories"),
        (&["rm", "nobody"], "registry restore what was deleted"),
        (
            &["inspect", "team/app"],
            "registry ls team/app lists its tags",
        ),
        (
            &["rm", "team/app:v7"],
            "registry ls team/app lists its tags",
        ),
        (
            &["tag", "team/app:v7", "team/app:v8"],
            "registry ls team/app lists its tags",
        ),
    ] {
        let message = refusal(&server, arguments);
        assert!(message.contains(remedy), "{arguments:?}: {message}");
    }
}

#[test]
fn a_terminal_gets_short_values_and_a_pipe_full_ones() {
    let server = full_server();
    let digest = Image::small(3).digest();
    let shown = server.at_terminal(&["ls", LONG], "").text;
    assert!(
        shown.contains(&digest["sha256:".len()..][..12]) && !shown.contains(&digest),
        "{shown}"
    );
    assert!(shown.contains(" ago") || shown.contains("now"), "{shown}");
    let piped = text(&server, &["ls", LONG]);
    assert!(
        piped.contains(&digest) && !piped.contains(" ago"),
        "{piped}"
    );
    assert!(piped.contains(LONG_TAG), "{piped}");
    // facts stand below each other
    let facts = server.at_terminal(&["inspect", "team/app:v1"], "").text;
    for fact in ["Repository     team/app", "Tags           v1"] {
        assert!(facts.contains(fact), "'{fact}' in {facts}");
    }
    // columns without content are left out on a terminal
    let history = ["tag", "history", "team/app:v1"];
    assert!(!server.at_terminal(&history, "").text.contains("ENDED"));
    assert!(text(&server, &history).contains("ENDED"));
}

#[test]
fn columns_are_aligned_from_top_to_bottom() {
    let server = full_server();
    for arguments in [&["policy", "preview"][..], &["restore"], &["ls", "**:*"]] {
        let table = text(&server, arguments);
        let heading = table
            .lines()
            .find(|line| line.starts_with("REPOSITORY") || line.starts_with("WHAT"))
            .expect("a heading");
        let rows: Vec<_> = table
            .lines()
            .skip_while(|line| *line != heading)
            .skip(1)
            .collect();
        for column in heading.split_whitespace().skip(1).take(1) {
            let start = heading.find(column).expect("the column");
            assert!(
                rows.iter()
                    .all(|row| row.as_bytes()[start - 1] == b' ' && row.as_bytes()[start] != b' '),
                "{column} in:\n{table}"
            );
        }
    }
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().expect("a list").iter();
    list.map(|item| item[key].as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn lists_are_chosen_and_sorted() {
    let server = Server::start();
    let mut client = server.client();
    for (repository, tag, seed, layers) in [
        ("team/app", "pr-10", 1, 3),
        ("team/app", "pr-2", 2, 1),
        ("team/app", "main", 3, 2),
        ("team/web", "pr-1", 4, 5),
        ("other", "v1", 5, 1),
    ] {
        let layers = (0..layers)
            .map(|layer| crate::support::noise(seed * 10 + layer, 1000))
            .collect();
        Image::new(&seed.to_string(), layers).push(&mut client, repository, tag);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let tags = |arguments: &[&str]| names(&json(&server, arguments)["tags"], "tag");
    let repositories =
        |arguments: &[&str]| names(&json(&server, arguments)["repositories"], "repository");
    assert_eq!(tags(&["ls", "team/app"]), ["main", "pr-2", "pr-10"]);
    for command in ["ls", "du"] {
        assert_eq!(
            tags(&[command, "team/app", "--sort", "size"]),
            ["pr-10", "main", "pr-2"]
        );
        assert_eq!(
            tags(&[command, "team/app", "--sort", "pushed", "--limit", "2"]),
            ["main", "pr-2"]
        );
        assert_eq!(
            tags(&[command, "team/*:pr-*", "--sort", "name"]),
            ["pr-2", "pr-10", "pr-1"],
            "by repository first"
        );
        assert_eq!(tags(&[command, "team/app:main"]), ["main"]);
        assert_eq!(
            repositories(&[command, "team/*", "--sort", "name"]),
            ["team/app", "team/web"]
        );
        assert_eq!(
            repositories(&[command, "--sort", "pushed"]),
            ["other", "team/web", "team/app"]
        );
        let pushed = json(&server, &["ls", "team/web"])["tags"][0]["pushed"].clone();
        assert_eq!(
            repositories(&[
                command,
                "--sort",
                "name",
                "--since",
                pushed.as_str().expect("a time")
            ]),
            ["other", "team/web"]
        );
        assert!(repositories(&[command, "--since", "+1h"]).is_empty());
        refusal(&server, &[command, "nothing/*"]);
        refusal(&server, &[command, "team/app:nothing"]);
        refusal(&server, &[command, "--since", "yesterday"]);
    }
    assert_eq!(repositories(&["du"])[0], "team/app", "largest first");
}

#[test]
fn references_are_understood_as_people_have_them() {
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "team/app", "v1");
    Image::small(2).push(&mut client, "registry.example.com/mirror", "v1");
    let digest = image.digest();
    let short = &digest["sha256:".len()..][..12];
    for reference in [
        "team/app:v1",
        "localhost:5000/team/app:v1",
        "http://localhost:5000/team/app:v1",
        "docker://registry.internal/team/app:v1",
        &format!("team/app@{digest}"),
        &format!("team/app:v1@{digest}"),
        &format!("team/app@sha256:{short}"),
        &format!("10.0.0.1:5000/team/app@{short}"),
    ] {
        for command in [&["inspect"][..], &["why"]] {
            let shown = json(&server, &[command, &[reference]].concat());
            assert_eq!(shown["digest"], *digest, "{command:?} {reference}");
        }
        let shown = json(&server, &["rm", reference, "--dry-run"]);
        assert_eq!(shown["items"][0]["digest"], *digest, "{reference}");
    }
    for alone in [short, &format!("sha256:{short}"), &digest] {
        assert_eq!(json(&server, &["why", alone])["digest"], *digest, "{alone}");
    }
    // what looks like a host may be a part of the name
    let mirror = json(&server, &["inspect", "registry.example.com/mirror:v1"]);
    assert_eq!(mirror["repository"], "registry.example.com/mirror");
    let history = json(&server, &["tag", "history", "localhost:5000/team/app:v1"]);
    assert_eq!(history["tag"], "v1");
    // nobody else's registry is asked, and a host that is not this machine is no mistake
    for (name, is_told) in [
        ("localhost:5000/team/app:v1", false),
        ("127.0.0.1:5000/team/app:v1", false),
        ("registry.example.com/mirror:v1", false),
        ("registry.example.com:5000/team/app:v1", true),
        ("registry.internal/team/app:v1", true),
    ] {
        let output = server.cli(&["inspect", name]);
        let note = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            note.contains("is not asked: registry inspect works on the data directory"),
            is_told,
            "{name}: {note}"
        );
    }
}

#[test]
fn a_wrong_kind_of_name_is_answered_with_the_command_that_takes_it() {
    let server = Server::start();
    let image = Image::small(1);
    image.push(&mut server.client(), "team/app", "v1");
    let digest = image.digest();
    for (arguments, remedy) in [
        (&["inspect", &digest][..], format!("registry why {digest}")),
        (&["rm", &digest], format!("registry why {digest}")),
        (&["why", "team/app"], "registry ls team/app".to_owned()),
        (
            &["tag", "history", "team/app"],
            "registry ls team/app".to_owned(),
        ),
        (
            &["tag", "history", &format!("team/app@{digest}")],
            format!("registry inspect team/app@{digest}"),
        ),
        (
            &["inspect", "team/app:v*"],
            "registry ls 'team/app:v*'".to_owned(),
        ),
        (
            &["du", &format!("team/app@{digest}")],
            format!("registry inspect team/app@{digest}"),
        ),
    ] {
        let sentence = refusal(&server, arguments);
        assert!(sentence.contains(&remedy), "{arguments:?}: {sentence}");
    }
}

/// A name that is a part of others, or unknown with its repository.
#[test]
fn what_is_unknown_is_told_with_what_is_near() {
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "team/app", "v1");
    for arguments in [&["ls", "team"][..], &["inspect", "team"], &["rm", "team"]] {
        let sentence = refusal(&server, arguments);
        let near =
            "there is no repository team, but some below it: registry ls 'team/**' lists them";
        assert!(sentence.contains(near), "{arguments:?}: {sentence}");
    }
    for arguments in [&["inspect", "nobody:v1"][..], &["tag", "nobody:v1", "v2"]] {
        let sentence = refusal(&server, arguments);
        let unknown = "repository nobody is not known to this registry";
        assert!(sentence.contains(unknown), "{arguments:?}: {sentence}");
    }
    let sentence = refusal(&server, &["inspect", "team/app:v2"]);
    assert!(
        sentence.contains("manifest v2 is not in repository team/app"),
        "{sentence}"
    );
}
