//! Calls of `/api/v1`: a request, parsed and validated.

use http::Uri;

use crate::http::api_v1::parameters::{
    AuditParameters, DeliveryParameters, GrowthParameters, LastParameter, ListParameters,
    PolicyParameters, TagsParameter, TokenParameters, TrashParameters, read,
};
use crate::http::endpoint::{Endpoint, MatchedPath};
use crate::http::response::error::ApiError;
use crate::oci::{Digest, Glob, RepositoryName, TagName};
use crate::registry::ManifestReference;

/// A request of `/api/v1`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ApiCall {
    Repositories(ListParameters),
    /// Tags of several repositories.
    Tags(ListParameters),
    TagsOf {
        name: RepositoryName,
        list: ListParameters,
    },
    Untagged(ListParameters),
    Manifest {
        name: RepositoryName,
        reference: ManifestReference,
    },
    /// Content of an artifact.
    Content {
        name: RepositoryName,
        reference: ManifestReference,
    },
    History {
        name: RepositoryName,
        tag: TagName,
        last: Option<String>,
    },
    Usage(ListParameters),
    UsageOf {
        name: RepositoryName,
        list: ListParameters,
    },
    Growth(GrowthParameters),
    Why {
        digest: Digest,
    },
    Trash(TrashParameters),
    /// Decisions of the rules about tags.
    Policies {
        name: Option<RepositoryName>,
        rules: TriedRules,
        list: PolicyParameters,
    },
    Audit(AuditParameters),
    Tokens(TokenParameters),
    Webhooks,
    Deliveries(DeliveryParameters),
    Upstreams,
    Quotas,
    /// A deletion that is foreseen.
    Deletion {
        name: RepositoryName,
        reference: ManifestReference,
    },
    /// A deletion of several tags, or of a repository, that is foreseen.
    Selection {
        name: RepositoryName,
        tags: Option<Glob>,
    },
    DeleteAll {
        name: RepositoryName,
        tags: Option<Glob>,
    },
    /// Everything that was deleted from a repository is restored.
    RestoreAll {
        name: RepositoryName,
    },
    /// Digests that begin with a prefix.
    Digests {
        name: RepositoryName,
        prefix: String,
    },
    Delete {
        name: RepositoryName,
        reference: ManifestReference,
    },
    Restore {
        name: RepositoryName,
        reference: ManifestReference,
    },
    /// A tag that is to point at an image from elsewhere.
    Promote {
        name: RepositoryName,
        tag: TagName,
    },
    /// An image of a cache that is to be one's own.
    Keep {
        name: RepositoryName,
        tag: TagName,
    },
    TokenCreate,
    TokenRotate {
        token: String,
    },
    TokenRevoke {
        token: String,
    },
    Resend {
        event: i64,
        webhook: String,
    },
    /// Description of this API, in the terms of OpenAPI.
    Document,
}

/// Rules by which is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TriedRules {
    InForce,
    /// Those that the body has.
    Edited,
}

/// Query of a route that takes none.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Query of a route about one webhook.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookParameter {
    webhook: String,
}

/// Reads the number of an event.
///
/// # Errors
/// [`ApiError::Parameter`].
pub(in crate::http) fn number(text: &str) -> Result<i64, ApiError> {
    let malformed = |_| ApiError::Parameter(format!("'{text}' is not the number of an event"));
    text.parse().map_err(malformed)
}

impl TriedRules {
    fn at(endpoint: Endpoint) -> Self {
        match endpoint.info().method {
            "POST" => Self::Edited,
            _ => Self::InForce,
        }
    }
}

impl ApiCall {
    /// Builds the call of an endpoint from the path and query of a request.
    ///
    /// # Errors
    /// Invalid names, digests and parameters; [`ApiError::UnknownPath`] for an endpoint of another API.
    pub(crate) fn build(
        endpoint: Endpoint,
        path: MatchedPath<'_>,
        uri: &Uri,
    ) -> Result<Self, ApiError> {
        let name = || RepositoryName::parse(path.name);
        let of_repositories = || read::<ListParameters>(uri)?.without_tags();
        let reference = || ManifestReference::parse(path.last);
        let none = |call| read(uri).map(|NoParameters {}| call);
        let of_one = || read::<ListParameters>(uri)?.without_repositories();
        Ok(match endpoint {
            Endpoint::ApiRepositories => Self::Repositories(of_repositories()?),
            Endpoint::ApiTags => Self::Tags(read(uri)?),
            Endpoint::ApiTagsOf => Self::TagsOf {
                name: name()?,
                list: of_one()?,
            },
            Endpoint::ApiUntagged => Self::Untagged(of_repositories()?),
            Endpoint::ApiManifest => none(Self::Manifest {
                name: name()?,
                reference: reference()?,
            })?,
            Endpoint::ApiContent => none(Self::Content {
                name: name()?,
                reference: reference()?,
            })?,
            Endpoint::ApiHistory => Self::History {
                name: name()?,
                tag: TagName::parse(path.last)?,
                last: read::<LastParameter>(uri)?.last,
            },
            Endpoint::ApiUsage => Self::Usage(of_repositories()?),
            Endpoint::ApiUsageOf => Self::UsageOf {
                name: name()?,
                list: of_one()?,
            },
            Endpoint::ApiGrowth => Self::Growth(read(uri)?),
            Endpoint::ApiWhy => none(Self::Why {
                digest: Digest::parse(path.last)?,
            })?,
            Endpoint::ApiTrash => Self::Trash(read(uri)?),
            Endpoint::ApiPolicies | Endpoint::ApiTriedPolicies => Self::Policies {
                name: None,
                rules: TriedRules::at(endpoint),
                list: read(uri)?,
            },
            Endpoint::ApiPoliciesOf | Endpoint::ApiTriedPoliciesOf => Self::Policies {
                name: Some(name()?),
                rules: TriedRules::at(endpoint),
                list: read::<PolicyParameters>(uri)?.without_repositories()?,
            },
            Endpoint::ApiAudit => Self::Audit(read(uri)?),
            Endpoint::ApiTokens => Self::Tokens(read(uri)?),
            Endpoint::ApiDeliveries => Self::Deliveries(read(uri)?),
            Endpoint::ApiWebhooks => none(Self::Webhooks)?,
            Endpoint::ApiUpstreams => none(Self::Upstreams)?,
            Endpoint::ApiQuotas => none(Self::Quotas)?,
            Endpoint::ApiDocument => none(Self::Document)?,
            _ => return Self::build_change(endpoint, path, uri),
        })
    }

    /// Builds the call of an endpoint that changes something, or foresees a change.
    fn build_change(
        endpoint: Endpoint,
        path: MatchedPath<'_>,
        uri: &Uri,
    ) -> Result<Self, ApiError> {
        let name = || RepositoryName::parse(path.name);
        let reference = || ManifestReference::parse(path.last);
        let token = || path.last.to_owned();
        let none = |call| read(uri).map(|NoParameters {}| call);
        Ok(match endpoint {
            Endpoint::ApiDeletion => none(Self::Deletion {
                name: name()?,
                reference: reference()?,
            })?,
            Endpoint::ApiSelection => Self::Selection {
                name: name()?,
                tags: read::<TagsParameter>(uri)?.glob()?,
            },
            Endpoint::ApiDeleteAll => Self::DeleteAll {
                name: name()?,
                tags: read::<TagsParameter>(uri)?.glob()?,
            },
            Endpoint::ApiRestoreAll => none(Self::RestoreAll { name: name()? })?,
            Endpoint::ApiDigests => none(Self::Digests {
                name: name()?,
                prefix: path.last.to_owned(),
            })?,
            Endpoint::ApiDelete => none(Self::Delete {
                name: name()?,
                reference: reference()?,
            })?,
            Endpoint::ApiRestore => none(Self::Restore {
                name: name()?,
                reference: reference()?,
            })?,
            Endpoint::ApiPromote => none(Self::Promote {
                name: name()?,
                tag: TagName::parse(path.last)?,
            })?,
            Endpoint::ApiKeep => none(Self::Keep {
                name: name()?,
                tag: TagName::parse(path.last)?,
            })?,
            Endpoint::ApiTokenCreate => none(Self::TokenCreate)?,
            Endpoint::ApiTokenRotate => none(Self::TokenRotate { token: token() })?,
            Endpoint::ApiTokenRevoke => none(Self::TokenRevoke { token: token() })?,
            Endpoint::ApiResend => Self::Resend {
                event: number(path.last)?,
                webhook: read::<WebhookParameter>(uri)?.webhook,
            },
            _ => return Err(ApiError::UnknownPath),
        })
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Repositories(_) => Endpoint::ApiRepositories,
            Self::Tags(_) => Endpoint::ApiTags,
            Self::TagsOf { .. } => Endpoint::ApiTagsOf,
            Self::Untagged(_) => Endpoint::ApiUntagged,
            Self::Manifest { .. } => Endpoint::ApiManifest,
            Self::Content { .. } => Endpoint::ApiContent,
            Self::History { .. } => Endpoint::ApiHistory,
            Self::Usage(_) => Endpoint::ApiUsage,
            Self::UsageOf { .. } => Endpoint::ApiUsageOf,
            Self::Growth(_) => Endpoint::ApiGrowth,
            Self::Why { .. } => Endpoint::ApiWhy,
            Self::Trash(_) => Endpoint::ApiTrash,
            Self::Policies { name, rules, .. } => match (name, rules) {
                (None, TriedRules::InForce) => Endpoint::ApiPolicies,
                (None, TriedRules::Edited) => Endpoint::ApiTriedPolicies,
                (Some(_), TriedRules::InForce) => Endpoint::ApiPoliciesOf,
                (Some(_), TriedRules::Edited) => Endpoint::ApiTriedPoliciesOf,
            },
            Self::Audit(_) => Endpoint::ApiAudit,
            Self::Tokens(_) => Endpoint::ApiTokens,
            Self::Webhooks => Endpoint::ApiWebhooks,
            Self::Deliveries(_) => Endpoint::ApiDeliveries,
            Self::Upstreams => Endpoint::ApiUpstreams,
            Self::Quotas => Endpoint::ApiQuotas,
            Self::Deletion { .. } => Endpoint::ApiDeletion,
            Self::Selection { .. } => Endpoint::ApiSelection,
            Self::DeleteAll { .. } => Endpoint::ApiDeleteAll,
            Self::RestoreAll { .. } => Endpoint::ApiRestoreAll,
            Self::Digests { .. } => Endpoint::ApiDigests,
            Self::Delete { .. } => Endpoint::ApiDelete,
            Self::Restore { .. } => Endpoint::ApiRestore,
            Self::Promote { .. } => Endpoint::ApiPromote,
            Self::Keep { .. } => Endpoint::ApiKeep,
            Self::TokenCreate => Endpoint::ApiTokenCreate,
            Self::TokenRotate { .. } => Endpoint::ApiTokenRotate,
            Self::TokenRevoke { .. } => Endpoint::ApiTokenRevoke,
            Self::Resend { .. } => Endpoint::ApiResend,
            Self::Document => Endpoint::ApiDocument,
        }
    }

    /// Path of the request below the prefix.
    pub(super) fn path(&self) -> String {
        let last = match self {
            Self::Manifest { reference, .. } => reference.to_string(),
            Self::History { tag, .. } => tag.to_string(),
            Self::Why { digest } => digest.to_string(),
            _ => String::new(),
        };
        let template = self.endpoint().info().path;
        let name = self.repository().map_or("", RepositoryName::as_str);
        let path = template.replace("{name}", name);
        match path.split_once('{') {
            Some((before, _)) => format!("{before}{last}"),
            None => path,
        }
    }

    /// Repository that the path names.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::TagsOf { name, .. }
            | Self::Manifest { name, .. }
            | Self::Content { name, .. }
            | Self::History { name, .. }
            | Self::UsageOf { name, .. }
            | Self::Deletion { name, .. }
            | Self::Selection { name, .. }
            | Self::DeleteAll { name, .. }
            | Self::RestoreAll { name }
            | Self::Digests { name, .. }
            | Self::Delete { name, .. }
            | Self::Promote { name, .. }
            | Self::Keep { name, .. }
            | Self::Restore { name, .. } => Some(name),
            Self::Policies { name, .. } => name.as_ref(),
            Self::Repositories(_)
            | Self::Tags(_)
            | Self::Untagged(_)
            | Self::Usage(_)
            | Self::Growth(_)
            | Self::Why { .. }
            | Self::Trash(_)
            | Self::Audit(_)
            | Self::Tokens(_)
            | Self::Webhooks
            | Self::Deliveries(_)
            | Self::Upstreams
            | Self::Quotas
            | Self::TokenCreate
            | Self::TokenRotate { .. }
            | Self::TokenRevoke { .. }
            | Self::Resend { .. }
            | Self::Document => None,
        }
    }
}
