//! Removed tags and images, wherever they are asked for: when, by whom, and how they come back.

use std::process::Command;

use super::{json, refusal, text, texts};
use crate::support::{Image, Server};

#[test]
fn a_removal_names_the_commands_that_undo_it() {
    let server = Server::start();
    let mut client = server.client();
    let (one, two) = (Image::small(1), Image::small(2));
    for (image, tag) in [(&one, "v1"), (&two, "v2")] {
        image.push(&mut client, "team/app", tag);
        image.push(&mut client, "team/web", tag);
    }
    let undo = |arguments: &[&str]| {
        let shown = json(&server, &[arguments, &["--dry-run"]].concat());
        assert!(shown["undo"].is_null(), "{shown}");
        let removed = json(&server, arguments);
        let commands: Vec<_> = texts(&removed["undo"]["commands"])
            .into_iter()
            .map(str::to_owned)
            .collect();
        for command in &commands {
            let words = command.strip_prefix("registry ").expect("our command");
            let done = Command::new(env!("CARGO_BIN_EXE_registry"))
                .args(words.split(' '))
                .output()
                .expect("the command runs");
            assert!(done.status.success(), "{command}: {done:?}");
        }
        commands.len()
    };
    assert_eq!(undo(&["rm", "team/app:v1"]), 1);
    one.assert_pulls(&mut client, "team/app", "v1");
    assert_eq!(undo(&["rm", &format!("team/app@{}", two.digest())]), 1);
    two.assert_pulls(&mut client, "team/app", "v2");
    assert_eq!(undo(&["rm", "team/*:v*"]), 2);
    assert_eq!(undo(&["rm", "team/*"]), 2);
    for repository in ["team/app", "team/web"] {
        one.assert_pulls(&mut client, repository, "v1");
        two.assert_pulls(&mut client, repository, "v2");
    }
    let directory = server.directory().display();
    let said = text(&server, &["rm", "team/app:v1"]);
    assert!(
        said.contains(&format!(
            "removed tag v1 of team/app; registry restore team/app:v1 --data-dir {directory} brings it back until 20"
        )),
        "{said}"
    );
}

#[test]
fn what_was_removed_is_not_just_unknown() {
    let server = Server::start();
    let mut client = server.client();
    let images = [1, 2, 3].map(Image::small);
    for (image, tag) in images.iter().zip(["v1", "v2", "v3"]) {
        image.push(&mut client, "app", tag);
    }
    images[0].push(&mut client, "gone", "v1");
    text(&server, &["rm", "app:v1"]);
    text(&server, &["rm", &format!("app@{}", images[1].digest())]);
    text(&server, &["rm", "gone"]);
    let account = Command::new("id").arg("-un").output().expect("it runs");
    let account = String::from_utf8(account.stdout).expect("text");
    let account = account.trim_end();
    let digest = format!("app@{}", images[1].digest());
    for (name, what) in [
        ("app:v1", "tag v1 of app".to_owned()),
        ("app:v2", "tag v2 of app".to_owned()),
        (&*digest, format!("manifest {} of app", images[1].digest())),
    ] {
        let commands: &[&[&str]] = match name.contains('@') {
            true => &[&["inspect"], &["rm"]],
            false => &[&["inspect"], &["why"], &["ls"], &["du"], &["rm"]],
        };
        for command in commands {
            let said = refusal(&server, &[command, &[name][..]].concat());
            assert!(
                said.contains(&format!("{what} was removed on 20"))
                    && said.contains(&format!(" by {account}"))
                    && said.contains(&format!("registry restore {name} brings it back until 20")),
                "{command:?}: {said}"
            );
        }
    }
    for command in ["ls", "du"] {
        let said = refusal(&server, &[command, "gone"]);
        assert!(
            said.contains("repository gone was removed on 20")
                && said.contains("registry restore gone brings it back until 20"),
            "{command}: {said}"
        );
    }
    let history = text(&server, &["tag", "history", "app:v1"]);
    let last = history.lines().last().expect("a line");
    assert!(
        last.starts_with("tag v1 was removed on 20")
            && last.contains("registry restore app:v1 brings it back until 20"),
        "{history}"
    );
    // what never was there is still unknown
    assert!(refusal(&server, &["inspect", "app:v9"]).contains("registry ls app lists its tags"));
    assert!(!text(&server, &["tag", "history", "app:v3"]).contains("restore"));

    text(&server, &["gc", "--now", "--yes"]);
    let said = refusal(&server, &["inspect", &digest]);
    assert!(
        said.contains("was removed, and its undo ended on 20") && said.contains("gc --now"),
        "{said}"
    );
}
