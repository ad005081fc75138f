//! Parsing and validation of query parameters.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::http::limits::MAX_TAGS;
use crate::http::response::error::ApiError;
use crate::oci::{Digest, TagName};

/// Length of a date without a time of day, which jiff accepts and this API does not.
const DATE: usize = "2026-11-21".len();

/// Requested page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PageQuery {
    pub n: Option<usize>,
    pub last: String,
}

/// Requested page of a search.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SearchQuery {
    pub term: String,
    /// Length of a page.
    pub count: usize,
    /// Number of the page, from 1.
    pub page: usize,
}

/// Requested events of a tag.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HistoryFilter {
    pub n: Option<usize>,
    /// Upper bound, exclusive, in milliseconds since 1970.
    pub before: Option<i64>,
    /// Lower bound, inclusive, in milliseconds since 1970.
    pub since: Option<i64>,
    pub digest: Option<Digest>,
}

/// Requested events of repositories.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EventQuery {
    /// Number of the last event that the client knows; `None` to begin with the next one.
    pub since: Option<usize>,
    pub n: Option<usize>,
    /// Seconds to wait for an event, if there is none.
    pub wait: Option<usize>,
}

/// Text of a query.
#[derive(Clone, Copy)]
pub(crate) struct Query<'q>(pub &'q str);

impl<'q> Query<'q> {
    pub(crate) fn get(self, key: &str) -> Option<Cow<'q, str>> {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn digest(self) -> Result<Option<Digest>, ApiError> {
        Ok(self
            .get("digest")
            .map(|text| Digest::parse(&text))
            .transpose()?)
    }

    /// Reads the digest that a client has added to the location of an upload. Some add it with a second `?`, as if the
    /// location had no query.
    pub(crate) fn closing_digest(self) -> Result<Digest, ApiError> {
        let digests = self.0.split('?').map(|query| Query(query).digest());
        digests
            .filter_map(Result::transpose)
            .next()
            .unwrap_or(Err(ApiError::DigestMissing))
    }

    pub(crate) fn tags(self) -> Result<Vec<TagName>, ApiError> {
        let tags = || form_urlencoded::parse(self.0.as_bytes()).filter(|(name, _)| name == "tag");
        if tags().nth(MAX_TAGS).is_some() {
            return Err(ApiError::TooManyTags);
        }
        Ok(tags()
            .map(|(_, tag)| TagName::parse(&tag))
            .collect::<Result<_, _>>()?)
    }

    /// Reads the scopes of a token, repeated or joined.
    pub(crate) fn scopes(self) -> Vec<String> {
        let scopes = form_urlencoded::parse(self.0.as_bytes()).filter(|(name, _)| name == "scope");
        scopes.map(|(_, scope)| scope.into_owned()).collect()
    }

    pub(crate) fn page(self) -> Result<PageQuery, ApiError> {
        Ok(PageQuery {
            n: self.number("n")?,
            last: self.get("last").unwrap_or_default().into_owned(),
        })
    }

    /// Reads a number, clamped if it is too large.
    fn number(self, key: &str) -> Result<Option<usize>, ApiError> {
        match self.get(key).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                // a number that does not fit is clamped as any large one
                Ok(Some(text.parse().unwrap_or(usize::MAX)))
            }
            Some(text) => Err(ApiError::Number {
                key: key.to_owned(),
                text: text.into_owned(),
            }),
        }
    }

    /// Reads a time in UTC, in milliseconds since 1970.
    fn time(self, key: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(key).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        // a plus sign that was not encoded reads as a space
        let time = text
            .trim()
            .trim_end_matches("+00:00")
            .trim_end_matches(" 00:00")
            .trim_end_matches('Z');
        let time = time.parse::<DateTime>().ok().filter(|_| time.len() > DATE);
        let millis = time
            .and_then(|time| TimeZone::UTC.to_timestamp(time).ok())
            .map(Timestamp::as_millisecond)
            .filter(|millis| *millis >= 0);
        millis.map(Some).ok_or_else(|| ApiError::Time {
            key: key.to_owned(),
            text: text.into_owned(),
        })
    }

    pub(crate) fn events(self) -> Result<EventQuery, ApiError> {
        Ok(EventQuery {
            since: self.number("since")?,
            n: self.number("n")?,
            wait: self.number("wait")?,
        })
    }

    pub(crate) fn history(self) -> Result<HistoryFilter, ApiError> {
        Ok(HistoryFilter {
            n: self.number("n")?,
            before: self.time("before")?,
            since: self.time("since")?,
            digest: self.digest()?,
        })
    }
}

/// Query of `/readyz`, in the terms of Kubernetes' own probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadinessQuery {
    /// True to list every check, and not only those that fail.
    pub is_verbose: bool,
    /// Names of checks to ignore: a server for pulls alone needs no free disk.
    pub excluded: Vec<String>,
}

impl<S: Sync> FromRequestParts<S> for ReadinessQuery {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut query = Self::default();
        for (key, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        {
            match &*key {
                "verbose" => query.is_verbose = true,
                "exclude" => query.excluded.push(value.into_owned()),
                _ => {}
            }
        }
        Ok(query)
    }
}
