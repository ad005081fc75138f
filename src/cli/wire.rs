//! From the `http` section to the server's own terms.

use std::sync::Arc;

use tarkeep::config::{self, ClientAuth, MinimumTls, Wrongs, both, each};
use tarkeep::http::{
    Address, BaseUrl, ExtraHeaders, Limits, Locations, PathPrefix, ServerSettings, Site,
    TrustedProxies,
};
use tarkeep::redact;
use tarkeep::tls::{self, MinimumVersion, Source, Tls, acme};

use super::place;

/// What the section says, with the defaults for the rest; certificates are read. There are never more than `connections`.
/// `running` is what is in force, if anything is.
pub(super) fn settings(
    http: &config::Http,
    connections: usize,
    running: Option<&ServerSettings>,
) -> Result<ServerSettings, Wrongs> {
    let encryption = |settings: Option<tls::Settings>| {
        let running = running.and_then(|running| running.tls.as_ref());
        settings
            .map(|settings| encryption(settings, running))
            .transpose()
    };
    let tls = tls_settings(http).and_then(encryption);
    let (site, (proxies, (limits, tls))) = both(
        site(http),
        both(proxies(http), both(limits(http, connections), tls)),
    )?;
    Ok(ServerSettings {
        site,
        proxies,
        limits,
        h2c: http.h2c.enabled,
        tls,
    })
}

/// Finds what [`settings`] would, without a change to anything.
pub(super) fn check(http: &config::Http) -> Result<(), Wrongs> {
    let encryption = |settings: Option<tls::Settings>| {
        let found = settings
            .iter()
            .flat_map(Tls::check)
            .map(|error| wrong_tls(&error));
        Wrongs::all(found).map_or(Ok(()), Err)
    };
    let tls = tls_settings(http).and_then(encryption);
    both(
        site(http),
        both(proxies(http), both(limits(http, usize::MAX), tls)),
    )
    .map(drop)
}

/// Whether clients are to speak TLS.
pub(super) fn is_encrypted(http: &config::Http) -> Result<bool, Wrongs> {
    Ok(source(&http.tls)?.is_some())
}

/// Where to listen; the flag goes over the section, and names a port.
pub(super) fn address(flag: Option<&str>, http: &config::Http) -> Result<Address, Wrongs> {
    match (flag, http.net) {
        (None, config::Net::Unix) => match &http.addr {
            Some(path) if !path.is_empty() => Ok(Address::Unix(path.into())),
            _ => Err(Wrongs::of(
                "http.net",
                "http.net is unix and http.addr names no socket: give its path, such as /run/registry.sock",
            )),
        },
        (flag, _) => {
            let address = place::listen_address(flag.or(http.addr.as_deref())).map(Address::Tcp);
            // what would be the path of a socket, were it not for a mistake in http.net
            address.map_err(|problem| Wrongs::of("http.addr", problem).unless("http.net"))
        }
    }
}

fn about(key: &'static str) -> impl Fn(String) -> Wrongs {
    move |problem| Wrongs::of(key, format!("{key}: {problem}"))
}

fn site(http: &config::Http) -> Result<Site, Wrongs> {
    let prefix = http
        .prefix
        .as_deref()
        .map_or(Ok(PathPrefix::default()), PathPrefix::parse)
        .map_err(about("http.prefix"));
    // as in distribution: a host goes over relativeurls
    let locations = match (
        http.host.as_deref().filter(|host| !host.is_empty()),
        http.relativeurls,
    ) {
        (Some(host), _) => BaseUrl::parse(host)
            .map(Locations::Fixed)
            .map_err(about("http.host")),
        (None, Some(false)) => Ok(Locations::Absolute),
        (None, Some(true) | None) => Ok(Locations::Relative),
    };
    let pairs = http.headers.iter().flat_map(|(name, values)| {
        values
            .iter()
            .map(move |value| (name.as_str(), value.as_str()))
    });
    let headers = ExtraHeaders::parse(pairs).map_err(about("http.headers"));
    let (prefix, (locations, headers)) = both(prefix, both(locations, headers))?;
    Ok(Site::new(prefix, locations, headers))
}

fn proxies(http: &config::Http) -> Result<TrustedProxies, Wrongs> {
    let networks = http.trustedproxies.as_ref();
    networks
        .map_or(Ok(TrustedProxies::default()), |networks| {
            TrustedProxies::parse(networks)
        })
        .map_err(about("http.trustedproxies"))
}

fn limits(http: &config::Http, connections: usize) -> Result<Limits, Wrongs> {
    let (limits, defaults) = (&http.limits, Limits::default());
    let count = |key: &'static str, value: Option<usize>, default: usize| match value {
        Some(0) => Err(Wrongs::of(
            key,
            format!("{key} is 0, and nobody could connect: give 1 or more"),
        )),
        other => Ok(other.unwrap_or(default)),
    };
    let time = |key: &'static str, value: Option<config::Interval>, default| match value {
        Some(interval) if interval.0.is_zero() => Err(Wrongs::of(
            key,
            format!("{key} is 0, and nobody would be fast enough: give a time such as 30s"),
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
    ];
    let ((all, connections_per_address), times) = both(both(all, of_one), each(times.into_iter()))?;
    Ok(Limits {
        connections: all.min(connections),
        connections_per_address,
        handshake_timeout: times[0],
        header_timeout: times[1],
        idle_timeout: times[2],
        // distribution takes 0, its default, for not waiting at all
        drain_timeout: http
            .draintimeout
            .map_or(defaults.drain_timeout, |interval| interval.0),
    })
}

fn tls_settings(http: &config::Http) -> Result<Option<tls::Settings>, Wrongs> {
    let tls = &http.tls;
    let Some(source) = source(tls)? else {
        return Ok(None);
    };
    // distribution passes it over, and lets everybody in
    if tls.clientauth.is_some() && tls.clientcas.is_empty() {
        let sentence = "http.tls.clientauth is set and http.tls.clientcas names no authority, so nobody would be asked for a certificate: name one, or take clientauth out";
        return Err(Wrongs::of("http.tls.clientauth", sentence).unless("http.tls.clientcas"));
    }
    Ok(Some(tls::Settings {
        source,
        client_authorities: tls.clientcas.clone(),
        client_auth: match tls.clientauth {
            Some(ClientAuth::RequestClientCert) => tls::ClientAuth::Request,
            Some(ClientAuth::RequireAnyClientCert) => tls::ClientAuth::RequireAny,
            Some(ClientAuth::VerifyClientCertIfGiven) => tls::ClientAuth::VerifyIfGiven,
            Some(ClientAuth::RequireAndVerifyClientCert) | None => {
                tls::ClientAuth::RequireAndVerify
            }
        },
        minimum: match tls.minimumtls {
            Some(MinimumTls::Tls12) | None => MinimumVersion::Tls12,
            Some(MinimumTls::Tls13) => MinimumVersion::Tls13,
        },
        cipher_suites: tls.ciphersuites.clone(),
        http2: !http.http2.disabled,
    }))
}

fn encryption(settings: tls::Settings, running: Option<&Arc<Tls>>) -> Result<Arc<Tls>, Wrongs> {
    // it may be in the middle of asking for certificates, and files that are being renewed are its own affair
    if let Some(running) = running.filter(|running| *running.settings() == settings) {
        return Ok(Arc::clone(running));
    }
    Tls::new(settings)
        .map(Arc::new)
        .map_err(|error| wrong_tls(&error))
}

fn wrong_tls(error: &tls::Error) -> Wrongs {
    use tls::Error::{Content, Mismatch, Order, Read, Settings, Suite};
    let key = match error {
        Read {
            what: "certificate",
            ..
        }
        | Content {
            what: "certificate",
            ..
        }
        | Order { .. } => "http.tls.certificate",
        Read { what: "key", .. } | Content { what: "key", .. } | Mismatch { .. } => "http.tls.key",
        Read {
            what: "authority of clients",
            ..
        }
        | Content {
            what: "authority of clients",
            ..
        } => "http.tls.clientcas",
        Suite { .. } => "http.tls.ciphersuites",
        Read { .. } | Content { .. } => "http.tls.letsencrypt.cachefile",
        Settings(_) => "http.tls",
    };
    Wrongs::of(key, error)
}

/// Where certificates come from; none where there is to be no encryption.
fn source(tls: &config::Tls) -> Result<Option<Source>, Wrongs> {
    let missing = |given: &str, missing: &str| {
        Err(lacking(format!(
            "{given} is set and {missing} is not: encryption needs both"
        )))
    };
    let wants_acme = tls.letsencrypt != config::LetsEncrypt::default();
    match (&tls.certificate, &tls.key) {
        (None, None) if wants_acme => acme(&tls.letsencrypt).map(Some),
        (None, None) if *tls == config::Tls::default() => Ok(None),
        (None, None) => Err(lacking(
            "http.tls is set without a certificate: give certificate and key, or take the section out to serve without encryption"
                .to_owned(),
        )),
        (Some(_), None) => missing("http.tls.certificate", "http.tls.key"),
        (None, Some(_)) => missing("http.tls.key", "http.tls.certificate"),
        (Some(_), Some(_)) if wants_acme => Err(lacking(
            "http.tls has both a certificate and letsencrypt, and only one can be shown to clients: take the other out".to_owned(),
        )),
        (Some(certificate), Some(key)) => Ok(Some(Source::Files { certificate: certificate.clone(), key: key.clone() })),
    }
}

fn lacking(sentence: String) -> Wrongs {
    Wrongs::within("http.tls", sentence)
}

fn acme(letsencrypt: &config::LetsEncrypt) -> Result<Source, Wrongs> {
    let Some(cache) = letsencrypt
        .cachefile
        .clone()
        .filter(|path| !path.as_os_str().is_empty())
    else {
        return Err(lacking(
            "http.tls.letsencrypt needs cachefile, the directory in which certificates are kept"
                .to_owned(),
        ));
    };
    let directory = letsencrypt
        .directoryurl
        .clone()
        .filter(|url| !url.is_empty())
        .unwrap_or_else(acme::lets_encrypt);
    if !directory.starts_with("https://") {
        let sentence = format!(
            "http.tls.letsencrypt.directoryurl is '{}', and must begin with https://",
            redact::url(&directory)
        );
        return Err(Wrongs::of("http.tls.letsencrypt.directoryurl", sentence));
    }
    Ok(Source::Acme(acme::Settings {
        cache,
        email: letsencrypt
            .email
            .clone()
            .filter(|address| !address.is_empty()),
        hosts: letsencrypt.hosts.clone(),
        directory,
        directory_authority: letsencrypt.directoryca.clone(),
    }))
}
