//! Load from Debian's `wrk`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::api::MANIFEST_TYPE;
use crate::manifest::Load;

pub fn run(
    wrk: &Path,
    addr: SocketAddr,
    target: &str,
    connections: usize,
    seconds: u64,
) -> Result<Load> {
    let output = Command::new(wrk)
        .arg("-t1")
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .args(["-H", &format!("Accept: {MANIFEST_TYPE}")])
        .arg(format!("http://{addr}{target}"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let bad = text
        .lines()
        .any(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
    match load(&text) {
        Some(load) if output.status.success() && !bad => Ok(load),
        _ => Err(format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// From the lines `N requests in T, M read` and `Requests/sec: R`; T is rounded, R is not.
fn load(text: &str) -> Option<Load> {
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    let requests: u64 = line.split_whitespace().next()?.parse().ok()?;
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"))?;
    let rate: f64 = line.trim().parse().ok()?;
    (requests > 0 && rate > 0.0).then(|| Load {
        requests,
        seconds: requests as f64 / rate,
    })
}
