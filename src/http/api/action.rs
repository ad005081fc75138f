//! Everything that can be asked of the registry, as one list; a request becomes one of these before anything else happens.

use crate::http::api::query::{HistoryFilter, PageQuery, ReadinessQuery};
use crate::http::endpoint::Endpoint;
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::{ManifestReference, UploadId};

/// A request, parsed and valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `GET /`, which load balancers ask.
    Root,
    /// Whether the process answers.
    Live,
    /// Whether the server can do its work.
    Ready(ReadinessQuery),
    CheckApi,
    /// `OPTIONS`, which browsers send before they let a page of another origin ask for anything.
    Options {
        allowed: &'static str,
    },
    /// A path with a slash too many, as `HOST/` and `/v2/` make when they are put together.
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
    /// Ours.
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
    /// Of a draft (distribution-spec, pull request 606).
    TagHistory {
        name: RepositoryName,
        tag: TagName,
        filter: HistoryFilter,
    },
    ListRepositories {
        page: PageQuery,
    },
    /// `docker search` asks the first version of the API, and nothing else does.
    PingV1,
    SearchV1 {
        term: String,
        count: usize,
        page: usize,
    },
}

impl Action {
    /// What it is about.
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::CheckApi => Endpoint::Base,
            Self::ListRepositories { .. } => Endpoint::Catalog,
            Self::ListTags { .. } => Endpoint::Tags,
            Self::GetManifest { .. } | Self::PutManifest { .. } | Self::DeleteManifest { .. } => {
                Endpoint::Manifest
            }
            Self::GetBlob { .. } | Self::DeleteBlob { .. } => Endpoint::Blob,
            Self::BeginUpload { .. } | Self::PushBlob { .. } | Self::MountBlob { .. } => {
                Endpoint::BlobUpload
            }
            Self::GetUpload { .. }
            | Self::AppendUpload { .. }
            | Self::FinishUpload { .. }
            | Self::CancelUpload { .. } => Endpoint::BlobUploadChunk,
            Self::ListReferrers { .. } => Endpoint::Referrers,
            Self::TagHistory { .. } => Endpoint::TagHistory,
            Self::DeleteRepository { .. } => Endpoint::Repository,
            Self::Options { .. }
            | Self::Redirect { .. }
            | Self::Root
            | Self::Live
            | Self::Ready(_)
            | Self::PingV1
            | Self::SearchV1 { .. } => Endpoint::Other,
        }
    }

    /// Whether it must run to its end even if the client leaves.
    pub(crate) fn changes_something(&self) -> bool {
        matches!(
            self,
            Self::PutManifest { .. }
                | Self::DeleteManifest { .. }
                | Self::DeleteRepository { .. }
                | Self::DeleteBlob { .. }
                | Self::BeginUpload { .. }
                | Self::PushBlob { .. }
                | Self::MountBlob { .. }
                | Self::AppendUpload { .. }
                | Self::FinishUpload { .. }
                | Self::CancelUpload { .. }
        )
    }
}
