//! One sentence about an event, for people.

use super::source::{Source, digest};
use crate::escape::OneLine;
use crate::events::{Event, EventKind};

/// Length of the shown part of a digest: enough to find it.
const SHOWN_DIGEST: usize = "sha256:0123456789ab".len();
/// Maximum length of a detail, in bytes.
const LONGEST_DETAIL: usize = 500;

/// Returns a sentence on one line, without hidden characters.
pub(super) fn of(event: &Event, source: &Source) -> String {
    let what = what(event, source);
    let digest = digest(event).map(|digest| format!(": {}", short(digest)));
    let digest = digest.unwrap_or_default();
    let by = event.actor.name.as_deref();
    let by = by.map(|name| format!(" by {name}")).unwrap_or_default();
    let sentence = match event.kind {
        EventKind::TagMoved | EventKind::ManifestPushed => match &event.former {
            Some(former) => format!("{what} pushed{by}{digest}, before {}", short(former)),
            None => format!("{what} pushed{by}{digest}"),
        },
        EventKind::TagRestored | EventKind::ManifestRestored => {
            format!("{what} restored{by}{digest}")
        }
        EventKind::ManifestPulled | EventKind::ManifestChecked => {
            format!("{what} pulled{by}{digest}")
        }
        EventKind::TagDeleted | EventKind::ManifestDeleted | EventKind::UntaggedDeleted => {
            format!("{what} deleted{by}{digest}")
        }
        EventKind::TagExpired => format!("{what} expired{digest}"),
        EventKind::BlobPushed => format!("{what} pushed{by}"),
        EventKind::BlobMounted => format!("{what} mounted{by}"),
        EventKind::BlobPulled | EventKind::BlobChecked => format!("{what} pulled{by}"),
        EventKind::BlobDeleted => format!("{what} deleted{by}"),
        EventKind::QuotaExceeded => format!("Quota exceeded: push to {what}{by} refused"),
        EventKind::DamageFound => format!("Damaged content found: {what}"),
        EventKind::BackupFailed => format!("Backup failed: {what}"),
    };
    let detail = event.detail.as_deref().map(cut);
    let detail = detail.map(|detail| format!(" ({detail})"));
    OneLine(&(sentence + &detail.unwrap_or_default())).to_string()
}

/// Subject of a sentence: an image, or the registry.
fn what(event: &Event, source: &Source) -> String {
    if event.repository.is_some() {
        return source.image(event);
    }
    match (digest(event), source.host(event)) {
        (Some(digest), _) => digest.to_owned(),
        (None, "") => "the registry".to_owned(),
        (None, host) => host.to_owned(),
    }
}

fn short(digest: &str) -> &str {
    &digest[..digest.floor_char_boundary(SHOWN_DIGEST.min(digest.len()))]
}

fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(LONGEST_DETAIL.min(detail.len()))]
}
