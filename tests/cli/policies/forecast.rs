//! Dry runs: tags that rules remove now and later, and the space that this frees.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json as value};

use super::super::{json, text};
use super::push;
use crate::support::{Image, Server, format_time, parse_time};

#[test]
fn a_dry_run_lists_tags_that_a_rule_removes() {
    let policies = "[{repositories: '**', keepuntagged: 0s, tags: [{match: ['pr-*'], newest: 1}]}]";
    let server = Server::with(&[
        ("REGISTRY_GC_ENABLED", "false"),
        ("REGISTRY_GC_LEASE", "0s"),
        ("REGISTRY_GC_GRACE", "0s"),
        ("REGISTRY_POLICIES", policies),
    ]);
    let mut client = server.client();
    push(&mut client, "app", &["pr-1", "pr-2", "pr-3"]);
    // a removed tag leaves what another tag holds
    Image::small(2).push(&mut client, "app", "main");
    let forecast = json(&server, &["gc", "--dry-run"]);
    assert_eq!(
        forecast["now"],
        value!({ "tagCount": 2, "manifestCount": 1, "blobCount": 2, "size": 1000 + Image::small(1).config.len() })
    );
    assert_eq!(
        (
            &forecast["removals"][0]["kind"],
            &forecast["removals"][0]["tag"]
        ),
        (&"tag".into(), &"pr-1".into())
    );
    assert!(text(&server, &["gc", "--dry-run"]).contains("tag app:pr-2"));
    let frees =
        |reference: &str| json(&server, &["rm", reference, "--dry-run"])["frees"]["size"].clone();
    assert_eq!(
        (frees("app:pr-1"), frees("app:pr-2")),
        (value!(0), value!(0)),
        "those go anyway"
    );
    let own = value!(1000 + Image::small(2).config.len());
    assert_eq!(
        (frees("app:main"), frees("app:{main,pr-2}")),
        (own.clone(), own.clone()),
        "what held it beside goes anyway"
    );
    let tags = json(&server, &["du", "app", "--sort", "name"])["tags"].clone();
    let frees: Vec<_> = tags
        .as_array()
        .expect("tags")
        .iter()
        .map(|tag| {
            (
                tag["tag"].as_str().expect("a tag"),
                tag["exclusiveSize"].clone(),
            )
        })
        .collect();
    let three = value!(1000 + Image::small(3).config.len());
    assert_eq!(
        frees,
        [
            ("main", own),
            ("pr-1", value!(0)),
            ("pr-2", value!(0)),
            ("pr-3", three)
        ]
    );

    let swept = json(&server, &["gc"]);
    assert_eq!(
        (&swept["tagCount"], &swept["manifestCount"], &swept["size"]),
        (&2.into(), &1.into(), &forecast["now"]["size"])
    );
}

/// A server whose rules will remove five tags of `team/app`.
fn with_future_removals() -> Server {
    let policies = "[{repositories: 'team/*', keepuntagged: 0s, tags: [
        {match: ['keep-*'], newest: 1, younger: 2d}, {match: ['pr-*'], younger: 3d}, {match: ['cache-*'], pulled: 5d}]}]";
    let server = Server::with(&[("REGISTRY_POLICIES", policies)]);
    let mut client = server.client();
    for (seed, tag) in (1..).zip(["keep-1", "keep-2", "pr-1", "pr-2", "cache-1", "other"]) {
        Image::small(seed).push(&mut client, "team/app", tag);
        std::thread::sleep(Duration::from_millis(3));
    }
    // content that several tags hold is removed with the last of them
    Image::small(3).push(&mut client, "team/app", "cache-2");
    // these rules match neither of them
    Image::small(7).push(&mut client, "alone", "pr-1");
    server
}

/// Bytes that will be free after all of these removals.
fn future_bytes() -> u64 {
    [1, 3, 4, 5]
        .map(|seed| 1000 + Image::small(seed).config.len() as u64)
        .iter()
        .sum()
}

/// The forecast lists future removals in order, with their times.
#[test]
fn the_forecast_includes_tags_that_a_rule_will_remove() {
    let server = with_future_removals();
    let forecast = json(&server, &["gc", "--dry-run"]);
    let items = forecast["removals"].as_array().expect("items");
    let now = SystemTime::now();
    let days = |item: &Value| {
        let at = parse_time(item["at"].as_str().expect("a time"));
        (at.duration_since(now).expect("later").as_secs_f64() / 86400.0).round()
    };
    let tags: Vec<_> = items
        .iter()
        .filter(|item| item["kind"] == "tag")
        .map(|item| (item["tag"].as_str().expect("a tag"), days(item)))
        .collect();
    assert_eq!(
        tags,
        [
            ("keep-1", 2.0),
            ("pr-1", 3.0),
            ("pr-2", 3.0),
            ("cache-1", 5.0),
            ("cache-2", 5.0)
        ]
    );
    let manifests: Vec<_> = items
        .iter()
        .filter(|item| item["kind"] == "manifest")
        .map(days)
        .collect();
    assert_eq!(
        manifests,
        [3.0, 4.0, 6.0, 6.0],
        "a grace period after the last tag"
    );
    assert_eq!(
        forecast["later"],
        value!({ "tagCount": 5, "manifestCount": 4, "blobCount": 8, "size": future_bytes() })
    );
}

/// Future removals are in the figures of `du` and `rm` too.
#[test]
fn du_includes_what_a_rule_will_remove() {
    let server = with_future_removals();
    let now = SystemTime::now();
    let garbage = json(&server, &["du"])["store"]["garbage"].clone();
    assert_eq!(
        (&garbage["now"]["size"], &garbage["later"]["size"]),
        (&0.into(), &future_bytes().into())
    );
    let day = |days: u64| format_time(now + Duration::from_secs(days * 86400))[..10].to_owned();
    let dates: Vec<_> = garbage["later"]["days"]
        .as_array()
        .expect("days")
        .iter()
        .map(|share| share["date"].clone())
        .collect();
    assert_eq!(
        dates,
        [day(4), day(5), day(7)],
        "and another one for the blobs"
    );
    // a tag due for removal holds its content until then
    let own = value!(1000 + Image::small(4).config.len());
    let tags = json(&server, &["du", "team/app"])["tags"].clone();
    let one = tags
        .as_array()
        .expect("tags")
        .iter()
        .find(|tag| tag["tag"] == "pr-2")
        .expect("the tag");
    assert_eq!(
        (
            &one["exclusiveSize"],
            &json(&server, &["rm", "team/app:pr-2", "--dry-run"])["frees"]["size"]
        ),
        (&own, &own)
    );
}
