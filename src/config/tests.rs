use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::keys::{Key, Kind, Status};
use super::*;

/// A configuration that says of which version it is, without another line before what it says besides.
fn whole(text: &str) -> String {
    match text.strip_prefix('{') {
        _ if text.contains("version") || text.starts_with('-') => text.to_owned(),
        Some(rest) => format!("{{\"version\": 0.1, {rest}"),
        None => format!("{text}\nversion: 0.1\n"),
    }
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yml");
    std::fs::write(&path, whole(text)).unwrap();
    let loaded = Config::load(
        Some(&path),
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    loaded.map_err(|error| {
        error
            .to_string()
            .replace(&path.display().to_string(), "config.yml")
    })
}

fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables)
        .unwrap_or_else(|error| panic!("{text} {variables:?}: {error}"))
        .config
}

#[test]
fn the_file_everybody_has_is_read() {
    let text = "version: 0.1\nlog:\n  level: DEBUG\nhttp:\n  addr: :5000\n  draintimeout: 1m30s\nstorage:\n  filesystem:\n    rootdirectory: /data\n  delete:\n    enabled: no\nmanifests:\n  sparse: true\n";
    let config = config(text, &[]);
    assert_eq!(config.http.addr.as_deref(), Some(":5000"));
    assert_eq!(
        config.http.draintimeout,
        Some(Interval(Duration::from_secs(90)))
    );
    assert_eq!(
        config.storage.filesystem.rootdirectory,
        Some("/data".into())
    );
    assert_eq!(config.level(), Level::Debug);
    assert!(!config.storage.delete.enabled && config.manifests.sparse);
}

/// Each with the words that its notes must hold.
#[test]
fn what_has_no_effect_is_accepted_with_a_word() {
    for (text, notes) in [
        ("", &[][..]),
        ("# nothing\n", &[]),
        ("version: '0.1'\nstorage: filesystem\nauth: none\n", &[]),
        (
            "storage: {filesystem: {}, delete: {}, cache: {}, redirect: {}, maintenance: {}}\nauth:\nhttp:\nhealth: {file: [], http:}\n",
            &[],
        ),
        (
            "storage: {filesystem: {maxthreads: 100}, cache: {blobdescriptor: inmemory}, redirect: {disable: true}}",
            &[
                "maxthreads",
                "storage.cache.blobdescriptor has no effect",
                "redirect",
            ],
        ),
        (
            "http: {secret: 0123, host: '', prefix: '', headers: {X-Content-Type-Options: [nosniff]}}",
            &["http.secret"],
        ),
        (
            "notifications: {events: {includereferences: true}, endpoints: []}",
            &["includereferences"],
        ),
        (
            "notifications: {endpoints: [{name: a, disabled: true, url: 'http://x'}]}",
            &[],
        ),
        (
            "log: {hooks: [{type: mail, disabled: true, levels: [panic]}], fields: {service: registry, count: 3}}",
            &[],
        ),
        (
            "compatibility: {schema1: {enabled: false}}\nmiddleware: {storage: []}\nredis: {}\nproxy: {remoteurl: ''}\nreporting:\n",
            &[],
        ),
        ("proxy: {ttl: 168h}", &["proxy.ttl"]),
        (
            "http: {draintimeout: 0}\nhealth: {storagedriver: {interval: 0, threshold: 3}}",
            &[],
        ),
        (
            "validation: {manifests: {indexes: {platforms: List, platformlist: [{os: linux, architecture: amd64}]}}}",
            &[],
        ),
        ("catalog: {maxentries: -1}\ntags: {maxtags: 0}", &[]),
        (
            "storage: {delete: &on {enabled: true}, maintenance: {readonly: *on}}",
            &[],
        ),
    ] {
        let loaded = load(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            loaded.notes.len(),
            notes.len(),
            "{text}: {:?}",
            loaded.notes
        );
        for (note, words) in loaded.notes.iter().zip(notes) {
            assert!(
                note.contains(words) && note.contains("line"),
                "{text}: {note}"
            );
        }
    }
}

/// Each with the words that the one sentence must hold.
#[test]
fn what_cannot_be_done_is_refused_with_a_sentence() {
    for (text, words) in [
        (
            "http:\n  adr: :5000\n",
            &["config.yml line 2: unknown key http.adr: did you mean http.addr?"][..],
        ),
        ("storag: {}", &["storag", "did you mean storage?"]),
        (
            "storage:\n  rootdirectory: /x\n",
            &["line 2", "storage.filesystem.rootdirectory"],
        ),
        ("storage: inmemory", &["storage.inmemory", "tmpfs"]),
        (
            "storage:\n  s3:\n    bucket: b\n    region: r\n",
            &["line 2", "storage.s3 is not supported", "directory"],
        ),
        (
            "storage: {s4: {bucket: b}}",
            &["storage.s4", "did you mean"],
        ),
        (
            "redis: {addr: 'localhost:6379'}",
            &["redis is not supported", "database"],
        ),
        ("log: {hooks: [{type: mail}]}", &["log.hooks", "mail"]),
        (
            "middleware: {storage: [{name: cloudfront}]}",
            &["middleware"],
        ),
        (
            "proxy: {remoteurl: 'https://registry-1.docker.io'}",
            &["proxy.remoteurl", "later version"],
        ),
        (
            "notifications: {endpoints: [{name: a, url: 'http://x'}]}",
            &["notifications.endpoints", "later version"],
        ),
        ("compatibility: {schema1: {enabled: true}}", &["schema1"]),
        ("reporting: {bugsnag: {apikey: hidden}}", &["reporting"]),
        (
            "auth:\n  silly: {realm: a, service: b}\n  none:\n",
            &["line 3", "auth is both silly", "none"],
        ),
        (
            "auth: htpasswd",
            &["auth.htpasswd.realm is missing", "auth.htpasswd.path"],
        ),
        (
            "auth: {htpasswd: {realm: a}}",
            &["auth.htpasswd.path is missing"],
        ),
        ("auth: kerberos", &["auth.kerberos"]),
        (
            "health: {http: [{statuscode: 200}]}",
            &["health.http[0].uri is missing"],
        ),
        (
            "health:\n  tcp:\n  - addr: a\n    intervall: 1s\n",
            &["line 4", "health.tcp[0].intervall", "interval"],
        ),
        (
            "http: {draintimeout: 30}",
            &["http.draintimeout", "nanoseconds", "30s"],
        ),
        (
            "http: {draintimeout: soon}",
            &["http.draintimeout", "'soon'"],
        ),
        (
            "http: {tls: {minimumtls: tls1.0}}",
            &[
                "line 1",
                "http.tls.minimumtls is tls1.0",
                "rustls",
                "write tls1.2",
            ],
        ),
        (
            "http: {tls: {minimumtls: TLS1.1}}",
            &["http.tls.minimumtls is tls1.1", "rustls", "write tls1.2"],
        ),
        (
            "http: {tls: {minimumtls: 1.2}}",
            &["http.tls.minimumtls", "tls1.2, tls1.3"],
        ),
        (
            "http: {tls: {clientauth: maybe}}",
            &["clientauth", "require-any-client-cert"],
        ),
        ("http: {net: udp}", &["tcp, unix"]),
        ("http: {addr: [a]}", &["http.addr", "not a list"]),
        ("http: {addr: {a: b}}", &["http.addr", "not a section"]),
        ("http: [a]", &["http is a section"]),
        ("health: {http: {uri: a}}", &["health.http must be a list"]),
        ("log: {level: loud}", &["log.level", "loud", "info"]),
        (
            "storage: {delete: {enabled: perhaps}}",
            &["storage.delete.enabled", "perhaps"],
        ),
        ("manifests: {limit: -1}", &["manifests.limit", "-1"]),
        (
            "health: {http: [{uri: a, statuscode: 70000}]}",
            &["statuscode", "999"],
        ),
        (
            "policy: {repository: {classes: [helm]}}",
            &["classes", "helm"],
        ),
        ("gc: {untagged: sometimes}", &["gc.untagged", "forever"]),
        ("version: 0.2", &["0.2", "0.1"]),
        ("- a\n", &["map of sections"]),
        ("http: [", &["config.yml line", "not YAML"]),
        (
            "http: {addr: a}\nhttp: {addr: b}\n",
            &["config.yml line 2: the key http is given twice"],
        ),
        ("http:\n\taddr: a\n", &["config.yml line 2", "not YAML"]),
        ("log:\n  <<: *nobody\n", &["not YAML"]),
    ] {
        let error = load(text, &[])
            .err()
            .unwrap_or_else(|| panic!("{text} was accepted"));
        for word in words {
            assert!(error.contains(word), "'{word}' is not in: {error}");
        }
        assert!(!error.contains("hidden"), "{error}");
        assert!(error.lines().count() <= 2, "{error}");
    }
    let all = load(
        "http:\n  adr: 1\nstorag: 2\ngc: {interval: x}\n",
        &[("REGISTRY_HTTP_NET", "udp")],
    )
    .unwrap_err();
    assert_eq!(all.lines().count(), 4, "{all}");
}

#[test]
fn variables_go_over_the_file() {
    let file = "http: {addr: ':1', tls: {clientcas: [/a, /b]}}\nstorage: {delete: {enabled: false}}\nauth: {silly: {realm: r, service: s}}";
    let loaded = config(
        file,
        &[
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
        ],
    );
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
    assert_eq!(loaded.auth, Some(Auth::Htpasswd(htpasswd)));
    assert_eq!(
        loaded.validation.manifests.urls.allow,
        ["^https?://([^/]+\\.)*example\\.com/"]
    );
}

#[test]
fn the_older_name_of_the_level_counts_where_the_newer_one_is_not_given() {
    assert_eq!(config("loglevel: error", &[]).level(), Level::Error);
    assert_eq!(
        config("loglevel: error\nlog: {level: debug}", &[]).level(),
        Level::Debug
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
        Some(Auth::None(Default::default()))
    );
    assert_eq!(
        config(
            "auth: {silly: {realm: a, service: b}}",
            &[("REGISTRY_AUTH", "")]
        )
        .auth,
        None
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
    assert!(load("", &both).unwrap_err().contains("auth is both"));
}

#[test]
fn variables_that_do_not_fit_are_named_and_their_secrets_are_not() {
    for (name, value, words) in [
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
        (
            "REGISTRY_REDIS_PASSWORD",
            "hidden",
            "redis is not supported",
        ),
        ("REGISTRY_PROXY_REMOTEURL", "hidden", "proxy.remoteurl"),
        (
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL",
            "hidden",
            "notifications.endpoints",
        ),
        ("REGISTRY_STORAGE_AZURE_MAX_RETRIES", "3", "storage.azure"),
    ] {
        let error = load("version: 0.1", &[(name, value)])
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

/// A value that fits a key.
fn sample(key: &Key) -> String {
    match key.kind {
        Kind::Switch => "true".to_owned(),
        Kind::Count(_) | Kind::Page => "7".to_owned(),
        Kind::Time => "1m30s".to_owned(),
        Kind::Keep => "forever".to_owned(),
        Kind::Word(words) => words[0].to_owned(),
        Kind::TlsVersion => "tls1.3".to_owned(),
        Kind::Words(words) => format!("[{}]", words.join(", ")),
        Kind::Texts => "[a, 'no', '0x1']".to_owned(),
        Kind::Headers | Kind::SecretHeaders => "{x-a: [b, 'c: d']}".to_owned(),
        Kind::Fields => "{e: 1, f: 'yes'}".to_owned(),
        Kind::Version => "0.1".to_owned(),
        Kind::Nothing => "{}".to_owned(),
        Kind::Url => "https://example.com/x".to_owned(),
        Kind::Text | Kind::Secret | Kind::Anything => "'5 #x'".to_owned(),
    }
}

/// A file with every honoured key, but for the ways to log in only this one.
fn everything(login: &str) -> String {
    let mut tree = json!({});
    let keys = keys::all()
        .iter()
        .filter(|key| key.status == Status::Supported);
    for key in keys.filter(|key| {
        !key.path.starts_with("auth.") || key.path.starts_with(&format!("auth.{login}"))
    }) {
        let mut place = &mut tree;
        for part in key.path.split('.') {
            let name = part.trim_end_matches("[]");
            place = &mut place[name];
            if part.ends_with("[]") {
                place = match place {
                    serde_json::Value::Array(_) => &mut place[0],
                    empty => {
                        *empty = json!([{}]);
                        &mut empty[0]
                    }
                };
            }
        }
        *place = serde_saphyr::from_str(&sample(key)).unwrap();
    }
    tree.to_string()
}

/// A file in which `path` has this value; of a list, the only item has it.
fn with(path: &str, value: serde_json::Value) -> serde_json::Value {
    path.rsplit('.').fold(value, |inner, part| {
        let inner = if part.ends_with("[]") {
            json!([inner])
        } else {
            inner
        };
        json!({ part.trim_end_matches("[]"): inner })
    })
}

/// Each key of distribution that is not honoured: accepted with one line that names it and its place, or refused.
#[test]
fn no_key_without_an_effect_is_passed_over_in_silence() {
    let mut numbers = (0, 0);
    for key in keys::all() {
        match key.status {
            Status::Supported => {}
            Status::Ignored(why) => {
                let mut tree = with(&key.path, json!("given"));
                if key.path.starts_with("health.file") {
                    tree["health"]["file"][0]["file"] = json!("/down");
                }
                let loaded =
                    load(&tree.to_string(), &[]).unwrap_or_else(|error| panic!("{tree}: {error}"));
                let name = key.path.replace("[]", "[0]");
                assert!(
                    matches!(&*loaded.notes, [note] if note.starts_with(&format!("{name} has no effect: {why} ("))),
                    "{tree}: {:?}",
                    loaded.notes
                );
                numbers.0 += 1;
            }
            // what is switched off is no matter
            Status::Rejected(..) if key.path.ends_with("[].disabled") => {}
            Status::Rejected(_, why) => {
                let error = load(&with(&key.path, json!("true")).to_string(), &[])
                    .err()
                    .unwrap_or_else(|| panic!("{} is taken", key.path));
                assert!(
                    error.contains("is not supported: ") && error.contains(why),
                    "{}: {error}",
                    key.path
                );
                numbers.1 += 1;
            }
        }
    }
    assert!(numbers.0 > 15 && numbers.1 > 100, "{numbers:?}");
}

/// Unknown keys are refused at every depth, by the file and by variables.
#[test]
fn an_unknown_key_is_refused_in_every_section() {
    let sections: BTreeSet<_> = keys::all()
        .iter()
        .filter(|key| key.status == Status::Supported)
        .filter_map(|key| key.path.rsplit_once('.').map(|(section, _)| section))
        .chain([""])
        .collect();
    for section in sections {
        let path = keys::join(section, "nosuchkeyanywhere");
        let error = load(&with(&path, json!(1)).to_string(), &[])
            .err()
            .unwrap_or_else(|| panic!("{path} is taken"));
        assert!(
            error.contains(&format!(
                "config.yml line 1: unknown key {}",
                path.replace("[]", "[0]")
            )),
            "{error}"
        );
        if !section.is_empty() {
            let name = environment::name_of(&path);
            let error = load("", &[(&name, "1")])
                .err()
                .unwrap_or_else(|| panic!("{name} is taken"));
            assert!(
                error.contains(&format!("the variable {name}: unknown key")),
                "{error}"
            );
        }
    }
}

/// No drift between the table and the types: what is honoured fits a field, and each field is in the table.
#[test]
fn the_table_and_the_types_know_the_same_keys() {
    for login in ["none", "silly", "htpasswd", "token"] {
        config(&everything(login), &[]);
    }
    let honoured = || {
        keys::all()
            .iter()
            .filter(|key| key.status == Status::Supported)
    };
    let mut sections = BTreeSet::from([String::new()]);
    for key in honoured() {
        let ends = key
            .path
            .match_indices('.')
            .map(|(end, _)| key.path[..end].to_owned());
        sections.extend(ends);
    }
    for section in sections {
        let mut value = json!({"no such key": null});
        for part in section.split('.').rev().filter(|part| !part.is_empty()) {
            value = if part.ends_with("[]") {
                json!([value])
            } else {
                value
            };
            value = json!({part.trim_end_matches("[]"): value});
        }
        let error = serde_json::from_value::<Config>(value)
            .unwrap_err()
            .to_string();
        let (_, fields) = error
            .split_once("expected")
            .unwrap_or_else(|| panic!("{section}: {error}"));
        for field in fields.split('`').skip(1).step_by(2) {
            assert!(
                keys::members(&section).contains(&field),
                "{section} has {field}, of which the table knows nothing"
            );
        }
    }
}

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
fn a_file_says_of_what_version_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yml");
    let version = [("REGISTRY_VERSION".into(), "0.1".into())];
    for text in [
        "",
        "# nothing\n",
        "storage: {}\n",
        "version:\n",
        "version: ''\n",
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Config::load(Some(&path), version.clone().into_iter())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("version is missing") && error.lines().count() == 1,
            "{text}: {error}"
        );
    }
    Config::load(None, std::iter::empty()).unwrap();
}

#[test]
fn what_protects_a_server_is_known_to_be_lost() {
    const CLOSED: &str = "auth: {silly: {realm: a, service: b}}\nhttp: {tls: {certificate: a, key: b, clientcas: [c]}}";
    let lost = |before: &str, after: &str| {
        config(after, &[])
            .lost_protection(&config(before, &[]))
            .map(|wrongs| wrongs.to_string())
            .unwrap_or_default()
    };
    for (after, words) in [
        ("", &["auth is gone", "http.tls is gone"][..]),
        (
            "auth: {token: {realm: a, service: b, issuer: c}}",
            &["http.tls is gone"],
        ),
        (
            "auth: none\nhttp: {tls: {letsencrypt: {hosts: [a]}, clientcas: [d]}}",
            &["auth is gone"],
        ),
        (
            "auth: {silly: {realm: c, service: d}}\nhttp: {tls: {certificate: c, key: d}}",
            &["http.tls.clientcas is gone"],
        ),
        (CLOSED, &[]),
    ] {
        let said = lost(CLOSED, after);
        assert_eq!(said.lines().count(), words.len(), "{after}: {said}");
        assert!(
            words.iter().all(|word| said.contains(word)),
            "{after}: {said}"
        );
        assert_eq!(lost(after, CLOSED), "");
    }
    assert_eq!(lost("auth: none", ""), "");
}
