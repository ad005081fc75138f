//! Progress of the adoption of an upstream, in `registry upstream ls`.

use tarkeep::report::{AdoptionProgress, UpstreamItem};

use crate::cli::error::Error;
use crate::cli::terminal::output;
use crate::cli::terminal::values::{count, size};

/// Maximum number of problems that a person is shown of one adoption.
const SHOWN: usize = 10;

/// Says how far the adoptions are, and what each cannot bring.
pub(super) fn say(upstreams: &[UpstreamItem]) -> Result<(), Error> {
    for upstream in upstreams {
        let Some(adoption) = &upstream.adoption else {
            continue;
        };
        let place = place(upstream, upstreams);
        output::say(&format!("\n{}", sentence(&place, adoption)))?;
        for problem in adoption.problems.iter().take(SHOWN) {
            output::say(&format!("  {}: {}", problem.place, problem.problem))?;
        }
        let more = adoption.problem_count.saturating_sub(SHOWN as u64);
        if more > 0 {
            output::say(&format!("  and {more} more: --output json lists them"))?;
        }
    }
    Ok(())
}

/// Names an upstream: by its URL, with its prefix if others have the same.
pub(super) fn place(upstream: &UpstreamItem, all: &[UpstreamItem]) -> String {
    let same = all.iter().filter(|other| other.url == upstream.url);
    match (same.count(), &*upstream.name) {
        (0 | 1, _) => upstream.url.clone(),
        (_, "") => format!("{} (whole registry)", upstream.url),
        (_, name) => format!("{} ({name})", upstream.url),
    }
}

fn sentence(url: &str, adoption: &AdoptionProgress) -> String {
    let brought = format!(
        "{} of {}, {} of {}, {} of {}",
        adoption.whole_repository_count,
        match adoption.repository_count {
            1 => "1 repository".to_owned(),
            number => format!("{number} repositories"),
        },
        adoption
            .tag_count
            .saturating_sub(adoption.missing_tag_count),
        count(adoption.tag_count, "tag"),
        size(adoption.size),
        size(adoption.size + adoption.missing_size),
    );
    let percent = adoption.percent;
    let rest = match (&adoption.failure, adoption.problem_count) {
        _ if percent == 100 => {
            "everything is here that it may bring, with allow what that names: take it out of upstreams in the configuration, and stop it once it holds nothing else"
                .to_owned()
        }
        (Some(failure), _) => format!("it waits, and tries again: {failure}"),
        (None, 0) => "it goes on".to_owned(),
        (None, problems) => format!(
            "{problems} pieces could not be brought, and are tried again; take it out of upstreams in the configuration to do without them"
        ),
    };
    format!(
        "adopting {url}: {percent} % ({brought} known so far). {}",
        capitalized(&rest)
    )
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
