//! Upstreams that lead to where they must not: to the services of this machine and its network.
//!
//! The registry is public as far as its client knows: it is reached through a proxy, which alone knows its address.

use serde_json::json;
use tarkeep::upstream::{Error, Settings};

use super::{fetch, name, run, settings, upstream};
use crate::support::hub::{Hub, Part};
use crate::support::{Image, Server, sha256};

const PUBLIC: &str = "http://registry.example";

fn public(hub: &Hub) -> Settings {
    Settings {
        url: PUBLIC.to_owned(),
        proxy: Some(hub.url()),
        ..settings(hub)
    }
}

#[test]
fn a_public_registry_leads_to_no_private_address() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("a/b", "v1", &image);
    let blob = sha256(&image.layers[0]);
    hub.behave(|behaviour| behaviour.realm_host = "127.0.0.1");
    let asked = run(upstream(&public(&hub)).manifest(&name("a/b"), "v1"));
    assert!(matches!(asked, Err(Error::Astray(_))), "{asked:?}");
    assert!(hub.seen_by(Part::Tokens).is_empty());
    hub.behave(|behaviour| behaviour.realm_host = "localhost");
    let fetched = run(fetch(&upstream(&public(&hub)), "a/b", &blob));
    assert!(matches!(fetched, Err(Error::Astray(_))), "{fetched:?}");
    let seen = hub.seen();
    assert!(seen.iter().all(|seen| seen.part != Part::Store), "{seen:?}");
    assert!(seen.len() <= 3, "it is asked again: {seen:?}");
    // unless the owner has named them
    let mut settings = public(&hub);
    settings.private_hosts = vec![format!("127.0.0.1:{}", hub.ports.store)];
    let fetched = run(fetch(&upstream(&settings), "a/b", &blob));
    assert_eq!(fetched.as_ref(), Ok(&image.layers[0]));
}

#[test]
fn who_is_led_astray_is_told_where_and_what_to_do() {
    let hub = Hub::start();
    let image = Image::small(2);
    hub.add("a/b", "v1", &image);
    let entry = |more: serde_json::Value| {
        let mut upstream = json!({ "prefix": "hub", "url": PUBLIC, "proxy": hub.url() });
        let more = more.as_object().cloned().unwrap_or_default();
        upstream.as_object_mut().expect("an object").extend(more);
        Server::with(&[("REGISTRY_UPSTREAMS", &json!([upstream]).to_string())])
    };
    let place = format!("127.0.0.1:{}", hub.ports.store);
    let path = format!("/v2/hub/a/b/blobs/{}", sha256(&image.layers[0]));
    let refused = entry(json!({})).client().get(&path);
    let sentence = refused.json().to_string();
    assert_eq!(refused.status, 502, "{sentence}");
    assert!(
        sentence.contains("127.0.0.1") && sentence.contains("privatehosts"),
        "{sentence}"
    );
    let server = entry(json!({ "privatehosts": [place] }));
    let fetched = server.client().get(&path);
    assert_eq!((fetched.status, &fetched.body), (200, &image.layers[0]));
}
