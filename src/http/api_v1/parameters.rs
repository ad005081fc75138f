//! Queries of `/api/v1`, typed: a parameter that a route does not know is an error.

use axum::extract::Query;
use http::Uri;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::http::response::error::ApiError;
use crate::oci::{Glob, RepositoryName};
use crate::registry::{DeliveryFilter, ListOrder, ListPlace, ListQuery, Millis, Visibility, now};
use crate::report::{AuditQuery, AuditWords, Decided, DecisionPlace, PreviewQuery};

/// Number of items on a page without `n`, and the maximum.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 1000;

/// Reads the query of a request.
///
/// # Errors
/// [`ApiError::Parameter`]: an unknown parameter, or a malformed value.
pub(super) fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    match Query::try_from_uri(uri) {
        Ok(Query(parameters)) => Ok(parameters),
        Err(rejection) => Err(ApiError::Parameter(rejection.body_text())),
    }
}

/// A time, in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub Millis);

impl<'d> Deserialize<'d> for Moment {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Result<Timestamp, _> = text.parse();
        let malformed = |_| {
            D::Error::custom(format!(
                "a time is written as 2026-11-21T10:29:00Z, not '{text}'"
            ))
        };
        Ok(Self(time.map_err(malformed)?.as_millisecond()))
    }
}

/// Order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    Name,
    Size,
    Pushed,
    Pulled,
}

impl Sort {
    fn order(self) -> ListOrder {
        match self {
            Self::Name => ListOrder::Name,
            Self::Size => ListOrder::Size,
            Self::Pushed => ListOrder::Pushed,
            Self::Pulled => ListOrder::Pulled,
        }
    }
}

/// Query of the trash.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrashParameters {
    pub n: Option<usize>,
    pub last: Option<String>,
    pub repository: Option<String>,
}

/// Query of a route about some tags of a repository.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagsParameter {
    tags: Option<String>,
}

/// Query of a list whose pages have one length.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LastParameter {
    pub last: Option<String>,
}

/// Query of a sorted list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParameters {
    pub n: Option<usize>,
    pub last: Option<String>,
    pub sort: Option<Sort>,
    pub since: Option<Moment>,
    /// Glob of repositories.
    pub repositories: Option<String>,
    /// Glob of tags.
    pub tags: Option<String>,
}

/// Query of the audit log.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditParameters {
    pub n: Option<usize>,
    pub last: Option<String>,
    pub since: Option<Moment>,
    pub who: Option<String>,
    pub action: Option<String>,
    /// Glob, and one of tags behind a colon.
    pub repository: Option<String>,
}

/// Query of the list of tokens.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenParameters {
    /// True for revoked ones too.
    pub all: Option<bool>,
}

/// Query of deliveries.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryParameters {
    pub n: Option<usize>,
    pub last: Option<String>,
    pub webhook: Option<String>,
    /// True for those alone whose last attempt failed.
    pub failed: Option<bool>,
}

/// Query of decisions of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyParameters {
    pub n: Option<usize>,
    pub last: Option<String>,
    /// Glob of repositories.
    pub repositories: Option<String>,
    /// Glob of tags.
    pub tags: Option<String>,
    /// True for removed tags alone.
    pub removed: Option<bool>,
    /// Time of the decisions; that of the request without it.
    pub at: Option<Moment>,
}

/// Query of growth.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrowthParameters {
    /// Number of days until now.
    pub days: Option<u32>,
    /// Glob of repositories.
    pub repositories: Option<String>,
}

impl GrowthParameters {
    pub(super) fn pattern(&self) -> Result<Option<Glob>, ApiError> {
        glob(self.repositories.as_deref())
    }
}

impl PolicyParameters {
    /// Rejects a glob of repositories where the path names one.
    pub(super) fn without_repositories(self) -> Result<Self, ApiError> {
        match self.repositories {
            None => Ok(self),
            Some(_) => Err(foreign("repositories")),
        }
    }

    /// Returns the query for the repositories whose tags are decided about.
    pub(super) fn places(&self, shown: Visibility) -> Result<ListQuery, ApiError> {
        Ok(ListQuery {
            pattern: glob(self.repositories.as_deref())?,
            shown,
            ..ListQuery::default()
        })
    }

    /// Returns the query for decisions in some repositories.
    pub(super) fn query(
        &self,
        repositories: Vec<RepositoryName>,
    ) -> Result<PreviewQuery, ApiError> {
        Ok(PreviewQuery {
            repositories,
            tags: glob(self.tags.as_deref())?,
            which: match self.removed {
                Some(true) => Decided::Removed,
                Some(false) | None => Decided::All,
            },
            at: self.at.map_or_else(now, |Moment(at)| at),
        })
    }

    pub(super) fn place(&self) -> Result<Option<DecisionPlace>, ApiError> {
        let place = self.last.as_deref().map(|last| {
            let place = DecisionPlace::parse(last);
            let foreign =
                || ApiError::Parameter(format!("last is no cursor of this list: '{last}'"));
            place.ok_or_else(foreign)
        });
        place.transpose()
    }

    pub(super) fn limit(&self) -> usize {
        limit(self.n)
    }
}

impl AuditParameters {
    /// Returns the query, and the length of a page.
    pub(in crate::http) fn query(&self) -> Result<(AuditQuery, usize), ApiError> {
        let words = AuditWords {
            who: self.who.clone(),
            action: self.action.clone(),
            repository: self.repository.clone(),
            since: self.since.map(|Moment(at)| at),
        };
        let query = AuditQuery::parse(words).map_err(ApiError::Parameter)?;
        Ok((query, limit(self.n)))
    }
}

impl DeliveryParameters {
    /// Returns the filter, and the length of a page.
    pub(in crate::http) fn filter(&self) -> (DeliveryFilter, usize) {
        let filter = DeliveryFilter {
            endpoint: self.webhook.clone(),
            is_failed: self.failed.unwrap_or_default(),
        };
        (filter, limit(self.n))
    }
}

impl TrashParameters {
    pub(in crate::http) fn limit(&self) -> usize {
        limit(self.n)
    }

    /// Returns the repository whose trash it is.
    pub(super) fn repository(&self) -> Result<Option<RepositoryName>, ApiError> {
        let name = self.repository.as_deref().map(RepositoryName::parse);
        Ok(name.transpose()?)
    }
}

impl TagsParameter {
    pub(super) fn glob(&self) -> Result<Option<Glob>, ApiError> {
        glob(self.tags.as_deref())
    }
}

fn limit(n: Option<usize>) -> usize {
    n.unwrap_or(PAGE).clamp(1, LONGEST_PAGE)
}

impl ListParameters {
    /// Reports whether the page is the first of a list of everything.
    pub(in crate::http) fn is_whole(&self) -> bool {
        self.last.is_none() && self.repositories.is_none()
    }

    /// Rejects a glob that chooses nothing from this list.
    pub(in crate::http) fn without_tags(self) -> Result<Self, ApiError> {
        match self.tags {
            None => Ok(self),
            Some(_) => Err(foreign("tags")),
        }
    }

    /// Rejects a glob of repositories where the path names one.
    pub(in crate::http) fn without_repositories(self) -> Result<Self, ApiError> {
        match self.repositories {
            None => Ok(self),
            Some(_) => Err(foreign("repositories")),
        }
    }

    /// Returns the query for repositories.
    pub(in crate::http) fn of_repositories(
        &self,
        default: Sort,
        shown: Visibility,
    ) -> Result<ListQuery, ApiError> {
        self.query(self.repositories.as_deref(), default, shown)
    }

    /// Returns the query for tags.
    pub(in crate::http) fn of_tags(&self, default: Sort) -> Result<ListQuery, ApiError> {
        self.query(self.tags.as_deref(), default, Visibility::All)
    }

    /// Returns the query for the repositories whose tags are listed.
    pub(in crate::http) fn places(&self, shown: Visibility) -> Result<ListQuery, ApiError> {
        Ok(ListQuery {
            pattern: glob(self.repositories.as_deref())?,
            shown,
            ..ListQuery::default()
        })
    }

    fn query(
        &self,
        pattern: Option<&str>,
        default: Sort,
        shown: Visibility,
    ) -> Result<ListQuery, ApiError> {
        let order = self.sort.unwrap_or(default).order();
        let after = self.last.as_deref().map(|last| {
            let place = ListPlace::parse(last, order);
            place.ok_or_else(|| {
                ApiError::Parameter(format!("last is no cursor of this list: '{last}'"))
            })
        });
        Ok(ListQuery {
            pattern: glob(pattern)?,
            since: self.since.map(|Moment(at)| at),
            order,
            limit: Some(limit(self.n)),
            shown,
            after: after.transpose()?,
        })
    }
}

fn glob(text: Option<&str>) -> Result<Option<Glob>, ApiError> {
    let glob = text.map(|text| Glob::try_from(text.to_owned()));
    glob.transpose().map_err(ApiError::Parameter)
}

fn foreign(key: &str) -> ApiError {
    ApiError::Parameter(format!("this list has no parameter '{key}'"))
}
