//! Tag history, and restoring tags.

use std::process::Command;

use serde_json::Value;

use super::{json, refusal, text};
use crate::support::{Image, Server};

/// Digests of a history, each with the end of its state.
fn states(history: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let states = history["states"].as_array().expect("a history").iter();
    states
        .map(|state| {
            (
                text(&state["digest"]).expect("a digest"),
                text(&state["end"]["how"]),
            )
        })
        .collect()
}

#[test]
fn history_lists_every_state_with_its_actor() {
    let server = Server::start();
    let mut client = server.client();
    let (one, two) = (Image::small(1), Image::small(2));
    one.push(&mut client, "app", "v1");
    two.push(&mut client, "app", "v1");
    let remove = |user: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["rm", "app:v1", "--yes", "--data-dir"])
            .arg(server.directory())
            .env("USER", "whoever")
            .env("SUDO_USER", user);
        assert!(command.output().expect("it runs").status.success());
    };
    let account = Command::new("id").arg("-un").output().expect("it runs");
    let account = String::from_utf8(account.stdout).expect("text");
    let account = account.trim_end();
    remove("an\u{1b}[31mna");
    one.push(&mut client, "app", "v1");

    let history = json(&server, &["tag", "history", "app:v1"]);
    let (moved, removed) = (Some("moved".to_owned()), Some("removed".to_owned()));
    assert_eq!(
        states(&history),
        [
            (one.digest(), None),
            (two.digest(), removed),
            (one.digest(), moved)
        ]
    );
    assert_eq!(history["states"][2]["who"]["address"], "127.0.0.1");
    assert_eq!(history["states"][2]["end"]["who"]["address"], "127.0.0.1");
    assert_eq!(
        history["states"][2]["end"]["at"], history["states"][1]["since"],
        "one state begins when the other ends"
    );
    assert_eq!(
        history["states"][1]["end"]["who"],
        serde_json::json!({ "name": format!("{account} (sudo by an\u{1b}[31mna)"), "address": null })
    );

    let table = text(&server, &["tag", "history", "app:v1"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    let newest: Vec<_> = table.lines().nth(1).expect("a row").split("  ").collect();
    let newest: Vec<_> = newest.iter().map(|cell| cell.trim()).collect();
    let newest: Vec<_> = newest.iter().filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        (newest[0], &newest[2..]),
        (&&*one.digest(), &[&"-", &"127.0.0.1", &"now", &"-"][..]),
        "{table}"
    );
    assert!(
        table.contains(&format!("removed by {account} (sudo by an\\u{{1b}}[31mna)"))
            && !table.contains('\u{1b}'),
        "a name gives a terminal orders: {table}"
    );
}

#[test]
fn a_tag_is_restored_to_an_earlier_state() {
    let server = Server::start();
    let mut client = server.client();
    let images = [Image::small(1), Image::small(2), Image::small(3)];
    for image in &images {
        image.push(&mut client, "app", "v1");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let [one, two, three] = &images;
    let history = json(&server, &["tag", "history", "app:v1"]);

    let restored = json(&server, &["tag", "restore", "app:v1"]);
    assert_eq!(
        (&restored["digest"], &restored["was"]),
        (&two.digest().into(), &three.digest().into())
    );
    two.assert_pulls(&mut client, "app", "v1");
    // by digest
    assert!(
        text(
            &server,
            &["tag", "restore", "app:v1", "--to", &one.digest()]
        )
        .contains(&one.digest())
    );
    one.assert_pulls(&mut client, "app", "v1");
    assert!(
        text(
            &server,
            &["tag", "restore", "app:v1", "--to", &one.digest()]
        )
        .contains("already")
    );
    // by a time shown in the history
    let since = history["states"][0]["since"].as_str().expect("a time");
    text(&server, &["tag", "restore", "app:v1", "--to", since]);
    three.assert_pulls(&mut client, "app", "v1");
    // just before that, it was the other one
    let millis = crate::support::parse_time(since) - std::time::Duration::from_millis(1);
    text(
        &server,
        &[
            "tag",
            "restore",
            "app:v1",
            "--to",
            &crate::support::format_time(millis),
        ],
    );
    two.assert_pulls(&mut client, "app", "v1");
    // a while ago
    text(&server, &["tag", "restore", "app:v1", "--to", "0s"]);
    two.assert_pulls(&mut client, "app", "v1");
    assert!(
        refusal(&server, &["tag", "restore", "app:v1", "--to", "2020-01-01"])
            .contains("registry tag history")
    );

    let user = json(&server, &["tag", "history", "app:v1"])["states"][0]["who"]["name"].clone();
    assert!(
        user.as_str().is_some_and(|name| !name.is_empty()),
        "somebody at the shell did that: {user}"
    );
}

#[test]
fn a_tag_comes_back_with_its_deleted_manifest() {
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "v1");
    assert_eq!(
        client
            .delete(&format!("/v2/app/manifests/{}", image.digest()))
            .status,
        202
    );
    assert_eq!(client.get("/v2/app/manifests/v1").status, 404);
    assert!(text(&server, &["tag", "restore", "app:v1"]).contains("restored tag v1 of app"));
    image.assert_pulls(&mut client, "app", "v1");
}
