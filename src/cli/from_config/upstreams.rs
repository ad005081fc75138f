//! Mirrors of other registries, from the section `upstreams`.

use std::time::Duration;

use tarkeep::config::{self, Config, Violations, collect, combine};
use tarkeep::mirror::{MirrorSettings, Mirrors};
use tarkeep::oci::{Glob, RepositoryName};
use tarkeep::upstream::{Credentials, Dialect, Login, Queue, Settings};

/// Time for which a tag is not asked for again.
const FRESH: Duration = Duration::from_secs(300);
/// Maximum time for an upstream's answer, while a client waits.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Time between two pieces of an answer, as a multiple of that.
const STALL: u32 = 10;
/// Maximum number of blobs that are fetched from one upstream at once.
const FETCHES: usize = 32;

/// Creates the mirrors, which reads the files that they name.
pub(crate) fn mirrors(config: &Config) -> Result<Mirrors, Violations> {
    Mirrors::new(settings(config)?)
        .map_err(|(number, error)| Violations::within(format!("upstreams[{number}]"), error))
}

fn settings(config: &Config) -> Result<Vec<MirrorSettings>, Violations> {
    let all = &config.upstreams;
    collect(all.iter().enumerate().map(|(number, given)| {
        let place = format!("upstreams[{number}]");
        let before = &all[..number];
        let (prefix, namespace, login, allow) = combine((
            prefix(&place, given, before),
            namespace(&place, given, before),
            login(&place, given),
            globs(&place, given),
        ))?;
        let mut upstream = Settings::of(&given.url);
        if namespace.as_deref() == Some("docker.io") {
            upstream.dialect = Dialect::DockerHub;
        }
        upstream.logins.extend(login);
        upstream.realms.clone_from(&given.realms);
        upstream.queue = Queue::Timed;
        upstream.fetches = FETCHES;
        upstream.timeout = given.timeout.map_or(TIMEOUT, |timeout| timeout.0);
        upstream.stall = upstream.timeout * STALL;
        upstream.ca.clone_from(&given.ca);
        upstream.proxy.clone_from(&given.proxy);
        Ok(MirrorSettings {
            prefix,
            namespace,
            upstream,
            fresh: given.fresh.map_or(FRESH, |fresh| fresh.0),
            allow,
        })
    }))
}

fn prefix(
    place: &str,
    given: &config::Mirror,
    before: &[config::Mirror],
) -> Result<RepositoryName, Violations> {
    let fault = |sentence: String| Violations::of(format!("{place}.prefix"), sentence);
    let name = RepositoryName::parse(&given.prefix);
    let name = name.map_err(|error| fault(format!("in upstreams, {error}")))?;
    let is_within = |one: &str, other: &str| format!("{one}/").starts_with(&format!("{other}/"));
    let clash = before.iter().find(|other| {
        is_within(&given.prefix, &other.prefix) || is_within(&other.prefix, &given.prefix)
    });
    match clash {
        Some(other) => Err(fault(format!(
            "the prefixes {} and {} of two upstreams overlap: give each its own",
            other.prefix, given.prefix
        ))),
        None => Ok(name),
    }
}

fn namespace(
    place: &str,
    given: &config::Mirror,
    before: &[config::Mirror],
) -> Result<Option<String>, Violations> {
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
        (Some(username), None, Some(path)) => Credentials::PasswordFile {
            username: username.clone(),
            path: path.clone(),
        },
        _ => {
            let sentence = "a login needs username, and either password or passwordfile";
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
