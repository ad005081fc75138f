//! Every key that a running server reloads: each change takes effect.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tarkeep::config::keys::all;

use super::reloading::Configured;
use crate::support::{Client, Image, OCI_MANIFEST, descriptor, eventually};
use crate::wire::pki::{Authority, secure};

/// A key, its value before and after, and a probe of its effect. `DIR` has two pairs of
/// certificates.
struct Case(
    &'static str,
    &'static str,
    &'static str,
    fn(&mut Seen) -> bool,
);

/// A server as its clients see it.
struct Seen {
    configured: Configured,
    old: Authority,
    new: Authority,
}

impl Seen {
    fn client(&self) -> Client {
        self.configured.server.client()
    }

    fn dial(&self) -> TcpStream {
        TcpStream::connect(self.configured.server.address()).expect("a connection")
    }

    fn location(&self) -> String {
        let mut client = self.client();
        let begun = client
            .request("POST", "/v2/a/blobs/uploads/")
            .header("X-Forwarded-Prefix", "/outer")
            .send();
        begun.header("location").unwrap_or_default().to_owned()
    }

    fn status(&self, method: &str, path: &str) -> u16 {
        self.client().request(method, path).send().status
    }

    /// Reports whether the rules of collection that the server has recorded hold a text, after a while.
    fn has_rule(&self, text: &str) -> bool {
        let path = self.configured.data().join("registry.db");
        let connection = rusqlite::Connection::open(path).expect("a database");
        let recorded = "SELECT value FROM settings WHERE name = 'retention'";
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let rules = connection.query_row(recorded, [], |row| row.get::<_, String>(0));
            rules.is_ok_and(|rules| rules.contains(text))
        })
    }

    /// Reports whether events are written for an endpoint of that name, after a while.
    fn has_endpoint(&self, name: &str) -> bool {
        let path = self.configured.data().join("registry.db");
        let connection = rusqlite::Connection::open(path).expect("a database");
        let known = "SELECT count(*) FROM endpoints WHERE name = ?1";
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let number = connection.query_row(known, [name], |row| row.get::<_, i64>(0));
            number.expect("a number") > 0
        })
    }

    fn push(&self, repository: &str, tag: &str) {
        Image::small(7).push(&mut self.client(), repository, tag);
    }
}

/// True if the server closes a connection after these bytes alone.
fn is_ended(mut stream: impl Read + Write, socket: &TcpStream, printed: &str) -> bool {
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("a timeout");
    let _ = stream.write_all(printed.as_bytes());
    let mut rest = Vec::new();
    !matches!(stream.read_to_end(&mut rest), Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut))
}

const CASES: &[Case] = &[
    Case(
        "log.accesslog",
        "log: {accesslog: {disabled: true}}",
        "log: {accesslog: {disabled: false}}",
        |seen| {
            seen.status("GET", "/v2/");
            seen.configured.server.terminate();
            let mut printed = String::new();
            seen.configured
                .server
                .out
                .read_to_string(&mut printed)
                .expect("text");
            printed.contains("GET /v2/ ")
        },
    ),
    Case(
        "http.draintimeout",
        "http: {draintimeout: 60s}",
        "http: {draintimeout: 10ms}",
        |seen| {
            let location = seen.location();
            let mut stream = seen.dial();
            let head = format!(
                "PATCH {location} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).expect("bytes are taken");
            stream
                .read_exact(&mut [0; 12])
                .expect("it is being answered");
            seen.configured.server.terminate();
            seen.configured.says(&["cutting off"]);
            true
        },
    ),
    Case(
        "proxy.ttl",
        "proxy: {remoteurl: 'http://127.0.0.1:9', ttl: 3s}",
        "proxy: {remoteurl: 'http://127.0.0.1:9', ttl: 4s}",
        |seen| seen.has_rule("\"unused\":{\"secs\":4,"),
    ),
    Case(
        "upstreams[].keep.unused",
        "upstreams: [{prefix: hub, url: 'http://127.0.0.1:9', keep: {unused: 3s}}]",
        "upstreams: [{prefix: hub, url: 'http://127.0.0.1:9', keep: {unused: 4s}}]",
        |seen| seen.has_rule("\"unused\":{\"secs\":4,"),
    ),
    Case(
        "upstreams[].keep.size",
        "upstreams: [{prefix: hub, url: 'http://127.0.0.1:9'}]",
        "upstreams: [{prefix: hub, url: 'http://127.0.0.1:9', keep: {size: 9MB}}]",
        |seen| seen.has_rule("\"size\":9000000"),
    ),
    Case(
        "http.h2c",
        "http: {h2c: {enabled: false}}",
        "http: {h2c: {enabled: true}}",
        |seen| {
            let (mut stream, mut first) = (seen.dial(), [7]);
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .expect("bytes are taken");
            stream.read_exact(&mut first).is_ok() && first == [0]
        },
    ),
    Case(
        "ui.anonymouschanges",
        "http: {trustedproxies: [127.0.0.1]}\nui: {anonymouschanges: false}",
        "http: {trustedproxies: [127.0.0.1]}\nui: {anonymouschanges: true}",
        |seen| {
            let mut client = seen.client();
            let request = client.request("POST", "/ui/restore/none/none");
            let request = request.header("X-Forwarded-For", "192.0.2.1");
            let request = request.header("Sec-Fetch-Site", "same-origin");
            request.body(b"").send().status == 404
        },
    ),
    Case("ui.idle", "ui: {idle: 1h}", "ui: {idle: 2h}", |seen| {
        let page = seen.client().get("/ui/login");
        String::from_utf8_lossy(&page.body).contains("2 hours without use")
    }),
    Case(
        "ui.lifetime",
        "ui: {lifetime: 1h}",
        "ui: {lifetime: 2h}",
        |seen| {
            let page = seen.client().get("/ui/login");
            String::from_utf8_lossy(&page.body).contains("after 2 hours in any case")
        },
    ),
    Case(
        "ui.enabled",
        "ui: {enabled: true}",
        "ui: {enabled: false}",
        |seen| seen.client().get("/ui/").status == 404,
    ),
    Case(
        "http.headers",
        "http: {headers: {X-Swap: [old]}}",
        "http: {headers: {X-Swap: [new]}}",
        |seen| seen.client().get("/v2/").header("x-swap") == Some("new"),
    ),
    Case(
        "http.host",
        "http: {host: 'https://old.example'}",
        "http: {host: 'https://new.example'}",
        |seen| seen.location().starts_with("https://new.example/v2/"),
    ),
    Case(
        "http.http2",
        TLS,
        "http: {http2: {disabled: true}, tls: {certificate: DIR/old/cert.pem, key: DIR/old/key.pem}}",
        |seen| {
            let config = Arc::new(seen.old.client_config(None, &["h2", "http/1.1"]));
            let stream = secure(&seen.configured.server.address(), &config).expect("a handshake");
            stream.conn.alpn_protocol() == Some(b"http/1.1")
        },
    ),
    Case(
        "http.limits.connectionsperaddress",
        "http: {trustedproxies: [], limits: {connectionsperaddress: 9}}",
        "http: {trustedproxies: [], limits: {connectionsperaddress: 1}}",
        |seen| {
            let mut first = seen.client();
            first.get("/v2/");
            seen.client().request("GET", "/v2/").try_send().is_err()
        },
    ),
    Case(
        "http.limits.handshake",
        TLS,
        "http: {limits: {handshake: 50ms}, tls: {certificate: DIR/old/cert.pem, key: DIR/old/key.pem}}",
        |seen| {
            let socket = seen.dial();
            is_ended(&socket, &socket, "")
        },
    ),
    Case(
        "http.limits.header",
        "http: {limits: {header: 60s}}",
        "http: {limits: {header: 50ms}}",
        |seen| {
            let socket = seen.dial();
            is_ended(&socket, &socket, "GET /v2/ HTTP/1.1\r\n")
        },
    ),
    Case(
        "http.limits.keepalive",
        "http: {limits: {keepalive: 60s}}",
        "http: {limits: {keepalive: 50ms}}",
        |seen| {
            let socket = seen.dial();
            is_ended(&socket, &socket, "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        },
    ),
    Case(
        "http.limits.idle",
        "http: {limits: {idle: 60s}}",
        "http: {limits: {idle: 50ms}}",
        |seen| {
            let (location, socket) = (seen.location(), seen.dial());
            is_ended(
                &socket,
                &socket,
                &format!(
                    "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin"
                ),
            )
        },
    ),
    Case(
        "webhooks",
        "http: {relativeurls: true}",
        "webhooks: [{name: a, url: 'http://127.0.0.1:1'}]",
        |seen| seen.has_endpoint("a"),
    ),
    Case(
        "notifications",
        "http: {relativeurls: true}",
        "notifications: {endpoints: [{name: b, url: 'http://127.0.0.1:1'}]}",
        |seen| seen.has_endpoint("b"),
    ),
    Case(
        "http.prefix",
        "http: {prefix: /old/}",
        "http: {prefix: /new/}",
        |seen| seen.status("GET", "/new/v2/") == 200,
    ),
    Case(
        "http.relativeurls",
        "http: {relativeurls: true}",
        "http: {relativeurls: false}",
        |seen| seen.location().starts_with("http"),
    ),
    Case(
        "http.tls",
        TLS,
        "http: {tls: {certificate: DIR/new/cert.pem, key: DIR/new/key.pem}}",
        |seen| {
            secure(
                &seen.configured.server.address(),
                &Arc::new(seen.new.client_config(None, &[])),
            )
            .is_ok()
        },
    ),
    Case(
        "http.trustedproxies",
        "http: {trustedproxies: []}",
        "http: {trustedproxies: [127.0.0.1]}",
        |seen| seen.location().starts_with("/outer/"),
    ),
    Case(
        "storage.delete",
        "storage: {delete: {enabled: true}}",
        "storage: {delete: {enabled: false}}",
        |seen| seen.status("DELETE", "/v2/a/manifests/v1") == 405,
    ),
    Case(
        "storage.maintenance",
        "",
        "storage: {maintenance: {readonly: {enabled: true}}}",
        |seen| seen.status("POST", "/v2/a/blobs/uploads/") == 405,
    ),
    Case(
        "storage.maintenance.uploadpurging",
        "",
        "storage: {maintenance: {uploadpurging: {age: 1ms, interval: 5ms}}}",
        |seen| {
            let location = seen.location();
            let is_gone = || seen.status("GET", &location) == 404;
            is_gone()
                || (0..100).any(|_| {
                    std::thread::sleep(Duration::from_millis(5));
                    is_gone()
                })
        },
    ),
    Case(
        "storage.reserve",
        "storage: {reserve: 0}",
        "storage: {reserve: 18446744073709551615}",
        |seen| seen.status("POST", "/v2/a/blobs/uploads/") == 507,
    ),
    Case(
        "auth",
        "auth: none",
        "auth: {silly: {realm: a, service: b}}",
        |seen| seen.status("GET", "/v2/") == 401,
    ),
    Case(
        "validation",
        "",
        "validation: {manifests: {urls: {deny: [evil]}}}",
        |seen| {
            let mut client = seen.client();
            client.push_blob("a", b"{}");
            let mut config = descriptor("text/plain", b"{}");
            config["urls"] = json!(["https://evil.example/"]);
            let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [] }).to_string();
            client
                .put_manifest("a", "v1", OCI_MANIFEST, manifest.as_bytes())
                .status
                == 400
        },
    ),
    Case(
        "policy",
        "",
        "policy: {repository: {classes: [plugin]}}",
        |seen| {
            let mut client = seen.client();
            let image = Image::small(8);
            client.push_blob("a", &image.config);
            client
                .put_manifest("a", "v1", OCI_MANIFEST, &image.manifest)
                .status
                == 403
        },
    ),
    Case("catalog", "", "catalog: {maxentries: 1}", |seen| {
        ["a", "b"]
            .iter()
            .for_each(|repository| seen.push(repository, "v1"));
        seen.client().get("/v2/_catalog").header("link").is_some()
    }),
    Case("tags", "", "tags: {maxtags: 1}", |seen| {
        ["v1", "v2"].iter().for_each(|tag| seen.push("a", tag));
        seen.client()
            .get("/v2/a/tags/list")
            .header("link")
            .is_some()
    }),
    Case("manifests", "", "manifests: {limit: 10}", |seen| {
        let image = Image::small(9);
        seen.client()
            .put_manifest("a", "v1", OCI_MANIFEST, &image.manifest)
            .status
            == 413
    }),
    Case(
        "gc",
        "",
        "gc: {interval: 10ms, lease: 0s, grace: 0s}",
        |seen| {
            let digest = seen.client().push_blob("a", b"needed by nobody");
            let is_gone = || seen.status("HEAD", &format!("/v2/a/blobs/{digest}")) == 404;
            (0..100).any(|_| {
                std::thread::sleep(Duration::from_millis(5));
                is_gone()
            })
        },
    ),
    Case("backup", "", "backup: {to: DIR/absent}", |seen| {
        let has_failed = || {
            let said = seen.client().get("/readyz?verbose").json();
            said["checks"]["backup"] != "ok"
        };
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            has_failed()
        })
    }),
    Case("verify", "", "verify: {enabled: false}", |seen| {
        let ready = seen.client().get("/readyz?verbose").json();
        ready["checks"]["verification"] == "off"
    }),
    Case("audit", "", "audit: {keep: 1d}", |seen| {
        seen.push("a", "v1");
        let path = seen.configured.data().join("registry.db");
        let connection = rusqlite::Connection::open(path).expect("a database");
        let aged = "UPDATE audit SET at = at - 172800000";
        connection.execute(aged, []).expect("the rows are older");
        let pushes = ["audit", "--action", "push"];
        (0..50).any(|_| seen.configured.object(&pushes)["events"] == json!([]))
    }),
    Case(
        "access",
        "",
        "access: {rules: [{repositories: '**', who: anonymous, may: pull}]}",
        |seen| seen.status("POST", "/v2/a/blobs/uploads/") == 403,
    ),
    Case(
        "ui.oidc",
        "access: {rules: [{repositories: '**', who: anonymous, may: pull}]}",
        "{access: {rules: [{repositories: '**', who: anonymous, may: pull}]}, ui: {oidc: {issuer: 'https://localhost:1', clientid: r}}}",
        |seen| {
            let form = seen.client().get("/ui/login");
            String::from_utf8_lossy(&form.body).contains("Log in with <bdi>localhost</bdi>")
        },
    ),
    Case(
        "trust",
        "access: {rules: [{repositories: '**', who: anonymous, may: pull}]}",
        "{access: {rules: [{repositories: '**', who: anonymous, may: pull}]}, trust: [{name: x, issuer: 'https://localhost:1', audience: r}]}",
        |seen| {
            let begun = seen.client().request("POST", "/v2/a/blobs/uploads/").send();
            begun.header("www-authenticate").is_some()
        },
    ),
    Case(
        "http.limits.pulls",
        "",
        "http: {limits: {pulls: 1, period: 10h}}",
        |seen| [404, 429].map(|_| seen.status("GET", "/v2/a/manifests/v1")) == [404, 429],
    ),
    Case(
        "http.limits.pushes",
        "",
        "http: {limits: {pushes: 1, period: 10h}}",
        |seen| {
            seen.push("a", "v1");
            seen.status("POST", "/v2/a/blobs/uploads/") == 429
        },
    ),
    Case(
        "http.limits.period",
        "http: {limits: {pulls: 1, period: 1ms}}",
        "http: {limits: {pulls: 1, period: 10h}}",
        |seen| {
            seen.status("GET", "/v2/a/manifests/v1");
            let again = seen.client().get("/v2/a/manifests/v1");
            again
                .header("retry-after")
                .is_some_and(|wait| wait.len() > 1)
        },
    ),
    Case(
        "upstreams",
        "",
        "upstreams: [{prefix: a, url: 'http://127.0.0.1:1'}]",
        |seen| seen.status("POST", "/v2/a/b/blobs/uploads/") == 405,
    ),
    Case(
        "quotas",
        "",
        "quotas: [{repositories: a, bytes: 0}]",
        |seen| seen.status("POST", "/v2/a/blobs/uploads/") == 403,
    ),
    Case(
        "policies",
        "",
        "policies: [{repositories: a, immutable: ['v*']}]",
        |seen| {
            let (one, other) = (Image::small(10), Image::small(11));
            [&one, &other]
                .iter()
                .for_each(|image| image.push(&mut seen.client(), "a", "w1"));
            let statuses = [&one, &other].map(|image| {
                seen.client()
                    .put_manifest("a", "v1", OCI_MANIFEST, &image.manifest)
                    .status
            });
            statuses.contains(&409)
        },
    ),
];

const TLS: &str = "http: {tls: {certificate: DIR/old/cert.pem, key: DIR/old/key.pem}}";

/// The log level is recognised by the log's own message.
const LEVELS: [(&str, &str, &str); 2] = [
    ("log.level", "log: {level: error}", "log: {level: info}"),
    ("loglevel", "loglevel: error", "loglevel: info"),
];

fn start(directory: &Path, before: &str) -> Seen {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    for (name, authority) in [("old", &old), ("new", &new)] {
        std::fs::create_dir_all(directory.join(name)).expect("a directory");
        authority
            .issue(&["localhost", "127.0.0.1"])
            .write(&directory.join(name));
    }
    let variables = [
        "REGISTRY_STORAGE_RESERVE",
        "REGISTRY_LOG_ACCESSLOG_DISABLED",
    ];
    let configured = Configured::with(before, |command| {
        variables
            .iter()
            .fold(command, |command, name| command.env_remove(name))
    });
    Seen {
        configured,
        old,
        new,
    }
}

/// A configuration of `text` and settings that test machines need.
fn file(directory: &Path, text: &str) -> String {
    let mut tree: serde_json::Value = serde_saphyr::from_str(text).expect("YAML");
    if tree.is_null() {
        tree = json!({});
    }
    tree["version"] = json!(0.1);
    for (section, key, value) in [
        ("storage", "reserve", json!(0)),
        ("log", "accesslog", json!({ "disabled": true })),
    ] {
        if tree[section].get(key).is_none() {
            tree[section][key] = value;
        }
    }
    tree.to_string()
        .replace("DIR", &directory.display().to_string())
}

#[test]
fn a_change_of_every_live_key_takes_effect() {
    for Case(key, before, after, is_new) in CASES {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let mut seen = start(temporary.path(), &file(temporary.path(), before));
        let can_wait = matches!(
            *key,
            "log.accesslog"
                | "http.draintimeout"
                | "http.limits.handshake"
                | "http.limits.header"
                | "http.limits.keepalive"
                | "http.limits.idle"
        );
        assert!(
            can_wait || !is_new(&mut seen),
            "{key} is what it was to become"
        );
        seen.configured.replace(&file(temporary.path(), after));
        seen.configured.hang_up();
        seen.configured.says(&["now in force", key]);
        // what runs beside requests takes it a moment later
        eventually(&format!("{key} is taken"), || is_new(&mut seen));
    }
    for (key, before, after) in LEVELS {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let seen = start(temporary.path(), &file(temporary.path(), before));
        seen.configured.replace(&file(temporary.path(), after));
        seen.configured.hang_up();
        seen.configured.says(&["now in force", key]);
    }
}

/// Every live key has a case above.
#[test]
fn every_live_key_has_a_case() {
    let names: Vec<_> = CASES
        .iter()
        .map(|case| case.0)
        .chain(LEVELS.map(|level| level.0))
        .collect();
    for key in all().iter().filter(|key| key.is_live) {
        let has_case = names.iter().any(|name| {
            key.path
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        assert!(has_case, "{}", key.path);
    }
}
