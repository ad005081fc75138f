//! Limits on how many images a client pulls and pushes in a time. Off unless configured.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::auth::Requester;
use crate::client_key;
use crate::http::api::request::action::Action;
use crate::http::response::error::ApiError;
use crate::http::settings::Rates;

/// Maximum number of clients that are counted. Further ones are not limited until others have been silent for a while.
const CLIENTS: usize = 50_000;

/// Counts of pulls and pushes.
#[derive(Default)]
pub(crate) struct RateLimiter(Mutex<HashMap<(Kind, Counted), Instant>>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Pull,
    Push,
}

/// Client that has a count of its own.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Counted {
    /// Name of a login.
    Login(Box<str>),
    /// Client without one, by its address.
    Address(IpAddr),
}

/// Effect of a request on the counts.
enum Weight {
    Counts(Kind),
    /// Part of what is counted later: refused early if that would be.
    Announces(Kind),
}

impl RateLimiter {
    /// Counts a request: a manifest that is read is a pull, one that is pushed is a push.
    ///
    /// # Errors
    /// [`ApiError::TooManyImages`].
    pub(crate) fn admit(
        &self,
        action: Action,
        is_head: bool,
        requester: Option<&Requester>,
        address: Option<IpAddr>,
        rates: Rates,
    ) -> Result<Action, ApiError> {
        let weight = match &action {
            // clients ask by HEAD whether they have the newest
            Action::GetManifest { .. } if !is_head => Weight::Counts(Kind::Pull),
            Action::PutManifest { .. } => Weight::Counts(Kind::Push),
            Action::BeginUpload { .. } | Action::PushBlob { .. } => Weight::Announces(Kind::Push),
            _ => return Ok(action),
        };
        let (Weight::Counts(kind) | Weight::Announces(kind)) = weight;
        let (limit, what) = match kind {
            Kind::Pull => (rates.pulls, "pulls"),
            Kind::Push => (rates.pushes, "pushes"),
        };
        let Some(limit) = limit else {
            return Ok(action);
        };
        let name = requester.and_then(|requester| requester.identity().name());
        let counted = match (name, address) {
            (Some(name), _) => Counted::Login(name.into()),
            (None, Some(address)) => Counted::Address(client_key::of(address)),
            (None, None) => return Ok(action),
        };
        let budget = Budget {
            period: rates.period,
            cost: rates.period / limit.get(),
            is_spent: matches!(weight, Weight::Counts(_)),
        };
        match self.spend((kind, counted), budget, Instant::now()) {
            None => Ok(action),
            Some(wait) => Err(ApiError::TooManyImages {
                limit,
                what,
                period: rates.period,
                wait,
            }),
        }
    }

    /// Spends a part of a client's budget; returns the time left if nothing remains of it.
    ///
    /// The time at which a client would have its whole budget again is all that is remembered of it.
    fn spend(&self, client: (Kind, Counted), budget: Budget, now: Instant) -> Option<Duration> {
        let mut clients = self.0.lock();
        let full_at = clients.get(&client).copied().filter(|at| *at > now);
        let next = full_at.unwrap_or(now) + budget.cost;
        let latest = now + budget.period;
        if next > latest {
            return Some(next - latest);
        }
        if !budget.is_spent {
            return None;
        }
        if full_at.is_none() && clients.len() >= CLIENTS {
            clients.retain(|_, at| *at > now);
            if clients.len() >= CLIENTS {
                return None;
            }
        }
        clients.insert(client, next);
        None
    }
}

/// Budget of a client, as time.
#[derive(Clone, Copy)]
struct Budget {
    period: Duration,
    /// Of one image.
    cost: Duration,
    is_spent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn client(name: &str) -> (Kind, Counted) {
        (Kind::Pull, Counted::Login(name.into()))
    }

    #[test]
    fn a_budget_comes_back_over_the_period() {
        let (limiter, start) = (RateLimiter::default(), Instant::now());
        let budget = Budget {
            period: HOUR,
            cost: HOUR / 4,
            is_spent: true,
        };
        let at = |minutes: u64| {
            let now = start + Duration::from_secs(60 * minutes);
            limiter.spend(client("ann"), budget, now)
        };
        assert!((0..4).all(|_| at(0).is_none()));
        assert_eq!(at(0), Some(HOUR / 4));
        assert_eq!(at(5), Some(HOUR / 6));
        assert_eq!(at(15), None);
        assert!(at(15).is_some());
        assert!(limiter.spend(client("bob"), budget, start).is_none());
        let asked = Budget {
            is_spent: false,
            ..budget
        };
        let asks = |minutes: u64| {
            limiter.spend(
                client("ann"),
                asked,
                start + Duration::from_secs(60 * minutes),
            )
        };
        assert!(asks(15).is_some() && asks(30).is_none() && asks(30).is_none());
        assert!(at(30).is_none() && at(30).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let (limiter, now) = (RateLimiter::default(), Instant::now());
        let budget = Budget {
            period: HOUR,
            cost: HOUR,
            is_spent: true,
        };
        let spend = |name: &str, at| limiter.spend(client(name), budget, at);
        for number in 0..CLIENTS + 10 {
            assert!(spend(&number.to_string(), now).is_none());
        }
        assert_eq!(limiter.0.lock().len(), CLIENTS);
        assert!(spend("0", now).is_some() && spend("new", now).is_none());
        assert!(spend("later", now + HOUR).is_none());
        assert_eq!(limiter.0.lock().len(), 1);
    }
}
