//! Progress of the adoption of an upstream, in `registry upstream ls`.

use tarkeep::report::{AdoptionProgress, UpstreamItem};

use crate::cli::error::Error;
use crate::cli::terminal::output;
use crate::cli::terminal::values::size;

/// Maximum number of problems that a person is shown of one adoption.
const SHOWN: usize = 10;

/// Says how far the adoptions are, and what each cannot bring.
pub(super) fn say(upstreams: &[UpstreamItem]) -> Result<(), Error> {
    for upstream in upstreams {
        let Some(adoption) = &upstream.adoption else {
            continue;
        };
        output::say(&format!("\n{}", sentence(&upstream.url, adoption)))?;
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

fn sentence(url: &str, adoption: &AdoptionProgress) -> String {
    let brought = format!(
        "{} of {} repositories, {} of {} tags, {} of {}",
        adoption.whole_repository_count,
        adoption.repository_count,
        adoption
            .tag_count
            .saturating_sub(adoption.missing_tag_count),
        adoption.tag_count,
        size(adoption.size),
        size(adoption.size + adoption.missing_size),
    );
    let percent = adoption.percent;
    let rest = match (&adoption.failure, adoption.problem_count) {
        _ if percent == 100 => {
            "everything is here: take it out of upstreams in the configuration, and then stop it"
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
