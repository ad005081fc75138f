//! Prefix, host, locations, headers and proxies, as clients see them.

use crate::support::{Client, Image, Response, Server, noise, sha256};

fn begin(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = client.request("POST", path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send();
    assert_eq!(response.status, 202, "{response:?}");
    response
}

fn location(environment: &[(&str, &str)], path: &str, headers: &[(&str, &str)]) -> String {
    let server = Server::with(environment);
    let response = begin(&mut server.client(), path, headers);
    response
        .header("location")
        .expect("a location")
        .replace(server.address(), "SELF")
}

const UPLOADS: &str = "/v2/a/blobs/uploads/";

type Pairs = &'static [(&'static str, &'static str)];

const FORWARDED: Pairs = &[
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "r.example:8443"),
];
const PREFIXED: Pairs = &[("X-Forwarded-Prefix", "/outer")];
const TRUSTING: (&str, &str) = ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]");

/// Settings, a path and headers, with the beginning of the location in the answer.
const LOCATIONS: &[(Pairs, &str, Pairs, &str)] = &[
    (&[], UPLOADS, &[], "/v2/a/"),
    (&[], UPLOADS, FORWARDED, "/v2/a/"),
    (&[], UPLOADS, PREFIXED, "/v2/a/"),
    (&[TRUSTING], UPLOADS, PREFIXED, "/outer/v2/a/"),
    (
        &[("REGISTRY_HTTP_TRUSTEDPROXIES", "[10.0.0.0/8]")],
        UPLOADS,
        PREFIXED,
        "/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "true")],
        UPLOADS,
        FORWARDED,
        "/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "false")],
        UPLOADS,
        &[],
        "http://SELF/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "false"), TRUSTING],
        UPLOADS,
        FORWARDED,
        "https://r.example:8443/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "false"), TRUSTING],
        UPLOADS,
        &[("Forwarded", "for=1.2.3.4;host=f.example;proto=https")],
        "https://f.example/v2/a/",
    ),
    // as in distribution, of peers that are not trusted as well
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "false")],
        UPLOADS,
        FORWARDED,
        "https://r.example:8443/v2/a/",
    ),
    (
        &[
            ("REGISTRY_HTTP_RELATIVEURLS", "false"),
            ("REGISTRY_HTTP_TRUSTEDPROXIES", "[10.0.0.0/8]"),
        ],
        UPLOADS,
        &[("Forwarded", "for=1.2.3.4;host=f.example;proto=https")],
        "https://f.example/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "false")],
        UPLOADS,
        &[("X-Forwarded-Proto", "https")],
        "https://SELF/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "false")],
        UPLOADS,
        PREFIXED,
        "http://SELF/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_HOST", "https://own.example/")],
        UPLOADS,
        FORWARDED,
        "https://own.example/v2/a/",
    ),
    // the zone of an IPv6 address is escaped in URLs
    (
        &[("REGISTRY_HTTP_RELATIVEURLS", "false")],
        UPLOADS,
        &[("X-Forwarded-Host", "[fe80::1%eth0]:5000")],
        "http://[fe80::1%25eth0]:5000/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_HOST", "https://r.example/")],
        UPLOADS,
        &[],
        "https://r.example/v2/a/",
    ),
    (
        &[
            ("REGISTRY_HTTP_HOST", "https://r.example/sub"),
            ("REGISTRY_HTTP_RELATIVEURLS", "true"),
        ],
        UPLOADS,
        &[],
        "https://r.example/sub/v2/a/",
    ),
    (
        &[("REGISTRY_HTTP_PREFIX", "/inner/")],
        "/inner/v2/a/blobs/uploads/",
        &[],
        "/inner/v2/a/",
    ),
    (
        &[
            ("REGISTRY_HTTP_PREFIX", "/inner/"),
            ("REGISTRY_HTTP_RELATIVEURLS", "false"),
        ],
        "/inner/v2/a/blobs/uploads/",
        &[],
        "http://SELF/inner/v2/a/",
    ),
];

#[test]
fn locations_follow_host_prefix_and_proxy_headers() {
    for &(environment, path, headers, expected) in LOCATIONS {
        let found = location(environment, path, headers);
        assert!(
            found.starts_with(expected),
            "{environment:?} {headers:?}: {found}, not {expected}"
        );
    }
}

/// A cache that is shared would keep them for other clients.
#[test]
fn links_and_redirects_name_no_host_that_a_client_makes_up() {
    for trusted in ["[]", "[127.0.0.1]"] {
        let server = Server::with(&[
            ("REGISTRY_HTTP_RELATIVEURLS", "false"),
            ("REGISTRY_HTTP_TRUSTEDPROXIES", trusted),
        ]);
        let mut client = server.client();
        for repository in ["a", "b"] {
            Image::small(1).push(&mut client, repository, "v1");
        }
        let mut get = |path: &str| {
            let request = client.request("GET", path);
            request.header("X-Forwarded-Host", "evil.example").send()
        };
        let redirect = get("//v2//_catalog");
        assert_eq!(redirect.header("location"), Some("/v2/_catalog"));
        let link = get("/v2/_catalog?n=1");
        let link = link.header("link").expect("a next page");
        assert!(link.starts_with("</v2/_catalog?"), "{link}");
    }
}

/// Uploads a blob; every request goes to the location of the previous answer.
fn push_by_locations(client: &mut Client, prefix: &str, repository: &str, blob: &[u8]) {
    let path = |location: &Response| {
        let location = location.header("location").expect("a location").to_owned();
        let path = location.split_once("://").map_or(&*location, |(_, rest)| {
            &rest[rest.find('/').expect("a path")..]
        });
        path.to_owned()
    };
    let begun = begin(
        client,
        &format!("{prefix}/v2/{repository}/blobs/uploads/"),
        &[],
    );
    let appended = client
        .request("PATCH", &path(&begun))
        .body(&blob[..blob.len() / 2])
        .send();
    assert_eq!(appended.status, 202, "{appended:?}");
    let digest = sha256(blob);
    let done = client
        .request("PUT", &format!("{}&digest={digest}", path(&appended)))
        .body(&blob[blob.len() / 2..])
        .send();
    assert_eq!(done.status, 201, "{done:?}");
    assert!(client.get(&path(&done)).body == blob);
}

#[test]
fn all_paths_are_below_the_prefix() {
    for relative in ["true", "false"] {
        let server = Server::with(&[
            ("REGISTRY_HTTP_PREFIX", "/r/x/"),
            ("REGISTRY_HTTP_RELATIVEURLS", relative),
        ]);
        let mut client = server.client();
        assert_eq!(client.get("/r/x/v2/").body, b"{}");
        push_by_locations(&mut client, "/r/x", "a/b", &noise(1, 1000));
        for outside in [
            "/v2/",
            "/r/xy/v2/",
            "/r/v2/",
            "/r/x",
            "/r/x?n=1",
            "/r/x/v3/",
        ] {
            client.get(outside).refused(404, "UNSUPPORTED");
        }
        // load balancers and orchestrators do not know prefixes
        for path in ["/", "/livez", "/readyz", "/r/x/livez"] {
            assert_eq!(client.get(path).status, 200, "{path}");
        }
        let image = Image::small(1);
        for blob in image.layers.iter().chain([&image.config]) {
            push_by_locations(&mut client, "/r/x", "a/b", blob);
        }
        for tag in ["v1", "v2"] {
            let put = client
                .request("PUT", &format!("/r/x/v2/a/b/manifests/{tag}"))
                .body(&image.manifest);
            assert_eq!(
                put.header("Content-Type", crate::support::OCI_MANIFEST)
                    .send()
                    .status,
                201
            );
        }
        let page = client.get("/r/x/v2/a/b/tags/list?n=1");
        let link = page.header("link").expect("a next page").to_owned();
        let path = &link
            [link.find("/r/x/v2/").expect("below the prefix")..link.find('>').expect("a link")];
        assert_eq!(client.get(path).json()["tags"][0], "v2");
        assert!(link.starts_with("</r/x/v2/"), "{link}");
    }
}

#[test]
fn configured_headers_are_sent_with_every_answer() {
    let headers =
        "{X-Content-Type-Options: [nosniff], X-Twice: [a, b], Docker-Content-Digest: [mine]}";
    let server = Server::with(&[("REGISTRY_HTTP_HEADERS", headers)]);
    let mut client = server.client();
    let blob = client.push_blob("a", b"content");
    let blob_path = format!("/v2/a/blobs/{blob}");
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v2/"),
        ("GET", "/nowhere"),
        ("PATCH", "/v2/"),
        ("GET", &*blob_path),
        ("DELETE", &*blob_path),
    ] {
        let response = client.request(method, path).send();
        let twice: Vec<_> = response
            .headers
            .iter()
            .filter(|(name, _)| name == "x-twice")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(
            (response.header("x-content-type-options"), &*twice),
            (Some("nosniff"), &["a", "b"][..]),
            "{method} {path}"
        );
    }
    assert_eq!(
        client
            .head(&format!("/v2/a/blobs/{}", sha256(b"{}")))
            .header("docker-content-digest"),
        Some("mine")
    );
    let digest = client.push_blob("a", b"content");
    assert_eq!(
        client.head(&blob_path).header("docker-content-digest"),
        Some(&*digest)
    );
    // what hyper says by itself
    use std::io::Write;
    let mut stream = client.connect();
    stream
        .write_all(b"nonsense\r\n\r\n")
        .expect("bytes are taken");
    let response =
        crate::support::client::read_response(&mut std::io::BufReader::new(stream), false)
            .expect("an answer");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
}

/// Nothing that clients stored runs in a browser, with the rights of a page of the same origin.
#[test]
fn scripts_are_forbidden_below_v2_unless_the_owner_says_otherwise() {
    use std::io::Write;
    const NAMES: [&str; 2] = ["x-content-type-options", "content-security-policy"];
    let both = |response: &crate::support::Response| {
        NAMES.map(|name| {
            let values: Vec<_> = response
                .headers
                .iter()
                .filter(|(found, _)| found == name)
                .map(|(_, value)| value.clone())
                .collect();
            values.join(" and ")
        })
    };
    let own = "{Content-Security-Policy: ['default-src *'], X-Content-Type-Options: [off]}";
    let ours = [
        "nosniff",
        "default-src 'none'; frame-ancestors 'none'; sandbox",
    ];
    for (environment, expected) in [
        (&[][..], ours),
        (&[("REGISTRY_HTTP_HEADERS", own)], ["off", "default-src *"]),
        (
            &[(
                "REGISTRY_HTTP_HEADERS",
                "{X-Content-Type-Options: [nosniff]}",
            )],
            ours,
        ),
    ] {
        let server = Server::with(environment);
        let mut client = server.client();
        let small = format!("/v2/a/blobs/{}", client.push_blob("a", b"<script>"));
        let large = format!("/v2/a/blobs/{}", client.push_blob("a", &[b'<'; 200_000]));
        for (method, path, status) in [
            ("GET", &*small, 200),
            ("HEAD", &*small, 200),
            ("GET", &*large, 200),
            ("GET", "/v2/", 200),
            ("OPTIONS", "/v2/", 200),
            ("GET", "/v2/_catalog", 200),
            ("GET", "/v2/<script>/tags/list", 400),
            ("GET", "/v2/a/manifests/v1", 404),
            ("PATCH", "/v2/", 405),
            ("POST", "/v2/a/blobs/uploads/", 202),
        ] {
            let response = client.request(method, path).send();
            assert_eq!(response.status, status, "{method} {path}");
            assert_eq!(both(&response), expected, "{method} {path}");
        }
        let etag = format!("\"{}\"", sha256(b"<script>"));
        let unchanged = client.request("GET", &small).header("If-None-Match", &etag);
        assert_eq!(both(&unchanged.send()), expected);
        let mut stream = client.connect();
        stream
            .write_all(b"nonsense\r\n\r\n")
            .expect("bytes are taken");
        let mut stream = std::io::BufReader::new(stream);
        let response =
            crate::support::client::read_response(&mut stream, false).expect("an answer");
        assert_eq!(both(&response), expected);
    }
}

/// Tag history records the client's address, also behind a trusted proxy.
#[test]
fn the_client_address_is_the_one_before_trusted_proxies() {
    for (trusted, expected) in [
        (Some("[127.0.0.1]"), "192.0.2.7"),
        (Some("[10.0.0.0/8]"), "127.0.0.1"),
        (None, "127.0.0.1"),
    ] {
        let environment: Vec<_> = trusted
            .map(|trusted| ("REGISTRY_HTTP_TRUSTEDPROXIES", trusted))
            .into_iter()
            .collect();
        let server = Server::with(&environment);
        let mut client = server.client();
        Image::small(1).push(&mut client, "a", "v1");
        let delete = client
            .request("DELETE", "/v2/a/manifests/v1")
            .header("X-Forwarded-For", "1.1.1.1, 192.0.2.7");
        assert_eq!(delete.send().status, 202);
        let history = server.cli(&["tag", "history", "a:v1"]);
        let text = String::from_utf8_lossy(&history.stdout).into_owned();
        assert!(
            history.status.success() && text.contains(expected),
            "{text} {history:?}"
        );
    }
}

/// A proxy missing in the settings is logged once.
#[test]
fn an_untrusted_proxy_is_logged_once() {
    let server = Server::with(&[]);
    let logged = |server: &Server| server.log().matches("http.trustedproxies").count();
    let ask = |server: &Server, header: &str| {
        assert_eq!(
            server
                .client()
                .request("GET", "/v2/")
                .header(header, "for=192.0.2.7")
                .send()
                .status,
            200
        );
    };
    ask(&server, "X-Forwarded-Proto");
    assert_eq!(server.client().get("/v2/").status, 200);
    assert_eq!(logged(&server), 0, "{}", server.log());
    for header in ["Forwarded", "X-Forwarded-For", "X-Forwarded-For"] {
        ask(&server, header);
    }
    let log = server.log();
    assert!(
        logged(&server) == 1
            && log.contains("add 127.0.0.1 to http.trustedproxies")
            && log.contains("nothing need be done"),
        "{log}"
    );
    assert!(!log.contains("192.0.2.7"), "{log}");
    let trusting = Server::with(&[("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]")]);
    ask(&trusting, "X-Forwarded-For");
    assert_eq!(logged(&trusting), 0, "{}", trusting.log());
}
