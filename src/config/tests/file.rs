//! Files.

use std::time::Duration;

use crate::config::tests::{config, load};
use crate::config::*;

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

/// Files, each with the words that its notes must contain.
const ACCEPTED: &[(&str, &[&str])] = &[
    ("", &[]),
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
        &[],
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
        "compatibility: {schema1: {}}\nmiddleware: {storage: []}\nredis: {}\nproxy: {remoteurl: ''}\nreporting:\n",
        &[],
    ),
    (
        "redis: {addr: 'localhost:6379', password: hidden, pool: {maxidle: 16}}",
        &["redis has no effect: descriptors are rows of the database"],
    ),
    (
        "compatibility: {schema1: {enabled: true, signingkeyfile: /key.pem}}",
        &["compatibility has no effect: manifests of schema 1 are rejected"],
    ),
    (
        "middleware: {storage: [{name: cloudfront, options: {baseurl: 'https://hidden'}}, {name: redirect, disabled: true}, {name: rewrite}]}",
        &["middleware.storage has no effect: files in a directory have no URLs"],
    ),
    (
        "reporting: {bugsnag: {apikey: '', releasestage: hidden}}",
        &["reporting.bugsnag.releasestage has no effect"],
    ),
    (
        "http: {tls: {certificate: a, key: b, minimumtls: tls1.0}}",
        &["http.tls.minimumtls is tls1.0, and the lowest version here is tls1.2"],
    ),
    (
        "http: {tls: {certificate: a, key: b, minimumtls: TLS1.1}}",
        &["http.tls.minimumtls is TLS1.1, and"],
    ),
    (
        "http: {draintimeout: 30}\nhealth: {tcp: [{addr: 'a:1', timeout: 1000000000}]}",
        &[
            "http.draintimeout is 30 nanoseconds, as in distribution, because it has no unit: did you mean 30s?",
            "health.tcp[0].timeout is 1000000000 nanoseconds",
        ],
    ),
    (
        "http: {host: registry.example.com}",
        &["http.host has no effect: it has no scheme"],
    ),
    (
        "http: {host: 'localhost:5000'}",
        &["http.host has no effect: it has no scheme"],
    ),
    (
        "proxy: {cachewritetimeout: 5m}",
        &["proxy.cachewritetimeout"],
    ),
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
];

#[test]
fn what_has_no_effect_is_accepted_with_a_note() {
    for (text, notes) in ACCEPTED {
        let loaded = load(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            loaded.notes.len(),
            notes.len(),
            "{text}: {:?}",
            loaded.notes
        );
        for (note, words) in loaded.notes.iter().zip(*notes) {
            assert!(
                note.contains(words) && note.contains("line"),
                "{text}: {note}"
            );
        }
    }
}

/// Files, each with the words that its one error must contain.
const REJECTED: &[(&str, &[&str])] = &[
    (
        "http:\n  adr: :5000\n",
        &["config.yml line 2: unknown key http.adr: did you mean http.addr?"],
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
    ("log: {hooks: [{type: mail}]}", &["log.hooks", "mail"]),
    (
        "middleware: {storage: [{name: cloudfront}, {name: redirect, options: {baseurl: 'https://hidden'}}]}",
        &["middleware.storage is not supported", "disabled: true"],
    ),
    (
        "middleware: {registry: [{name: cloudfront}]}",
        &["middleware.registry is not supported"],
    ),
    (
        "proxy: {remoteurl: 'https://registry-1.docker.io', remotename: hub}",
        &["unknown key proxy.remotename"],
    ),
    ("webhooks: [{name: a}]", &["webhooks", "url"]),
    (
        "reporting: {bugsnag: {apikey: hidden}}",
        &["reporting.bugsnag.apikey is not supported"],
    ),
    (
        "reporting: {newrelic: {licensekey: hidden}}",
        &["reporting.newrelic.licensekey is not supported"],
    ),
    (
        "auth:\n  silly: {realm: a, service: b}\n  none:\n",
        &["line 3", "auth has both silly", "none"],
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
    ("gc: {interval: 30}", &["gc.interval", "nanoseconds", "30s"]),
    (
        "storage: {maintenance: {uploadpurging: {age: 168}}}",
        &["uploadpurging.age", "nanoseconds", "168s"],
    ),
    ("http: {draintimeout: -30}", &["http.draintimeout", "-30"]),
    ("http: {draintimeout: 1.5}", &["http.draintimeout", "1.5s"]),
    (
        "http: {draintimeout: soon}",
        &["http.draintimeout", "'soon'"],
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
    (
        "gc: {keepuntagged: sometimes}",
        &["gc.keepuntagged", "forever"],
    ),
    (
        "gc: {keepuntagged: never}",
        &["gc.keepuntagged", "0s to remove", "forever to keep"],
    ),
    (
        "gc: {untagged: never}",
        &[
            "gc.untagged is now keepuntagged",
            "are not kept",
            "0s to remove",
            "forever to keep",
        ],
    ),
    (
        "policies: [{repositories: a, untagged: 3d}]",
        &["policies[0].untagged", "keepuntagged: 3d"],
    ),
    (
        "access: {rules: [{repositories: a, who: b, can: pull}]}",
        &["access.rules[0].can: did you mean access.rules[].may?"],
    ),
    (
        "audit: {enabled: false}",
        &["audit.enabled does not exist", "cannot be switched off"],
    ),
    ("version: 0.2", &["0.2", "0.1"]),
    ("- a\n", &["map of sections"]),
    ("http: [", &["config.yml line", "not YAML"]),
    (
        "http: {addr: a}\nhttp: {addr: b}\n",
        &["config.yml line 2: the key http is given twice"],
    ),
    ("http:\n\taddr: a\n", &["config.yml line 2", "not YAML"]),
    ("log:\n  <<: *nobody\n", &["not YAML"]),
];

#[test]
fn what_cannot_be_done_is_refused_with_a_sentence() {
    for (text, words) in REJECTED {
        let error = load(text, &[])
            .err()
            .unwrap_or_else(|| panic!("{text} was accepted"));
        for word in *words {
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

/// Values of distribution that differ only in what they say here.
#[test]
fn what_is_accepted_means_what_it_means_to_distribution() {
    let config = config(
        "http: {draintimeout: 30, host: nowhere, tls: {minimumtls: tls1.0}}\nhealth: {tcp: [{addr: 'a:1', timeout: 1000000000}]}",
        &[],
    );
    assert_eq!(
        config.http.draintimeout,
        Some(Interval(Duration::from_nanos(30)))
    );
    assert_eq!(
        config.health.tcp[0].timeout,
        Some(Interval(Duration::from_secs(1)))
    );
    assert_eq!(
        (config.http.host.as_deref(), config.http.tls.minimumtls),
        (None, Some(MinimumTls::Tls12))
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
            .map(|violations| violations.to_string())
            .unwrap_or_default()
    };
    for (after, words) in [
        ("", &["auth is missing", "http.tls is missing"][..]),
        (
            "auth: {token: {realm: a, service: b, issuer: c}}",
            &["http.tls is missing"],
        ),
        (
            "auth: none\nhttp: {tls: {letsencrypt: {hosts: [a]}, clientcas: [d]}}",
            &["auth is missing"],
        ),
        (
            "auth: {silly: {realm: c, service: d}}\nhttp: {tls: {certificate: c, key: d}}",
            &["http.tls.clientcas is missing"],
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

#[test]
fn the_older_name_of_the_level_counts_where_the_newer_one_is_not_given() {
    assert_eq!(config("loglevel: error", &[]).level(), Level::Error);
    assert_eq!(
        config("loglevel: error\nlog: {level: debug}", &[]).level(),
        Level::Debug
    );
}
