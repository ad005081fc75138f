//! Quotas and pauses that an upstream names in its headers.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;

/// Longest pause that is believed.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Quota of requests at an upstream, as Docker Hub names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests in the period.
    pub limit: Option<u64>,
    /// Requests that remain.
    pub remaining: Option<u64>,
    /// The period.
    pub period: Option<Duration>,
}

impl Quota {
    /// Reads `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600`; `None` without either.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let (limit, period) = parse(headers, "ratelimit-limit");
        let (remaining, other) = parse(headers, "ratelimit-remaining");
        (limit.is_some() || remaining.is_some()).then_some(Self {
            limit,
            remaining,
            period: other.or(period),
        })
    }
}

fn parse(headers: &HeaderMap, name: &str) -> (Option<u64>, Option<Duration>) {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    let mut parts = text.unwrap_or_default().split(';').map(str::trim);
    let number = parts.next().and_then(|number| number.parse().ok());
    let seconds = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
    (number, seconds.map(Duration::from_secs))
}

/// Reads for how long the upstream wants to be left alone: seconds, or a date, by its own clock if it says its time.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let clock = headers.get(DATE).and_then(|date| date.to_str().ok());
            let now = clock.and_then(date).unwrap_or_else(Timestamp::now);
            let time = date(text)?.duration_since(now);
            Duration::try_from(time).unwrap_or(Duration::ZERO)
        }
    };
    Some(time.min(LONGEST))
}

/// Parses a date of HTTP: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(parsed.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hubs_headers_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(Quota::of(&headers), None);
        headers.insert("ratelimit-limit", "100;w=21600".parse().unwrap());
        headers.insert("ratelimit-remaining", "76;w=21600".parse().unwrap());
        headers.insert(RETRY_AFTER, "30".parse().unwrap());
        let quota = Quota {
            limit: Some(100),
            remaining: Some(76),
            period: Some(Duration::from_secs(21_600)),
        };
        assert_eq!(Quota::of(&headers), Some(quota));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
        headers.insert("ratelimit-remaining", "many".parse().unwrap());
        headers.insert(RETRY_AFTER, "99999999999".parse().unwrap());
        assert_eq!(Quota::of(&headers).unwrap().remaining, None);
        assert_eq!(retry_after(&headers), Some(LONGEST));
    }

    #[test]
    fn a_pause_may_be_a_date() {
        let after = |date: Option<&str>, until: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, until.parse().unwrap());
            headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
            retry_after(&headers)
        };
        let date = Some("Sun, 06 Nov 1994 08:49:07 GMT");
        let until = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(after(date, until), Some(Duration::from_secs(30)));
        assert_eq!(after(Some(until), until), Some(Duration::ZERO));
        assert_eq!(after(None, until), Some(Duration::ZERO), "it is over");
        let far = "06 Nov 2894 08:49:37 GMT";
        assert_eq!(after(None, far), Some(LONGEST));
        assert_eq!(after(date, "soon"), None);
    }
}
