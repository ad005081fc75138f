//! Events about blobs.

use crate::events::Descriptor;
use crate::meta::{EventPlace, EventSubject, RepositoryId};
use crate::oci::Digest;

/// Media type of every blob in events, as in distribution.
const OCTET_STREAM: &str = "application/octet-stream";

/// Returns the descriptor of a blob in an event.
pub(in crate::registry) fn blob_target(digest: &Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: OCTET_STREAM.to_owned(),
        digest: digest.as_str().to_owned(),
        size,
    }
}

/// Returns a blob as the subject of an event.
pub(in crate::registry) fn blob_subject(
    repository: RepositoryId,
    digest: &Digest,
    size: u64,
) -> EventSubject<'static> {
    EventSubject {
        target: Some(blob_target(digest, size)),
        ..EventSubject::at(EventPlace::Id(repository))
    }
}
