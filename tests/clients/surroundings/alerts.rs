//! The alerts of `docs/deploy/prometheus`.

use crate::harness::sandbox::Sandbox;

/// Every alert fires when it should, and none when all is well.
pub fn fire(sandbox: &Sandbox) {
    let rules = include_bytes!("../../../docs/deploy/prometheus/rules.yml");
    let alerts = include_bytes!("alerts.yml");
    sandbox.write("rules.yml", rules);
    sandbox.write("alerts.yml", alerts);
    sandbox.run("promtool check rules rules.yml");
    sandbox.run("promtool test rules alerts.yml");
    // each alert is expected to fire
    let expected = String::from_utf8_lossy(alerts);
    for line in String::from_utf8_lossy(rules).lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            assert!(
                expected.contains(&format!("alertname=\"{name}\"")),
                "{name}"
            );
        }
    }
}
