//! Behind nginx, with the configuration that `docs/nginx.conf` recommends and what people change in it.

use std::net::TcpListener;

use crate::harness::fixture::{Layout, assert_same, layout_content};
use crate::harness::pki::Authority;
use crate::harness::sandbox::{Daemon, Sandbox};
use crate::support::content::{noise, sha256};

const SITE: &str = include_str!("../../../docs/nginx.conf");
const LISTEN: &str = "listen 443 ssl;";
const PASS: &str = "proxy_pass http://127.0.0.1:5000;";

/// A change to the recommended configuration.
type Change<'c> = (&'c str, &'c str);

/// nginx, before the sandbox's server.
pub struct Proxy {
    /// Host and port.
    pub host: String,
    _daemon: Daemon,
}

impl Proxy {
    pub fn start(sandbox: &Sandbox, scheme: &str, changes: &[Change<'_>]) -> Self {
        let port = free_port();
        Authority::new("the proxy's").certify(sandbox);
        let dir = sandbox.dir().display();
        let listen = if scheme == "https" {
            format!("listen {port} ssl;")
        } else {
            format!("listen {port};")
        };
        let (pem, key) = (format!("{dir}/site.pem"), format!("{dir}/site.key"));
        let server = format!("proxy_pass http://{};", sandbox.server.host);
        let own = [
            (LISTEN, &*listen),
            (
                "server_name registry.example.com;",
                "server_name localhost;",
            ),
            ("/etc/ssl/registry.example.com.pem", &*pem),
            ("/etc/ssl/registry.example.com.key", &*key),
        ];
        let mut site = SITE.to_owned();
        for (from, to) in changes.iter().chain(&own).chain(&[(PASS, &*server)]) {
            // a change of the whole line with the server's address may have come before
            assert!(
                site.contains(from) || *from == PASS,
                "docs/nginx.conf has no '{from}'"
            );
            site = site.replace(from, to);
        }
        // clients of plain HTTP need no certificate
        if scheme == "http" {
            site = site
                .lines()
                .filter(|line| !line.trim_start().starts_with("ssl_"))
                .collect::<Vec<_>>()
                .join("\n");
        }
        sandbox.write("site.conf", site.replace("SERVER", &sandbox.server.host));
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {dir}/nginx-{kind};"));
        let main = format!(
            "daemon off; worker_processes 1; user root; pid {dir}/nginx.pid; error_log stderr;\n\
             events {{}}\nhttp {{ access_log off; {} include {dir}/site.conf; }}\n",
            places.join(" ")
        );
        sandbox.write("nginx.conf", main);
        let host = format!("localhost:{port}");
        // any answer will do
        let ready =
            format!("curl --silent --output /dev/null --cacert certs/ca.crt {scheme}://{host}/");
        let _daemon = sandbox.daemon(
            format!("nginx -p {dir} -c {dir}/nginx.conf -e stderr"),
            ready,
        );
        Self { host, _daemon }
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// An image goes both ways, by crane and by skopeo, one layer of it larger than any buffer on the way.
pub fn push_and_pull(sandbox: &Sandbox, host: &str, skopeo: &str) {
    let layout = Layout::new(sandbox.path("source"));
    let image = layout.plain_image("amd64", &[noise(1, 100), noise(2, 20 << 20)]);
    layout.tag("v1", &image);
    let source = layout_content(&sandbox.path("source"));
    sandbox.set(
        "SSL_CERT_FILE",
        sandbox.path("certs/ca.crt").display().to_string(),
    );

    let by_crane = format!("{}/by/crane:v1", host);
    sandbox.run(format!("crane push source {by_crane}"));
    assert_same(&sandbox.server.content("by/crane", "v1"), &source);
    sandbox.run(format!("crane pull --format oci {by_crane} crane-back"));
    assert_same(&layout_content(&sandbox.path("crane-back")), &source);
    assert_eq!(
        sandbox.run(format!("crane ls {}/by/crane", host)).line(),
        "v1"
    );

    let by_skopeo = format!("docker://{}/by/skopeo:v1", host);
    let copy = "skopeo --insecure-policy copy --quiet --preserve-digests";
    sandbox.run(format!("{copy} --dest-{skopeo} oci:source:v1 {by_skopeo}"));
    assert_same(&sandbox.server.content("by/skopeo", "v1"), &source);
    sandbox.run(format!(
        "{copy} --src-{skopeo} {by_skopeo} oci:skopeo-back:v1"
    ));
    assert_same(&layout_content(&sandbox.path("skopeo-back")), &source);
}

/// As recommended, before a registry that has not been told of it: whatever it says is not needed.
pub fn encrypted(sandbox: &Sandbox) {
    let proxy = Proxy::start(sandbox, "https", &[]);
    push_and_pull(sandbox, &proxy.host, "cert-dir=certs");
    // which 201s name paths on whatever server the client asked
    let begun = begin(
        sandbox,
        &format!("https://{}/v2/a/blobs/uploads/", proxy.host),
    );
    assert!(begun.starts_with("/v2/a/blobs/uploads/"), "{begun}");
}

/// nginx takes uploads whole before the registry sees a byte of them.
pub fn buffered(sandbox: &Sandbox) {
    let changes = [
        (
            "proxy_request_buffering off;",
            "proxy_request_buffering on;",
        ),
        ("proxy_buffering off;", "proxy_buffering on;"),
    ];
    let proxy = Proxy::start(sandbox, "https", &changes);
    push_and_pull(sandbox, &proxy.host, "cert-dir=certs");
}

pub fn plain(sandbox: &Sandbox) {
    let proxy = Proxy::start(sandbox, "http", &[]);
    push_and_pull(sandbox, &proxy.host, "tls-verify=false");
}

/// Absolute locations (`relativeurls: false`), as distribution makes them: they have the clients' scheme, host and port.
pub fn absolute(sandbox: &Sandbox) {
    let proxy = Proxy::start(sandbox, "https", &[]);
    push_and_pull(sandbox, &proxy.host, "cert-dir=certs");
    let begun = begin(
        sandbox,
        &format!("https://{}/v2/a/blobs/uploads/", proxy.host),
    );
    assert!(
        begun.starts_with(&format!("https://{}/v2/a/blobs/uploads/", proxy.host)),
        "{begun}"
    );
}

/// nginx cuts a path off before it asks the registry, and says so.
pub fn stripped(sandbox: &Sandbox) {
    let changes = [
        ("location / {", "location /images/ {"),
        (PASS, "proxy_pass http://SERVER/;"),
        ("X-Forwarded-Prefix \"\";", "X-Forwarded-Prefix /images;"),
    ];
    let proxy = Proxy::start(sandbox, "http", &changes);
    push_by_hand(sandbox, &format!("http://{}", proxy.host), "/images");
}

/// nginx leaves the path as it is, for a registry that has it as its prefix.
pub fn prefixed(sandbox: &Sandbox) {
    let proxy = Proxy::start(sandbox, "http", &[("location / {", "location /images/ {")]);
    push_by_hand(sandbox, &format!("http://{}", proxy.host), "/images");
}

/// Clients look for `/v2/` and nowhere else, so that a path is for nginx to add, and to take out of locations.
pub fn added(sandbox: &Sandbox) {
    let pass = "proxy_pass http://SERVER/images/v2/; proxy_redirect /images/ /;";
    let proxy = Proxy::start(
        sandbox,
        "http",
        &[("location / {", "location /v2/ {"), (PASS, pass)],
    );
    let layout = Layout::new(sandbox.path("source"));
    layout.tag(
        "v1",
        &layout.plain_image("amd64", &[noise(1, 100), noise(2, 3 << 20)]),
    );
    sandbox.run(format!("crane push source {}/by/crane:v1", proxy.host));
    sandbox.run(format!(
        "crane pull --format oci {}/by/crane:v1 back",
        proxy.host
    ));
    assert_same(
        &layout_content(&sandbox.path("back")),
        &layout_content(&sandbox.path("source")),
    );
}

const CURL: &str = "curl --silent --show-error --fail-with-body --cacert certs/ca.crt";

/// Begins an upload; gives its location.
pub fn begin(sandbox: &Sandbox, url: &str) -> String {
    let head = sandbox
        .run(format!(
            "{CURL} --request POST --dump-header - --output /dev/null {url}"
        ))
        .stdout;
    location(&head)
}

fn location(head: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("location"));
    found
        .unwrap_or_else(|| panic!("no location in {head}"))
        .1
        .trim()
        .to_owned()
}

/// Pushes below a path by hand, following each Location; no client does this by itself.
fn push_by_hand(sandbox: &Sandbox, site: &str, path: &str) {
    let blob = noise(3, 5 << 20);
    let half = blob.len() / 2;
    sandbox.write("first", &blob[..half]);
    sandbox.write("second", &blob[half..]);
    let digest = sha256(&blob);
    let begun = begin(sandbox, &format!("{site}{path}/v2/a/b/blobs/uploads/"));
    assert!(
        begun.starts_with(&format!("{path}/v2/a/b/blobs/uploads/")),
        "{begun}"
    );
    let send = |method: &str, url: &str, file: &str| {
        location(&sandbox.run(format!("{CURL} --request {method} --data-binary @{file} --dump-header - --output /dev/null {url}")).stdout)
    };
    let appended = send("PATCH", &format!("{site}{begun}"), "first");
    let done = send(
        "PUT",
        &format!("{site}{appended}&digest={digest}"),
        "second",
    );
    sandbox.run(format!("{CURL} --output back {site}{done}"));
    assert!(sandbox.read("back") == blob);
}
