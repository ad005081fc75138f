//! Variables.

use std::path::Path;

use serde_json::json;

use crate::config::tests::{config, load};
use crate::config::*;

const OVERRIDES: &[(&str, &str)] = &[
    ("REGISTRY_HTTP_ADDR", "127.0.0.1:2"),
    ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "01234"),
    ("REGISTRY_HTTP_TLS_CLIENTCAS_1", "/c"),
    ("REGISTRY_HTTP_TLS_CLIENTCAS_2", "/d"),
    (
        "REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_0",
        "registry.example.com",
    ),
    ("REGISTRY_HTTP_TLS_CIPHERSUITES", "[A, B]"),
    ("REGISTRY_HTTP_HEADERS_X-CONTENT-TYPE-OPTIONS", "[nosniff]"),
    ("REGISTRY_HTTP_HEADERS_X_FRAME_OPTIONS", "DENY"),
    ("REGISTRY_HEALTH_HTTPCHECKERS_0_URI", "http://a"),
    ("REGISTRY_HEALTH_HTTP_0_STATUSCODE", "204"),
    ("REGISTRY_HEALTH_TCP", "[{addr: 'b:1'}]"),
    (
        "REGISTRY_STORAGE_MAINTENANCE_READONLY",
        "{\"enabled\": true}",
    ),
    (
        "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED",
        "false",
    ),
    ("REGISTRY_LOG_FIELDS_MY_FIELD", "3"),
    ("REGISTRY_LOG_LEVEL", "WARN"),
    ("REGISTRY_AUTH", "htpasswd"),
    ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry: Realm #1"),
    ("REGISTRY_AUTH_HTPASSWD_PATH", "'/auth/htpasswd'"),
    (
        "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW",
        "^https?://([^/]+\\.)*example\\.com/",
    ),
    ("UNRELATED", "x"),
];

#[test]
fn variables_go_over_the_file() {
    let file = "http: {addr: ':1', tls: {clientcas: [/a, /b]}}\nstorage: {delete: {enabled: false}}\nauth: {silly: {realm: r, service: s}}";
    let loaded = config(file, OVERRIDES);
    let http = &loaded.http;
    assert_eq!(http.addr.as_deref(), Some("127.0.0.1:2"));
    assert_eq!(
        http.tls.clientcas,
        ["/a", "/c", "/d"].map(std::path::PathBuf::from)
    );
    assert_eq!(
        (&*http.tls.letsencrypt.hosts, &*http.tls.ciphersuites),
        (
            &["registry.example.com".to_owned()][..],
            &["A".to_owned(), "B".to_owned()][..]
        )
    );
    assert_eq!(
        json!(http.headers),
        json!({"x-content-type-options": ["nosniff"], "x-frame-options": ["DENY"]})
    );
    assert_eq!(
        (
            &*loaded.health.http[0].uri,
            loaded.health.http[0].statuscode,
            &*loaded.health.tcp[0].addr
        ),
        ("http://a", Some(204), "b:1")
    );
    let storage = &loaded.storage;
    assert!(storage.delete.enabled && storage.maintenance.readonly.enabled);
    assert_eq!(
        (
            storage.filesystem.rootdirectory.as_deref(),
            storage.maintenance.uploadpurging.enabled
        ),
        (Some(Path::new("01234")), Some(false))
    );
    assert_eq!(
        (loaded.log.fields["my_field"].as_u64(), loaded.level()),
        (Some(3), Level::Warn)
    );
    let htpasswd = Htpasswd {
        realm: "Registry: Realm #1".to_owned(),
        path: "/auth/htpasswd".into(),
        cache: None,
    };
    assert_eq!(loaded.auth.htpasswd, Some(htpasswd));
    assert_eq!(
        loaded.validation.manifests.urls.allow,
        ["^https?://([^/]+\\.)*example\\.com/"]
    );
}

/// The order in which an environment has its variables is nobody's choice.
#[test]
fn what_goes_further_up_is_applied_first() {
    let mut variables = vec![
        (
            "REGISTRY_HTTP".to_owned(),
            "{addr: ':1', prefix: /a/}".to_owned(),
        ),
        ("REGISTRY_HTTP_ADDR".to_owned(), ":2".to_owned()),
        ("REGISTRY_HTTP_TLS_CLIENTCAS".to_owned(), "[/z]".to_owned()),
    ];
    variables.extend((0..12).map(|number| {
        (
            format!("REGISTRY_HTTP_TLS_CLIENTCAS_{number}"),
            format!("/{number}"),
        )
    }));
    for _ in 0..2 {
        variables.reverse();
        let given: Vec<_> = variables
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let http = config("", &given).http;
        assert_eq!(
            (
                http.addr.as_deref(),
                http.prefix.as_deref(),
                http.tls.clientcas.len()
            ),
            (Some(":2"), Some("/a/"), 12)
        );
        assert_eq!(http.tls.clientcas[10], Path::new("/10"));
    }
    // which names the file is no key
    assert!(
        load("", &[("REGISTRY_CONFIGURATION_PATH", "/x")])
            .unwrap()
            .notes
            .is_empty()
    );
}

#[test]
fn a_section_that_is_nearly_one_is_named() {
    let notes = load(
        "",
        &[("REGISTRY_HTPP_ADDR", ":1"), ("REGISTRY_UNHEARD_OF", "x")],
    )
    .unwrap()
    .notes;
    assert!(
        notes[0].ends_with("is ignored: did you mean REGISTRY_HTTP_ADDR?")
            && notes[1].ends_with("is ignored"),
        "{notes:?}"
    );
}

#[test]
fn a_variable_chooses_among_alternatives() {
    for file in [
        "storage: inmemory",
        "storage: {inmemory: }",
        "storage: {s3: {bucket: b}, delete: {enabled: false}}",
        "storage:",
        "",
    ] {
        for variables in [
            &[("REGISTRY_STORAGE", "filesystem")][..],
            &[("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/x")],
        ] {
            let config = config(file, variables);
            assert_eq!(
                config.storage.delete.enabled,
                !file.contains("delete"),
                "{file}"
            );
        }
    }
    // what the file says of the same driver stays
    let kept = config(
        "storage: {filesystem: {rootdirectory: /x}}",
        &[("REGISTRY_STORAGE", "filesystem")],
    );
    assert_eq!(kept.storage.filesystem.rootdirectory, Some("/x".into()));
    assert_eq!(
        config(
            "auth: {silly: {realm: a, service: b}}",
            &[("REGISTRY_AUTH", "none")]
        )
        .auth,
        Auth::default()
    );
    assert_eq!(
        config(
            "auth: {silly: {realm: a, service: b}}",
            &[("REGISTRY_AUTH", "")]
        )
        .auth,
        Auth::default()
    );
    let error = load(
        "storage: filesystem",
        &[("REGISTRY_STORAGE_S3_BUCKET", "b")],
    )
    .unwrap_err();
    assert!(
        error.contains("REGISTRY_STORAGE_S3_BUCKET")
            && error.contains("storage.s3 is not supported"),
        "{error}"
    );
    let both = [
        ("REGISTRY_AUTH_SILLY", "{realm: a, service: b}"),
        ("REGISTRY_AUTH_HTPASSWD", "{realm: a, path: b}"),
    ];
    assert!(load("", &both).unwrap_err().contains("auth has both"));
}

#[test]
fn a_variable_of_podman_is_ignored_with_a_note() {
    let loaded = load("", &[("REGISTRY_AUTH_FILE", "/home/ann/auth.json")]).unwrap();
    assert!(format!("{:?}", loaded.notes).contains("podman"));
}

/// Variables with values that do not fit, each with words that its error must contain.
const MISFITS: &[(&str, &str, &str)] = &[
    (
        "REGISTRY_HTTP_ADR",
        "hidden",
        "did you mean REGISTRY_HTTP_ADDR?",
    ),
    (
        "REGISTRY_STORAGE_DELETE_ENABLED",
        "perhaps",
        "storage.delete.enabled",
    ),
    ("REGISTRY_HTTP_DRAINTIMEOUT", "soon", "http.draintimeout"),
    ("REGISTRY_HTTP", "5000", "http is a section"),
    ("REGISTRY_HTTP", "{addr: [hidden", "not YAML"),
    (
        "REGISTRY_HTTP_TLS_CLIENTCAS_3",
        "/a",
        "the list has 0 items",
    ),
    (
        "REGISTRY_HEALTH_HTTP_URI",
        "hidden",
        "health.http is a list",
    ),
    ("REGISTRY_HTTP_HEADERS_X-A", "['hidden'", "not YAML"),
    ("REGISTRY_HTTP_HEADERS", "{X-A: [hidden}", "not YAML"),
    ("REGISTRY_HTTP_TLS_CIPHERSUITES", "[A, hidden", "not YAML"),
    ("REGISTRY_HTTP_TLS_CLIENTCAS_0", "'hidden", "not YAML"),
    ("REGISTRY_HTTP_ADDR", "\"hidden", "not YAML"),
    ("REGISTRY_HTTP_DRAINTIMEOUT", "'hidden", "not YAML"),
    ("REGISTRY_LOG_FIELDS_A", "{b: hidden", "not YAML"),
    ("REGISTRY_LOG_LEVEL", "\"hidden", "not YAML"),
    ("REGISTRY_HTTP_SECRET", "'hidden", "not YAML"),
    (
        "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR",
        "[hidden",
        "not YAML",
    ),
    ("REGISTRY_REDIS", "{password: hidden", "not YAML"),
    ("REGISTRY_REPORTING_BUGSNAG_APIKEY", "hidden", "bugsnag"),
    (
        "REGISTRY_PROXY_EXEC_LIFETIME",
        "soon",
        "proxy.exec.lifetime",
    ),
    ("REGISTRY_STORAGE_AZURE_MAX_RETRIES", "3", "storage.azure"),
];

#[test]
fn variables_that_do_not_fit_are_named_and_their_secrets_are_not() {
    for (name, value, words) in MISFITS {
        let error = load("version: 0.1", &[(*name, *value)])
            .err()
            .unwrap_or_else(|| panic!("{name} was accepted"));
        assert!(
            error.starts_with(&format!("the variable {name}: ")) && error.contains(words),
            "{error}"
        );
        assert!(!error.contains("hidden"), "{error}");
    }
    for name in [
        "REGISTRY_PORT",
        "REGISTRY_AUTH_PORT",
        "REGISTRY_AUTH_PORT_5001_TCP_ADDR",
        "REGISTRY_REDIS_SERVICE_HOST",
        "REGISTRY_PROXY_SERVICE_PORT_HTTP",
    ] {
        let loaded =
            load("", &[(name, "tcp://10.0.0.1:5001")]).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            matches!(&*loaded.notes, [note] if note.contains(name)),
            "{:?}",
            loaded.notes
        );
    }
    let error = load("http: 5", &[("REGISTRY_HTTP_ADDR", "a")]).unwrap_err();
    assert!(
        error.contains("REGISTRY_HTTP_ADDR") && error.contains("config.yml line 1"),
        "{error}"
    );
    assert!(load("- a", &[("REGISTRY_HTTP_ADDR", "a")]).is_err());
    assert!(load("proxy: {remoteurl: x}", &[("REGISTRY_PROXY_REMOTEURL", "")]).is_ok());
    assert!(
        load(
            "",
            &[("REGISTRY_NOTIFICATIONS_ENDPOINTS_0_DISABLED", "true")]
        )
        .is_ok()
    );
}
