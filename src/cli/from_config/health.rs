//! The health checks, from the section `health`.

use std::time::Duration;

use tarkeep::config::{self, Violations, collect, zip};
use tarkeep::health::{Check, Health, Probe, Web};
use tarkeep::redact;

/// Default interval between checks, as in distribution.
const INTERVAL: Duration = Duration::from_secs(10);
/// Default timeout of a check; distribution has none.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Builds the checks, with distribution's names; URLs are redacted.
pub(crate) fn checks(health: &config::Health) -> Result<Health, Violations> {
    let time = |interval: Option<config::Interval>, default| {
        interval.map_or(default, |interval: config::Interval| interval.0)
    };
    let mut checks: Vec<Check> = Vec::new();
    let mut add =
        |name: &str, probe, interval: Option<config::Interval>, threshold: Option<u32>| {
            let same = checks
                .iter()
                .filter(|check| check.name == name || check.name.starts_with(&format!("{name} (")))
                .count();
            // distinct names for checks of the same target
            let name = if same == 0 {
                name.to_owned()
            } else {
                format!("{name} ({})", same + 1)
            };
            checks.push(Check {
                name,
                probe,
                interval: time(interval, INTERVAL),
                threshold: threshold.unwrap_or(1),
            });
        };
    let storage = &health.storagedriver;
    if storage.enabled {
        add(
            "storagedriver_filesystem",
            Probe::Storage,
            storage.interval,
            storage.threshold,
        );
    }
    for check in &health.file {
        let path = check.file.clone();
        // one check is conclusive
        add(
            &path.display().to_string(),
            Probe::File(path),
            check.interval,
            None,
        );
    }
    let webs = collect(
        health
            .http
            .iter()
            .enumerate()
            .map(|(number, check)| web(number, check)),
    );
    let ports = collect(
        health
            .tcp
            .iter()
            .enumerate()
            .map(|(number, check)| port(number, &check.addr)),
    );
    let (webs, _) = zip((webs, ports))?;
    for (check, web) in health.http.iter().zip(webs) {
        add(
            &redact::url(&check.uri),
            Probe::Web(Box::new(web)),
            check.interval,
            check.threshold,
        );
    }
    for check in &health.tcp {
        let probe = Probe::Tcp {
            address: check.addr.clone(),
            timeout: time(check.timeout, TIMEOUT),
        };
        add(&check.addr, probe, check.interval, check.threshold);
    }
    Ok(Health::new(checks))
}

/// Validates the address of a TCP check: without a port it would always fail, and the server would always be unhealthy.
fn port(number: usize, address: &str) -> Result<(), Violations> {
    let is_there = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if is_there {
        return Ok(());
    }
    let key = format!("health.tcp[{number}].addr");
    let sentence = format!(
        "{key} is '{}', which is not an address: write HOST:PORT, with the port as a number",
        redact::url(address)
    );
    Err(Violations::of(key, sentence))
}

fn web(number: usize, check: &config::HttpCheck) -> Result<Web, Violations> {
    let headers = check.headers.iter().flat_map(|(name, values)| {
        values
            .iter()
            .map(move |value| (name.as_str(), value.as_str()))
    });
    let timeout = check.timeout.map_or(TIMEOUT, |timeout| timeout.0);
    let web = Web::new(
        &check.uri,
        headers,
        check.statuscode.unwrap_or(200),
        timeout,
    );
    web.map_err(|problem| {
        Violations::of(
            format!("health.http[{number}].uri"),
            format!("health.http[{number}]: {problem}"),
        )
    })
}
