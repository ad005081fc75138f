//! From the `health` section to the checks' own terms.

use std::time::Duration;

use registry::config;
use registry::health::{Check, Health, Probe, Web};

use super::Failure;

/// Between two looks, unless the owner says otherwise, as in distribution.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long another server may take to answer; distribution waits for ever.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The checks that the section asks for, by distribution's names.
pub(super) fn checks(health: &config::Health) -> Result<Health, Failure> {
    let time = |interval: Option<config::Interval>, default| interval.map_or(default, |interval: config::Interval| interval.0);
    let mut checks = Vec::new();
    let mut add = |name: &str, probe, interval: Option<config::Interval>, threshold: Option<u32>| {
        checks.push(Check { name: name.to_owned(), probe, interval: time(interval, INTERVAL), threshold: threshold.unwrap_or(1) });
    };
    let storage = &health.storagedriver;
    if storage.enabled {
        add("storagedriver_filesystem", Probe::Storage, storage.interval, storage.threshold);
    }
    for check in &health.file {
        let path = check.file.clone();
        // one look is certain
        add(&path.display().to_string(), Probe::File(path), check.interval, None);
    }
    for check in &health.http {
        let headers = check.headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name.as_str(), value.as_str())));
        let web = Web::new(&check.uri, headers, check.statuscode.unwrap_or(200), time(check.timeout, TIMEOUT));
        let web = web.map_err(|problem| Failure::Other(format!("health.http: {problem}")))?;
        add(&check.uri, Probe::Web(Box::new(web)), check.interval, check.threshold);
    }
    for check in &health.tcp {
        let probe = Probe::Tcp { address: check.addr.clone(), timeout: time(check.timeout, TIMEOUT) };
        add(&check.addr, probe, check.interval, check.threshold);
    }
    Ok(Health::new(checks))
}
