//! The ways between a client and the registry. What clients do is done over each of them: a registry that works for
//! somebody in a laboratory may not behind a proxy.

use crate::bench::Bench;
use crate::nginx::Proxy;
use crate::pki::Authority;
use crate::server::{Server, address};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Plain HTTP, and anybody may do anything.
    Plain,
    /// The registry's own TLS, by an authority that clients have to be told of, and a login. Not on a loopback address,
    /// where clients do without certificates.
    Guarded,
    /// nginx with TLS, as docs/nginx.conf has it.
    Proxied,
}

/// What stands between clients and the bench's own server.
pub enum Between {
    /// Another server on the same directory.
    Guard(Server),
    Proxy {
        _running: Proxy,
    },
}

/// Who may log in, and by which password.
const USER: &str = "tester:secret";
const USER_IN_BASE64: &str = "dGVzdGVyOnNlY3JldA==";

/// What tells clients to speak plain HTTP, or not to look at certificates.
const PLAIN: [&str; 9] = [
    "--plain-http",
    "--from-plain-http",
    "--to-plain-http",
    "--tls-verify=false",
    "--src-tls-verify=false",
    "--dest-tls-verify=false",
    "--allow-http-registry",
    "--insecure",
    "--tls=disabled",
];

impl Way {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Guarded, Self::Proxied];

    /// What the name of a test ends with that goes this way.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Guarded => "-over-tls-with-login",
            Self::Proxied => "-behind-nginx",
        }
    }

    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Guarded => &[],
            Self::Proxied => &["nginx", "curl"],
        }
    }

    /// Whether a word of a client's command line has a place in it: flags for plain HTTP fall away where there is TLS.
    pub fn has_place_for(self, word: &str) -> bool {
        self == Self::Plain || !PLAIN.contains(&word)
    }

    /// What `flag` of those clients is followed by that read no file for their login.
    pub fn login(self, flag: &str) -> String {
        if self == Self::Guarded {
            format!("{flag} {USER}")
        } else {
            String::new()
        }
    }

    /// Sets up what is between, and tells clients what they have to know; gives host and port for them, as they stand in an
    /// image's name.
    pub fn open(self, bench: &Bench, environment: &[(&str, &str)]) -> Option<(String, Between)> {
        let (host, between) = match self {
            Self::Plain => return None,
            Self::Guarded => {
                let guard = guard(bench, environment);
                (guard.host.clone(), Between::Guard(guard))
            }
            Self::Proxied => {
                let proxy = Proxy::start(bench, "https", &[]);
                (
                    proxy.host.replace("localhost", &address()),
                    Between::Proxy { _running: proxy },
                )
            }
        };
        bench.set(
            "SSL_CERT_FILE",
            bench.path("certs/ca.crt").display().to_string(),
        );
        if self == Self::Guarded {
            let logins =
                serde_json::json!({ "auths": { &host: { "auth": USER_IN_BASE64 } } }).to_string();
            bench.write("home/.docker/config.json", &logins);
        }
        Some((host, between))
    }
}

fn guard(bench: &Bench, environment: &[(&str, &str)]) -> Server {
    let (user, password) = USER.split_once(':').unwrap();
    let users = bench
        .registry(&["htpasswd", "-Bbn", user, password])
        .output()
        .unwrap();
    bench.write("htpasswd", users.stdout);
    Authority::new("our own").certify(bench);
    let [certificate, key, users] =
        ["site.pem", "site.key", "htpasswd"].map(|name| bench.path(name).display().to_string());
    let own = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &*certificate),
        ("REGISTRY_HTTP_TLS_KEY", &key),
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "tests"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", &users),
    ];
    Server::launch(
        bench.dir(),
        "guard",
        &["--addr", &format!("{}:0", address()), "--data-dir", "data"],
        &[environment, &own].concat(),
    )
}
