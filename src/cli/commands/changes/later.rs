//! The later removal of restored tags by rules, as `restore` and `tag restore` tell of it.

use tarkeep::report::RemovalItem;

use crate::cli::error::Error;
use crate::cli::terminal::{output, values};

/// Maximum number of tags that are named.
const NAMED: usize = 10;

/// Says which restored tags a rule removes when, and how to keep them.
pub(super) fn say(removals: &[RemovalItem]) -> Result<(), Error> {
    let repository = removals.first().map(|removal| removal.repository.clone());
    let repository = repository.unwrap_or_default();
    let one = |removal: &RemovalItem| {
        let RemovalItem {
            tag,
            policy,
            reason,
            at,
            ..
        } = removal;
        format!(
            "policy '{policy}' removes tag {tag} at the next collection after {}: {reason}; to keep it, add a rule that does, or give \
             the image a name that no rule matches: registry tag {repository}:{tag} {repository}:NAME",
            values::time(at.0)
        )
    };
    output::say_first(removals, NAMED, one, |rest| {
        let last = rest.iter().map(|removal| removal.at.0).max();
        format!(
            "and {}: registry policy preview {repository} --removed-only --at {} lists them",
            values::count(rest.len() as u64, "more tag"),
            values::absolute(last.unwrap_or_default())
        )
    })
}
