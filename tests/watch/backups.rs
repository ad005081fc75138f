//! A failed backup of the server.

use std::fs;

use tempfile::TempDir;

use super::Watched;
use crate::support::{eventually, eventually_some};

fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_failed_backup_is_in_log_metrics_and_the_verbose_probe_only() {
    let disk = TempDir::new().expect("a directory");
    let to = disk.path().join("backups");
    let server = Watched::start(&[
        ("REGISTRY_BACKUP_TO", to.to_str().expect("text")),
        ("REGISTRY_BACKUP_EVERY", "24h"),
    ]);
    let client = &mut server.client();
    let problem = eventually_some("the probe says so", || {
        let said = client.get("/readyz?verbose").json()["checks"]["backup"].clone();
        (said != "ok").then(|| said.to_string())
    });
    assert!(problem.contains("the last backup failed"), "{problem}");
    assert_eq!(client.get("/readyz").status, 200);
    assert_eq!(client.get("/readyz?verbose").status, 200);
    let metrics = server.metrics();
    assert_eq!(
        metric(&metrics, "registry_backups_total{outcome=\"failed\"}"),
        Some(1.0)
    );
    assert!(server.err().join("\n").contains("there is no directory"));

    fs::create_dir(&to).expect("a directory");
    server.signal(rustix::process::Signal::HUP);
    eventually("a backup is made", || {
        client.get("/readyz?verbose").json()["checks"]["backup"] == "ok"
            && to.join("latest/registry.db").exists()
    });
    let metrics = server.metrics();
    assert_eq!(
        metric(&metrics, "registry_backups_total{outcome=\"ok\"}"),
        Some(1.0)
    );
    let last = metric(&metrics, "registry_backup_last_success_timestamp_seconds").expect("a time");
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("a clock")
        .as_secs_f64();
    assert!((now - 60.0..=now).contains(&last), "{last}");
}
