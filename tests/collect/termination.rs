//! A sweep ends despite concurrent changes.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Image, OCI_MANIFEST, Server};

/// Clients that keep moving a tag release a manifest each time, due a moment later: whatever they
/// release during a sweep is left to the next one.
#[test]
fn a_sweep_ends_although_clients_keep_releasing_manifests() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let server = Server::with(&[("REGISTRY_GC_ENABLED", "false")]);
    let image = Image::small(1);
    image.push(&mut server.client(), "app", "latest");
    // with rules other than the server's, a sweep reviews every unreferenced manifest
    let config = server.directory().join("../config.yml");
    std::fs::write(
        &config,
        "version: 0.1\ngc: {lease: 1ms, grace: 1ms, keepuntagged: 0s}",
    )
    .expect("a configuration");
    let (stop, pushed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for pusher in 0..2 {
            let (stop, pushed, server, image) = (&stop, &pushed, &server, &image);
            scope.spawn(move || {
                let client = &mut server.client();
                let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).expect("JSON");
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    manifest["annotations"] = serde_json::json!({ "pusher": pusher.to_string(), "number": number.to_string() });
                    let tag = format!("tag-{pusher}");
                    assert_eq!(client.put_manifest("app", &tag, OCI_MANIFEST, manifest.to_string().as_bytes()).status, 201);
                    pushed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stop = StopAtEnd(&stop);
        // the sweep has something to collect
        let begun = Instant::now();
        while pushed.load(Ordering::Relaxed) < 50 {
            assert!(begun.elapsed() < PATIENCE, "too busy a machine");
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["gc", "--output", "json", "--data-dir"])
            .arg(server.directory())
            .arg("--config")
            .arg(&config);
        let mut sweep = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let begun = Instant::now();
        while sweep.try_wait().expect("it can be asked").is_none() {
            if begun.elapsed() > PATIENCE {
                sweep.kill().expect("it can be ended");
                sweep.wait().expect("it ends");
                panic!(
                    "a sweep did not end while {} manifests were pushed",
                    pushed.load(Ordering::Relaxed)
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let output = sweep.wait_with_output().expect("its output");
        let swept: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(
            output.status.success() && swept["manifestCount"].as_u64() > Some(0),
            "{output:?}"
        );
    });
    image.assert_pulls(&mut server.client(), "app", "latest");
}

/// Stops the clients, even if the test fails.
pub struct StopAtEnd<'s>(pub &'s AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
