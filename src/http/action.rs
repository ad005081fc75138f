//! Everything that can be asked of the registry, as one list; a request becomes one of these before anything else happens.

use super::probes::Asked;
use super::query::{HistoryFilter, PageQuery};
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::{ManifestReference, UploadId};

/// A request, parsed and valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// `GET /`, which load balancers ask.
    Welcome,
    /// Whether the process answers.
    Live,
    /// Whether the server can do its work.
    Ready(Asked),
    CheckApi,
    /// `OPTIONS`, which browsers send before they let a page of another origin ask for anything.
    TellMethods {
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

/// What requests are about, by the names that distribution has for its routes, and ours for what it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handler {
    Base,
    Catalog,
    Tags,
    Manifest,
    Blob,
    BlobUpload,
    BlobUploadChunk,
    Referrers,
    TagHistory,
    Repository,
    Other,
}

impl Handler {
    pub(super) const ALL: [Self; 11] = [
        Self::Base,
        Self::Catalog,
        Self::Tags,
        Self::Manifest,
        Self::Blob,
        Self::BlobUpload,
        Self::BlobUploadChunk,
        Self::Referrers,
        Self::TagHistory,
        Self::Repository,
        Self::Other,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::BlobUpload => "blob_upload",
            Self::BlobUploadChunk => "blob_upload_chunk",
            Self::Referrers => "referrers",
            Self::TagHistory => "tag_history",
            Self::Repository => "repository",
            Self::Other => "other",
        }
    }
}

impl Action {
    /// What it is about.
    pub(super) fn handler(&self) -> Handler {
        match self {
            Self::CheckApi => Handler::Base,
            Self::ListRepositories { .. } => Handler::Catalog,
            Self::ListTags { .. } => Handler::Tags,
            Self::GetManifest { .. } | Self::PutManifest { .. } | Self::DeleteManifest { .. } => {
                Handler::Manifest
            }
            Self::GetBlob { .. } | Self::DeleteBlob { .. } => Handler::Blob,
            Self::BeginUpload { .. } | Self::PushBlob { .. } | Self::MountBlob { .. } => {
                Handler::BlobUpload
            }
            Self::GetUpload { .. }
            | Self::AppendUpload { .. }
            | Self::FinishUpload { .. }
            | Self::CancelUpload { .. } => Handler::BlobUploadChunk,
            Self::ListReferrers { .. } => Handler::Referrers,
            Self::TagHistory { .. } => Handler::TagHistory,
            Self::DeleteRepository { .. } => Handler::Repository,
            Self::TellMethods { .. }
            | Self::Redirect { .. }
            | Self::Welcome
            | Self::Live
            | Self::Ready(_)
            | Self::PingV1
            | Self::SearchV1 { .. } => Handler::Other,
        }
    }

    /// Whether it must run to its end even if the client leaves.
    pub(super) fn changes_something(&self) -> bool {
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
