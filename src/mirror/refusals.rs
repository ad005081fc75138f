//! Failures of an upstream, kept for a short time: nobody waits for the same one again, and the upstream is left alone.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::error::Error;
use crate::upstream::Error as Failure;

/// Time for which an answer is kept that says no.
const ANSWER: Duration = Duration::from_secs(10);
/// Time for which a failure is kept that may pass at any moment.
const FAILURE: Duration = Duration::from_secs(2);
/// Longest time for which an upstream is left alone because it says so.
const LONGEST: Duration = Duration::from_secs(60);
/// Maximum number of failures that are kept.
const MOST: usize = 4096;

/// Failures of an upstream, by what it was asked for.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    some: HashMap<String, Refusal>,
    /// Refusal of everything.
    all: Option<Refusal>,
}

/// A failure, and the time until which it counts.
type Refusal = (Instant, Error);

impl Refusals {
    /// Returns the failure that still counts for what is asked for.
    pub fn of(&self, key: &str) -> Option<Error> {
        let now = Instant::now();
        let kept = self.0.lock();
        let mut refusals = kept.all.iter().chain(kept.some.get(key));
        let (until, error) = refusals.find(|(until, _)| *until > now)?;
        Some(match error {
            Error::Upstream(Failure::TooManyRequests {
                retry_after: Some(_),
            }) => Failure::TooManyRequests {
                retry_after: Some(*until - now),
            }
            .into(),
            error => error.clone(),
        })
    }

    /// Keeps a failure, unless it is one of this registry.
    pub fn keep(&self, key: &str, error: &Error) {
        let Error::Upstream(failure) = error else {
            return;
        };
        let Some(time) = time(failure) else {
            return;
        };
        let now = Instant::now();
        let refusal = (now + time, error.clone());
        let mut kept = self.0.lock();
        if matches!(failure, Failure::TooManyRequests { .. }) {
            kept.all = Some(refusal);
            return;
        }
        if kept.some.len() >= MOST {
            kept.some.retain(|_, (until, _)| *until > now);
        }
        if kept.some.len() < MOST {
            kept.some.insert(key.to_owned(), refusal);
        }
    }

    /// Forgets the failures of what has come now.
    pub fn forget(&self, key: &str) {
        self.0.lock().some.remove(key);
    }
}

/// Returns the time for which a failure is kept; `None` of those that say nothing of the upstream.
fn time(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::NotFound | Failure::Unauthorized(_) | Failure::NoLogin | Failure::Denied => {
            Some(ANSWER)
        }
        Failure::TooManyRequests { retry_after } => {
            Some(retry_after.unwrap_or(ANSWER).min(LONGEST))
        }
        Failure::Server(_)
        | Failure::Timeout(_)
        | Failure::Unreachable(_)
        | Failure::Broken(_)
        | Failure::Redirects(_)
        | Failure::Astray(_) => Some(FAILURE),
        Failure::Paused(_) | Failure::Crowded | Failure::Credentials(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_what_was_asked_and_too_many_requests_for_all() {
        let refusals = Refusals::default();
        refusals.keep("a", &Failure::NotFound.into());
        refusals.keep("b", &Failure::Paused(String::new()).into());
        refusals.keep("c", &Error::Crowded);
        assert!(matches!(
            refusals.of("a"),
            Some(Error::Upstream(Failure::NotFound))
        ));
        assert!(refusals.of("b").is_none() && refusals.of("c").is_none());
        refusals.forget("a");
        assert!(refusals.of("a").is_none());
        let wait = Duration::from_secs(30);
        let retry_after = Some(wait);
        refusals.keep("a", &Failure::TooManyRequests { retry_after }.into());
        let Some(Error::Upstream(Failure::TooManyRequests {
            retry_after: Some(rest),
        })) = refusals.of("b")
        else {
            panic!("it counts for all");
        };
        assert!(rest <= wait);
        let retry_after = Some(Duration::from_secs(21_600));
        let asked = time(&Failure::TooManyRequests { retry_after });
        assert_eq!(asked, Some(LONGEST));
    }

    #[test]
    fn failures_end_and_are_bounded() {
        let refusals = Refusals::default();
        for number in 0..2 * MOST {
            refusals.keep(&number.to_string(), &Failure::NotFound.into());
        }
        assert_eq!(refusals.0.lock().some.len(), MOST);
        for (until, _) in refusals.0.lock().some.values_mut() {
            *until = Instant::now();
        }
        assert!(refusals.of("0").is_none());
        refusals.keep("new", &Failure::Server(503).into());
        assert_eq!(refusals.0.lock().some.len(), 1);
    }
}
