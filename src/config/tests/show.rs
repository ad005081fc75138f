//! `config show`.

use serde_json::json;

use crate::config::tests::{everything, load};
use crate::config::*;

#[test]
fn what_is_shown_says_the_same_as_what_was_read() {
    let without_secrets = |config: &Config| {
        let mut config = config.clone();
        config
            .health
            .http
            .iter_mut()
            .for_each(|check| check.headers.clear());
        config
            .upstreams
            .iter_mut()
            .for_each(|upstream| upstream.password = None);
        config.proxy.password = None;
        for endpoint in &mut config.notifications.endpoints {
            endpoint.url.clear();
            endpoint.headers.clear();
        }
        for webhook in &mut config.webhooks {
            webhook.url.clear();
            webhook.headers.clear();
        }
        config
    };
    for text in [
        everything("token"),
        everything("htpasswd"),
        everything("none"),
    ] {
        let loaded = load(&text, &[("REGISTRY_HTTP_ADDR", "[::]:5")]).unwrap();
        let shown = loaded.to_yaml();
        assert!(
            shown.contains("addr: \"[::]:5\"  # variable REGISTRY_HTTP_ADDR"),
            "{shown}"
        );
        let again = load(&shown, &[]).unwrap_or_else(|error| panic!("{shown}\n{error}"));
        assert_eq!(
            without_secrets(&again.config),
            without_secrets(&loaded.config),
            "{shown}"
        );
        assert!(again.differences(&again).is_empty());
    }
    let loaded = load(
        "health: {http: [{uri: a, headers: {Authorization: [hidden]}}]}\ngc: {grace: 2h}",
        &[],
    )
    .unwrap();
    let (yaml, json) = (loaded.to_yaml(), loaded.to_json());
    assert!(
        !yaml.contains("hidden") && !json.to_string().contains("hidden"),
        "{yaml}"
    );
    assert!(
        yaml.contains("grace: 2h  # ")
            && yaml.contains("config.yml line 2")
            && yaml.contains("lease: 24h  # default"),
        "{yaml}"
    );
    assert_eq!(
        (&json["config"]["gc"]["grace"], &json["origins"]["gc.lease"]),
        (&json!("2h"), &json!("default"))
    );
}

#[test]
fn the_name_of_a_variable_ends_no_line() {
    let loaded = load("", &[("REGISTRY_HTTP_HEADERS_X-A\nstorage: 1", "b")]).unwrap();
    let yaml = loaded.to_yaml();
    assert!(!yaml.contains("\nstorage: 1"), "{yaml}");
    let again = load(&yaml, &[]).unwrap();
    assert_eq!(again.config.http.headers, loaded.config.http.headers);
}

#[test]
fn the_name_of_a_variable_may_be_long() {
    let name = format!("REGISTRY_HTTP_HEADERS_X-{}", "\u{1}".repeat(300));
    let loaded = load("", &[(&name, "b")]).unwrap();
    let again = load(&loaded.to_yaml(), &[]).unwrap();
    assert_eq!(again.config.http.headers, loaded.config.http.headers);
}

#[test]
fn what_yaml_excludes_is_escaped() {
    for c in
        "\u{7f}\u{85}\u{9b}\u{202e}\u{2028}\u{feff}\u{fffe}\u{ffff}\u{e0041}\u{10ffff}\"\\".chars()
    {
        let (name, value) = (format!("REGISTRY_HTTP_HEADERS_X-{c}"), format!("b{c}"));
        let loaded = load("", &[(&name, &value)]).unwrap();
        let again = load(&loaded.to_yaml(), &[]);
        let again = again.unwrap_or_else(|error| panic!("{c:?}: {error}"));
        assert_eq!(again.config.http.headers, loaded.config.http.headers);
    }
}
