//! A sweep ends, whatever clients do meanwhile.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Image, OCI_MANIFEST, Server};

/// Clients that move a tag all the time let go of a manifest each time, which is due a moment later: what they let go while
/// a sweep is at work is for the next one.
#[test]
fn a_sweep_ends_beside_clients_that_let_go_all_the_time() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let server = Server::with(&[("REGISTRY_GC_ENABLED", "false")]);
    let image = Image::small(1);
    image.push(&mut server.client(), "app", "latest");
    // other rules than the server's: then a sweep looks at all that nothing holds
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
        // there is something to begin with
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
            output.status.success() && swept["manifests"].as_u64() > Some(0),
            "{output:?}"
        );
    });
    image.assert_pulls(&mut server.client(), "app", "latest");
}

/// Ends the clients, also where the test has failed.
pub struct StopAtEnd<'s>(pub &'s AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
