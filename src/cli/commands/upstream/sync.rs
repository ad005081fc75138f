//! Content that is fetched ahead of clients, in `registry upstream ls`.

use tarkeep::report::{SyncItem, Time, UpstreamItem};

use super::adoption::place;
use crate::cli::error::Error;
use crate::cli::terminal::output;
use crate::cli::terminal::values::{count, time};

/// Maximum number of problems that a person is shown of one rule.
const SHOWN: usize = 5;

/// Says what is fetched ahead, when, and what could not be brought.
pub(super) fn say(upstreams: &[UpstreamItem]) -> Result<(), Error> {
    for upstream in upstreams {
        for sync in &upstream.sync {
            let place = place(upstream, upstreams);
            output::say(&format!("\n{}", sentence(&place, sync)))?;
            for problem in sync.problems.iter().take(SHOWN) {
                output::say(&format!("  {}: {}", problem.place, problem.problem))?;
            }
            let more = sync.problems.len().saturating_sub(SHOWN);
            if more > 0 {
                output::say(&format!("  and {more} more: --output json lists them"))?;
            }
        }
    }
    Ok(())
}

fn sentence(url: &str, sync: &SyncItem) -> String {
    let shown = |at: &Time| time(at.0);
    let last = match (&sync.completed, &sync.failure) {
        (_, Some(failure)) => format!("failed: {failure}"),
        (Some(at), None) => format!(
            "last {}: {} of {} here",
            shown(at),
            sync.tag_count.saturating_sub(sync.missing_tag_count),
            count(sync.tag_count, "tag"),
        ),
        (None, None) => "no run yet".to_owned(),
    };
    let next = match &sync.begun {
        Some(at) => format!("under way since {}", shown(at)),
        None => format!("next {}", shown(&sync.next)),
    };
    format!("fetching {} ahead from {url}: {last}; {next}", sync.rule)
}
