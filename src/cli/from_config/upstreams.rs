//! Mirrors of other registries, from the sections `upstreams` and `proxy`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tarkeep::config::{self, Config, Violations, collect, combine};
use tarkeep::files::regular_file;
use tarkeep::mirror::{MirrorSettings, Mirrors, NewMirrors};
use tarkeep::oci::{Glob, RepositoryName};
use tarkeep::registry::RepositorySource;
use tarkeep::upstream::{Credentials, Dialect, Helper, Login, Queue, Settings};

use crate::cli::from_config::{defaults, syncs};

/// Time for which a tag is not asked for again.
const FRESH: Duration = Duration::from_secs(300);
/// Maximum time for an upstream's answer, while a client waits.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Shortest such time.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(10);
/// Time between two pieces of an answer, as a multiple of that.
const STALL: u32 = 10;
/// Maximum number of blobs that are fetched from one upstream at once.
const FETCHES: usize = 32;

/// Creates the mirrors, which reads the files that they name.
pub(crate) fn mirrors(config: &Config) -> Result<Mirrors, Violations> {
    if let Some(settings) = proxy(config)? {
        let mirrors = Mirrors::new(vec![settings]);
        return mirrors.map_err(|(_, error)| Violations::of("proxy.remoteurl", error));
    }
    Mirrors::new(settings(config)?)
        .map_err(|(number, error)| Violations::within(format!("upstreams[{number}]"), error))
}

/// Creates those of a new configuration, beside the present ones. A registry that is a cache as a whole stays so until a restart.
pub(crate) fn changed(
    mirrors: &Mirrors,
    config: &Config,
) -> Result<Option<NewMirrors>, Violations> {
    if mirrors.are_everything() || config.proxy.url().is_some() {
        return Ok(None);
    }
    let prepared = mirrors.prepare(settings(config)?);
    let prepared = prepared
        .map_err(|(number, error)| Violations::within(format!("upstreams[{number}]"), error));
    prepared.map(Some)
}

/// Returns the addresses that lead to one upstream, each with its prefix.
pub(crate) fn listeners(config: &Config) -> Result<Vec<(RepositoryName, SocketAddr)>, Violations> {
    let all = config.upstreams.iter().enumerate();
    collect(all.filter_map(|(number, given)| {
        let listen = given.listen.as_deref()?;
        let address = defaults::listen_address(Some(listen));
        let address = address.and_then(|address| free(address, &config.http));
        let address = address
            .map_err(|problem| Violations::of(format!("upstreams[{number}].listen"), problem));
        let place = format!("upstreams[{number}]");
        let prefix = prefix(&place, given, &[]).and_then(|prefix| {
            let sentence = "an address that leads to one upstream needs its prefix";
            prefix.ok_or_else(|| Violations::of(format!("{place}.listen"), sentence))
        });
        Some(combine((prefix, address)))
    }))
}

/// Returns an address on which the registry itself does not listen.
fn free(address: SocketAddr, http: &config::Http) -> Result<SocketAddr, String> {
    let own = match http.net {
        config::Net::Unix => return Ok(address),
        _ => defaults::listen_address(http.addr.as_deref()),
    };
    let is_same = |own: SocketAddr| {
        let is_everywhere = own.ip().is_unspecified() || address.ip().is_unspecified();
        own.port() == address.port()
            && own.port() != 0
            && (is_everywhere || own.ip() == address.ip())
    };
    // a fault of http.addr is told by itself
    match own.is_ok_and(is_same) {
        true => Err(format!(
            "the registry itself listens on {address} (http.addr): give the upstream another port"
        )),
        false => Ok(address),
    }
}

/// Returns the origin of a store of distribution in the data directory: its own, or the upstream that it was a cache of.
pub(crate) fn store_source(config: &Config) -> RepositorySource {
    match config.proxy.url() {
        Some(url) => RepositorySource::Upstream(Settings::of(url).url.into()),
        None => RepositorySource::Own,
    }
}

/// Returns a note about a section `proxy` without effect.
pub(crate) fn note(config: &Config) -> Option<String> {
    let is_without_effect =
        config.proxy.url().is_none() && config.proxy != config::Proxy::default();
    is_without_effect.then(|| "proxy has no effect without proxy.remoteurl".to_owned())
}

/// Returns the one mirror of a registry that is a cache as a whole.
fn proxy(config: &Config) -> Result<Option<MirrorSettings>, Violations> {
    let proxy = &config.proxy;
    let Some(url) = proxy.url() else {
        return Ok(None);
    };
    if !config.upstreams.is_empty() {
        let sentence = "with proxy.remoteurl the whole registry is a cache of one upstream: write that as one of upstreams, beside the others";
        return Err(Violations::of("upstreams", sentence));
    }
    let mut upstream = impatient(Settings::of(url), TIMEOUT);
    upstream.logins.extend(proxy_login(proxy, url));
    // distribution has no key for it: many registries with a port have their token service beside it on the standard one
    let host = url.parse::<Uri>().ok();
    upstream
        .realms
        .extend(host.and_then(|url| url.host().map(str::to_owned)));
    Ok(Some(MirrorSettings {
        prefix: None,
        namespace: None,
        upstream,
        fresh: FRESH,
        allow: Vec::new(),
        adopts: false,
        rate: None,
        sync: Vec::new(),
    }))
}

/// Returns the login of a cache; a helper comes before the user, as in distribution.
fn proxy_login(proxy: &config::Proxy, url: &str) -> Option<Login> {
    let is_given = |text: &String| !text.is_empty();
    let credentials = if let Some(command) = proxy.exec.command.clone().filter(is_given) {
        let lifetime = proxy.exec.lifetime.map(|lifetime| lifetime.0);
        Credentials::Helper(Arc::new(Helper::new(command, url.to_owned(), lifetime)))
    } else {
        Credentials::Given {
            username: proxy.username.clone().filter(is_given)?,
            password: proxy.password.clone().unwrap_or_default(),
        }
    };
    Some(Login {
        repositories: None,
        credentials,
    })
}

/// Sets the limits of an upstream for whose answers clients wait.
fn impatient(upstream: Settings, timeout: Duration) -> Settings {
    Settings {
        queue: Queue::Timed,
        fetches: FETCHES,
        timeout,
        stall: timeout * STALL,
        ..upstream
    }
}

fn settings(config: &Config) -> Result<Vec<MirrorSettings>, Violations> {
    let all = &config.upstreams;
    collect(all.iter().enumerate().map(|(number, given)| {
        let place = format!("upstreams[{number}]");
        let before = &all[..number];
        let (names, login, allow, sync, limits) = combine((
            combine((
                prefix(&place, given, before),
                namespace(&place, given, before),
            )),
            login(&place, given),
            globs(&place, given),
            syncs::rules(&place, given),
            limits(&place, given),
        ))?;
        if given.adopt && (given.keep.unused.is_some() || given.keep.size.is_some()) {
            let sentence = "what is adopted is kept whole, as one's own: leave out keep";
            return Err(Violations::within(format!("{place}.keep"), sentence));
        }
        let ((prefix, namespace), (timeout, rate)) = (names, limits);
        let mut upstream = impatient(Settings::of(&given.url), timeout);
        if namespace.as_deref() == Some("docker.io") {
            upstream.dialect = Dialect::DockerHub;
        }
        upstream.logins.extend(login);
        upstream.realms.clone_from(&given.realms);
        upstream.private_hosts.clone_from(&given.privatehosts);
        upstream.ca.clone_from(&given.ca);
        upstream.proxy.clone_from(&given.proxy);
        Ok(MirrorSettings {
            prefix,
            namespace,
            upstream,
            fresh: given.fresh.map_or(FRESH, |fresh| fresh.0),
            allow,
            adopts: given.adopt,
            rate,
            sync,
        })
    }))
}

/// Returns the time for an answer, and the maximum number of requests in a second.
fn limits(
    place: &str,
    given: &config::Mirror,
) -> Result<(Duration, Option<NonZeroU32>), Violations> {
    let timeout = match given.timeout.map_or(TIMEOUT, |timeout| timeout.0) {
        timeout if timeout < SHORTEST_TIMEOUT => {
            let sentence =
                "in upstreams, timeout must be at least 10ms, or no answer comes in time";
            Err(Violations::of(format!("{place}.timeout"), sentence))
        }
        timeout => Ok(timeout),
    };
    let rate = given.rate.map(|rate| {
        NonZeroU32::new(rate).ok_or_else(|| {
            let sentence = "in upstreams, rate must be at least 1; leave it out for no limit";
            Violations::of(format!("{place}.rate"), sentence)
        })
    });
    combine((timeout, rate.transpose()))
}

fn prefix(
    place: &str,
    given: &config::Mirror,
    before: &[config::Mirror],
) -> Result<Option<RepositoryName>, Violations> {
    let fault = |sentence: String| Violations::of(format!("{place}.prefix"), sentence);
    if given.prefix.is_empty() {
        let is_second = before.iter().any(|other| other.prefix.is_empty());
        let sentence = match (given.adopt, is_second) {
            (true, false) => return Ok(None),
            (true, true) => {
                "two upstreams have no prefix: only one can be adopted under the names that it has there"
            }
            (false, _) => {
                "an upstream needs a prefix, unless it is adopted: write adopt: true to move it here under the names that it has there"
            }
        };
        return Err(Violations::within(place, sentence));
    }
    let name = RepositoryName::parse(&given.prefix);
    let name = name.map_err(|error| fault(format!("in upstreams, {error}")))?;
    let is_within = |one: &str, other: &str| format!("{one}/").starts_with(&format!("{other}/"));
    let prefixed = |other: &&config::Mirror| !other.prefix.is_empty();
    let clash = before.iter().filter(prefixed).find(|other| {
        is_within(&given.prefix, &other.prefix) || is_within(&other.prefix, &given.prefix)
    });
    match clash {
        Some(other) => Err(fault(format!(
            "the prefixes {} and {} of two upstreams overlap: give each its own",
            other.prefix, given.prefix
        ))),
        None => Ok(Some(name)),
    }
}

fn namespace(
    place: &str,
    given: &config::Mirror,
    before: &[config::Mirror],
) -> Result<Option<String>, Violations> {
    if given.ns.is_some() && given.prefix.is_empty() {
        let sentence = "an upstream without a prefix answers for every name, so it needs no ns: leave it out, or add a prefix";
        return Err(Violations::of(format!("{place}.ns"), sentence));
    }
    // the host of an image's name, with a port: containerd sends it so, and nothing else would ever match
    let is_host = |ns: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        !ns.is_empty() && ns.bytes().all(is_part)
    };
    if let Some(ns) = given.ns.as_deref().filter(|ns| !is_host(ns)) {
        let sentence = format!(
            "'{ns}' is no host of images: write ns as their names begin, such as ghcr.io, without https:// and without a path"
        );
        return Err(Violations::of(format!("{place}.ns"), sentence));
    }
    let is_taken = given.ns.is_some() && before.iter().any(|other| other.ns == given.ns);
    match (is_taken, &given.ns) {
        (true, Some(ns)) => Err(Violations::of(
            format!("{place}.ns"),
            format!("two upstreams have the ns {ns}: only one can answer for it"),
        )),
        (_, ns) => Ok(ns.clone()),
    }
}

fn login(place: &str, given: &config::Mirror) -> Result<Option<Login>, Violations> {
    let credentials = match (&given.username, &given.password, &given.passwordfile) {
        (None, None, None) => return Ok(None),
        (Some(username), Some(password), None) => Credentials::Given {
            username: username.clone(),
            password: password.clone(),
        },
        (Some(username), None, Some(path)) => {
            // read again for every login, but a mistake shows now
            regular_file::read(path).map_err(|error| {
                let sentence = format!(
                    "cannot read the password of an upstream from '{}': {error}",
                    path.display()
                );
                Violations::of(format!("{place}.passwordfile"), sentence)
            })?;
            Credentials::PasswordFile {
                username: username.clone(),
                path: path.clone(),
            }
        }
        _ => {
            let sentence =
                "in upstreams, a login needs username, and either password or passwordfile";
            return Err(Violations::within(place, sentence));
        }
    };
    Ok(Some(Login {
        repositories: None,
        credentials,
    }))
}

fn globs(place: &str, given: &config::Mirror) -> Result<Vec<Glob>, Violations> {
    let globs = given.allow.iter().map(|text| {
        Glob::for_repositories(text).map_err(|error| {
            Violations::of(format!("{place}.allow"), format!("in upstreams, {error}"))
        })
    });
    collect(globs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clients_wait_in_limited_time_for_whatever_is_cached() {
        let mut config = Config::default();
        config.proxy.remoteurl = Some("https://a.example".to_owned());
        let whole = proxy(&config).expect("a cache").expect("a cache");
        config.proxy = config::Proxy::default();
        let given = json!({ "prefix": "hub", "url": "https://a.example" });
        config.upstreams = vec![serde_json::from_value(given).expect("an upstream")];
        let mut below = settings(&config).expect("a cache");
        for upstream in [whole.upstream, below.remove(0).upstream] {
            assert_eq!((upstream.queue, upstream.fetches), (Queue::Timed, FETCHES));
            assert_eq!(
                (upstream.timeout, upstream.stall),
                (TIMEOUT, TIMEOUT * STALL)
            );
        }
    }
}
