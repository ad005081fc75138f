//! The access log on standard output.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use regex::Regex;

use super::Watched;
use crate::support::{Client, Image, eventually_some};

#[test]
fn each_request_is_one_line_in_combined_format() {
    let mut server = Watched::start(&[]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "a/b", "v1");
    let manifest = client
        .request("GET", "/v2/a/b/manifests/v1?x=%0a")
        .header("User-Agent", "evil \"agent\" \u{e9}")
        .send();
    assert_eq!(manifest.status, 200);
    assert_eq!(client.head("/v2/a/b/manifests/v1").status, 200);
    assert_eq!(
        client
            .request("GET", "/nothing")
            .header("Referer", "http://example.com/")
            .send()
            .status,
        404
    );
    server.stop();

    let lines = server.out();
    let combined = Regex::new(
        r#"^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "([A-Z]+) ([^ "]+) HTTP/1\.1" (\d{3}) (\d+) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$"#,
    )
    .expect("an expression");
    let requests: Vec<_> = lines[1..]
        .iter()
        .map(|line| combined.captures(line).unwrap_or_else(|| panic!("{line}")))
        .collect();
    let fields = |number: usize| -> Vec<&str> {
        requests[number]
            .iter()
            .skip(1)
            .flatten()
            .map(|field| field.as_str())
            .collect()
    };
    assert_eq!(requests.len(), 8, "{lines:?}");
    assert_eq!(fields(0)[..3], ["POST", "/v2/a/b/blobs/uploads/", "202"]);
    let size = image.manifest.len().to_string();
    assert_eq!(
        fields(5),
        [
            "GET",
            "/v2/a/b/manifests/v1?x=%0a",
            "200",
            &size,
            "-",
            r#"evil \"agent\" \xc3\xa9"#
        ]
    );
    assert_eq!(
        fields(6)[..4],
        ["HEAD", "/v2/a/b/manifests/v1", "200", "0"],
        "a HEAD is sent nothing of the body"
    );
    assert_eq!((fields(7)[2], fields(7)[4]), ("404", "http://example.com/"));
}

/// A prefix is part of what was asked for; a trusted proxy says who asked.
#[test]
fn lines_contain_the_client_address_and_its_request() {
    let mut server = Watched::start(&[
        ("REGISTRY_HTTP_PREFIX", "/registry/"),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]"),
    ]);
    let mut client = server.client();
    assert_eq!(
        client
            .request("GET", "/registry/v2/")
            .header("X-Forwarded-For", "192.0.2.7")
            .send()
            .status,
        200
    );
    server.stop();
    let line = server.out().pop().expect("a line");
    assert!(
        line.starts_with("192.0.2.7 - - [")
            && line.contains("\"GET /registry/v2/ HTTP/1.1\" 200 2 "),
        "{line}"
    );
}

#[test]
fn the_access_log_may_be_disabled() {
    let mut server = Watched::start(&[("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")]);
    assert_eq!(server.client().get("/v2/").status, 200);
    server.stop();
    assert_eq!(server.out().len(), 1);
}

/// While nobody reads, requests continue, lines are dropped and counted, and lines written are
/// complete.
#[test]
fn a_stalled_reader_does_not_block_requests() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let environment = [
        ("REGISTRY_LOG_ACCESSLOG_DISABLED", "false"),
        ("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0"),
        ("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true"),
    ];
    let mut command = crate::support::server::command(&temporary.path().join("data"));
    command.envs(environment);
    let log = temporary.path().join("err");
    command
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).expect("a file"));
    let mut child = command.spawn().expect("the server starts");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    out.read_line(&mut first).expect("a line");
    let address = first
        .split_once("://")
        .and_then(|(_, rest)| rest.split(',').next())
        .expect("an address");
    // the log buffers that much; each byte is escaped to four
    let agent = "é".repeat(512);
    let mut client = Client::new(address);
    for _ in 0..1500 {
        assert_eq!(
            client
                .request("GET", "/v2/")
                .header("User-Agent", &agent)
                .send()
                .status,
            200
        );
    }
    let debug = eventually_some("the debug port is logged", || {
        let log = std::fs::read_to_string(&log).expect("a log");
        log.lines()
            .find(|line| line.contains("debug port listening"))?
            .split_once("address=")
            .map(|(_, address)| address.to_owned())
    });
    let dropped = || {
        let metrics = String::from_utf8(Client::new(&debug).get("/metrics").body).expect("text");
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("registry_access_log_dropped_lines_total "))
            .expect("a metric");
        line.parse::<usize>().expect("a number")
    };
    let lost = dropped();
    assert!(lost > 300 && lost < 600, "{lost}");
    child.kill().expect("the server can be killed");
    child.wait().expect("it ends");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    // the pipe's content at the kill; the last line may be incomplete
    assert!(
        rest.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .all(|line| line.len() > 4 * agent.len())
    );
}
