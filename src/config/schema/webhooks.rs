//! The sections `notifications`, which is distribution's, and `webhooks`, which is ours.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// Events, in distribution's form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notifications {
    pub events: EventsOptions,
    pub endpoints: Vec<NotificationEndpoint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsOptions {
    /// Tell of the references of manifests.
    pub includereferences: bool,
}

/// Endpoint of distribution's events.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationEndpoint {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub disabled: bool,
    /// Empty only if the endpoint is disabled.
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderSource>,
    /// Timeout of a request [default: 1s].
    #[serde(default)]
    pub timeout: Option<Interval>,
    /// Number of failures after which pauses grow [default: 10].
    #[serde(default)]
    pub threshold: Option<u32>,
    /// First pause [default: 1s].
    #[serde(default)]
    pub backoff: Option<Interval>,
    #[serde(default)]
    pub ignoredmediatypes: Vec<String>,
    #[serde(default)]
    pub ignore: IgnoredEvents,
}

/// Events of which an endpoint is not told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IgnoredEvents {
    pub mediatypes: Vec<String>,
    pub actions: Vec<String>,
}

/// Endpoint of our events.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    pub name: String,
    #[serde(default)]
    pub disabled: bool,
    pub url: String,
    /// [default: all that the format can tell, but pulls]
    #[serde(default)]
    pub events: Option<Vec<WebhookEvent>>,
    /// Globs of repositories [default: all].
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Globs of tags [default: all].
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub format: WebhookFormat,
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderSource>,
    #[serde(default)]
    pub hmac: SecretSource,
    /// PEM file: authorities of its certificate.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Allow its host to have a link-local address.
    #[serde(default)]
    pub linklocal: bool,
    /// Timeout of a request [default: 10s].
    #[serde(default)]
    pub timeout: Option<Interval>,
    /// Time within which only the last event of a tag is told [default: 0s].
    #[serde(default)]
    pub collapse: Option<Interval>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookEvent {
    Push,
    Delete,
    Restore,
    Expire,
    Pull,
    Quota,
    Damage,
    Backup,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    Distribution,
    #[default]
    CloudEvents,
    Harbor,
    DockerHub,
    Slack,
    Discord,
    Teams,
    Text,
}

/// Values of a header, or where its one value is.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum HeaderSource {
    Values(Vec<String>),
    Secret(SecretSource),
}

/// Place of a secret; none if both are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretSource {
    pub file: Option<PathBuf>,
    /// Name of an environment variable.
    pub variable: Option<String>,
}

impl fmt::Debug for NotificationEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationEndpoint")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
