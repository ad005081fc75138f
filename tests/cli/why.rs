//! `registry why`: the reasons why content is kept.

use serde_json::{Value, json as value};

use super::{json, push_index, refusal, text, with_fast_collection};
use crate::support::{Image, Server, eventually, noise, sha256};

/// A chain's short form: the kinds of its steps and of its end.
fn shape(chain: &Value) -> Vec<&str> {
    let steps = chain["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["kind"].as_str().expect("a kind"));
    steps
        .chain([chain["end"]["kind"].as_str().expect("a kind")])
        .collect()
}

#[test]
fn a_chain_leads_up_to_the_tag() {
    let server = Server::start();
    let index = push_index(&mut server.client());
    let inspected = json(&server, &["inspect", "team/app:v1"]);
    let layer = sha256(&noise(2, 7000));

    let why = json(&server, &["why", &layer]);
    assert_eq!(why["size"], 7000);
    assert_eq!(why["chains"].as_array().expect("chains").len(), 1);
    assert_eq!(shape(&why["chains"][0]), ["manifest", "index", "tags"]);
    assert_eq!(why["chains"][0]["steps"][1]["digest"], *index);
    assert_eq!(
        why["chains"][0]["end"]["tags"],
        value!([{ "tag": "v1", "goneSince": null, "decision": null }])
    );
    assert_eq!(why["removals"], value!([]));
    let printed = text(&server, &["why", &layer]);
    assert!(
        printed.contains(&format!(" <- index {index} <- tag team/app:v1"))
            && printed.contains("6.8 KiB"),
        "{printed}"
    );

    let signature = inspected["referrers"][0]["digest"]
        .as_str()
        .expect("a signature");
    let why = json(&server, &["why", signature]);
    assert_eq!(shape(&why["chains"][0]), ["manifest", "subject", "tags"]);
    // other commands' name syntax works too
    assert_eq!(
        json(&server, &["why", &format!("team/app@{signature}")]),
        why
    );
}

#[test]
fn leases_and_untagged_manifests_have_an_end_time() {
    let server = Server::start();
    let mut client = server.client();
    let blob = client.push_blob("app", b"pushed, and needed by nothing yet");
    let why = json(&server, &["why", &blob]);
    assert_eq!(
        (shape(&why["chains"][0]), &why["chains"][0]["repository"]),
        (vec!["lease"], &"app".into())
    );
    assert_eq!(why["removals"][0]["at"], why["chains"][0]["end"]["until"]);

    let image = Image::small(1);
    image.push(&mut client, "app", "v1");
    text(&server, &["rm", "app:v1"]);
    let why = json(&server, &["why", &image.digest()]);
    assert_eq!(shape(&why["chains"][0]), ["manifest", "untagged"]);
    assert_eq!(why["removals"][0]["at"], why["chains"][0]["end"]["until"]);
    let layer = json(&server, &["why", &sha256(&image.layers[0])]);
    assert_eq!(shape(&layer["chains"][0]), ["manifest", "untagged"]);
    assert!(
        layer["removals"][0]["at"].as_str() > why["removals"][0]["at"].as_str(),
        "the layer goes a grace period after its manifest"
    );
    let printed = text(&server, &["why", &image.digest()]);
    assert!(
        printed.contains("no tag points at it; such manifests are kept for 14d")
            && printed.contains("is removed at"),
        "{printed}"
    );
}

#[test]
fn chains_show_the_rules_of_their_tags() {
    let policies = "[{repositories: kept, keepuntagged: forever}, {repositories: '**', tags: [{match: ['pr-*'], newest: 2}]}]";
    let server = Server::with(&[("REGISTRY_POLICIES", policies)]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "pr-1");
    let why = json(&server, &["why", &image.digest()]);
    let rule = &why["chains"][0]["end"]["tags"][0]["decision"];
    assert_eq!(
        (&rule["kept"], &rule["reason"]),
        (&true.into(), &"number 1 of the newest 2 of 'pr-*'".into())
    );
    assert!(
        text(&server, &["why", &image.digest()])
            .contains("app:pr-1 (kept: number 1 of the newest 2")
    );

    let other = Image::small(2);
    other.push(&mut client, "kept", "v1");
    text(&server, &["rm", "kept:v1"]);
    let why = json(&server, &["why", &other.digest()]);
    assert_eq!(
        (&why["chains"][0]["end"]["until"], &why["removals"]),
        (&Value::Null, &value!([]))
    );
    assert!(text(&server, &["why", &other.digest()]).contains("kept forever"));
}

#[test]
fn deleted_content_is_distinguished_from_unknown() {
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "v1");
    text(&server, &["rm", "app"]);
    let why = json(&server, &["why", &image.digest()]);
    assert_eq!(
        (
            &why["restorable"][0]["repository"],
            &why["restorable"][0]["tags"]
        ),
        (&"app".into(), &value!(["v1"]))
    );
    let printed = text(&server, &["why", &image.digest()]);
    assert!(
        printed.contains(&format!("registry restore app@{}", image.digest())),
        "{printed}"
    );
    let layer = json(&server, &["why", &sha256(&image.layers[0])]);
    assert_eq!(
        shape(&layer["chains"][0]),
        ["lease"],
        "its layer waits out the grace period"
    );
    assert!(refusal(&server, &["why", &sha256(b"never")]).contains("never pushed"));

    let (_directory, server) = with_fast_collection(&[], |client| image.push(client, "app", "v1"));
    text(&server, &["rm", "app"]);
    eventually("all of it is forgotten", || {
        [image.digest(), sha256(&image.config)]
            .iter()
            .all(|digest| !server.cli(&["why", digest]).status.success())
    });
}

#[test]
fn many_chains_are_summarised() {
    let server = Server::start();
    let mut client = server.client();
    let shared = noise(1, 1000);
    for number in 0..30 {
        Image::new(&number.to_string(), vec![shared.clone()]).push(
            &mut client,
            "app",
            &format!("v{number}"),
        );
    }
    for number in 0..9 {
        Image::small(5).push(&mut client, "many", &format!("t{number}"));
    }
    let why = json(&server, &["why", &sha256(&shared)]);
    assert_eq!(
        (
            why["chains"].as_array().expect("chains").len(),
            &why["moreCount"],
            &why["moreIsExact"]
        ),
        (20, &10.into(), &true.into())
    );
    assert!(text(&server, &["why", &sha256(&shared)]).contains("and 10 more"));
    let printed = text(&server, &["why", &Image::small(5).digest()]);
    assert!(
        printed.contains("tag many:t0, many:t1, many:t2, many:t3, many:t4 and 4 more"),
        "{printed}"
    );
}
