//! Events that arrive, their order, and secrets.

use serde_json::Value;

use super::receiver::{Behaviour, Receiver, Taken};
use super::server;
use crate::support::{Image, OCI_MANIFEST, Server, eventually};

/// Type, repository, tag and digests of a CloudEvent.
fn shown(taken: &Taken) -> String {
    let event = taken.json();
    let data = &event["data"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!(
        "{} {}:{} {} {}",
        text(&event["type"]).rsplit('.').next().unwrap_or_default(),
        text(&data["repository"]),
        text(&data["tag"]),
        text(&data["digest"]),
        text(&data["formerDigest"]),
    )
}

/// One event for each tag that moved, with both digests, and none for blobs, pulls and repeated pushes.
#[test]
fn each_change_of_a_tag_is_one_event() {
    let receiver = Receiver::start();
    let server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    let client = &mut server.client();
    let (one, two) = (Image::small(1), Image::small(2));
    one.push(client, "team/app", "v1");
    one.push(client, "team/app", "v1");
    two.push(client, "team/app", "v1");
    client.get("/v2/team/app/manifests/v1");
    assert_eq!(client.delete("/v2/team/app/manifests/v1").status, 202);
    // by its own digest: no tag moves
    client.put_manifest("team/app", &one.digest(), OCI_MANIFEST, &one.manifest);
    assert_eq!(
        client
            .delete(&format!("/v2/team/app/manifests/{}", two.digest()))
            .status,
        202
    );
    let restored = server.cli(&["restore", &format!("team/app@{}", two.digest())]);
    assert!(restored.status.success(), "{restored:?}");
    eventually("the events arrive", || receiver.taken().len() >= 5);
    let (one, two) = (one.digest(), two.digest());
    let found: Vec<_> = receiver.taken().iter().map(shown).collect();
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(
        found[0].contains(&format!("team/app:v1 {one} -")),
        "{found:#?}"
    );
    assert!(
        found[1].contains(&format!("team/app:v1 {two} {one}")),
        "{found:#?}"
    );
    assert!(
        found[2].contains(&format!("team/app:v1 {two}")),
        "{found:#?}"
    );
    assert!(
        found[3].contains(&format!("team/app:- {two}")),
        "{found:#?}"
    );
    assert!(
        found[4].contains(&format!("team/app:- {two}")),
        "{found:#?}"
    );
}

/// A receiver that refuses one event gets those of other repositories, and those after it in their order later.
#[test]
fn a_bad_event_holds_up_its_repository_alone() {
    let refused = |number: usize, body: &[u8]| {
        let text = String::from_utf8_lossy(body);
        let is_bad = text.contains("\"bad/app\"") && text.contains("\"v0\"");
        match is_bad && number < 20 {
            true => Behaviour::Refuse,
            false => Behaviour::Take,
        }
    };
    let receiver = Receiver::with(refused);
    let server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    let client = &mut server.client();
    for number in 0..3 {
        Image::small(number).push(client, "bad/app", &format!("v{number}"));
    }
    for number in 0..20 {
        Image::small(number).push(client, "good/app", &format!("v{number}"));
    }
    eventually("all arrive", || receiver.taken().len() >= 23);
    let found: Vec<_> = receiver.taken().iter().map(shown).collect();
    let first_bad = found.iter().position(|text| text.contains("bad/app"));
    assert!(first_bad >= Some(10), "{found:#?}");
    for (repository, number) in [("bad/app", 3), ("good/app", 20)] {
        let own = found.iter().filter(|text| text.contains(repository));
        let own: Vec<_> = own
            .filter_map(|text| text.split([':', ' ']).nth(2))
            .collect();
        let expected: Vec<_> = (0..number).map(|number| format!("v{number}")).collect();
        assert_eq!(own, expected, "{found:#?}");
    }
}

/// The id of an event is the same in every attempt.
#[test]
fn an_event_that_was_refused_is_sent_again_under_its_id() {
    let receiver = Receiver::with(|number, _| match number {
        0 => Behaviour::Refuse,
        1 => Behaviour::Half,
        _ => Behaviour::Take,
    });
    let server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("it arrives", || !receiver.taken().is_empty());
    let taken = receiver.taken();
    assert_eq!((taken.len(), receiver.arrived()), (1, 3), "{taken:?}");
    let id = taken[0].json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(taken[0].header("idempotency-key"), Some(&*id));
}

#[test]
fn several_moves_of_a_tag_collapse_into_one_event() {
    let receiver = Receiver::start();
    let server = server(&format!(
        "[{{name: all, url: '{}', collapse: 1s}}]",
        receiver.url()
    ));
    let client = &mut server.client();
    let images: Vec<_> = (0..4).map(Image::small).collect();
    for image in &images {
        image.push(client, "app", "latest");
    }
    images[0].push(client, "app", "other");
    eventually("both tags arrive", || receiver.taken().len() >= 2);
    let found: Vec<_> = receiver.taken().iter().map(shown).collect();
    let last = found.iter().rfind(|text| text.contains(":latest"));
    let last = last.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(last.contains(&images[3].digest()), "{found:#?}");
    assert!(found.len() < 5, "{found:#?}");
}

#[test]
fn filters_and_switched_off_endpoints_are_heeded() {
    let (wanted, other) = (Receiver::start(), Receiver::start());
    let server = server(&format!(
        "[{{name: a, url: '{}', events: [push], repositories: ['team/**'], tags: ['v*']}},
          {{name: b, url: '{}', disabled: true}}]",
        wanted.url(),
        other.url()
    ));
    let client = &mut server.client();
    for (repository, tag) in [
        ("team/x/app", "v1"),
        ("team/app", "latest"),
        ("app", "v1"),
        ("team/app", "v2"),
    ] {
        Image::small(1).push(client, repository, tag);
    }
    client.delete("/v2/team/app/manifests/v2");
    Image::small(3).push(client, "team/end", "v9");
    eventually("the last one arrives", || wanted.taken().len() >= 3);
    let found: Vec<_> = wanted.taken().iter().map(shown).collect();
    assert!(
        found.len() == 3
            && found
                .iter()
                .all(|text| text.contains(":v") && text.contains("team/")),
        "{found:#?}"
    );
    assert_eq!(other.arrived(), 0);
}

/// Keys, headers and the URL, which is a secret with chats.
#[test]
fn secrets_reach_no_log_no_output_and_no_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let refusing = Receiver::with(|_, _| Behaviour::Refuse);
    let receiver = Receiver::start();
    let webhooks = format!(
        "[{{name: a, url: '{}?hidden-url', headers: {{Authorization: {{file: {}}}, X-A: {{variable: HOOK}}, X-B: hidden-text}}, hmac: {{file: {}}}}},
          {{name: b, url: '{}/hidden-path', headers: {{X-B: hidden-text}}}}, {{name: c, url: 'http://127.0.0.1:1/hidden-path'}}]",
        receiver.url(),
        file("token", "Bearer hidden-token\n"),
        file("hmac", "hidden-key\n"),
        refusing.url(),
    );
    let server = Server::with(&[
        ("REGISTRY_WEBHOOKS", &webhooks),
        ("HOOK", "hidden-variable"),
        ("REGISTRY_LOG_LEVEL", "debug"),
    ]);
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("it arrives, and is refused", || {
        !receiver.taken().is_empty() && refusing.arrived() >= 2
    });
    let taken = &receiver.taken()[0];
    assert_eq!(taken.header("authorization"), Some("Bearer hidden-token"));
    assert_eq!(taken.header("x-a"), Some("hidden-variable"));
    assert_eq!(taken.header("x-b"), Some("hidden-text"));
    assert!(
        taken
            .header("x-signature")
            .is_some_and(|text| text.starts_with("sha256="))
    );
    let mut show = server.cli_command(&["config", "show"]);
    let show = show.env("REGISTRY_WEBHOOKS", &webhooks);
    let shown = show.env("HOOK", "hidden-variable").output();
    let shown = String::from_utf8(shown.expect("an output").stdout).expect("text");
    assert!(shown.contains("name: c"), "{shown}");
    let mut seen = server.log() + &shown;
    for name in ["registry.db", "registry.db-wal"] {
        let bytes = std::fs::read(server.directory().join(name)).expect("a file");
        seen += &String::from_utf8_lossy(&bytes);
    }
    assert!(
        !seen.contains("hidden"),
        "{}",
        seen.split("hidden")
            .next()
            .map_or("", |text| &text[text.len().saturating_sub(200)..])
    );
}
