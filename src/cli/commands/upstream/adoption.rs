//! Progress of the adoption of an upstream, in `registry upstream ls`.

use serde_json::{Value, json};
use tarkeep::registry::{AdoptionProblem, AdoptionRow};

use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output;
use crate::cli::terminal::values::size;

/// Maximum number of problems that a person is shown of one adoption.
const SHOWN: usize = 10;

/// Returns the part of the repositories of which nothing is missing, in per cent; 100 only once everything is here.
fn percent(adoption: &AdoptionRow) -> u64 {
    if adoption.completed_at.is_some() {
        return 100;
    }
    let part = (adoption.repositories_whole * 100).checked_div(adoption.repositories);
    part.unwrap_or(0).min(99)
}

/// Says how far the adoptions are, and what each cannot bring.
pub(super) fn say(adoptions: &[AdoptionRow], problems: &[AdoptionProblem]) -> Result<(), Error> {
    for adoption in adoptions {
        output::say(&format!("\n{}", sentence(adoption)))?;
        let mut own = problems
            .iter()
            .filter(|problem| problem.adoption == adoption.name);
        for problem in own.by_ref().take(SHOWN) {
            output::say(&format!("  {}: {}", problem.place, problem.problem))?;
        }
        let more = own.count();
        if more > 0 {
            output::say(&format!("  and {more} more: --output json lists them"))?;
        }
    }
    Ok(())
}

fn sentence(adoption: &AdoptionRow) -> String {
    let url = &adoption.url;
    let brought = format!(
        "{} of {} repositories, {} of {} tags, {} of {}",
        adoption.repositories_whole,
        adoption.repositories,
        adoption.tags - adoption.tags_missing.min(adoption.tags),
        adoption.tags,
        size(adoption.bytes),
        size(adoption.bytes + adoption.bytes_missing),
    );
    let percent = percent(adoption);
    let rest = match (&adoption.failure, adoption.problems) {
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

pub(super) fn as_json(adoption: &AdoptionRow, problems: &[AdoptionProblem]) -> Value {
    let own = problems
        .iter()
        .filter(|problem| problem.adoption == adoption.name)
        .map(|problem| {
            json!({
                "repository": problem.repository,
                "place": problem.place,
                "problem": problem.problem,
            })
        });
    json!({
        "percent": percent(adoption),
        "pass": adoption.pass,
        "repositoryCount": adoption.repositories,
        "wholeRepositoryCount": adoption.repositories_whole,
        "tagCount": adoption.tags,
        "missingTagCount": adoption.tags_missing,
        "size": adoption.bytes,
        "missingSize": adoption.bytes_missing,
        "failed": adoption.failed_at.map(json::time),
        "failure": adoption.failure,
        "completed": adoption.completed_at.map(json::time),
        "problemCount": adoption.problems,
        "problems": own.collect::<Vec<_>>(),
    })
}
