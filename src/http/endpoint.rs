//! The endpoints, as metrics name them.

/// What requests are about, by the names that distribution has for its routes, and ours for what it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
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

impl Endpoint {
    pub(crate) const ALL: [Self; 11] = [
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

    pub(crate) fn as_str(self) -> &'static str {
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

/// Path of the liveness probe.
pub(crate) const LIVE: &str = "/livez";
/// Path of the readiness probe.
pub(crate) const READY: &str = "/readyz";

/// True for the path of a probe.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, LIVE | READY)
}
