//! Patience with a registry that is in trouble, or has had enough requests for now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::upstream::Error;

/// Number of attempts at the same request, where somebody would have to repeat the whole.
const ATTEMPTS: u32 = 9;
/// Number of attempts at the same request, where it comes again anyway.
const FEW_ATTEMPTS: u32 = 3;
/// First time to wait; each further one is twice as long, up to a minute.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// Longest wait that a registry may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(900);

/// Shortest wait that is said.
const SAID: Duration = Duration::from_secs(2);

/// Patience with one registry. Copies share what they know of it.
#[derive(Clone)]
pub(super) struct Patience {
    attempts: u32,
    /// True once it has answered: before, nobody waits for one that is not there.
    has_answered: Arc<AtomicBool>,
}

impl Patience {
    /// Patience with a registry of which nothing is known yet.
    pub fn of_command() -> Self {
        Self {
            attempts: ATTEMPTS,
            has_answered: Arc::default(),
        }
    }

    /// Patience of work that comes again whatever fails.
    pub fn of_background() -> Self {
        Self {
            attempts: FEW_ATTEMPTS,
            has_answered: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Reports whether the registry has answered anything.
    pub fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    fn may_wait(&self, error: &Error, attempt: u32) -> bool {
        let is_there = self.has_answered() || !matches!(error, Error::Unreachable(_));
        error.is_passing() && attempt < self.attempts && is_there
    }
}

/// Makes a request again while its failure may pass.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Error>>>(
    patience: &Patience,
    request: impl Fn() -> F,
) -> Result<T, Error> {
    let mut attempt = 1;
    loop {
        let outcome = request().await;
        if !matches!(outcome, Err(Error::Unreachable(_) | Error::Timeout(_))) {
            patience.has_answered.store(true, Ordering::Relaxed);
        }
        let error = match outcome {
            Err(error) if patience.may_wait(&error, attempt) => error,
            outcome => return outcome,
        };
        let Some(wait) = wait(&error, attempt) else {
            return Err(error);
        };
        if wait >= SAID {
            tracing::warn!(%error, seconds = wait.as_secs(), "waiting for the other registry");
        }
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

/// Returns how long to wait; `None` if the registry asks for too long.
fn wait(error: &Error, attempt: u32) -> Option<Duration> {
    match error {
        Error::TooManyRequests {
            retry_after: Some(asked),
        } => (*asked <= LONGEST_ASKED).then_some(*asked),
        _ => Some((FIRST * 2_u32.pow(attempt - 1)).min(LONGEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (1..ATTEMPTS)
            .map(|attempt| wait(&Error::Server(503), attempt).unwrap().as_millis())
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
        let asked = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            wait(&Error::TooManyRequests { retry_after }, 1)
        };
        assert_eq!(asked(7), Some(Duration::from_secs(7)));
        assert_eq!(asked(21_600), None);
    }
}
