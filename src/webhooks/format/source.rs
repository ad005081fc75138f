//! Origin of an event, in the terms of its receivers.

use jiff::Timestamp;

use crate::events::Event;

/// Server that tells of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Unique id of this start of the server (a UUID).
    pub instance: String,
    /// Name of the host and port of the server, as distribution tells it.
    pub address: String,
    /// URL of the registry (`http.host`) for events without a request.
    pub base: Option<String>,
}

impl Source {
    /// Returns the URL of the registry as clients know it, without a slash at the end.
    pub(super) fn base<'s>(&'s self, event: &'s Event) -> Option<&'s str> {
        let base = event.request.as_ref().map(|request| request.base.as_str());
        let base = base.or(self.base.as_deref());
        base.map(|base| base.trim_end_matches('/'))
            .filter(|base| !base.is_empty())
    }

    /// Returns host and port of the registry as clients know them; empty if they are not known.
    pub(super) fn host<'s>(&'s self, event: &'s Event) -> &'s str {
        let base = self.base(event).unwrap_or_default();
        let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// Returns the name by which clients pull what an event is about: `HOST/NAME:TAG`, or `HOST/NAME@DIGEST` without a tag.
    pub(super) fn image(&self, event: &Event) -> String {
        let (host, name) = (self.host(event), event.repository.as_deref());
        let slash = if host.is_empty() { "" } else { "/" };
        let name = format!("{host}{slash}{}", name.unwrap_or_default());
        match (&event.tag, digest(event)) {
            (Some(tag), _) => format!("{name}:{tag}"),
            (None, Some(digest)) => format!("{name}@{digest}"),
            (None, None) => name,
        }
    }
}

/// Digest of what an event is about.
pub(super) fn digest(event: &Event) -> Option<&str> {
    event.target.as_ref().map(|target| target.digest.as_str())
}

/// Time of an event, as RFC 3339 writes it.
pub(super) fn time(event: &Event) -> String {
    Timestamp::from_millisecond(event.at)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// Time of an event, in seconds since 1970.
pub(super) fn seconds(event: &Event) -> i64 {
    event.at.div_euclid(1000)
}

/// Splits a repository's name into its first part and the rest, as Harbor and Docker Hub do; one part has no namespace.
pub(super) fn namespace(repository: &str) -> (&str, &str) {
    repository.split_once('/').unwrap_or(("", repository))
}
