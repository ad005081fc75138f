//! Outcomes of requests to an upstream, counted.

use std::time::SystemTime;

use http::Method;
use http::header::CONTENT_LENGTH;
use parking_lot::Mutex;

use super::answer::Answer;
use super::gate::Lane;
use crate::telemetry::Counter;
use crate::upstream::error::Error;

/// Counts of an upstream since this process began, and when it answered last.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered with what was asked for.
    pub found: Counter,
    pub absent: Counter,
    /// Requests refused for want of a login or of rights.
    pub refused: Counter,
    /// Requests of which there were too many.
    pub limited: Counter,
    pub failed: Counter,
    /// Manifests and blobs that were fetched for clients.
    pub fetches: Counter,
    /// Bytes of all that were fetched, as announced.
    pub fetched: Counter,
    last: Mutex<Last>,
}

/// Last answer and last failure of an upstream; a refused login is one.
#[derive(Clone, Debug, Default)]
pub struct Last {
    pub answered: Option<SystemTime>,
    pub failed: Option<(SystemTime, Error)>,
}

impl Last {
    /// Reports whether a login was refused, and nothing was found since.
    fn is_refused(&self) -> bool {
        let refused = self.failed.as_ref();
        refused.is_some_and(|(at, error)| {
            // without a login, other content may be open to everybody
            let is_wrong = matches!(error, Error::Unauthorized(_) | Error::Credentials(_));
            is_wrong && self.answered.is_none_or(|answered| answered < *at)
        })
    }
}

/// Object of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    /// A manifest or a blob that a client waits for, with its bytes.
    Content,
    /// The same, for work in the background.
    Ahead,
    Other,
}

/// Whoever waits for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    Client,
    /// Nobody: it is work in the background.
    Nobody,
}

impl Object {
    pub fn of(method: &Method, path: &str, lane: Lane, waiting: Waiting) -> Self {
        let is_manifest = method == Method::GET && path.contains("/manifests/");
        // a question for one byte of a blob, which tells its size, is no fetch
        match (is_manifest || lane == Lane::Fetch, waiting) {
            (true, Waiting::Client) => Self::Content,
            (true, Waiting::Nobody) => Self::Ahead,
            (false, _) => Self::Other,
        }
    }
}

impl Tally {
    /// Returns the last answer and the last failure.
    pub fn last(&self) -> Last {
        self.last.lock().clone()
    }

    /// Learns how a request ended.
    pub(super) fn learn(&self, object: Object, outcome: &Result<Answer, Error>) {
        let counter = match outcome {
            // it was not sent
            Err(Error::Crowded) => return,
            Ok(_) => &self.found,
            Err(Error::NotFound) => &self.absent,
            Err(
                Error::Unauthorized(_) | Error::NoLogin | Error::Denied | Error::Credentials(_),
            ) => &self.refused,
            Err(Error::TooManyRequests { .. }) => &self.limited,
            Err(_) => &self.failed,
        };
        counter.add(1);
        let mut last = self.last.lock();
        match outcome {
            Err(error) if error.is_passing() || error.is_about_login() => {
                last.failed = Some((SystemTime::now(), error.clone()));
            }
            // a refused login counts until one works
            Err(_) if last.is_refused() => {}
            _ => last.answered = Some(SystemTime::now()),
        }
        drop(last);
        if let (Object::Content | Object::Ahead, Ok(answer)) = (object, outcome) {
            let length = answer.header(CONTENT_LENGTH);
            let length = length.and_then(|text| text.parse().ok());
            self.fetches.add(u64::from(object == Object::Content));
            self.fetched.add(length.unwrap_or(0));
        }
    }
}
