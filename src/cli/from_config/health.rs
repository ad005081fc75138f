//! From the `health` section to the checks' own terms.

use std::time::Duration;

use tarkeep::config::{self, Violations, collect, zip};
use tarkeep::health::{Check, Health, Probe, Web};
use tarkeep::redact;

/// Between two looks, unless the owner says otherwise, as in distribution.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long another server may take to answer; distribution waits for ever.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The checks that the section asks for, by distribution's names; what may be secret in a URL is not shown.
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
            // of two that look the same neither hides the other
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
        // one look is certain
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

/// Without a port no connection could ever be made, and all of the registry would be refused.
fn port(number: usize, address: &str) -> Result<(), Violations> {
    let is_there = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if is_there {
        return Ok(());
    }
    let key = format!("health.tcp[{number}].addr");
    let sentence = format!(
        "{key} is '{}', where nothing can be reached: write HOST:PORT, with the port as a number",
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
