//! The rules by which programs read the formats, each written from its receiver's source or documentation.

use serde_json::Value;

use super::events::{DIGEST, FORMER, UUID, endpoint, header, json, push, rendered, source};
use crate::events::{Event, EventKind};
use crate::webhooks::format::{Rendered, default_topics, render, topics};
use crate::webhooks::settings::Format;

const HOST: &str = "registry.example.com:5443";

/// Keel `/v1/webhooks/registry` (`pkg/http/registry_notifications.go` at 6ac9dc5): pushes with a tag, of the image `request.host/target.repository`.
fn keel_registry(body: &Value) -> Option<(String, String)> {
    let event = &body["events"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tag = text(&event["target"]["tag"]);
    let image = format!(
        "{}/{}",
        text(&event["request"]["host"]),
        text(&event["target"]["repository"])
    );
    (event["action"] == "push" && !tag.is_empty()).then_some((image, tag))
}

#[test]
fn keel_finds_the_image_in_the_envelope_of_distribution() {
    let found = keel_registry(&json(&rendered(Format::Distribution, &push())));
    assert_eq!(found, Some((format!("{HOST}/team/app"), "v1.2".to_owned())));
}

/// Jenkins' `dockerhub-notification` (`DockerRegistryWebHookPayload.java` at 483263f): pushes whose URL has `manifests` before
/// its last part; the host is its third part. A push without a URL would end its reading of the body, so all have one.
#[test]
fn jenkins_finds_the_image_in_the_envelope_of_distribution() {
    let body = json(&rendered(Format::Distribution, &push()));
    let event = &body["events"][0];
    let url: Vec<&str> = event["target"]["url"]
        .as_str()
        .unwrap()
        .split('/')
        .collect();
    assert_eq!(url[url.len() - 2], "manifests");
    assert_eq!(
        (url[2], &event["target"]["repository"]),
        (HOST, &"team/app".into())
    );
    // an ISO 8601 time with its zone
    assert!(
        event["timestamp"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
}

/// Jenkins' plugin (`DockerHubWebHookPayload.java` at 483263f) and Keel (`pkg/http/dockerhub_webhook_trigger.go` at 6ac9dc5)
/// demand the same of Docker Hub's payload: a name and a tag, and times in seconds. Image Updater (`pkg/webhook/docker.go` at
/// de2cfec) takes it for an image of Docker Hub; Flux (`internal/server/receiver_handlers.go` at 2e46958) logs `repo_url`.
#[test]
fn docker_hubs_receivers_find_the_image() {
    let body = json(&rendered(Format::DockerHub, &push()));
    assert_eq!(body["repository"]["repo_name"], format!("{HOST}/team/app"));
    assert_eq!(body["push_data"]["tag"], "v1.2");
    assert_eq!(body["push_data"]["pushed_at"], 1_795_886_114_i64);
    assert_eq!(
        body["repository"]["repo_url"],
        "https://registry.example.com:5443/sub/team/app"
    );
    // Jenkins reports back to any URL that is not blank
    assert_eq!(body["callback_url"], "");
    // Keel decodes numbers into Go's int, and refuses others
    for number in ["date_created", "star_count", "comment_count"] {
        assert!(body["repository"][number].is_i64(), "{number}");
    }
}

/// Argo CD Image Updater, `cloudevents` (`pkg/webhook/cloudevents.go` at de2cfec): the type tells what is an image, the data which; a repository, a tag and a registry
/// are required. Gives the error that it answers with.
fn image_updater(rendered: &Rendered) -> Result<[String; 4], &'static str> {
    if !header(rendered, "content-type").contains("application/cloudevents+json") {
        return Err("invalid content type");
    }
    let body = json(rendered);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if text(&body["specversion"]).is_empty() {
        return Err("missing CloudEvents specversion");
    }
    let kind = text(&body["type"]);
    if !kind.contains("image") && !kind.contains("container") {
        return Err("unsupported CloudEvents type");
    }
    let found = ["registry", "repository", "tag", "digest"].map(|name| text(&body["data"][name]));
    if found[..3].iter().any(String::is_empty) {
        return Err("not found in CloudEvents payload");
    }
    Ok(found)
}

#[test]
fn image_updater_finds_pushed_images_and_nothing_else() {
    let found = image_updater(&rendered(Format::CloudEvents, &push()));
    assert_eq!(
        found,
        Ok([HOST, "team/app", "v1.2", DIGEST].map(str::to_owned))
    );
    for kind in EventKind::ALL
        .into_iter()
        .filter(|kind| kind.topic().is_some())
    {
        let rendered = rendered(Format::CloudEvents, &Event { kind, ..push() });
        let is_image = matches!(kind, EventKind::TagMoved | EventKind::TagRestored);
        assert_eq!(image_updater(&rendered).is_ok(), is_image, "{kind:?}");
    }
}

/// CloudEvents 1.0: required attributes are not empty, names are lower-case letters and digits, the time is RFC 3339.
#[test]
fn cloud_events_have_the_attributes_of_the_specification() {
    for event in [
        push(),
        bare(EventKind::BackupFailed),
        bare(EventKind::DamageFound),
    ] {
        let body = json(&rendered(Format::CloudEvents, &event));
        for name in ["id", "source", "type"] {
            assert!(!body[name].as_str().unwrap().is_empty(), "{name}: {body}");
        }
        assert_eq!(
            (&body["specversion"], &body["id"]),
            (&"1.0".into(), &UUID.into())
        );
        assert!(
            body["time"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok()
        );
        let names = body.as_object().unwrap().keys();
        assert!(
            names
                .flat_map(|name| name.chars())
                .all(|c| c.is_ascii_lowercase())
        );
    }
    assert_eq!(
        json(&rendered(Format::CloudEvents, &push()))["data"]["formerDigest"],
        FORMER
    );
}

/// An event of the whole registry.
fn bare(kind: EventKind) -> Event {
    Event {
        kind,
        repository: None,
        tag: None,
        target: None,
        former: None,
        request: None,
        ..push()
    }
}

/// Image Updater (`pkg/webhook/harbor.go` at de2cfec), Flux (`receiver_handlers.go` at 2e46958) and Keel
/// (`pkg/http/harbor_webhook_trigger.go` at 6ac9dc5) read Harbor's payload: the bare key in `Authorization`, and a URL without scheme, which is
/// what one would pull.
#[test]
fn harbors_receivers_find_the_image_and_the_key() {
    let rendered = rendered(Format::Harbor, &push());
    assert_eq!(header(&rendered, "authorization"), "key");
    assert_eq!(header(&rendered, "content-type"), "application/json");
    let body = json(&rendered);
    let (resource, repository) = (
        &body["event_data"]["resources"][0],
        &body["event_data"]["repository"],
    );
    assert_eq!(body["type"], "PUSH_ARTIFACT");
    assert_eq!(resource["resource_url"], format!("{HOST}/team/app:v1.2"));
    assert_eq!(
        (&resource["tag"], &resource["digest"]),
        (&"v1.2".into(), &DIGEST.into())
    );
    assert_eq!(repository["repo_full_name"], "team/app");
    assert_eq!(
        (&repository["namespace"], &repository["name"]),
        (&"team".into(), &"app".into())
    );
    assert!(body["occur_at"].is_i64());
}

/// Flux's `generic-hmac` (`receiver_handlers.go` at 2e46958) and GitHub's receivers: HMAC-SHA256 of the body in hex; the
/// value was computed by `openssl dgst -sha256 -hmac key`.
#[test]
fn signatures_are_those_of_openssl() {
    let mut event = push();
    event.request = None;
    event.target = None;
    event.former = None;
    let rendered = rendered(Format::Text, &event);
    assert_eq!(&rendered.body[..], b"team/app:v1.2 pushed by alice\n");
    let signature = header(&rendered, "x-signature");
    assert_eq!(
        signature,
        "sha256=d2db491ffb4cefd01bfe1bcfbe429b664341c01ea29fbc19f66d71455493dddb"
    );
    assert!(rendered.headers["x-signature"].is_sensitive());
}

#[test]
fn each_format_is_signed_as_its_receivers_check_it() {
    for (format, names) in [
        (Format::Distribution, &["x-signature"][..]),
        (Format::CloudEvents, &["x-signature", "x-hub-signature-256"]),
        (Format::DockerHub, &["x-signature", "x-hub-signature-256"]),
        (Format::Harbor, &["x-signature", "authorization"]),
        (Format::Slack, &["x-signature"]),
    ] {
        let signed = rendered(format, &push());
        let unsigned = render(&push(), &endpoint(format, None), &source()).unwrap();
        for name in ["x-signature", "x-hub-signature-256", "authorization"] {
            assert_eq!(
                signed.headers.contains_key(name),
                names.contains(&name),
                "{format:?} {name}"
            );
            assert!(!unsigned.headers.contains_key(name));
        }
        assert_eq!(signed.body, unsigned.body);
        let other = render(&push(), &endpoint(format, Some("other")), &source()).unwrap();
        assert_ne!(
            header(&signed, "x-signature"),
            header(&other, "x-signature")
        );
        assert_eq!(header(&signed, "idempotency-key"), UUID);
    }
}

#[test]
fn a_format_tells_of_its_topics_and_of_no_others() {
    let all = [
        Format::Distribution,
        Format::CloudEvents,
        Format::Harbor,
        Format::DockerHub,
        Format::Slack,
        Format::Discord,
        Format::Teams,
        Format::Text,
    ];
    for format in all {
        for kind in EventKind::ALL {
            let Some(topic) = kind.topic() else { continue };
            let event = Event { kind, ..push() };
            let rendered = render(&event, &endpoint(format, None), &source());
            assert_eq!(
                rendered.is_ok(),
                topics(format).contains(&topic),
                "{format:?} {kind:?}"
            );
        }
        assert!(default_topics(format).all(|topic| topics(format).contains(&topic)));
    }
}
