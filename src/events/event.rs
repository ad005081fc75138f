//! An event, with everything that any format tells of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::kind::EventKind;

/// An event of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Number in this data directory, ascending; the same over all attempts and endpoints.
    pub id: i64,
    /// Unique id (a UUID), the same over all attempts and endpoints.
    pub uuid: String,
    /// Milliseconds since 1970, in UTC.
    pub at: i64,
    pub kind: EventKind,
    /// `None` for events of the whole registry.
    pub repository: Option<String>,
    pub tag: Option<String>,
    /// Content after the change; what is gone, for deletions by digest.
    pub target: Option<Descriptor>,
    /// Digest that the tag had before.
    pub former: Option<String>,
    /// Repository that a blob was mounted from.
    pub from_repository: Option<String>,
    /// Descriptors that a manifest names, if an endpoint includes references.
    pub references: Vec<Reference>,
    pub actor: EventActor,
    /// `None` for changes by the command line and by the server itself.
    pub request: Option<EventRequest>,
    /// Anything else in a sentence or a word: the rule, the quota, the error.
    pub detail: Option<String>,
}

/// Description of content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    #[serde(rename = "mediaType")]
    pub media_type: String,
    pub digest: String,
    pub size: u64,
}

/// Descriptor that a manifest names, with what distribution tells of it; its fields are in that order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    pub digest: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Author of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventActor {
    /// User, `token:NAME`, or a part of the registry; `None` without a login.
    pub name: Option<String>,
    /// Network address, without port.
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// Request that caused an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRequest {
    /// Unique id (a UUID).
    pub id: String,
    pub method: String,
    /// Address and port of the client, if they are known.
    pub peer: Option<String>,
    /// URL of the registry as the client knows it: scheme, host and any prefix, without a slash at the end.
    pub base: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
