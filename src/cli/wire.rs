//! From the `http` section to the server's own terms.

use std::sync::Arc;

use registry::config::{self, ClientAuth, MinimumTls};
use registry::http::{Address, Base, ExtraHeaders, Limits, Locations, Prefix, Settings, Site, TrustedProxies};
use registry::tls::{self, MinimumVersion, Source, Tls, acme};

use super::{Failure, place};

/// What the section says, with the defaults for the rest; certificates are read. There are never more than `connections`.
/// `running` is what is in force, if anything is.
pub(super) fn settings(http: &config::Http, connections: usize, running: Option<&Settings>) -> Result<Settings, Failure> {
    let site = site(http)?;
    let proxies = match &http.trustedproxies {
        Some(networks) => TrustedProxies::parse(networks).map_err(about("http.trustedproxies"))?,
        None => TrustedProxies::default(),
    };
    Ok(Settings {
        site,
        proxies,
        limits: limits(http, connections)?,
        h2c: http.h2c.enabled,
        tls: encryption(http, running.and_then(|running| running.tls.as_ref()))?,
    })
}

/// Where to listen; the flag goes over the section, and names a port.
pub(super) fn address(flag: Option<&str>, http: &config::Http) -> Result<Address, Failure> {
    match (flag, http.net) {
        (None, config::Net::Unix) => match &http.addr {
            Some(path) if !path.is_empty() => Ok(Address::Unix(path.into())),
            _ => {
                Err(Failure::Other("http.net is unix and http.addr names no socket: give its path, such as /run/registry.sock".to_owned()))
            }
        },
        (flag, _) => place::listen_address(flag.or(http.addr.as_deref())).map(Address::Tcp),
    }
}

fn about(key: &'static str) -> impl Fn(String) -> Failure {
    move |problem| Failure::Other(format!("{key}: {problem}"))
}

fn site(http: &config::Http) -> Result<Site, Failure> {
    let prefix = http.prefix.as_deref().map_or(Ok(Prefix::default()), Prefix::parse).map_err(about("http.prefix"))?;
    // as in distribution: a host goes over relativeurls
    let locations = match (http.host.as_deref().filter(|host| !host.is_empty()), http.relativeurls) {
        (Some(host), _) => Locations::Fixed(Base::parse(host).map_err(about("http.host"))?),
        (None, Some(false)) => Locations::Absolute,
        (None, Some(true) | None) => Locations::Relative,
    };
    let pairs = http.headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name.as_str(), value.as_str())));
    let headers = ExtraHeaders::parse(pairs).map_err(about("http.headers"))?;
    Ok(Site::new(prefix, locations, headers))
}

fn limits(http: &config::Http, connections: usize) -> Result<Limits, Failure> {
    let (limits, defaults) = (&http.limits, Limits::default());
    let count = |key: &'static str, value: Option<usize>, default: usize| match value {
        Some(0) => Err(Failure::Other(format!("{key} is 0, and nobody could connect: give 1 or more"))),
        other => Ok(other.unwrap_or(default)),
    };
    let time = |key: &'static str, value: Option<config::Interval>, default| match value {
        Some(interval) if interval.0.is_zero() => {
            Err(Failure::Other(format!("{key} is 0, and nobody would be fast enough: give a time such as 30s")))
        }
        other => Ok(other.map_or(default, |interval| interval.0)),
    };
    Ok(Limits {
        connections: count("http.limits.connections", limits.connections, defaults.connections)?.min(connections),
        connections_per_address: count(
            "http.limits.connectionsperaddress",
            limits.connectionsperaddress,
            defaults.connections_per_address,
        )?,
        handshake_timeout: time("http.limits.handshake", limits.handshake, defaults.handshake_timeout)?,
        header_timeout: time("http.limits.header", limits.header, defaults.header_timeout)?,
        idle_timeout: time("http.limits.idle", limits.idle, defaults.idle_timeout)?,
        // distribution takes 0, its default, for not waiting at all
        drain_timeout: http.draintimeout.map_or(defaults.drain_timeout, |interval| interval.0),
    })
}

fn encryption(http: &config::Http, running: Option<&Arc<Tls>>) -> Result<Option<Arc<Tls>>, Failure> {
    let tls = &http.tls;
    let Some(source) = source(tls)? else { return Ok(None) };
    let settings = tls::Settings {
        source,
        client_authorities: tls.clientcas.clone(),
        client_auth: match tls.clientauth {
            Some(ClientAuth::RequestClientCert) => tls::ClientAuth::Request,
            Some(ClientAuth::RequireAnyClientCert) => tls::ClientAuth::RequireAny,
            Some(ClientAuth::VerifyClientCertIfGiven) => tls::ClientAuth::VerifyIfGiven,
            Some(ClientAuth::RequireAndVerifyClientCert) | None => tls::ClientAuth::RequireAndVerify,
        },
        minimum: match tls.minimumtls {
            MinimumTls::Tls12 => MinimumVersion::Tls12,
            MinimumTls::Tls13 => MinimumVersion::Tls13,
        },
        cipher_suites: tls.ciphersuites.clone(),
        http2: !http.http2.disabled,
    };
    // what is in the middle of asking for certificates goes on
    if let Some(running) = running.filter(|running| matches!(settings.source, Source::Acme(_)) && *running.settings() == settings) {
        return Ok(Some(Arc::clone(running)));
    }
    let tls = Tls::new(settings).map_err(|error| Failure::Other(error.to_string()))?;
    Ok(Some(Arc::new(tls)))
}

/// Where certificates come from; none where there is to be no encryption.
fn source(tls: &config::Tls) -> Result<Option<Source>, Failure> {
    let missing = |given: &str, missing: &str| Err(Failure::Other(format!("{given} is set and {missing} is not: encryption needs both")));
    let wants_acme = tls.letsencrypt != config::LetsEncrypt::default();
    match (&tls.certificate, &tls.key) {
        (None, None) if wants_acme => acme(&tls.letsencrypt).map(Some),
        (None, None) if *tls == config::Tls::default() => Ok(None),
        (None, None) => Err(Failure::Other(
            "http.tls is set without a certificate: give certificate and key, or take the section out to serve without encryption"
                .to_owned(),
        )),
        (Some(_), None) => missing("http.tls.certificate", "http.tls.key"),
        (None, Some(_)) => missing("http.tls.key", "http.tls.certificate"),
        (Some(_), Some(_)) if wants_acme => Err(Failure::Other(
            "http.tls has both a certificate and letsencrypt, and only one can be shown to clients: take the other out".to_owned(),
        )),
        (Some(certificate), Some(key)) => Ok(Some(Source::Files { certificate: certificate.clone(), key: key.clone() })),
    }
}

fn acme(letsencrypt: &config::LetsEncrypt) -> Result<Source, Failure> {
    let Some(cache) = letsencrypt.cachefile.clone().filter(|path| !path.as_os_str().is_empty()) else {
        return Err(Failure::Other("http.tls.letsencrypt needs cachefile, the directory in which certificates are kept".to_owned()));
    };
    let directory = letsencrypt.directoryurl.clone().filter(|url| !url.is_empty()).unwrap_or_else(acme::lets_encrypt);
    if !directory.starts_with("https://") {
        return Err(Failure::Other(format!("http.tls.letsencrypt.directoryurl is '{directory}', and must begin with https://")));
    }
    Ok(Source::Acme(acme::Settings {
        cache,
        email: letsencrypt.email.clone().filter(|address| !address.is_empty()),
        hosts: letsencrypt.hosts.clone(),
        directory,
        directory_authority: letsencrypt.directoryca.clone(),
    }))
}
