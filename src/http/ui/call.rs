//! Calls of the page: a request, parsed and validated.

use axum::extract::Query;
use http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::api_v1::parameters::{ListParameters, Sort};
use crate::http::endpoint::{Endpoint, MatchedPath};
use crate::http::response::error::ApiError;
use crate::oci::RepositoryName;
use crate::registry::ManifestReference;
use crate::ui::Layout;

/// A request of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UiCall {
    Home(HomeParameters),
    /// A deletion that is foreseen.
    DeleteForm {
        name: RepositoryName,
        reference: ManifestReference,
    },
    Delete {
        name: RepositoryName,
        reference: ManifestReference,
    },
    Restore {
        name: RepositoryName,
        reference: ManifestReference,
    },
    LoginForm(LoginParameters),
    LogIn,
    LogOut,
    /// A stylesheet, script or picture.
    Asset {
        file: String,
    },
}

/// Query of the list of repositories. A page takes no notice of other parameters, which links may have gained.
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

/// Form of the list of repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum View {
    Folders,
    Flat,
}

impl HomeParameters {
    pub(super) fn list(&self) -> ListParameters {
        ListParameters {
            n: None,
            last: self.last.clone(),
            sort: self.sort,
            since: None,
            repositories: self.repositories.clone().filter(|glob| !glob.is_empty()),
            tags: None,
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

/// Reads the query of a request.
fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    match Query::try_from_uri(uri) {
        Ok(Query(parameters)) => Ok(parameters),
        Err(rejection) => Err(ApiError::Parameter(rejection.body_text())),
    }
}

impl UiCall {
    /// Builds the call of an endpoint from the path and query of a request.
    ///
    /// # Errors
    /// Invalid names, digests and parameters; [`ApiError::UnknownPath`] for an endpoint that is no page.
    pub(crate) fn build(
        endpoint: Endpoint,
        path: MatchedPath<'_>,
        uri: &Uri,
    ) -> Result<Self, ApiError> {
        Ok(match endpoint {
            Endpoint::UiHome => Self::Home(read(uri)?),
            Endpoint::UiDeleteForm => Self::DeleteForm {
                name: RepositoryName::parse(path.name)?,
                reference: ManifestReference::parse(path.last)?,
            },
            Endpoint::UiDelete => Self::Delete {
                name: RepositoryName::parse(path.name)?,
                reference: ManifestReference::parse(path.last)?,
            },
            Endpoint::UiRestore => Self::Restore {
                name: RepositoryName::parse(path.name)?,
                reference: ManifestReference::parse(path.last)?,
            },
            Endpoint::UiLoginForm => Self::LoginForm(read(uri)?),
            Endpoint::UiLogIn => Self::LogIn,
            Endpoint::UiLogOut => Self::LogOut,
            Endpoint::UiAsset => Self::Asset {
                file: path.last.to_owned(),
            },
            _ => return Err(ApiError::UnknownPath),
        })
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Home(_) => Endpoint::UiHome,
            Self::DeleteForm { .. } => Endpoint::UiDeleteForm,
            Self::Delete { .. } => Endpoint::UiDelete,
            Self::Restore { .. } => Endpoint::UiRestore,
            Self::LoginForm(_) => Endpoint::UiLoginForm,
            Self::LogIn => Endpoint::UiLogIn,
            Self::LogOut => Endpoint::UiLogOut,
            Self::Asset { .. } => Endpoint::UiAsset,
        }
    }

    /// Repository that the path names.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::DeleteForm { name, .. }
            | Self::Delete { name, .. }
            | Self::Restore { name, .. } => Some(name),
            Self::Home(_)
            | Self::LoginForm(_)
            | Self::LogIn
            | Self::LogOut
            | Self::Asset { .. } => None,
        }
    }
}
