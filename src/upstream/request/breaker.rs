//! The circuit breaker: an upstream in trouble is left alone for a while, so that nobody waits for it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::upstream::error::Error;

/// Number of failures in a row from which on the upstream is left alone.
const FAILURES: u32 = 5;
/// First and longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A circuit breaker.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    paused_until: Option<Instant>,
    cause: String,
}

impl State {
    fn check(&self) -> Result<(), Error> {
        match self.paused_until {
            Some(until) if Instant::now() < until => Err(Error::Paused(self.cause.clone())),
            _ => Ok(()),
        }
    }
}

impl Breaker {
    /// Reports at once whether a request is of no use, before it waits for its turn.
    ///
    /// # Errors
    /// [`Error::Paused`] with the last failure.
    pub fn check(&self) -> Result<(), Error> {
        self.0.lock().check()
    }

    /// Lets a request pass whose turn it is. After a pause, one passes first: its outcome decides about the others.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn pass(&self, timeout: Duration) -> Result<(), Error> {
        let mut state = self.0.lock();
        state.check()?;
        if let Some(until) = &mut state.paused_until {
            *until = Instant::now() + timeout;
        }
        Ok(())
    }

    /// Learns how a request ended.
    pub fn learn<T>(&self, outcome: &Result<T, Error>) {
        let mut state = self.0.lock();
        let Err(error) = outcome else {
            *state = State::default();
            return;
        };
        // of a request that was not sent
        if matches!(error, Error::Crowded) {
            return;
        }
        if !error.is_trouble() {
            *state = State::default();
            return;
        }
        state.failures += 1;
        state.cause = error.to_string();
        if state.failures >= FAILURES {
            let (first, longest) = PAUSES;
            let doubled = 1_u32 << (state.failures - FAILURES).min(16);
            state.paused_until = Some(Instant::now() + (first * doubled).min(longest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);
    const FAILED: Result<(), Error> = Err(Error::Server(503));

    #[test]
    fn an_upstream_in_trouble_is_left_alone() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            breaker.learn(&FAILED);
            assert_eq!(breaker.pass(TIMEOUT), Ok(()));
        }
        breaker.learn(&FAILED);
        assert!(matches!(breaker.pass(TIMEOUT), Err(Error::Paused(_))));
        breaker.0.lock().paused_until = Some(Instant::now());
        assert_eq!(breaker.check(), Ok(()), "several queue");
        assert_eq!(breaker.pass(TIMEOUT), Ok(()), "one asks again");
        assert!(breaker.pass(TIMEOUT).is_err(), "the others wait for it");
        breaker.learn(&Ok(()));
        assert_eq!(breaker.pass(TIMEOUT), Ok(()));
    }

    #[test]
    fn answers_about_content_are_no_trouble() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            breaker.learn::<()>(&Err(Error::NotFound));
            breaker.learn::<()>(&Err(Error::TooManyRequests { retry_after: None }));
        }
        assert_eq!(breaker.pass(TIMEOUT), Ok(()));
    }
}
