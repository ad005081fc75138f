//! Queries of `/api/v1`, typed: a parameter that a route does not know is an error.

use axum::extract::Query;
use http::Uri;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::response::error::ApiError;
use crate::oci::Glob;
use crate::registry::{ListOrder, ListPlace, ListQuery, Visibility};

/// Number of items on a page without `n`, and the maximum.
const PAGE: usize = 100;
pub(super) const LONGEST_PAGE: usize = 1000;

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

/// Query of a list that nothing chooses from.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageParameters {
    pub n: Option<usize>,
    pub last: Option<String>,
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
    pub since: Option<Timestamp>,
    /// Glob of repositories.
    pub repositories: Option<String>,
    /// Glob of tags.
    pub tags: Option<String>,
}

impl PageParameters {
    pub(super) fn limit(&self) -> usize {
        limit(self.n)
    }
}

fn limit(n: Option<usize>) -> usize {
    n.unwrap_or(PAGE).clamp(1, LONGEST_PAGE)
}

impl ListParameters {
    /// Reports whether the page is the first of a list of everything.
    pub(super) fn is_whole(&self) -> bool {
        self.last.is_none() && self.repositories.is_none()
    }

    /// Rejects a glob that chooses nothing from this list.
    pub(super) fn without_tags(self) -> Result<Self, ApiError> {
        match self.tags {
            None => Ok(self),
            Some(_) => Err(foreign("tags")),
        }
    }

    /// Rejects a glob of repositories where the path names one.
    pub(super) fn without_repositories(self) -> Result<Self, ApiError> {
        match self.repositories {
            None => Ok(self),
            Some(_) => Err(foreign("repositories")),
        }
    }

    /// Returns the query for repositories.
    pub(super) fn of_repositories(
        &self,
        default: Sort,
        shown: Visibility,
    ) -> Result<ListQuery, ApiError> {
        self.query(self.repositories.as_deref(), default, shown)
    }

    /// Returns the query for tags.
    pub(super) fn of_tags(&self, default: Sort) -> Result<ListQuery, ApiError> {
        self.query(self.tags.as_deref(), default, Visibility::All)
    }

    /// Returns the query for the repositories whose tags are listed.
    pub(super) fn places(&self, shown: Visibility) -> Result<ListQuery, ApiError> {
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
            place.ok_or_else(|| ApiError::Parameter(format!("last is no cursor of this list: '{last}'")))
        });
        Ok(ListQuery {
            pattern: glob(pattern)?,
            since: self.since.map(Timestamp::as_millisecond),
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
