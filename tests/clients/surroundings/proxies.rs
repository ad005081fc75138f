//! Behind HAProxy and Caddy, with the configurations of `docs/deploy`.

use std::fs;

use super::nginx::{begin, free_port, push_and_pull};
use crate::harness::pki::Authority;
use crate::harness::sandbox::Sandbox;

const HAPROXY: &str = include_str!("../../../docs/deploy/haproxy.cfg");
const CADDY: &str = include_str!("../../../docs/deploy/Caddyfile");

/// Replaces parts of a configuration, each of which must be there.
fn adapted(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the configuration has no '{from}'");
        text.replace(from, to)
    })
}

/// Has images pushed and pulled through a proxy that listens, and checks what it tells the registry.
fn assert_works(sandbox: &Sandbox, host: &str) {
    push_and_pull(sandbox, host, "cert-dir=certs");
    // only the proxy knows the scheme and the host
    let begun = begin(sandbox, &format!("https://{host}/v2/a/blobs/uploads/"));
    let expected = format!("https://{host}/v2/a/blobs/uploads/");
    assert!(begun.starts_with(&expected), "{begun}");
}

pub fn haproxy(sandbox: &Sandbox) {
    Authority::new("the proxy's").certify(sandbox);
    let both = [sandbox.read("site.pem"), sandbox.read("site.key")].concat();
    sandbox.write("both.pem", both);
    let port = free_port();
    let host = format!("localhost:{port}");
    let configuration = adapted(
        HAPROXY,
        &[
            ("bind :443", &format!("bind 127.0.0.1:{port}")),
            (
                "/etc/ssl/registry.example.com.pem",
                &sandbox.path("both.pem").display().to_string(),
            ),
            ("127.0.0.1:5000", &sandbox.server.host),
        ],
    );
    sandbox.write("haproxy.cfg", configuration);
    let _daemon = sandbox.daemon(
        format!("haproxy -db -f {}/haproxy.cfg", sandbox.dir().display()),
        ready(&host),
    );
    assert_works(sandbox, &host);
}

pub fn caddy(sandbox: &Sandbox) {
    Authority::new("the proxy's").certify(sandbox);
    let (dir, port) = (sandbox.dir().display().to_string(), free_port());
    let host = format!("localhost:{port}");
    let site = format!("https://{host} {{\n\ttls {dir}/site.pem {dir}/site.key");
    let site = adapted(
        CADDY,
        &[
            ("registry.example.com {", &site),
            ("127.0.0.1:5000", &sandbox.server.host),
        ],
    );
    let global =
        format!("{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {dir}/caddy\n}}\n");
    sandbox.write("Caddyfile", global + &site);
    fs::create_dir_all(format!("{dir}/caddy")).unwrap();
    let _daemon = sandbox.daemon(
        format!("caddy run --adapter caddyfile --config {dir}/Caddyfile"),
        ready(&host),
    );
    assert_works(sandbox, &host);
}

/// A command that succeeds once the proxy answers anything.
fn ready(host: &str) -> String {
    format!("curl --silent --output /dev/null --cacert certs/ca.crt https://{host}/")
}
