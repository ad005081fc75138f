//! Tag history, and restoring tags.

use std::process::Command;

use serde_json::Value;

use super::{json, refusal, text, with_fast_collection};
use crate::support::{Image, Server, eventually};

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
        (&&*one.digest(), &[&"-", &"127.0.0.1", &"-", &"-"][..]),
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
fn each_restore_goes_one_manifest_further_back() {
    let server = Server::start();
    let mut client = server.client();
    let images = [1, 2, 1, 2, 3].map(Image::small);
    for image in &images {
        image.push(&mut client, "app", "v1");
    }
    let [first, second, .., last] = &images;
    let restore = |more: &[&str]| json(&server, &[&["tag", "restore", "app:v1"], more].concat());

    let planned = restore(&["--dry-run"]);
    assert_eq!(planned["dryRun"], true);
    assert!(
        text(&server, &["tag", "restore", "app:v1", "--dry-run"]).starts_with(&format!(
            "would move tag v1 of app from {} to {}, pushed 20",
            last.digest(),
            second.digest()
        ))
    );
    last.assert_pulls(&mut client, "app", "v1");
    for back in [second, first] {
        let restored = restore(&[]);
        assert_eq!(restored["digest"], back.digest());
        assert_eq!(restored["dryRun"], false);
        back.assert_pulls(&mut client, "app", "v1");
    }
    for arguments in [
        &["tag", "restore", "app:v1"][..],
        &["tag", "restore", "app:v1", "--dry-run"],
    ] {
        let sentence = refusal(&server, arguments);
        let (newer, newest) = (second.digest(), last.digest());
        assert!(
            sentence.contains("nothing earlier")
                && sentence.contains(&format!("{newer}, {newest}")),
            "{sentence}"
        );
    }
    first.assert_pulls(&mut client, "app", "v1");
    // forward by name, and back from there
    restore(&["--to", &last.digest()]);
    assert_eq!(restore(&[])["digest"], second.digest());
    // a push begins anew
    let newest = Image::small(4);
    newest.push(&mut client, "app", "v1");
    for back in [second, first] {
        assert_eq!(restore(&[])["digest"], back.digest());
    }
    // removal and restoring it is no step
    text(&server, &["rm", "app:v1"]);
    text(&server, &["restore", "app:v1"]);
    assert!(refusal(&server, &["tag", "restore", "app:v1"]).contains("nothing earlier"));

    Image::small(9).push(&mut client, "app", "only");
    assert!(refusal(&server, &["tag", "restore", "app:only"]).contains("registry ls app"));
}

#[test]
fn a_state_whose_manifest_is_gone_is_not_restored() {
    let (_directory, server) = with_fast_collection(&[("REGISTRY_GC_HISTORY", "1h")], |client| {
        for number in [1, 2, 3] {
            Image::small(number).push(client, "app", "v1");
        }
        Image::small(1).push(client, "app", "kept");
    });
    eventually("the second is collected", || {
        refuses(&server, &["tag", "restore", "app:v1", "--dry-run"])
    });
    let sentence = refusal(&server, &["tag", "restore", "app:v1"]);
    assert!(
        sentence.contains(&Image::small(2).digest())
            && sentence.contains(&format!("pointed at {}", Image::small(1).digest())),
        "{sentence}"
    );
}

fn refuses(server: &Server, arguments: &[&str]) -> bool {
    !server.cli(arguments).status.success()
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
