//! Servers in front of a sandbox's own: TLS with a login, or nginx.

use crate::harness::pki::Authority;
use crate::harness::sandbox::{Endpoint, Sandbox};
use crate::harness::server::{Server, address};
use crate::harness::transport::{Transport, USER};
use crate::surroundings::nginx::Proxy;

const USER_IN_BASE64: &str = "dGVzdGVyOnNlY3JldA==";

impl Endpoint for Server {
    fn log(&self) -> String {
        self.log()
    }
}

impl Endpoint for Proxy {
    fn log(&self) -> String {
        String::new()
    }
}

/// Starts the front server of the sandbox's way, and configures clients for it.
pub fn set_up(sandbox: &mut Sandbox, environment: &[(&str, &str)]) {
    let (host, endpoint): (String, Box<dyn Endpoint>) = match sandbox.transport {
        Transport::Plain => return,
        Transport::Guarded => {
            let guard = guard(sandbox, environment);
            (guard.host.clone(), Box::new(guard))
        }
        Transport::Proxied => {
            let proxy = Proxy::start(sandbox, "https", &[]);
            let host = proxy.host.replace("localhost", &address());
            (host, Box::new(proxy))
        }
    };
    sandbox.set(
        "SSL_CERT_FILE",
        sandbox.path("certs/ca.crt").display().to_string(),
    );
    if sandbox.transport == Transport::Guarded {
        let logins =
            serde_json::json!({ "auths": { &host: { "auth": USER_IN_BASE64 } } }).to_string();
        sandbox.write("home/.docker/config.json", &logins);
    }
    sandbox.place_behind(host, endpoint);
}

fn guard(sandbox: &Sandbox, environment: &[(&str, &str)]) -> Server {
    let (user, password) = USER.split_once(':').unwrap();
    let users = sandbox
        .registry(&["htpasswd", "-Bbn", user, password])
        .output()
        .unwrap();
    sandbox.write("htpasswd", users.stdout);
    Authority::new("our own").certify(sandbox);
    let [certificate, key, users] =
        ["site.pem", "site.key", "htpasswd"].map(|name| sandbox.path(name).display().to_string());
    let own = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &*certificate),
        ("REGISTRY_HTTP_TLS_KEY", &key),
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "tests"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", &users),
    ];
    Server::launch(
        sandbox.dir(),
        "guard",
        &["--addr", &format!("{}:0", address()), "--data-dir", "data"],
        &[environment, &own].concat(),
    )
}
