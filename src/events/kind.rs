//! Kinds of events, and what each kind is to an endpoint.

/// Kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A manifest that a client pushed, which moved no tag.
    ManifestPushed,
    /// A tag that was made or moved.
    TagMoved,
    /// A tag that came back from the history or the trash.
    TagRestored,
    /// A manifest without tags that came back from the trash.
    ManifestRestored,
    ManifestPulled,
    /// A `HEAD` of a manifest, which is a pull to distribution.
    ManifestChecked,
    /// A manifest that was deleted with its tags, each of which has an event of its own.
    ManifestDeleted,
    /// A manifest that was deleted and had no tag.
    UntaggedDeleted,
    TagDeleted,
    /// A tag that a rule removed.
    TagExpired,
    BlobPushed,
    BlobMounted,
    BlobPulled,
    /// A `HEAD` of a blob.
    BlobChecked,
    BlobDeleted,
    /// A push that a quota refused.
    QuotaExceeded,
    /// Content that was found to have another digest than its own.
    DamageFound,
    /// A backup of the server that failed.
    BackupFailed,
}

/// Action of an event in distribution's envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Pull,
    Push,
    Mount,
    Delete,
}

/// Name of events in the settings of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Push,
    Delete,
    Restore,
    Expire,
    Pull,
    Quota,
    Damage,
    Backup,
}

impl EventKind {
    pub const ALL: [Self; 18] = [
        Self::ManifestPushed,
        Self::TagMoved,
        Self::TagRestored,
        Self::ManifestRestored,
        Self::ManifestPulled,
        Self::ManifestChecked,
        Self::ManifestDeleted,
        Self::UntaggedDeleted,
        Self::TagDeleted,
        Self::TagExpired,
        Self::BlobPushed,
        Self::BlobMounted,
        Self::BlobPulled,
        Self::BlobChecked,
        Self::BlobDeleted,
        Self::QuotaExceeded,
        Self::DamageFound,
        Self::BackupFailed,
    ];

    /// Name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManifestPushed => "manifest-push",
            Self::TagMoved => "tag-move",
            Self::TagRestored => "tag-restore",
            Self::ManifestRestored => "manifest-restore",
            Self::ManifestPulled => "manifest-pull",
            Self::ManifestChecked => "manifest-check",
            Self::ManifestDeleted => "manifest-delete",
            Self::UntaggedDeleted => "untagged-delete",
            Self::TagDeleted => "tag-delete",
            Self::TagExpired => "tag-expire",
            Self::BlobPushed => "blob-push",
            Self::BlobMounted => "blob-mount",
            Self::BlobPulled => "blob-pull",
            Self::BlobChecked => "blob-check",
            Self::BlobDeleted => "blob-delete",
            Self::QuotaExceeded => "quota",
            Self::DamageFound => "damage",
            Self::BackupFailed => "backup",
        }
    }

    /// Parses [`Self::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Action by which distribution's endpoints are told; `None` if they are not.
    pub fn action(self) -> Option<Action> {
        match self {
            Self::ManifestPushed
            | Self::TagMoved
            | Self::TagRestored
            | Self::ManifestRestored
            | Self::BlobPushed => Some(Action::Push),
            Self::ManifestPulled | Self::ManifestChecked | Self::BlobPulled | Self::BlobChecked => {
                Some(Action::Pull)
            }
            Self::BlobMounted => Some(Action::Mount),
            Self::ManifestDeleted
            | Self::UntaggedDeleted
            | Self::TagDeleted
            | Self::TagExpired
            | Self::BlobDeleted => Some(Action::Delete),
            Self::QuotaExceeded | Self::DamageFound | Self::BackupFailed => None,
        }
    }

    /// Topic by which webhooks are told; `None` if they are not.
    pub fn topic(self) -> Option<Topic> {
        match self {
            Self::TagMoved => Some(Topic::Push),
            Self::TagDeleted | Self::UntaggedDeleted => Some(Topic::Delete),
            Self::TagRestored | Self::ManifestRestored => Some(Topic::Restore),
            Self::TagExpired => Some(Topic::Expire),
            Self::ManifestPulled => Some(Topic::Pull),
            Self::QuotaExceeded => Some(Topic::Quota),
            Self::DamageFound => Some(Topic::Damage),
            Self::BackupFailed => Some(Topic::Backup),
            Self::ManifestPushed
            | Self::ManifestChecked
            | Self::ManifestDeleted
            | Self::BlobPushed
            | Self::BlobMounted
            | Self::BlobPulled
            | Self::BlobChecked
            | Self::BlobDeleted => None,
        }
    }
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }
}

impl Topic {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Expire => "expire",
            Self::Pull => "pull",
            Self::Quota => "quota",
            Self::Damage => "damage",
            Self::Backup => "backup",
        }
    }
}

/// Set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventKinds(u32);

impl EventKinds {
    /// Number in the database.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Returns the set of a number in the database.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, kind: EventKind) -> bool {
        self.0 & bit(kind) != 0
    }

    /// Lists the kinds.
    pub fn iter(self) -> impl Iterator<Item = EventKind> {
        EventKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<EventKind> for EventKinds {
    fn from_iter<I: IntoIterator<Item = EventKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | bit(kind)))
    }
}

fn bit(kind: EventKind) -> u32 {
    1 << kind as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for (number, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            assert_eq!(EventKinds::from_iter([kind]).bits(), 1 << number);
        }
        let two = EventKinds::from_iter([EventKind::TagMoved, EventKind::BlobPulled]);
        assert!(two.contains(EventKind::TagMoved) && !two.contains(EventKind::TagDeleted));
        assert_eq!(EventKinds::from_bits(two.bits()), two);
    }
}
