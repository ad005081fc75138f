//! Queries of the page. A page takes no notice of parameters that it does not know, which links may have gained.

use axum::extract::Query;
use http::Uri;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::auth::Returned;
use crate::http::api::request::body::Form;
use crate::http::api_v1::parameters::{ListParameters, Sort};
use crate::http::response::error::ApiError;
use crate::oci::{Digest, Glob, RepositoryName, TagName};
use crate::registry::{ManifestReference, Millis, Retention};
use crate::report::{AuditWords, TokenWords, TrialList};
use crate::ui::{ChosenTags, Layout, Named, PolicyPage};

/// Query of the list of repositories.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct HomeParameters {
    pub sort: Option<Sort>,
    pub last: Option<String>,
    /// Glob of repositories.
    pub repositories: Option<String>,
    pub view: Option<View>,
}

/// Query of the form that logs in.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct LoginParameters {
    /// Page to go on to.
    pub to: Option<String>,
}

/// Query with which a browser comes back from the issuer (RFC 6749, section 4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ReturnParameters {
    pub code: Option<String>,
    pub state: Option<String>,
    pub error: Option<String>,
    pub iss: Option<String>,
}

impl From<ReturnParameters> for Returned {
    fn from(given: ReturnParameters) -> Self {
        Self {
            code: given.code,
            state: given.state,
            error: given.error,
            issuer: given.iss,
        }
    }
}

/// Query of the list of tags.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct TagsParameters {
    pub sort: Option<Sort>,
    pub last: Option<String>,
    /// Glob of tags.
    pub tags: Option<String>,
}

/// Query of a list that nothing chooses from.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct LastParameter {
    pub last: Option<String>,
}

/// Query of an image.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ImageParameters {
    /// Digest of the child that is shown.
    pub platform: Option<String>,
    /// Text that packages of an SBOM are to have.
    pub packages: Option<String>,
}

/// Query of what is brought back.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct RestoreParameters {
    /// Digest that the tag is to point at again.
    pub to: Option<String>,
}

/// Query of a comparison.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct CompareParameters {
    pub from: Option<String>,
    pub to: Option<String>,
    pub platform: Option<String>,
}

/// Images to compare.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// One at most is named; the reader is asked for the other.
    One(Option<Named>),
    Two {
        from: Named,
        to: Named,
        platform: Option<String>,
    },
}

/// Query of the audit log.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ActivityParameters {
    pub who: Option<String>,
    pub action: Option<String>,
    pub repository: Option<String>,
    pub last: Option<String>,
}

/// Query of the list of tokens: one that may be made.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct TokenQuery {
    name: Option<String>,
    repositories: Option<String>,
    may: Option<String>,
    user: Option<String>,
    expires: Option<String>,
}

impl TokenQuery {
    /// Reads what was typed into a form.
    pub(super) fn of(form: &Form) -> Self {
        Self {
            name: form.text("name"),
            repositories: form.text("repositories"),
            may: form.text("may"),
            user: form.text("user"),
            expires: form.text("expires"),
        }
    }

    /// Returns the words that describe the token.
    pub(super) fn words(&self) -> TokenWords {
        let globs = self.repositories.as_deref().unwrap_or_default();
        let globs = globs.split([',', ' ', '\t', '\r', '\n']);
        let repositories: Vec<_> = globs
            .filter(|glob| !glob.is_empty())
            .map(str::to_owned)
            .collect();
        TokenWords {
            name: self.name.clone().unwrap_or_default(),
            may: match repositories.is_empty() {
                true => Vec::new(),
                false => filled(self.may.as_ref()).into_iter().collect(),
            },
            repositories,
            user: filled(self.user.as_ref()),
            expires: filled(self.expires.as_ref()),
        }
    }
}

/// Query of charts.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct DaysParameter {
    days: Option<u32>,
}

impl DaysParameter {
    /// Returns the number of days that are shown.
    pub(super) fn days(&self) -> u32 {
        self.days.unwrap_or(90)
    }
}

/// Query of rules.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct PolicyQuery {
    /// Day as at which is decided: `2026-12-04`.
    pub at: Option<String>,
    pub show: Option<Shown>,
}

/// Tags that a page of rules lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shown {
    Changed,
    Removed,
    Kept,
}

/// Form of the list of repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum View {
    Folders,
    Flat,
}

/// Reads the query of a request.
pub(super) fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    match Query::try_from_uri(uri) {
        Ok(Query(parameters)) => Ok(parameters),
        Err(rejection) => Err(ApiError::Parameter(rejection.body_text())),
    }
}

/// Returns the value of a field that was filled in.
fn filled(field: Option<&String>) -> Option<String> {
    field
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

const NOTHING: ListParameters = ListParameters {
    n: None,
    last: None,
    sort: None,
    since: None,
    repositories: None,
    tags: None,
};

impl HomeParameters {
    pub(super) fn list(&self) -> ListParameters {
        let chosen = filled(self.repositories.as_ref());
        ListParameters {
            last: self.last.clone(),
            sort: self.sort,
            // a word is looked for anywhere in names
            repositories: chosen.map(|text| {
                match text.contains(['*', '?', '[', '{', '}', ',', '\\']) {
                    true => text,
                    false => format!("{{**/*{text}*,**/*{text}*/**}}"),
                }
            }),
            ..NOTHING
        }
    }

    /// Returns the form of the list: folders unless something else orders it.
    pub(super) fn layout(&self) -> Layout {
        match (self.view, self.sort) {
            (Some(View::Flat), _) | (None, Some(Sort::Size | Sort::Pushed | Sort::Pulled)) => {
                Layout::Flat
            }
            _ => Layout::Folders,
        }
    }
}

impl TagsParameters {
    pub(super) fn list(&self) -> ListParameters {
        ListParameters {
            last: self.last.clone(),
            sort: self.sort,
            tags: filled(self.tags.as_ref()),
            ..NOTHING
        }
    }
}

impl LastParameter {
    pub(super) fn list(&self) -> ListParameters {
        ListParameters {
            last: self.last.clone(),
            sort: Some(Sort::Pushed),
            ..NOTHING
        }
    }
}

impl RestoreParameters {
    /// Returns the state that is named.
    ///
    /// # Errors
    /// An invalid digest.
    pub(super) fn state(&self) -> Result<Option<Digest>, ApiError> {
        let named = filled(self.to.as_ref());
        Ok(named.map(|digest| Digest::parse(&digest)).transpose()?)
    }
}

impl CompareParameters {
    /// Returns the images that are named.
    ///
    /// # Errors
    /// Invalid names, tags and digests.
    pub(super) fn images(&self) -> Result<Compared, ApiError> {
        let parsed = |field: &Option<String>| {
            let text = filled(field.as_ref());
            text.map(|text| named(&text)).transpose()
        };
        Ok(match (parsed(&self.from)?, parsed(&self.to)?) {
            (Some(from), Some(to)) => Compared::Two {
                from,
                to,
                platform: filled(self.platform.as_ref()),
            },
            (from, to) => Compared::One(from.or(to)),
        })
    }
}

/// Parses `NAME:TAG` or `NAME@DIGEST`.
fn named(text: &str) -> Result<Named, ApiError> {
    let parts = text.split_once('@').or_else(|| text.split_once(':'));
    let (name, reference) = parts.unwrap_or((text, "latest"));
    Ok(Named {
        repository: RepositoryName::parse(name)?,
        reference: ManifestReference::parse(reference)?,
    })
}

impl Shown {
    /// Reads the word of a form.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "changed" => Some(Self::Changed),
            "removed" => Some(Self::Removed),
            "kept" => Some(Self::Kept),
            _ => None,
        }
    }

    fn list(self) -> TrialList {
        match self {
            Self::Changed => TrialList::Changed,
            Self::Removed => TrialList::Removed,
            Self::Kept => TrialList::Kept,
        }
    }
}

impl PolicyQuery {
    /// Returns the page that is asked for: of rules that somebody wrote, or of those in force.
    ///
    /// # Errors
    /// A malformed day.
    pub(super) fn page<'p>(
        &self,
        name: Option<&'p RepositoryName>,
        edited: Option<(String, Result<Retention, String>)>,
        may_edit: bool,
    ) -> Result<PolicyPage<'p>, ApiError> {
        let day = self.at.as_deref().filter(|day| !day.is_empty());
        let at = day.map(|day| Ok::<_, ApiError>((day.to_owned(), midnight(day)?)));
        Ok(PolicyPage {
            name,
            edited,
            at: at.transpose()?,
            list: self.show.map(Shown::list),
            may_edit,
        })
    }
}

/// Returns the begin of a day.
fn midnight(day: &str) -> Result<Millis, ApiError> {
    let date = day.parse::<Date>().ok();
    let at = date.map(|date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)));
    match at {
        Some(Ok(at)) => Ok(at.as_millisecond()),
        _ => Err(ApiError::Parameter(format!(
            "a day is written as 2026-12-04, not '{day}'"
        ))),
    }
}

/// Reads the tags of a query: each by name, and those that match.
///
/// # Errors
/// Invalid tags and globs.
pub(super) fn chosen_tags(uri: &Uri) -> Result<ChosenTags, ApiError> {
    let mut chosen = ChosenTags::default();
    for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match &*key {
            "tag" => chosen.tags.push(TagName::parse(&value)?),
            "tags" => {
                let glob = Glob::try_from(value.into_owned()).map_err(ApiError::Parameter)?;
                chosen.matching = Some(glob);
            }
            _ => {}
        }
    }
    Ok(chosen)
}

impl ActivityParameters {
    pub(super) fn words(&self) -> AuditWords {
        AuditWords {
            who: filled(self.who.as_ref()),
            action: filled(self.action.as_ref()),
            repository: filled(self.repository.as_ref()),
            since: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_anywhere_in_names() {
        let searched = HomeParameters {
            repositories: Some("api".to_owned()),
            ..HomeParameters::default()
        };
        let glob = searched.list().repositories.unwrap();
        let glob = Glob::for_repositories(&glob).unwrap();
        for (name, is_found) in [
            ("api", true),
            ("web/api", true),
            ("api/web", true),
            ("web/my-api-2/app", true),
            ("web/app", false),
        ] {
            assert_eq!(glob.matches(name), is_found, "{name}");
        }
    }
}
