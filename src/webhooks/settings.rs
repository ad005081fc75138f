//! Settings of endpoints.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, Uri};

use crate::events::Topic;
use crate::oci::Glob;
use crate::redact;

/// An endpoint that is told of events.
#[derive(Clone, PartialEq)]
pub struct Endpoint {
    pub name: String,
    /// Its user, password and query may be secrets.
    pub url: Uri,
    pub format: Format,
    /// Headers of each request; those that may be secret are marked as sensitive.
    pub headers: HeaderMap,
    /// Key of the signature.
    pub hmac: Option<Secret>,
    /// PEM file of authorities of its certificate; the system's without one.
    pub authority: Option<PathBuf>,
    /// Its host may have a link-local address.
    pub is_link_local: bool,
    /// Maximum time of a request.
    pub timeout: Duration,
    pub retry: Retry,
    pub selection: Selection,
    /// Tell of the references of manifests.
    pub includes_references: bool,
    /// Time within which only the last event of a tag is told.
    pub collapse: Duration,
}

/// Form of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Distribution,
    CloudEvents,
    Harbor,
    DockerHub,
    Slack,
    Discord,
    Teams,
    Text,
}

/// Pauses between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Number of failures after which pauses grow.
    pub threshold: u32,
    /// First pause.
    pub backoff: Duration,
}

/// Events that an endpoint is told of.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// All that distribution tells, but those of these media types or actions.
    Distribution {
        ignored_media_types: Vec<String>,
        ignored_actions: Vec<String>,
    },
    /// Those of these topics, about repositories and tags that match; empty lists match everything.
    Webhook {
        topics: Vec<Topic>,
        repositories: Vec<Glob>,
        tags: Vec<Glob>,
    },
}

/// Bytes that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for signatures.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::REDACTED)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("url", &redact::url(&self.url.to_string()))
            .field("format", &self.format)
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}
