//! Endpoints of events, from the sections `notifications` and `webhooks`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tarkeep::config::{
    self, Config, HeaderSource, Interval, SecretSource, Violations, WebhookEvent, WebhookFormat,
    collect, combine,
};
use tarkeep::events::Topic;
use tarkeep::files::regular_file;
use tarkeep::oci::Glob;
use tarkeep::webhooks::format::{Source, default_topics, topics};
use tarkeep::webhooks::{Endpoint, Endpoints, Format, Retry, Secret, Selection, Sender};

/// As in distribution.
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(1);
const NOTIFICATION_THRESHOLD: u32 = 10;
const BACKOFF: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Converts the sections; reads files and variables with secrets. Disabled endpoints are left out.
pub(crate) fn settings(config: &Config) -> Result<Vec<Endpoint>, Violations> {
    let notifications = config.notifications.endpoints.iter().enumerate();
    let notifications = notifications.filter(|(_, given)| !given.disabled);
    let webhooks = config.webhooks.iter().enumerate();
    let webhooks = webhooks.filter(|(_, given)| !given.disabled);
    let includes_references = config.notifications.events.includereferences;
    let (mut endpoints, webhooks) = combine((
        collect(
            notifications.map(|(number, given)| notification(number, given, includes_references)),
        ),
        collect(webhooks.map(|(number, given)| webhook(number, given))),
    ))?;
    endpoints.extend(webhooks);
    let mut names = BTreeSet::new();
    match endpoints
        .iter()
        .find(|endpoint| !names.insert(&*endpoint.name))
    {
        Some(twice) => Err(Violations::within(
            "webhooks",
            format!("two endpoints of events have the name '{}'", twice.name),
        )),
        None => Ok(endpoints),
    }
}

/// Identity of a server in events, for as long as it runs.
#[derive(Clone, Debug)]
pub(crate) struct OwnName {
    /// Unique id of this start of the server (a UUID).
    pub instance: String,
    /// Name of the host and port.
    pub address: String,
}

/// Prepares the endpoints for a server of this name.
pub(crate) fn endpoints(config: &Config, own: &OwnName) -> Result<Endpoints, Violations> {
    Ok(Endpoints {
        senders: senders(config)?,
        source: Source {
            instance: own.instance.clone(),
            address: own.address.clone(),
            base: config.http.host.clone(),
        },
    })
}

/// Prepares the endpoints.
pub(crate) fn senders(config: &Config) -> Result<Vec<Arc<Sender>>, Violations> {
    let senders = settings(config)?.into_iter().map(|endpoint| {
        let name = endpoint.name.clone();
        let sender = Sender::new(endpoint).map(Arc::new);
        sender.map_err(|error| Violations::within("webhooks", format!("webhook {name}: {error}")))
    });
    collect(senders)
}

fn notification(
    number: usize,
    given: &config::NotificationEndpoint,
    includes_references: bool,
) -> Result<Endpoint, Violations> {
    let place = format!("notifications.endpoints[{number}]");
    let (url, headers) = combine((url(&place, &given.url), headers(&place, &given.headers)))?;
    let ignored = given
        .ignoredmediatypes
        .iter()
        .chain(&given.ignore.mediatypes);
    Ok(Endpoint {
        name: given
            .name
            .clone()
            .unwrap_or_else(|| format!("endpoint-{number}")),
        url,
        format: Format::Distribution,
        headers,
        hmac: None,
        authority: None,
        is_link_local: false,
        timeout: unless_zero(given.timeout, NOTIFICATION_TIMEOUT),
        retry: Retry {
            threshold: given
                .threshold
                .filter(|number| *number > 0)
                .unwrap_or(NOTIFICATION_THRESHOLD),
            backoff: unless_zero(given.backoff, BACKOFF),
        },
        selection: Selection::Distribution {
            ignored_media_types: ignored.cloned().collect(),
            ignored_actions: given.ignore.actions.clone(),
        },
        includes_references,
        collapse: Duration::ZERO,
    })
}

fn webhook(number: usize, given: &config::Webhook) -> Result<Endpoint, Violations> {
    let place = format!("webhooks[{number}]");
    let format = format_of(given.format);
    let parts = (
        name(&place, &given.name),
        url(&place, &given.url),
        headers(&place, &given.headers),
        secret(&format!("{place}.hmac"), &given.hmac),
        selection(&place, given, format),
    );
    let (name, url, headers, hmac, selection) = combine(parts)?;
    if let (Format::Harbor, Some(key)) = (format, &hmac) {
        check_harbor_key(&place, key, &headers)?;
    }
    Ok(Endpoint {
        name,
        url,
        format,
        headers,
        hmac: hmac.map(Secret::new),
        authority: given.ca.clone(),
        is_link_local: given.linklocal,
        timeout: unless_zero(given.timeout, TIMEOUT),
        retry: Retry {
            threshold: 1,
            backoff: BACKOFF,
        },
        selection,
        includes_references: false,
        collapse: given.collapse.map_or(Duration::ZERO, |time| time.0),
    })
}

/// Checks the key of a webhook in Harbor's format, which is sent as `Authorization` itself.
fn check_harbor_key(place: &str, key: &[u8], headers: &HeaderMap) -> Result<(), Violations> {
    let place = format!("{place}.hmac");
    let fault = |sentence: &str| Err(Violations::within(&place, format!("{place} {sentence}")));
    match HeaderValue::from_bytes(key) {
        Err(_) => fault(
            "has a key that no header can have: harbor's receivers compare it with Authorization",
        ),
        Ok(_) if headers.contains_key(AUTHORIZATION) => fault(
            "is sent as Authorization with the format harbor, which headers has as well: leave one of them out",
        ),
        Ok(_) => Ok(()),
    }
}

fn unless_zero(given: Option<Interval>, default: Duration) -> Duration {
    let given = given.map(|given| given.0);
    given.filter(|given| !given.is_zero()).unwrap_or(default)
}

fn name(place: &str, given: &str) -> Result<String, Violations> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match !given.is_empty() && given.chars().all(is_part) {
        true => Ok(given.to_owned()),
        false => {
            let key = format!("{place}.name");
            let sentence =
                format!("{key} must have letters, digits, dots, hyphens and underscores");
            Err(Violations::of(key, sentence))
        }
    }
}

fn url(place: &str, given: &str) -> Result<Uri, Violations> {
    let parsed = given.parse::<Uri>().ok().filter(|url| {
        let authority = url.authority().map(|authority| authority.as_str());
        matches!(url.scheme_str(), Some("http" | "https"))
            && authority.is_some_and(|authority| !authority.contains('@'))
    });
    parsed.ok_or_else(|| {
        let key = format!("{place}.url");
        // all of it may be secret
        let sentence = format!(
            "{key} must be a URL that begins with http:// or https://, and has no user: give that in headers"
        );
        Violations::of(key, sentence)
    })
}

fn headers(place: &str, given: &BTreeMap<String, HeaderSource>) -> Result<HeaderMap, Violations> {
    let mut headers = HeaderMap::new();
    for (name, source) in given {
        let key = format!("{place}.headers.{name}");
        let fault = |sentence: &str| Violations::within(&key, format!("{key} {sentence}"));
        let parsed = name.parse::<HeaderName>();
        let parsed = parsed.map_err(|_| fault("is not the name of a header"))?;
        let values = match source {
            HeaderSource::Values(values) => values
                .iter()
                .map(|value| value.clone().into_bytes())
                .collect(),
            HeaderSource::Secret(source) => Vec::from_iter(secret(&key, source)?),
        };
        for value in values {
            let value = HeaderValue::from_bytes(&value);
            let mut value = value.map_err(|_| fault("has a value that no header can have"))?;
            value.set_sensitive(true);
            headers.append(&parsed, value);
        }
    }
    Ok(headers)
}

/// Reads a secret, without the white space around it.
fn secret(key: &str, source: &SecretSource) -> Result<Option<Vec<u8>>, Violations> {
    let found = match (&source.file, &source.variable) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => Err("has both file and variable".to_owned()),
        (Some(path), None) => {
            let read = regular_file::read(path);
            read.map_err(|error| format!("cannot be read from {}: {error}", path.display()))
        }
        (None, Some(name)) => match std::env::var_os(name) {
            Some(value) => Ok(value.into_encoded_bytes()),
            None => Err(format!("is in the variable {name}, which is not set")),
        },
    };
    let trimmed = found.map(|bytes| bytes.trim_ascii().to_vec());
    match trimmed {
        Ok(bytes) if bytes.is_empty() => Err(Violations::within(key, format!("{key} is empty"))),
        Ok(bytes) => Ok(Some(bytes)),
        Err(sentence) => Err(Violations::within(key, format!("{key} {sentence}"))),
    }
}

fn selection(
    place: &str,
    given: &config::Webhook,
    format: Format,
) -> Result<Selection, Violations> {
    let key = format!("{place}.events");
    let wanted: Vec<_> = match &given.events {
        Some(events) => events.iter().map(|event| topic(*event)).collect(),
        None => default_topics(format).collect(),
    };
    let untold = wanted.iter().find(|topic| !topics(format).contains(*topic));
    let wanted = match untold {
        Some(topic) => Err(Violations::of(
            &*key,
            format!(
                "{key} has {}, which the format has no words for",
                topic.as_str()
            ),
        )),
        None => Ok(wanted),
    };
    let globs = |name: &str, texts: &[String], parse: fn(&str) -> Result<Glob, String>| {
        let key = format!("{place}.{name}");
        collect(texts.iter().map(|text| {
            parse(text).map_err(|error| Violations::of(&*key, format!("in {key}, {error}")))
        }))
    };
    let (topics, repositories, tags) = combine((
        wanted,
        globs("repositories", &given.repositories, Glob::for_repositories),
        globs("tags", &given.tags, Glob::for_tags),
    ))?;
    Ok(Selection::Webhook {
        topics,
        repositories,
        tags,
    })
}

fn topic(event: WebhookEvent) -> Topic {
    match event {
        WebhookEvent::Push => Topic::Push,
        WebhookEvent::Delete => Topic::Delete,
        WebhookEvent::Restore => Topic::Restore,
        WebhookEvent::Expire => Topic::Expire,
        WebhookEvent::Pull => Topic::Pull,
        WebhookEvent::Quota => Topic::Quota,
        WebhookEvent::Damage => Topic::Damage,
        WebhookEvent::Backup => Topic::Backup,
    }
}

fn format_of(format: WebhookFormat) -> Format {
    match format {
        WebhookFormat::Distribution => Format::Distribution,
        WebhookFormat::CloudEvents => Format::CloudEvents,
        WebhookFormat::Harbor => Format::Harbor,
        WebhookFormat::DockerHub => Format::DockerHub,
        WebhookFormat::Slack => Format::Slack,
        WebhookFormat::Discord => Format::Discord,
        WebhookFormat::Teams => Format::Teams,
        WebhookFormat::Text => Format::Text,
    }
}
