//! Calls of the page: a request, parsed and validated.

use http::Uri;

use crate::http::api_v1::call::number;
use crate::http::endpoint::{Endpoint, MatchedPath};
use crate::http::response::error::ApiError;
use crate::http::ui::parameters::{
    ActivityParameters, CompareParameters, Compared, DaysParameter, HomeParameters,
    ImageParameters, LastParameter, LoginParameters, PolicyQuery, RestoreParameters,
    ReturnParameters, TagsParameters, TokenQuery, chosen_tags, read,
};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::ManifestReference;
use crate::ui::ChosenTags;

/// A request of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UiCall {
    Home(HomeParameters),
    /// The tags of a repository.
    Repository {
        name: RepositoryName,
        list: TagsParameters,
    },
    Untagged {
        name: RepositoryName,
        list: LastParameter,
    },
    Trash {
        name: RepositoryName,
    },
    Image {
        name: RepositoryName,
        reference: ManifestReference,
        parameters: ImageParameters,
    },
    History {
        name: RepositoryName,
        tag: TagName,
        list: LastParameter,
    },
    Compare(Compared),
    /// Rules, those in force.
    Policies {
        name: Option<RepositoryName>,
        query: PolicyQuery,
    },
    /// Rules that a form tries.
    TriedPolicies {
        name: Option<RepositoryName>,
    },
    Usage(DaysParameter),
    Activity(ActivityParameters),
    Tokens(TokenQuery),
    TokenCreate,
    /// Rotation or end of a token, as the form says.
    TokenChange {
        token: String,
    },
    /// An image of a cache that is to be one's own.
    Keep,
    /// Another delivery of an event.
    Resend {
        event: i64,
    },
    Upstreams,
    Webhooks,
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
        /// State of the tag to go back to; `None` for the one that it had when it was deleted.
        to: Option<Digest>,
    },
    /// The deletion of several tags that is foreseen.
    DeleteSeveralForm {
        name: RepositoryName,
        chosen: ChosenTags,
    },
    DeleteSeveral {
        name: RepositoryName,
    },
    RestoreSeveral {
        name: RepositoryName,
    },
    LoginForm(LoginParameters),
    LogIn,
    LogOut,
    /// A login at the issuer that begins.
    ToIssuer(LoginParameters),
    /// A login at the issuer that ends here.
    FromIssuer(ReturnParameters),
    /// A stylesheet, script or picture.
    Asset {
        file: String,
    },
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
        let name = || RepositoryName::parse(path.name);
        Ok(match endpoint {
            Endpoint::UiHome => Self::Home(read(uri)?),
            Endpoint::UiRepository => Self::Repository {
                name: name()?,
                list: read(uri)?,
            },
            Endpoint::UiUntagged => Self::Untagged {
                name: name()?,
                list: read(uri)?,
            },
            Endpoint::UiTrash => Self::Trash { name: name()? },
            Endpoint::UiImage => Self::Image {
                name: name()?,
                reference: ManifestReference::parse(path.last)?,
                parameters: read(uri)?,
            },
            Endpoint::UiHistory => Self::History {
                name: name()?,
                tag: TagName::parse(path.last)?,
                list: read(uri)?,
            },
            Endpoint::UiCompare => Self::Compare(read::<CompareParameters>(uri)?.images()?),
            Endpoint::UiPolicies => Self::Policies {
                name: None,
                query: read(uri)?,
            },
            Endpoint::UiPoliciesOf => Self::Policies {
                name: Some(name()?),
                query: read(uri)?,
            },
            Endpoint::UiTriedPolicies => Self::TriedPolicies { name: None },
            Endpoint::UiTriedPoliciesOf => Self::TriedPolicies {
                name: Some(name()?),
            },
            Endpoint::UiUsage => Self::Usage(read(uri)?),
            Endpoint::UiActivity => Self::Activity(read(uri)?),
            Endpoint::UiTokens => Self::Tokens(read(uri)?),
            Endpoint::UiUpstreams => Self::Upstreams,
            Endpoint::UiWebhooks => Self::Webhooks,
            _ => return Self::build_form(endpoint, path, uri),
        })
    }

    /// Builds the call of an endpoint that is about a form.
    fn build_form(endpoint: Endpoint, path: MatchedPath<'_>, uri: &Uri) -> Result<Self, ApiError> {
        let name = || RepositoryName::parse(path.name);
        Ok(match endpoint {
            Endpoint::UiTokenCreate => Self::TokenCreate,
            Endpoint::UiTokenChange => Self::TokenChange {
                token: path.last.to_owned(),
            },
            Endpoint::UiKeep => Self::Keep,
            Endpoint::UiResend => Self::Resend {
                event: number(path.last)?,
            },
            Endpoint::UiDeleteForm => Self::DeleteForm {
                name: name()?,
                reference: ManifestReference::parse(path.last)?,
            },
            Endpoint::UiDelete => Self::Delete {
                name: name()?,
                reference: ManifestReference::parse(path.last)?,
            },
            Endpoint::UiRestore => Self::Restore {
                name: name()?,
                reference: ManifestReference::parse(path.last)?,
                to: read::<RestoreParameters>(uri)?.state()?,
            },
            Endpoint::UiDeleteSeveralForm => Self::DeleteSeveralForm {
                name: name()?,
                chosen: chosen_tags(uri)?,
            },
            Endpoint::UiDeleteSeveral => Self::DeleteSeveral { name: name()? },
            Endpoint::UiRestoreSeveral => Self::RestoreSeveral { name: name()? },
            Endpoint::UiLoginForm => Self::LoginForm(read(uri)?),
            Endpoint::UiToIssuer => Self::ToIssuer(read(uri)?),
            Endpoint::UiFromIssuer => Self::FromIssuer(read(uri)?),
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
            Self::Repository { .. } => Endpoint::UiRepository,
            Self::Untagged { .. } => Endpoint::UiUntagged,
            Self::Trash { .. } => Endpoint::UiTrash,
            Self::Image { .. } => Endpoint::UiImage,
            Self::History { .. } => Endpoint::UiHistory,
            Self::Compare(_) => Endpoint::UiCompare,
            Self::Policies { name: None, .. } => Endpoint::UiPolicies,
            Self::Policies { name: Some(_), .. } => Endpoint::UiPoliciesOf,
            Self::TriedPolicies { name: None } => Endpoint::UiTriedPolicies,
            Self::TriedPolicies { name: Some(_) } => Endpoint::UiTriedPoliciesOf,
            Self::Usage(_) => Endpoint::UiUsage,
            Self::Activity(_) => Endpoint::UiActivity,
            Self::Tokens(_) => Endpoint::UiTokens,
            Self::TokenCreate => Endpoint::UiTokenCreate,
            Self::TokenChange { .. } => Endpoint::UiTokenChange,
            Self::Keep => Endpoint::UiKeep,
            Self::Resend { .. } => Endpoint::UiResend,
            Self::Upstreams => Endpoint::UiUpstreams,
            Self::Webhooks => Endpoint::UiWebhooks,
            Self::DeleteForm { .. } => Endpoint::UiDeleteForm,
            Self::Delete { .. } => Endpoint::UiDelete,
            Self::Restore { .. } => Endpoint::UiRestore,
            Self::DeleteSeveralForm { .. } => Endpoint::UiDeleteSeveralForm,
            Self::DeleteSeveral { .. } => Endpoint::UiDeleteSeveral,
            Self::RestoreSeveral { .. } => Endpoint::UiRestoreSeveral,
            Self::LoginForm(_) => Endpoint::UiLoginForm,
            Self::ToIssuer(_) => Endpoint::UiToIssuer,
            Self::FromIssuer(_) => Endpoint::UiFromIssuer,
            Self::LogIn => Endpoint::UiLogIn,
            Self::LogOut => Endpoint::UiLogOut,
            Self::Asset { .. } => Endpoint::UiAsset,
        }
    }

    /// Repository that the path names.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Repository { name, .. }
            | Self::Untagged { name, .. }
            | Self::Trash { name }
            | Self::Image { name, .. }
            | Self::History { name, .. }
            | Self::DeleteForm { name, .. }
            | Self::DeleteSeveralForm { name, .. }
            | Self::DeleteSeveral { name }
            | Self::RestoreSeveral { name }
            | Self::Delete { name, .. }
            | Self::Restore { name, .. } => Some(name),
            Self::Policies { name, .. } | Self::TriedPolicies { name } => name.as_ref(),
            Self::Home(_)
            | Self::Compare(_)
            | Self::Usage(_)
            | Self::Activity(_)
            | Self::Tokens(_)
            | Self::TokenCreate
            | Self::TokenChange { .. }
            | Self::Keep
            | Self::Resend { .. }
            | Self::Upstreams
            | Self::Webhooks
            | Self::LoginForm(_)
            | Self::ToIssuer(_)
            | Self::FromIssuer(_)
            | Self::LogIn
            | Self::LogOut
            | Self::Asset { .. } => None,
        }
    }
}
