//! The health checks, from the section `health`.

use std::time::Duration;

use tarkeep::config::{self, Interval, Violations, collect, combine};
use tarkeep::health::{Check, Health, Probe, Web};
use tarkeep::redact;

/// Default interval between checks, as in distribution.
const INTERVAL: Duration = Duration::from_secs(10);
/// Default timeout of a check; distribution has none.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Builds the checks, with distribution's names; URLs are redacted.
pub(crate) fn checks(health: &config::Health) -> Result<Health, Violations> {
    let webs = collect(health.http.iter().enumerate().map(web));
    let ports = collect(health.tcp.iter().enumerate().map(port));
    let (webs, _) = combine((webs, ports))?;
    let mut checks = Vec::new();
    let storage = &health.storagedriver;
    if storage.enabled {
        let name = "storagedriver_filesystem".to_owned();
        checks.push(check(
            name,
            Probe::Storage,
            storage.interval,
            storage.threshold,
        ));
    }
    for file in &health.file {
        let (name, probe) = (
            file.file.display().to_string(),
            Probe::File(file.file.clone()),
        );
        // one check is conclusive
        checks.push(check(name, probe, file.interval, None));
    }
    for (http, web) in health.http.iter().zip(webs) {
        let (name, probe) = (
            redact::url(&http.uri).into_owned(),
            Probe::Web(Box::new(web)),
        );
        checks.push(check(name, probe, http.interval, http.threshold));
    }
    for tcp in &health.tcp {
        let probe = Probe::Tcp {
            address: tcp.addr.clone(),
            timeout: unless_zero(tcp.timeout, TIMEOUT),
        };
        checks.push(check(tcp.addr.clone(), probe, tcp.interval, tcp.threshold));
    }
    make_names_distinct(&mut checks);
    Ok(Health::new(checks))
}

fn check(name: String, probe: Probe, interval: Option<Interval>, threshold: Option<u32>) -> Check {
    Check {
        name,
        probe,
        interval: unless_zero(interval, INTERVAL),
        threshold: threshold.unwrap_or(1),
    }
}

/// Returns the default for a duration that is not given, or 0 as in distribution.
fn unless_zero(given: Option<Interval>, default: Duration) -> Duration {
    given
        .map(|given| given.0)
        .filter(|given| !given.is_zero())
        .unwrap_or(default)
}

/// Numbers checks of the same target, so that none hides another: `a`, `a (2)`, `a (3)`.
fn make_names_distinct(checks: &mut [Check]) {
    for number in 1..checks.len() {
        let (earlier, rest) = checks.split_at_mut(number);
        let name = rest[0].name.clone();
        let numbered = format!("{name} (");
        let same = earlier
            .iter()
            .filter(|check| check.name == name || check.name.starts_with(&numbered))
            .count();
        if same > 0 {
            rest[0].name = format!("{name} ({})", same + 1);
        }
    }
}

/// Validates the address of a TCP check: without a port it would always fail, and the server would always be unhealthy.
fn port((number, check): (usize, &config::TcpCheck)) -> Result<(), Violations> {
    let is_there = check.addr.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if is_there {
        return Ok(());
    }
    let key = format!("health.tcp[{number}].addr");
    let sentence = format!(
        "{key} is '{}', which is not an address: write HOST:PORT, with the port as a number",
        redact::url(&check.addr)
    );
    Err(Violations::of(key, sentence))
}

fn web((number, check): (usize, &config::HttpCheck)) -> Result<Web, Violations> {
    let headers = check.headers.iter().flat_map(|(name, values)| {
        values
            .iter()
            .map(move |value| (name.as_str(), value.as_str()))
    });
    let timeout = unless_zero(check.timeout, TIMEOUT);
    let expected = check.statuscode.filter(|&status| status > 0);
    let web = Web::new(&check.uri, headers, expected.unwrap_or(200), timeout);
    web.map_err(|problem| {
        Violations::of(
            format!("health.http[{number}].uri"),
            format!("health.http[{number}]: {problem}"),
        )
    })
}
