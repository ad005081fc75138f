//! Calls of `/api/v1`: a request, parsed and validated.

use http::Uri;

use crate::http::api_v1::parameters::{
    AuditParameters, DeliveryParameters, LastParameter, ListParameters, PageParameters,
    TokenParameters, read,
};
use crate::http::endpoint::{Endpoint, MatchedPath};
use crate::http::response::error::ApiError;
use crate::oci::{Digest, RepositoryName, TagName};
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
    Why {
        digest: Digest,
    },
    Trash(PageParameters),
    Audit(AuditParameters),
    Tokens(TokenParameters),
    Webhooks,
    Deliveries(DeliveryParameters),
    Upstreams,
    Quotas,
    /// Description of this API, in the terms of OpenAPI.
    Document,
}

/// Query of a route that takes none.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

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
                reference: ManifestReference::parse(path.last)?,
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
            Endpoint::ApiWhy => none(Self::Why {
                digest: Digest::parse(path.last)?,
            })?,
            Endpoint::ApiTrash => Self::Trash(read(uri)?),
            Endpoint::ApiAudit => Self::Audit(read(uri)?),
            Endpoint::ApiTokens => Self::Tokens(read(uri)?),
            Endpoint::ApiDeliveries => Self::Deliveries(read(uri)?),
            Endpoint::ApiWebhooks => none(Self::Webhooks)?,
            Endpoint::ApiUpstreams => none(Self::Upstreams)?,
            Endpoint::ApiQuotas => none(Self::Quotas)?,
            Endpoint::ApiDocument => none(Self::Document)?,
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
            Self::History { .. } => Endpoint::ApiHistory,
            Self::Usage(_) => Endpoint::ApiUsage,
            Self::UsageOf { .. } => Endpoint::ApiUsageOf,
            Self::Why { .. } => Endpoint::ApiWhy,
            Self::Trash(_) => Endpoint::ApiTrash,
            Self::Audit(_) => Endpoint::ApiAudit,
            Self::Tokens(_) => Endpoint::ApiTokens,
            Self::Webhooks => Endpoint::ApiWebhooks,
            Self::Deliveries(_) => Endpoint::ApiDeliveries,
            Self::Upstreams => Endpoint::ApiUpstreams,
            Self::Quotas => Endpoint::ApiQuotas,
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
            | Self::History { name, .. }
            | Self::UsageOf { name, .. } => Some(name),
            Self::Repositories(_)
            | Self::Tags(_)
            | Self::Untagged(_)
            | Self::Usage(_)
            | Self::Why { .. }
            | Self::Trash(_)
            | Self::Audit(_)
            | Self::Tokens(_)
            | Self::Webhooks
            | Self::Deliveries(_)
            | Self::Upstreams
            | Self::Quotas
            | Self::Document => None,
        }
    }
}
