//! Actions: a request becomes one before anything else happens.

use crate::http::api::request::query::{EventQuery, HistoryFilter, PageQuery, SearchQuery};
use crate::http::api_v1::call::ApiCall;
use crate::http::endpoint::Endpoint;
use crate::http::ui::call::UiCall;
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::{ManifestReference, UploadId};

/// A request, parsed and validated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `GET /`, as load balancers send it.
    Root,
    /// Liveness probe.
    Liveness,
    /// Readiness probe.
    Readiness,
    CheckApi,
    /// `OPTIONS`, which browsers send before a request from a page of another origin.
    Options {
        allowed: String,
    },
    /// A path with an extra slash, as joining `HOST/` and `/v2/` produces.
    Redirect {
        to: String,
    },
    GetManifest {
        name: RepositoryName,
        reference: ManifestReference,
    },
    PutManifest {
        name: RepositoryName,
        reference: ManifestReference,
        tags: Vec<TagName>,
    },
    DeleteManifest {
        name: RepositoryName,
        reference: ManifestReference,
    },
    /// An extension of the specification.
    DeleteRepository {
        name: RepositoryName,
    },
    GetBlob {
        name: RepositoryName,
        digest: Digest,
    },
    DeleteBlob {
        name: RepositoryName,
        digest: Digest,
    },
    BeginUpload {
        name: RepositoryName,
        algorithm: Algorithm,
    },
    PushBlob {
        name: RepositoryName,
        digest: Digest,
    },
    MountBlob {
        name: RepositoryName,
        digest: Digest,
        from: Option<RepositoryName>,
    },
    GetUpload {
        name: RepositoryName,
        id: UploadId,
    },
    AppendUpload {
        name: RepositoryName,
        id: UploadId,
    },
    FinishUpload {
        name: RepositoryName,
        id: UploadId,
        digest: Digest,
    },
    CancelUpload {
        name: RepositoryName,
        id: UploadId,
    },
    ListTags {
        name: RepositoryName,
        page: PageQuery,
    },
    ListReferrers {
        name: RepositoryName,
        digest: Digest,
        artifact_type: Option<String>,
        last: String,
    },
    /// A draft (distribution-spec, pull request 606).
    TagHistory {
        name: RepositoryName,
        tag: TagName,
        filter: HistoryFilter,
    },
    ListRepositories {
        page: PageQuery,
    },
    /// An extension of the specification.
    ListEvents(EventQuery),
    /// A token of the token service.
    GetToken {
        scopes: Vec<String>,
    },
    /// The same; scopes and credentials are in the body.
    PostToken,
    /// `docker search` uses version 1 of the API; nothing else does.
    PingV1,
    SearchV1(SearchQuery),
    /// Request of `/api/v1`.
    Api(ApiCall),
    /// Request of a page.
    Ui(UiCall),
}

/// Repository that the path of an action names, borrowed as the action is.
macro_rules! repository_of {
    ($action:expr) => {
        match $action {
            Self::GetManifest { name, .. }
            | Self::PutManifest { name, .. }
            | Self::DeleteManifest { name, .. }
            | Self::DeleteRepository { name }
            | Self::GetBlob { name, .. }
            | Self::DeleteBlob { name, .. }
            | Self::BeginUpload { name, .. }
            | Self::PushBlob { name, .. }
            | Self::MountBlob { name, .. }
            | Self::GetUpload { name, .. }
            | Self::AppendUpload { name, .. }
            | Self::FinishUpload { name, .. }
            | Self::CancelUpload { name, .. }
            | Self::ListTags { name, .. }
            | Self::ListReferrers { name, .. }
            | Self::TagHistory { name, .. } => Some(name),
            Self::Root
            | Self::Liveness
            | Self::Readiness
            | Self::CheckApi
            | Self::Options { .. }
            | Self::Redirect { .. }
            | Self::ListRepositories { .. }
            | Self::ListEvents(_)
            | Self::GetToken { .. }
            | Self::PostToken
            | Self::PingV1
            | Self::SearchV1(_)
            // no upstream is asked for reports
            | Self::Api(_)
            | Self::Ui(_) => None,
        }
    };
}

impl Action {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Root => Endpoint::Root,
            Self::Liveness => Endpoint::Liveness,
            Self::Readiness => Endpoint::Readiness,
            Self::CheckApi => Endpoint::CheckApi,
            Self::Options { .. } => Endpoint::Options,
            Self::Redirect { .. } => Endpoint::Redirect,
            Self::GetManifest { .. } => Endpoint::GetManifest,
            Self::PutManifest { .. } => Endpoint::PutManifest,
            Self::DeleteManifest { .. } => Endpoint::DeleteManifest,
            Self::DeleteRepository { .. } => Endpoint::DeleteRepository,
            Self::GetBlob { .. } => Endpoint::GetBlob,
            Self::DeleteBlob { .. } => Endpoint::DeleteBlob,
            Self::BeginUpload { .. } => Endpoint::BeginUpload,
            Self::PushBlob { .. } => Endpoint::PushBlob,
            Self::MountBlob { .. } => Endpoint::MountBlob,
            Self::GetUpload { .. } => Endpoint::GetUpload,
            Self::AppendUpload { .. } => Endpoint::AppendUpload,
            Self::FinishUpload { .. } => Endpoint::FinishUpload,
            Self::CancelUpload { .. } => Endpoint::CancelUpload,
            Self::ListTags { .. } => Endpoint::ListTags,
            Self::ListReferrers { .. } => Endpoint::ListReferrers,
            Self::TagHistory { .. } => Endpoint::TagHistory,
            Self::ListRepositories { .. } => Endpoint::ListRepositories,
            Self::ListEvents(_) => Endpoint::ListEvents,
            Self::GetToken { .. } => Endpoint::GetToken,
            Self::PostToken => Endpoint::PostToken,
            Self::PingV1 => Endpoint::PingV1,
            Self::SearchV1(_) => Endpoint::SearchV1,
            Self::Api(call) => call.endpoint(),
            Self::Ui(call) => call.endpoint(),
        }
    }

    /// Reports whether it reads content that an upstream may have.
    pub(crate) fn is_look_up(&self) -> bool {
        matches!(
            self,
            Self::GetManifest { .. }
                | Self::GetBlob { .. }
                | Self::ListTags { .. }
                | Self::ListReferrers { .. }
                | Self::TagHistory { .. }
        )
    }

    /// Repository that content is pushed to.
    pub(crate) fn pushed_to(&self) -> Option<&RepositoryName> {
        match self {
            Self::PutManifest { name, .. }
            | Self::BeginUpload { name, .. }
            | Self::PushBlob { name, .. }
            | Self::MountBlob { name, .. }
            | Self::AppendUpload { name, .. }
            | Self::FinishUpload { name, .. }
            | Self::Api(ApiCall::Promote { name, .. } | ApiCall::Keep { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// Repository that the path names.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Api(call) => call.repository(),
            Self::Ui(call) => call.repository(),
            _ => repository_of!(self),
        }
    }

    /// The same, to be replaced.
    pub(crate) fn repository_mut(&mut self) -> Option<&mut RepositoryName> {
        repository_of!(self)
    }
}
