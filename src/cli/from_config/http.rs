//! The settings of the HTTP server, from the section `http`.

use std::num::NonZeroU32;

use tarkeep::config::{self, Violations, collect, combine};
use tarkeep::http::{
    Address, AnonymousChanges, BaseUrl, ExternalUrl, ExtraHeaders, Limits, Locations, PageSwitch,
    PathPrefix, Rates, ServerSettings, TrustedProxies,
};
use tarkeep::registry::RuleReader;

use crate::cli::from_config::{defaults, retention, tls};

/// Converts the section and the switch of the page, and reads the certificates.
///
/// `connections` caps the number of connections; `running` are the settings in force, if any.
pub(crate) fn settings(
    config: &config::Config,
    connections: usize,
    running: Option<&ServerSettings>,
) -> Result<ServerSettings, Violations> {
    let http = &config.http;
    let running = running.and_then(|running| running.tls.as_ref());
    let tls = tls::open(http, running);
    let (external_url, headers, proxies, limits, tls) = combine((
        external_url(http),
        headers(http),
        proxies(http),
        limits(http, connections),
        tls,
    ))?;
    Ok(ServerSettings {
        external_url,
        headers,
        proxies,
        limits,
        h2c: http.h2c.enabled,
        tls,
        page: match config.ui.enabled {
            Some(false) => PageSwitch::Off,
            Some(true) | None => PageSwitch::On,
        },
        anonymous_changes: match config.ui.anonymouschanges {
            true => AnonymousChanges::Everywhere,
            false => AnonymousChanges::Here,
        },
        rule_reader: RuleReader(retention::edited),
    })
}

/// Returns notes about keys without effect.
pub(crate) fn notes(http: &config::Http) -> Vec<String> {
    tls::notes(&http.tls)
}

/// Validates the section as [`settings`] does, without changing anything.
pub(crate) fn check(http: &config::Http) -> Result<(), Violations> {
    combine((
        external_url(http),
        headers(http),
        proxies(http),
        limits(http, usize::MAX),
        tls::check(http),
    ))
    .map(drop)
}

/// Returns the listen address; the flag overrides the section, and is always TCP.
pub(crate) fn address(flag: Option<&str>, http: &config::Http) -> Result<Address, Violations> {
    match (flag, http.net) {
        (None, config::Net::Unix) => match &http.addr {
            Some(path) if !path.is_empty() => Ok(Address::Unix(path.into())),
            _ => Err(Violations::of(
                "http.net",
                "http.net is unix, but http.addr is not set: set it to the socket's path, such as /run/registry.sock",
            )),
        },
        (flag, _) => {
            let address = defaults::listen_address(flag.or(http.addr.as_deref())).map(Address::Tcp);
            // it may be a socket's path, with a mistake in http.net
            address.map_err(|problem| Violations::of("http.addr", problem).unless("http.net"))
        }
    }
}

fn violation_of(key: &'static str) -> impl Fn(String) -> Violations {
    move |problem| Violations::of(key, format!("{key}: {problem}"))
}

fn external_url(http: &config::Http) -> Result<ExternalUrl, Violations> {
    let prefix = http
        .prefix
        .as_deref()
        .map_or(Ok(PathPrefix::default()), PathPrefix::parse)
        .map_err(violation_of("http.prefix"));
    // as in distribution, host overrides relativeurls
    let locations = match (
        http.host.as_deref().filter(|host| !host.is_empty()),
        http.relativeurls,
    ) {
        (Some(host), _) => BaseUrl::parse(host)
            .map(Locations::Fixed)
            .map_err(violation_of("http.host")),
        (None, Some(false)) => Ok(Locations::Absolute),
        (None, Some(true) | None) => Ok(Locations::Relative),
    };
    let (prefix, locations) = combine((prefix, locations))?;
    Ok(ExternalUrl::new(prefix, locations))
}

fn headers(http: &config::Http) -> Result<ExtraHeaders, Violations> {
    let pairs = http.headers.iter().flat_map(|(name, values)| {
        values
            .iter()
            .map(move |value| (name.as_str(), value.as_str()))
    });
    ExtraHeaders::parse(pairs).map_err(violation_of("http.headers"))
}

fn proxies(http: &config::Http) -> Result<TrustedProxies, Violations> {
    let networks = http.trustedproxies.as_ref();
    networks
        .map_or(Ok(TrustedProxies::default()), |networks| {
            TrustedProxies::parse(networks)
        })
        .map_err(violation_of("http.trustedproxies"))
}

fn limits(http: &config::Http, connections: usize) -> Result<Limits, Violations> {
    let (limits, defaults) = (&http.limits, Limits::default());
    let count = |key: &'static str, value: Option<usize>, default: usize| match value {
        Some(0) => Err(Violations::of(
            key,
            format!("{key} is 0, so no client could connect: set it to 1 or more"),
        )),
        other => Ok(other.unwrap_or(default)),
    };
    let time = |key: &'static str, value: Option<config::Interval>, default| match value {
        Some(interval) if interval.0.is_zero() => Err(Violations::of(
            key,
            format!("{key} is 0, so every client would time out: set a duration such as 30s"),
        )),
        other => Ok(other.map_or(default, |interval| interval.0)),
    };
    let all = count(
        "http.limits.connections",
        limits.connections,
        defaults.connections,
    );
    let of_one = count(
        "http.limits.connectionsperaddress",
        limits.connectionsperaddress,
        defaults.connections_per_address,
    );
    let times = [
        time(
            "http.limits.handshake",
            limits.handshake,
            defaults.handshake_timeout,
        ),
        time("http.limits.header", limits.header, defaults.header_timeout),
        time("http.limits.idle", limits.idle, defaults.idle_timeout),
        time(
            "http.limits.keepalive",
            limits.keepalive,
            defaults.keep_alive_timeout,
        ),
    ];
    let (all, connections_per_address, times, rates) =
        combine((all, of_one, collect(times), rates(limits)))?;
    Ok(Limits {
        connections: all.min(connections),
        connections_per_address,
        handshake_timeout: times[0],
        header_timeout: times[1],
        idle_timeout: times[2],
        keep_alive_timeout: times[3],
        // 0 means no wait, as in distribution, where it is the default
        drain_timeout: http
            .draintimeout
            .map_or(defaults.drain_timeout, |interval| interval.0),
        rates,
    })
}

fn rates(limits: &config::Limits) -> Result<Rates, Violations> {
    let number = |key: &'static str, what: &str, value: Option<u32>| {
        let number = |value| {
            NonZeroU32::new(value).ok_or_else(|| {
                let sentence = format!(
                    "{key} is 0, so nobody could {what} anything: set it to 1 or more, or take it out for any number"
                );
                Violations::of(key, sentence)
            })
        };
        value.map(number).transpose()
    };
    let period = match limits.period {
        Some(interval) if interval.0.is_zero() => Err(Violations::of(
            "http.limits.period",
            "http.limits.period is 0, in which nobody could be counted: set a time such as 1h, or take pulls and pushes out for any number",
        )),
        other => Ok(other.map_or(Rates::default().period, |interval| interval.0)),
    };
    let (pulls, pushes, period) = combine((
        number("http.limits.pulls", "pull", limits.pulls),
        number("http.limits.pushes", "push", limits.pushes),
        period,
    ))?;
    Ok(Rates {
        pulls,
        pushes,
        period,
    })
}
