//! Servers in front of a bench's own: TLS with a login, or nginx.

use crate::bench::{Bench, Front};
use crate::nginx::Proxy;
use crate::pki::Authority;
use crate::server::{Server, address};
use crate::transport::{Transport, USER};

const USER_IN_BASE64: &str = "dGVzdGVyOnNlY3JldA==";

impl Front for Server {
    fn log(&self) -> String {
        self.log()
    }
}

impl Front for Proxy {
    fn log(&self) -> String {
        String::new()
    }
}

/// Starts the front server of the bench's way, and configures clients for it.
pub fn set_up(bench: &mut Bench, environment: &[(&str, &str)]) {
    let (host, front): (String, Box<dyn Front>) = match bench.transport {
        Transport::Plain => return,
        Transport::Guarded => {
            let guard = guard(bench, environment);
            (guard.host.clone(), Box::new(guard))
        }
        Transport::Proxied => {
            let proxy = Proxy::start(bench, "https", &[]);
            let host = proxy.host.replace("localhost", &address());
            (host, Box::new(proxy))
        }
    };
    bench.set(
        "SSL_CERT_FILE",
        bench.path("certs/ca.crt").display().to_string(),
    );
    if bench.transport == Transport::Guarded {
        let logins =
            serde_json::json!({ "auths": { &host: { "auth": USER_IN_BASE64 } } }).to_string();
        bench.write("home/.docker/config.json", &logins);
    }
    bench.place_behind(host, front);
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
