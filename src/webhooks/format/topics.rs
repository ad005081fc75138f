//! Topics that each format can tell of.

use crate::events::Topic;
use crate::webhooks::settings::Format;

/// Returns the topics that a format has words for.
pub fn topics(format: Format) -> &'static [Topic] {
    use Topic::{Backup, Damage, Delete, Expire, Pull, Push, Quota, Restore};
    match format {
        Format::Distribution => &[Push, Delete, Restore, Expire, Pull],
        Format::Harbor => &[Push, Delete, Restore, Expire, Pull, Quota],
        Format::DockerHub => &[Push, Restore],
        Format::CloudEvents | Format::Slack | Format::Discord | Format::Teams | Format::Text => {
            &[Push, Delete, Restore, Expire, Pull, Quota, Damage, Backup]
        }
    }
}

/// Returns the topics of a webhook whose settings name none: all that its format has words for, but pulls.
pub fn default_topics(format: Format) -> impl Iterator<Item = Topic> {
    let topics = topics(format).iter().copied();
    topics.filter(|topic| *topic != Topic::Pull)
}
