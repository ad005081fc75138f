//! The age of restored tags, and the rules that remove them later.

use std::time::SystemTime;

use serde_json::{Value, json as value};

use super::{json, number, text, texts};
use crate::support::{Image, Server, eventually, parse_time};

const RULES: &str = "[{repositories: 'a*', tags: [{match: ['b*'], newest: 2}]}]";

fn tags(server: &Server) -> Value {
    server.client().get("/v2/app/tags/list").json()["tags"].clone()
}

/// Checks the only removal of a report; returns its time.
fn only_removal(report: &Value) -> SystemTime {
    let removals = report["removals"].as_array().expect("removals");
    let [removal] = &removals[..] else {
        panic!("not one removal: {report}")
    };
    assert_eq!(
        [
            &removal["repository"],
            &removal["tag"],
            &removal["policy"],
            &removal["rule"]
        ],
        ["app", "b1", "a*", "b*"]
    );
    parse_time(removal["at"].as_str().expect("a time"))
}

#[test]
fn a_restored_tag_takes_no_newer_ones_place_and_is_spared_for_the_grace_period() {
    let server = Server::with(&[
        ("REGISTRY_POLICIES", RULES),
        ("REGISTRY_GC_GRACE", "5s"),
        ("REGISTRY_GC_INTERVAL", "50ms"),
    ]);
    for number in 1..=3 {
        let image = Image::small(number);
        image.push(&mut server.client(), "app", &format!("b{number}"));
    }
    eventually("the rule removes the oldest", || {
        tags(&server) == value!(["b2", "b3"])
    });
    let planned = json(&server, &["tag", "restore", "app:b1", "--dry-run"]);
    only_removal(&planned);
    assert_eq!(tags(&server), value!(["b2", "b3"]));

    let restored = json(&server, &["restore", "app:b1"]);
    let at = only_removal(&restored);
    assert_eq!(tags(&server), value!(["b1", "b2", "b3"]));
    let preview = text(&server, &["policy", "preview", "app"]);
    assert!(preview.contains("restored within 5s ('b*')"), "{preview}");
    eventually("the rule removes a tag again", || {
        tags(&server) != value!(["b1", "b2", "b3"])
    });
    assert!(
        SystemTime::now() >= at,
        "before the end of the grace period"
    );
    assert_eq!(tags(&server), value!(["b2", "b3"]));

    let sentence = text(&server, &["tag", "restore", "app:b1"]);
    assert!(
        sentence.contains("policy 'a*' removes tag b1 at the next collection after 20")
            && sentence.contains("registry tag app:b1 app:NAME"),
        "{sentence}"
    );
    assert_eq!(tags(&server), value!(["b1", "b2", "b3"]));
}

#[test]
fn a_tag_that_a_rule_keeps_comes_back_with_its_uses_and_without_a_warning() {
    let server = Server::with(&[("REGISTRY_POLICIES", RULES)]);
    let image = Image::small(1);
    image.push(&mut server.client(), "app", "b1");
    image.assert_pulls(&mut server.client(), "app", "b1");
    let listed = || json(&server, &["ls", "app"])["tags"][0].clone();
    eventually("the pull is recorded", || {
        number(&listed()["pullCount"]) > 0
    });
    let before = listed();
    text(&server, &["rm", "app:b1"]);
    let restored = json(&server, &["restore", "app:b1"]);
    assert_eq!(restored["removals"], value!([]));
    assert_eq!(texts(&restored["restored"][0]["tags"]), ["b1"]);
    assert_eq!(listed(), before);
}
