//! Metrics, as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Watched, eventually};
use crate::support::{Image, sha256};

/// The value of a sample, by its name and labels as they are written.
fn value(metrics: &str, sample: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

/// Families and their types.
pub fn families(metrics: &str) -> BTreeMap<String, String> {
    let family = |line: &str| line.strip_prefix("# TYPE ")?.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    metrics.lines().filter_map(family).collect()
}

/// A server with everything that is counted, the certificate included.
pub fn everything() -> Watched {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let temporary = tempfile::TempDir::new().expect("a directory");
    let (certificate, key) = (temporary.path().join("cert.pem"), temporary.path().join("key.pem"));
    std::fs::write(&certificate, certified.cert.pem()).expect("a file");
    std::fs::write(&key, certified.signing_key.serialize_pem()).expect("a file");
    let path = |path: &std::path::Path| path.display().to_string();
    let server = Watched::start(&[("REGISTRY_HTTP_TLS_CERTIFICATE", &path(&certificate)), ("REGISTRY_HTTP_TLS_KEY", &path(&key))]);
    eventually("the store was measured", || server.metrics().contains("registry_store_bytes").then_some(()));
    server
}

#[test]
fn what_clients_do_is_counted_under_distributions_names() {
    let server = Watched::start(&[]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "secret/name", "v1");
    for _ in 0..3 {
        image.assert_pulls(&mut client, "secret/name", "v1");
    }
    client.get("/v2/secret/name/manifests/none").refused(404, "MANIFEST_UNKNOWN");
    client.get("/v2/UPPER/manifests/v1").refused(400, "NAME_INVALID");
    client.request("BREW", "/v2/").send().refused(405, "UNSUPPORTED");
    client.get("/v2/secret/name/tags/list");
    client.get("/v2/_catalog");
    client.delete(&format!("/v2/secret/name/blobs/{}", sha256(b"none"))).refused(404, "BLOB_UNKNOWN");
    let expected = [
        (r#"registry_http_requests_total{handler="manifest",method="put",code="201"}"#, 1.0),
        (r#"registry_http_requests_total{handler="manifest",method="get",code="200"}"#, 3.0),
        (r#"registry_http_requests_total{handler="manifest",method="get",code="404"}"#, 1.0),
        (r#"registry_http_requests_total{handler="manifest",method="get",code="400"}"#, 1.0),
        (r#"registry_http_requests_total{handler="blob",method="get",code="200"}"#, 6.0),
        (r#"registry_http_requests_total{handler="blob",method="delete",code="404"}"#, 1.0),
        (r#"registry_http_requests_total{handler="blob_upload",method="post",code="202"}"#, 2.0),
        (r#"registry_http_requests_total{handler="blob_upload_chunk",method="put",code="201"}"#, 2.0),
        (r#"registry_http_requests_total{handler="tags",method="get",code="200"}"#, 1.0),
        (r#"registry_http_requests_total{handler="catalog",method="get",code="200"}"#, 1.0),
        (r#"registry_http_requests_total{handler="base",method="unknown",code="405"}"#, 1.0),
        (r#"registry_http_request_duration_seconds_count{handler="blob",method="get"}"#, 6.0),
        (r#"registry_http_response_size_bytes_count{handler="blob"}"#, 7.0),
        (r#"registry_http_in_flight_requests{handler="blob"}"#, 0.0),
        (r#"registry_storage_action_seconds_count{driver="filesystem",action="Move"}"#, 2.0),
        ("registry_storage_cache_requests_total", 4.0),
        ("registry_storage_cache_hits_total", 2.0),
        ("registry_http_connections", 1.0),
        ("registry_healthy", 1.0),
        ("registry_config_last_reload_successful", 1.0),
    ];
    // what is counted once an answer has been handed over may come a moment after the client has it
    let metrics = eventually("everything is counted", || {
        let metrics = server.metrics();
        expected.iter().all(|(sample, count)| value(&metrics, sample) == Some(*count)).then_some(metrics)
    });
    assert!(value(&metrics, "registry_database_transaction_seconds_count").is_some_and(|count| count >= 5.0));
    assert!(!metrics.contains("secret") && !metrics.contains("UPPER") && !metrics.contains("BREW"));
    assert!(metrics.ends_with("# EOF\n"));
    let lines = metrics.lines().count();
    assert!(lines < 2000, "{lines} lines");
}

#[test]
fn the_store_and_its_collection_are_told() {
    let server = Watched::start(&[("REGISTRY_GC_INTERVAL", "10ms"), ("REGISTRY_GC_LEASE", "0s"), ("REGISTRY_GC_GRACE", "0s")]);
    let mut client = server.client();
    let blob = client.push_blob("a", &[7; 5000]);
    eventually("it is collected", || (client.get(&format!("/v2/a/blobs/{blob}")).status == 404).then_some(()));
    let metrics = eventually("it is counted", || {
        let metrics = server.metrics();
        (value(&metrics, r#"registry_gc_collected_total{kind="files"}"#) == Some(1.0)).then_some(metrics)
    });
    assert!(value(&metrics, "registry_gc_freed_bytes_total").is_some_and(|bytes| bytes >= 5000.0));
    assert!(value(&metrics, r#"registry_gc_passes_total{outcome="ok"}"#).is_some_and(|passes| passes >= 1.0));
    let last = value(&metrics, "registry_gc_last_success_timestamp_seconds").expect("a time");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
    assert!((now - Duration::from_secs_f64(last)).as_secs() < 60);
    assert!(value(&metrics, "registry_disk_free_bytes").is_some_and(|bytes| bytes > 0.0));
    let metrics = eventually("it is measured", || Some(server.metrics()).filter(|metrics| metrics.contains("registry_store_bytes")));
    assert!(value(&metrics, r#"registry_store_bytes{state="database"}"#).is_some_and(|bytes| bytes > 0.0));
}

/// Two families of the same name, or one that is said twice, would be refused by Prometheus as a whole.
#[test]
fn every_metric_is_in_the_operators_table_and_the_other_way_round() {
    let server = everything();
    let metrics = server.metrics();
    let said = metrics.lines().filter(|line| line.starts_with("# TYPE ")).count();
    let families = families(&metrics);
    assert_eq!(families.len(), said);
    let written = |(name, kind): (&String, &String)| if kind == "counter" { format!("{name}_total") } else { name.clone() };
    let exported: BTreeSet<String> = families.iter().map(written).collect();
    let table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).expect("the table");
    let named = |line: &str| line.strip_prefix("| `registry_")?.split(['`', '{']).next().map(|name| format!("registry_{name}"));
    let documented: BTreeSet<String> = table.lines().filter_map(named).collect();
    assert_eq!(exported, documented);
    for (name, kind) in &families {
        assert!(table.contains(&format!("| {kind} |")), "{name}");
    }
    let expiry = value(&metrics, r#"registry_certificate_expiry_timestamp_seconds{name="localhost"}"#).expect("a certificate");
    assert!(expiry > 4e9, "{expiry}");
}

/// Prometheus asks for OpenMetrics by name; whoever does not gets the older text.
#[test]
fn the_text_is_what_is_asked_for() {
    let server = Watched::start(&[]);
    let answer = server.debug().get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let answer =
        server.debug().request("GET", "/metrics").header("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.1").send();
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
}
