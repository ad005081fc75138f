//! Metrics in the Prometheus formats.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::time::Duration;

use regex::Regex;

use super::Watched;
use crate::support::{Image, eventually_some, sha256};

/// The value of a sample, by its name and labels as written.
pub fn value(metrics: &str, sample: &str) -> Option<f64> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

/// Families and their types.
pub fn families(metrics: &str) -> BTreeMap<String, String> {
    let family = |line: &str| {
        line.strip_prefix("# TYPE ")?
            .split_once(' ')
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
    };
    metrics.lines().filter_map(family).collect()
}

/// A server with everything that is counted, the certificate included.
pub fn start_with_all_metrics() -> Watched {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let temporary = tempfile::TempDir::new().expect("a directory");
    let (certificate, key) = (
        temporary.path().join("cert.pem"),
        temporary.path().join("key.pem"),
    );
    std::fs::write(&certificate, certified.cert.pem()).expect("a file");
    std::fs::write(&key, certified.signing_key.serialize_pem()).expect("a file");
    let path = |path: &std::path::Path| path.display().to_string();
    let server = Watched::start(&[
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &path(&certificate)),
        ("REGISTRY_HTTP_TLS_KEY", &path(&key)),
    ]);
    eventually_some("the store was measured", || {
        server
            .metrics()
            .contains("registry_store_bytes")
            .then_some(())
    });
    server
}

/// Samples after the requests of one test, with their values.
const COUNTED: &[(&str, f64)] = &[
    (
        r#"registry_http_requests_total{handler="manifest",method="put",code="201"}"#,
        1.0,
    ),
    (
        r#"registry_http_requests_total{handler="manifest",method="get",code="200"}"#,
        3.0,
    ),
    (
        r#"registry_http_requests_total{handler="manifest",method="get",code="404"}"#,
        1.0,
    ),
    (
        r#"registry_http_requests_total{handler="manifest",method="get",code="400"}"#,
        1.0,
    ),
    (
        r#"registry_http_requests_total{handler="blob",method="get",code="200"}"#,
        6.0,
    ),
    (
        r#"registry_http_requests_total{handler="blob",method="delete",code="404"}"#,
        1.0,
    ),
    (
        r#"registry_http_requests_total{handler="blob_upload",method="post",code="202"}"#,
        2.0,
    ),
    (
        r#"registry_http_requests_total{handler="blob_upload_chunk",method="put",code="201"}"#,
        2.0,
    ),
    (
        r#"registry_http_requests_total{handler="tags",method="get",code="200"}"#,
        1.0,
    ),
    (
        r#"registry_http_requests_total{handler="catalog",method="get",code="200"}"#,
        1.0,
    ),
    (
        r#"registry_http_requests_total{handler="base",method="unknown",code="405"}"#,
        1.0,
    ),
    (
        r#"registry_http_request_duration_seconds_count{handler="blob",method="get"}"#,
        6.0,
    ),
    (
        r#"registry_http_response_size_bytes_count{handler="blob"}"#,
        7.0,
    ),
    (r#"registry_http_in_flight_requests{handler="blob"}"#, 0.0),
    (
        r#"registry_storage_action_seconds_count{driver="filesystem",action="Move"}"#,
        2.0,
    ),
    ("registry_storage_cache_requests_total", 4.0),
    ("registry_storage_cache_hits_total", 2.0),
    ("registry_http_connections", 1.0),
    ("registry_healthy", 1.0),
    ("registry_config_last_reload_successful", 1.0),
];

#[test]
fn requests_are_counted_under_distributions_names() {
    let server = Watched::start(&[]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "secret/name", "v1");
    for _ in 0..3 {
        image.assert_pulls(&mut client, "secret/name", "v1");
    }
    client
        .get("/v2/secret/name/manifests/none")
        .refused(404, "MANIFEST_UNKNOWN");
    client
        .get("/v2/UPPER/manifests/v1")
        .refused(400, "NAME_INVALID");
    client
        .request("BREW", "/v2/")
        .send()
        .refused(405, "UNSUPPORTED");
    client.get("/v2/secret/name/tags/list");
    client.get("/v2/_catalog");
    client
        .delete(&format!("/v2/secret/name/blobs/{}", sha256(b"none")))
        .refused(404, "BLOB_UNKNOWN");
    // counts made after an answer is sent may lag behind the client
    let metrics = eventually_some("everything is counted", || {
        let metrics = server.metrics();
        COUNTED
            .iter()
            .all(|(sample, count)| value(&metrics, sample) == Some(*count))
            .then_some(metrics)
    });
    assert!(
        value(&metrics, "registry_database_transaction_seconds_count")
            .is_some_and(|count| count >= 5.0)
    );
    assert!(!metrics.contains("secret") && !metrics.contains("UPPER") && !metrics.contains("BREW"));
    let lines = metrics.lines().count();
    assert!(lines < 2000, "{lines} lines");
}

#[test]
fn the_store_and_its_collection_are_measured() {
    let server = Watched::start(&[
        ("REGISTRY_GC_INTERVAL", "10ms"),
        ("REGISTRY_GC_LEASE", "0s"),
        ("REGISTRY_GC_GRACE", "0s"),
    ]);
    let mut client = server.client();
    let blob = client.push_blob("a", &[7; 5000]);
    eventually_some("it is collected", || {
        (client.get(&format!("/v2/a/blobs/{blob}")).status == 404).then_some(())
    });
    let metrics = eventually_some("it is counted", || {
        let metrics = server.metrics();
        (value(&metrics, r#"registry_gc_collected_total{kind="files"}"#) == Some(1.0))
            .then_some(metrics)
    });
    assert!(value(&metrics, "registry_gc_freed_bytes_total").is_some_and(|bytes| bytes >= 5000.0));
    assert!(
        value(&metrics, r#"registry_gc_passes_total{outcome="ok"}"#)
            .is_some_and(|passes| passes >= 1.0)
    );
    let last = value(&metrics, "registry_gc_last_success_timestamp_seconds").expect("a time");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time");
    assert!((now - Duration::from_secs_f64(last)).as_secs() < 60);
    assert!(value(&metrics, "registry_disk_free_bytes").is_some_and(|bytes| bytes > 0.0));
    let metrics = eventually_some("it is measured", || {
        Some(server.metrics()).filter(|metrics| metrics.contains("registry_store_bytes"))
    });
    assert!(
        value(&metrics, r#"registry_store_bytes{state="database"}"#)
            .is_some_and(|bytes| bytes > 0.0)
    );
}

/// Two families of the same name, or one that is said twice, would be refused by Prometheus as a whole.
#[test]
fn the_documented_metrics_are_exactly_the_exported_ones() {
    let server = start_with_all_metrics();
    let metrics = server.metrics();
    let declared = metrics
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    let families = families(&metrics);
    assert_eq!(families.len(), declared);
    let exported: BTreeSet<String> = families.keys().cloned().collect();
    let table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"))
        .expect("the table");
    let named = |line: &str| {
        let name = line.strip_prefix("| `")?.split(['`', '{']).next()?;
        let is_metric = name.starts_with("registry_") || name.starts_with("process_");
        is_metric.then(|| name.to_owned())
    };
    let documented: BTreeSet<String> = table.lines().filter_map(named).collect();
    assert_eq!(exported, documented);
    for (name, kind) in &families {
        assert!(table.contains(&format!("| {kind} |")), "{name}");
    }
    let expiry = value(
        &metrics,
        r#"registry_certificate_expiry_timestamp_seconds{name="localhost"}"#,
    )
    .expect("a certificate");
    assert!(expiry > 4e9, "{expiry}");
}

/// Histograms of a metrics text, by series.
#[derive(Default)]
struct Histograms {
    buckets: BTreeMap<String, Vec<(f64, u64)>>,
    counts: BTreeMap<String, u64>,
}

impl Histograms {
    fn add_bucket(&mut self, sample: &str, value: &str) {
        let bound = Regex::new(r#"le="([^"]*)",?"#).expect("an expression");
        let limit = &bound
            .captures(sample)
            .unwrap_or_else(|| panic!("no bound: {sample}"))[1];
        let limit = if limit == "+Inf" {
            f64::INFINITY
        } else {
            limit.parse().expect("a number")
        };
        let series = bound
            .replace(sample, "")
            .replace("_bucket", "")
            .replace("{}", "");
        self.buckets
            .entry(series)
            .or_default()
            .push((limit, value.parse().expect("a number")));
    }

    fn add_count(&mut self, sample: &str, value: &str) {
        let series = sample.replace("_count", "");
        self.counts.insert(series, value.parse().expect("a number"));
    }

    /// Asserts that buckets rise, and end in a +Inf bucket of the whole count.
    fn assert_complete(&self) {
        assert!(self.buckets.len() > 20, "{} histograms", self.buckets.len());
        for (series, buckets) in &self.buckets {
            assert!(
                buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1),
                "{series} does not rise: {buckets:?}"
            );
            assert_eq!(
                buckets.last(),
                Some(&(f64::INFINITY, self.counts[series])),
                "{series} does not end in a bucket of everything"
            );
        }
        assert_eq!(self.buckets.len(), self.counts.len());
    }
}

/// Checks the structure in both text formats: every sample follows its family's help and type, and
/// every histogram ends in a +Inf bucket.
fn assert_well_formed(text: &str, is_open: bool) {
    let (mut helped, mut family, mut seen) = ("", ("", ""), BTreeSet::new());
    let mut histograms = Histograms::default();
    for line in text.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["#", "HELP", name, _, ..] => helped = name,
            ["#", "TYPE", name, kind] => {
                assert_eq!(name, helped, "no help: {line}");
                assert!(seen.insert(name), "declared twice: {line}");
                family = (name, kind);
            }
            ["#", "EOF"] => assert!(
                is_open && text.ends_with("# EOF\n"),
                "the older text has no end"
            ),
            _ => {
                let (sample, value) = line
                    .rsplit_once(' ')
                    .unwrap_or_else(|| panic!("no sample: {line}"));
                let suffix = sample
                    .split('{')
                    .next()
                    .and_then(|name| name.strip_prefix(family.0));
                match (family.1, suffix) {
                    ("gauge", Some("")) => {}
                    ("counter", Some("_total")) if is_open => {}
                    ("counter", Some("")) if !is_open && family.0.ends_with("_total") => {}
                    ("histogram", Some("_sum")) => {}
                    ("histogram", Some("_count")) => histograms.add_count(sample, value),
                    ("histogram", Some("_bucket")) => histograms.add_bucket(sample, value),
                    _ => panic!("{line} is no sample of the {} {}", family.1, family.0),
                }
            }
        }
    }
    histograms.assert_complete();
    assert_eq!(text.ends_with("# EOF\n"), is_open);
}

/// Prometheus requests OpenMetrics by name; other clients get the older text format, where a
/// counter's full name is its family's.
#[test]
fn the_text_has_the_requested_format_and_is_well_formed() {
    let server = Watched::start(&[]);
    Image::small(1).push(&mut server.client(), "a", "v1");
    let scrape = |accept: &str| {
        let answer = server
            .debug()
            .request("GET", "/metrics")
            .header("Accept", accept)
            .send();
        (
            answer.header("content-type").expect("a type").to_owned(),
            String::from_utf8(answer.body).expect("text"),
        )
    };
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (kind, text) = scrape(prometheus);
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_well_formed(&text, true);
    for accept in [
        "*/*",
        "text/plain",
        "application/openmetrics-text;q=0,text/plain",
    ] {
        let (kind, text) = scrape(accept);
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        assert_well_formed(&text, false);
        assert!(
            text.contains("# TYPE registry_http_requests_total counter\n"),
            "as distribution has it"
        );
    }
}

/// Received bytes are counted, chunked or not; announced ones are not.
#[test]
fn received_bytes_are_counted_as_read() {
    let server = Watched::start(&[]);
    let mut client = server.client();
    let begun = client.request("POST", "/v2/a/blobs/uploads/").send();
    let location = begun.header("location").expect("a location").to_owned();
    let chunks = format!(
        "{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        5000,
        "a".repeat(5000),
        7000,
        "b".repeat(7000)
    );
    let head =
        format!("PATCH {location} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw(&server.address, &format!("{head}{chunks}"), "202");
    let absurd = "GET /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551000\r\n\r\n";
    raw(&server.address, absurd, "404");
    let body = client
        .request(
            "POST",
            &format!("/v2/a/blobs/uploads/?digest={}", sha256(b"hello")),
        )
        .body(b"hello")
        .send();
    assert_eq!(body.status, 201);
    let sum =
        |handler: &str| format!(r#"registry_http_request_size_bytes_sum{{handler="{handler}"}}"#);
    let metrics = eventually_some("the requests are counted", || {
        let metrics = server.metrics();
        (value(
            &metrics,
            r#"registry_http_request_size_bytes_count{handler="manifest"}"#,
        ) == Some(1.0))
        .then_some(metrics)
    });
    assert_eq!(
        value(&metrics, &sum("blob_upload_chunk")),
        Some(12000.0),
        "chunks"
    );
    assert_eq!(
        value(&metrics, &sum("blob_upload")),
        Some(5.0),
        "a whole body"
    );
    assert_eq!(
        value(&metrics, &sum("manifest")),
        Some(0.0),
        "an announcement"
    );
}

/// Sends a raw request and checks the status of the answer.
fn raw(address: &str, request: &str, status: &str) {
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(
        String::from_utf8_lossy(&answer),
        format!("HTTP/1.1 {status}")
    );
}

/// A dashboard would show an age of 56 years, for ever if collection is disabled.
#[test]
fn events_that_never_happened_have_no_time() {
    let server = Watched::start(&[("REGISTRY_GC_ENABLED", "false")]);
    let metrics = server.metrics();
    assert!(metrics.contains("# TYPE registry_gc_last_success_timestamp_seconds gauge\n"));
    assert_eq!(
        value(&metrics, "registry_gc_last_success_timestamp_seconds"),
        None
    );
}

/// Waits for a scrape that satisfies `holds`, because the kernel's numbers lag behind.
fn scrape_until(server: &Watched, what: &str, holds: impl Fn(&str) -> bool) -> String {
    eventually_some(what, || Some(server.metrics()).filter(|text| holds(text)))
}

#[test]
fn the_process_has_the_metrics_of_every_prometheus_client() {
    let before = std::time::SystemTime::now();
    let server = Watched::start(&[]);
    let number = |text: &str, name: &str| {
        value(text, name).unwrap_or_else(|| panic!("{name} is missing: {text}"))
    };
    let metrics = server.metrics();
    let start = number(&metrics, "process_start_time_seconds");
    let expected = before
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time")
        .as_secs_f64();
    // ticks of the kernel are hundredths of seconds
    assert!((start - expected).abs() < 30.0, "{start}, {expected}");
    assert!(number(&metrics, "process_resident_memory_bytes") > 1e6);
    assert!(
        number(&metrics, "process_virtual_memory_bytes")
            > number(&metrics, "process_resident_memory_bytes")
    );
    assert!(number(&metrics, "process_virtual_memory_max_bytes") > 1e12);
    let (cpu, open) = (
        number(&metrics, "process_cpu_seconds_total"),
        number(&metrics, "process_open_fds"),
    );
    assert!(cpu > 0.0 && open > 5.0 && number(&metrics, "process_max_fds") >= open);
    let clients: Vec<_> = (0..50).map(|_| server.client().connect()).collect();
    // fewer than 50: the first scrape counted files that were open for the start only
    scrape_until(&server, "50 connections are open files", |text| {
        number(text, "process_open_fds") >= open + 40.0
    });
    drop(clients);
    let later = scrape_until(&server, "and none once they are closed", |text| {
        number(text, "process_open_fds") < open + 10.0
            && number(text, "process_cpu_seconds_total") > cpu
    });
    assert!(
        (number(&later, "process_start_time_seconds") - start).abs() < f64::EPSILON,
        "it started once"
    );
}
