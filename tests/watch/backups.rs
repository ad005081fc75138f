//! A failed backup of the server.

use std::fs;

use tempfile::TempDir;

use super::Watched;
use crate::support::{Image, eventually, eventually_some, noise, sha256};

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

/// Each generation passes the last sound copy on to the next one.
#[test]
fn damage_that_a_backup_meets_is_in_log_metrics_and_the_verbose_probe_until_it_is_healed() {
    let disk = TempDir::new().expect("a directory");
    let (data, to) = (disk.path().join("data"), disk.path().join("backups"));
    fs::create_dir(&to).expect("a directory");
    let server = Watched::at(
        &data,
        &[
            ("REGISTRY_BACKUP_TO", to.to_str().expect("text")),
            ("REGISTRY_BACKUP_EVERY", "1s"),
            ("REGISTRY_BACKUP_KEEP", "1"),
        ],
    );
    let image = Image::new("x", vec![noise(1, 3000)]);
    image.push(&mut server.client(), "app", "v1");
    let complete = || {
        let metrics = server.metrics();
        metric(&metrics, "registry_backups_total{outcome=\"ok\"}").expect("a number")
    };
    let backups_later = |count: f64| {
        let wanted = complete() + count;
        eventually("more backups are made", || complete() >= wanted);
    };
    let client = &mut server.client();
    backups_later(2.0);
    let digest = sha256(&image.layers[0]);
    let hex = digest.trim_start_matches("sha256:");
    let file = format!("blobs/sha256/{}/{hex}", &hex[..2]);
    fs::remove_file(data.join(&file)).expect("removed");
    fs::write(data.join(&file), noise(2, 3000)).expect("a file");
    let verified = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["verify", "--data-dir"])
        .arg(&data)
        .output()
        .expect("it runs");
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");

    backups_later(3.0);
    let said = eventually_some("the probe says so", || {
        let said = client.get("/readyz?verbose").json()["checks"]["backup"].clone();
        (said != "ok").then(|| said.to_string())
    });
    assert!(said.contains("content is damaged"), "{said}");
    assert_eq!(client.get("/readyz").status, 200);
    let damaged = || metric(&server.metrics(), "registry_backup_damaged_blobs");
    assert_eq!(damaged(), Some(1.0));
    let log = server.err().join("\n");
    assert!(
        log.contains("damaged content") && log.contains(&digest),
        "{log}"
    );
    let kept = eventually_some("a backup is not just being replaced", || {
        fs::read(to.join("latest").join(&file)).ok()
    });
    assert_eq!(sha256(&kept), digest);

    image.push(client, "app", "v1");
    eventually("the next backup is whole", || {
        client.get("/readyz?verbose").json()["checks"]["backup"] == "ok" && damaged() == Some(0.0)
    });
}
