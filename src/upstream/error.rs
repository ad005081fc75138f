//! Failures of requests to another registry, told apart.

use std::time::Duration;

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("the upstream does not have it")]
    NotFound,
    #[error("the upstream refuses this login: {0}")]
    Unauthorized(String),
    #[error("the upstream wants a login: set username and passwordfile")]
    NoLogin,
    #[error("the upstream denies access with this login")]
    Denied,
    #[error("the upstream has had too many requests{wait}", wait = wait(.retry_after))]
    TooManyRequests {
        /// Time to wait, if the upstream says it.
        retry_after: Option<Duration>,
    },
    #[error("the upstream fails with status {0}")]
    Server(u16),
    #[error("the upstream gave no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the upstream was not reached: {0}")]
    Unreachable(String),
    #[error("the upstream's answer is broken: {0}")]
    Broken(String),
    #[error("the upstream has failed several times, and is asked again soon: {0}")]
    Paused(String),
    #[error("too many requests wait for the upstream: try again later")]
    Crowded,
    #[error("the upstream redirects more than {0} times")]
    Redirects(usize),
    #[error("{0}: list it as one of privatehosts (--private-host) if that is right")]
    Astray(String),
    #[error("cannot read {0}")]
    Credentials(String),
}

impl Error {
    /// Reports whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. }
                | Self::Server(_)
                | Self::Timeout(_)
                | Self::Unreachable(_)
                | Self::Paused(_)
                | Self::Crowded
        )
    }

    /// Reports whether a login is missing, or is not accepted.
    pub fn is_about_login(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized(_) | Self::NoLogin | Self::Credentials(_)
        )
    }

    /// Reports whether the upstream itself is in trouble, whatever it was asked for.
    pub(super) fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::Server(_) | Self::Timeout(_) | Self::Unreachable(_)
        )
    }
}

fn wait(time: &Option<Duration>) -> String {
    time.map_or_else(String::new, |time| {
        format!(", and says to wait {} s", time.as_secs())
    })
}
