//! Trouble with an upstream, in the log: one line for each kind of a repository in a period.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::Error;
use crate::log_limit::LogLimiter;
use crate::oci::RepositoryName;
use crate::upstream;

/// Period in which each kind of trouble of a repository is logged once.
const PERIOD: Duration = Duration::from_secs(60);
/// Maximum number of lines in a period.
const LINES: usize = 100;

/// Writer of the lines about one upstream.
pub(super) struct Notes {
    url: String,
    limiter: LogLimiter<(RepositoryName, Trouble)>,
    /// True from a line about an upstream that fails until it answers.
    is_failing: AtomicBool,
}

/// Kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Trouble {
    /// Absence of what was there.
    Gone,
    /// Refusal of a login, or want of one.
    Login,
    /// Content that is not what was asked for.
    Content,
    Outage,
    /// Repository that the configuration leaves out.
    NotAllowed,
    /// Failure of this registry, or too much work.
    Here,
}

/// Answer that a client gets while there is trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// The content that is here.
    Here,
    Nothing,
}

impl Notes {
    /// A writer for the upstream at a URL.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            limiter: LogLimiter::new("upstreams that fail", PERIOD, LINES),
            is_failing: AtomicBool::new(false),
        }
    }

    /// Logs how the upstream was asked for `what` of a repository, if that failed, or has failed before.
    pub fn learn<T>(
        &self,
        name: &RepositoryName,
        what: &str,
        served: Served,
        outcome: &Result<T, Error>,
    ) {
        match outcome {
            Ok(_) => {
                // a read alone, as long as all is well
                if self.is_failing.load(Ordering::Relaxed)
                    && self.is_failing.swap(false, Ordering::Relaxed)
                {
                    tracing::info!(upstream = %self.url, "the upstream answers again");
                }
            }
            Err(error) => self.warn(name, what, served, error),
        }
    }

    /// Logs why something was not asked for, or did not come.
    pub fn warn(&self, name: &RepositoryName, what: &str, served: Served, error: &Error) {
        let (trouble, upstream) = (Trouble::of(error), &*self.url);
        // of what never came the registry tells the client
        let is_told = matches!(trouble, Trouble::Gone | Trouble::Here) && served == Served::Nothing;
        if is_told || !self.limiter.may_log((name.clone(), trouble)) {
            return;
        }
        if matches!(trouble, Trouble::Login | Trouble::Outage) {
            self.is_failing.store(true, Ordering::Relaxed);
        }
        match (trouble, served) {
            (Trouble::Gone, _) => {
                tracing::info!(
                    upstream,
                    image = what,
                    "the tag is gone upstream; what is here is served"
                );
            }
            (Trouble::NotAllowed, _) => {
                tracing::info!(upstream, repository = %name, "{error}");
            }
            (Trouble::Content, _) => {
                tracing::warn!(upstream, repository = %name, what, %error, "the upstream sent something wrong, which is not stored");
            }
            (Trouble::Login, _) => {
                tracing::warn!(upstream, repository = %name, what, %error, "the upstream gives nothing with this login");
            }
            (Trouble::Here, _) => {
                tracing::warn!(image = what, %error, "served what is here: the upstream was not asked, or nothing could be stored");
            }
            (Trouble::Outage, Served::Here) => {
                tracing::warn!(image = what, upstream, %error, "served what is here: the upstream fails");
            }
            (Trouble::Outage, Served::Nothing) => {
                tracing::warn!(upstream, repository = %name, what, %error, "the upstream fails");
            }
        }
    }
}

impl Trouble {
    fn of(error: &Error) -> Self {
        use upstream::Error as Failure;
        match error {
            error if error.is_absence() => Self::Gone,
            Error::Altered { .. } | Error::Invalid(_) => Self::Content,
            Error::NotAllowed { .. } => Self::NotAllowed,
            Error::Upstream(failure) => match failure {
                Failure::NotFound => Self::Gone,
                Failure::Unauthorized(_)
                | Failure::NoLogin
                | Failure::Denied
                | Failure::Credentials(_) => Self::Login,
                Failure::Broken(_) | Failure::Redirects(_) | Failure::Astray(_) => Self::Content,
                Failure::Crowded => Self::Here,
                Failure::TooManyRequests { .. }
                | Failure::Server(_)
                | Failure::Timeout(_)
                | Failure::Unreachable(_)
                | Failure::Paused(_) => Self::Outage,
            },
            Error::Registry(_) | Error::Interrupted | Error::Crowded => Self::Here,
        }
    }
}
