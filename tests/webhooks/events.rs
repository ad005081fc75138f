//! Events that no client's change of a tag makes.

use serde_json::json;

use super::receiver::Receiver;
use crate::support::{Image, Server, eventually, noise, sha256};

/// A rule's removals are told as its own, and a client's are not told as a rule's.
#[test]
fn a_tag_that_a_rule_removes_expires() {
    let (expired, deleted) = (Receiver::start(), Receiver::start());
    let webhooks = format!(
        "[{{name: a, url: '{}', events: [expire]}}, {{name: b, url: '{}', events: [delete]}}]",
        expired.url(),
        deleted.url()
    );
    let server = Server::with(&[
        ("REGISTRY_WEBHOOKS", &*webhooks),
        (
            "REGISTRY_POLICIES",
            "[{repositories: '**', tags: [{match: ['pr-*'], newest: 1}]}]",
        ),
        ("REGISTRY_GC_INTERVAL", "20ms"),
    ]);
    let client = &mut server.client();
    let former = Image::small(1);
    former.push(client, "app", "pr-1");
    Image::small(2).push(client, "app", "pr-2");
    Image::small(3).push(client, "app", "main");
    assert_eq!(client.delete("/v2/app/manifests/main").status, 202);
    eventually("both arrive", || {
        !expired.taken().is_empty() && !deleted.taken().is_empty()
    });
    let (expired, deleted) = (expired.taken(), deleted.taken());
    assert_eq!((expired.len(), deleted.len()), (1, 1), "{expired:?}");
    let event = expired[0].json();
    assert_eq!(event["type"], "tarkeep.tag.expired");
    assert_eq!(event["subject"], "app:pr-1");
    assert_eq!(event["data"]["digest"], former.digest());
    assert_eq!(
        event["data"]["actor"],
        "garbage collection (rule 'pr-*' of policy '**')"
    );
    let event = deleted[0].json();
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("tarkeep.tag.deleted"), &json!("app:main"))
    );
}

#[test]
fn a_push_that_a_quota_refuses_is_told() {
    let receiver = Receiver::start();
    let webhooks = json!([{ "name": "all", "url": receiver.url(), "events": ["quota"] }]);
    let quotas = json!([{ "repositories": "home/*/**", "bytes": "1MiB" }]);
    let server = Server::with(&[
        ("REGISTRY_WEBHOOKS", &webhooks.to_string()),
        ("REGISTRY_QUOTAS", &quotas.to_string()),
    ]);
    let push = |repository: &str| {
        let content = noise(1, 2 << 20);
        let path = format!(
            "/v2/{repository}/blobs/uploads/?digest={}",
            sha256(&content)
        );
        server.client().request("POST", &path).body(&content).send()
    };
    assert_eq!(push("team/app").status, 201);
    push("home/ann/app").refused(403, "DENIED");
    eventually("it arrives", || !receiver.taken().is_empty());
    let taken = receiver.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let event = taken[0].json();
    assert_eq!(event["type"], "tarkeep.quota.exceeded");
    assert_eq!(event["data"]["repository"], "home/ann/app");
    assert_eq!(
        event["data"]["detail"],
        "quota of home/ann/** exceeded: 0 B of 1.0 MiB used, and this needs 2.0 MiB"
    );
}
