//! Everything that can be asked of the registry, as one list; a request becomes one of these before anything else happens.
//!
//! Repository names contain slashes, so a path is read from its right end.

use std::borrow::Cow;
use std::time::UNIX_EPOCH;

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::error::Failure;
use super::probes;
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
    Ready {
        is_verbose: bool,
    },
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

    /// What a path is about that nothing could be made of: whatever stands in the place of names and digests.
    pub(super) fn of_path(path: &str) -> Self {
        match path {
            "/v2" | "/v2/" => Self::Base,
            "/v2/_catalog" => Self::Catalog,
            other => match other.strip_prefix("/v2/").and_then(Resource::parse) {
                Some(Resource::Manifest(..)) => Self::Manifest,
                Some(Resource::Blob(..)) => Self::Blob,
                Some(Resource::Uploads(_)) => Self::BlobUpload,
                Some(Resource::Upload(..)) => Self::BlobUploadChunk,
                Some(Resource::Tags(_)) => Self::Tags,
                Some(Resource::Referrers(..)) => Self::Referrers,
                Some(Resource::TagHistory(..)) => Self::TagHistory,
                Some(Resource::Repository(_)) => Self::Repository,
                None => Self::Other,
            },
        }
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageQuery {
    pub n: Option<usize>,
    pub last: String,
}

/// Which events of a tag are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HistoryFilter {
    pub n: Option<usize>,
    /// Milliseconds since 1970; the first event not to be told.
    pub before: Option<i64>,
    /// The first one to be told.
    pub since: Option<i64>,
    pub digest: Option<Digest>,
}

/// What a path names, whatever is to be done with it.
enum Resource<'p> {
    Repository(&'p str),
    Manifest(&'p str, &'p str),
    Blob(&'p str, &'p str),
    Uploads(&'p str),
    Upload(&'p str, &'p str),
    Tags(&'p str),
    Referrers(&'p str, &'p str),
    TagHistory(&'p str, &'p str),
}

impl Action {
    /// Reads what a request asks for.
    ///
    /// # Errors
    /// Unknown paths, methods a path has not, and names, digests or numbers that are none.
    pub(super) fn parse(method: &Method, uri: &Uri) -> Result<Self, Failure> {
        match Self::parse_exactly(method, uri) {
            Err(Failure::Method { allowed }) if method == Method::OPTIONS => Ok(Self::TellMethods { allowed }),
            Err(failure) => Self::redirect(method, uri).ok_or(failure),
            action => action,
        }
    }

    /// Where a path leads to without its empty parts, if it leads anywhere then; for methods that clients repeat there.
    fn redirect(method: &Method, uri: &Uri) -> Option<Self> {
        if method != Method::GET && method != Method::HEAD {
            return None;
        }
        let trimmed: String = uri.path().split('/').filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect();
        let slashed = format!("{trimmed}/");
        let candidates = if uri.path().ends_with('/') { [slashed, trimmed] } else { [trimmed, slashed] };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let to = candidates.into_iter().filter(|path| path != uri.path()).map(|path| path + &query);
        to.filter(|to| to.parse().is_ok_and(|uri| Self::parse_exactly(method, &uri).is_ok())).map(|to| Self::Redirect { to }).next()
    }

    fn parse_exactly(method: &Method, uri: &Uri) -> Result<Self, Failure> {
        let path = percent_decode_str(uri.path()).decode_utf8().map_err(|_| Failure::UnknownPath)?;
        let query = Query(uri.query().unwrap_or_default());
        // HEAD is GET whose body the server leaves out
        let method = if method == Method::HEAD { &Method::GET } else { method };
        match &*path {
            "*" => Err(Failure::Method { allowed: "DELETE, GET, HEAD, PATCH, POST, PUT" }),
            "/" => only_get(method, || Ok(Self::Welcome)),
            probes::LIVE => only_get(method, || Ok(Self::Live)),
            probes::READY => only_get(method, || Ok(Self::Ready { is_verbose: probes::is_verbose(uri) })),
            "/v2" | "/v2/" => only_get(method, || Ok(Self::CheckApi)),
            "/v2/_catalog" => only_get(method, || Ok(Self::ListRepositories { page: query.page()? })),
            "/v1/_ping" => only_get(method, || Ok(Self::PingV1)),
            "/v1/search" => only_get(method, || query.search()),
            other => match other.strip_prefix("/v2/").and_then(Resource::parse) {
                Some(resource) => resource.action(method, query),
                None => Err(Failure::UnknownPath),
            },
        }
    }

    /// What it is about.
    pub(super) fn handler(&self) -> Handler {
        match self {
            Self::CheckApi => Handler::Base,
            Self::ListRepositories { .. } => Handler::Catalog,
            Self::ListTags { .. } => Handler::Tags,
            Self::GetManifest { .. } | Self::PutManifest { .. } | Self::DeleteManifest { .. } => Handler::Manifest,
            Self::GetBlob { .. } | Self::DeleteBlob { .. } => Handler::Blob,
            Self::BeginUpload { .. } | Self::PushBlob { .. } | Self::MountBlob { .. } => Handler::BlobUpload,
            Self::GetUpload { .. } | Self::AppendUpload { .. } | Self::FinishUpload { .. } | Self::CancelUpload { .. } => {
                Handler::BlobUploadChunk
            }
            Self::ListReferrers { .. } => Handler::Referrers,
            Self::TagHistory { .. } => Handler::TagHistory,
            Self::DeleteRepository { .. } => Handler::Repository,
            Self::TellMethods { .. }
            | Self::Redirect { .. }
            | Self::Welcome
            | Self::Live
            | Self::Ready { .. }
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

fn only_get(method: &Method, action: impl FnOnce() -> Result<Action, Failure>) -> Result<Action, Failure> {
    if method == Method::GET { action() } else { Err(Failure::Method { allowed: "GET, HEAD" }) }
}

impl<'p> Resource<'p> {
    /// Splits a path below `/v2/`.
    fn parse(path: &'p str) -> Option<Self> {
        let (rest, last) = path.rsplit_once('/')?;
        if last.is_empty() {
            return Some(rest.strip_suffix("/blobs/uploads").map_or(Self::Repository(rest), Self::Uploads));
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads") {
            return Some(Self::Upload(name, last));
        }
        let (name, kind) = rest.rsplit_once('/')?;
        match (kind, last) {
            ("manifests", reference) => Some(Self::Manifest(name, reference)),
            ("blobs", "uploads") => Some(Self::Uploads(name)),
            ("blobs", digest) => Some(Self::Blob(name, digest)),
            ("tags", "list") => Some(Self::Tags(name)),
            ("referrers", digest) => Some(Self::Referrers(name, digest)),
            ("tag-history", tag) => name.strip_suffix("/_oci").map(|name| Self::TagHistory(name, tag)),
            _ => None,
        }
    }

    fn action(self, method: &Method, query: Query<'_>) -> Result<Action, Failure> {
        match self {
            Self::Repository(name) => match *method {
                Method::DELETE => Ok(Action::DeleteRepository { name: RepositoryName::parse(name)? }),
                // nothing else is known of it, as of any unknown path
                _ => Err(Failure::UnknownPath),
            },
            Self::TagHistory(name, tag) => only_get(method, || {
                Ok(Action::TagHistory { name: RepositoryName::parse(name)?, tag: TagName::parse(tag)?, filter: query.history()? })
            }),
            Self::Manifest(name, reference) => {
                let (name, reference) = (RepositoryName::parse(name)?, parse_reference(reference)?);
                match *method {
                    Method::GET => Ok(Action::GetManifest { name, reference }),
                    Method::PUT => Ok(Action::PutManifest { name, reference, tags: query.tags()? }),
                    Method::DELETE => Ok(Action::DeleteManifest { name, reference }),
                    _ => Err(Failure::Method { allowed: "DELETE, GET, HEAD, PUT" }),
                }
            }
            Self::Blob(name, digest) => {
                let (name, digest) = (RepositoryName::parse(name)?, Digest::parse(digest)?);
                match *method {
                    Method::GET => Ok(Action::GetBlob { name, digest }),
                    Method::DELETE => Ok(Action::DeleteBlob { name, digest }),
                    _ => Err(Failure::Method { allowed: "DELETE, GET, HEAD" }),
                }
            }
            Self::Uploads(name) => match *method {
                Method::POST => query.new_upload(RepositoryName::parse(name)?),
                _ => Err(Failure::Method { allowed: "POST" }),
            },
            Self::Upload(name, id) => {
                let name = RepositoryName::parse(name)?;
                let id = UploadId::parse(id).ok_or(Failure::MalformedUpload)?;
                match *method {
                    Method::GET => Ok(Action::GetUpload { name, id }),
                    Method::PATCH => Ok(Action::AppendUpload { name, id }),
                    Method::PUT => Ok(Action::FinishUpload { name, id, digest: query.digest()?.ok_or(Failure::DigestMissing)? }),
                    Method::DELETE => Ok(Action::CancelUpload { name, id }),
                    _ => Err(Failure::Method { allowed: "DELETE, GET, HEAD, PATCH, PUT" }),
                }
            }
            Self::Tags(name) => only_get(method, || Ok(Action::ListTags { name: RepositoryName::parse(name)?, page: query.page()? })),
            Self::Referrers(name, digest) => only_get(method, || {
                Ok(Action::ListReferrers {
                    name: RepositoryName::parse(name)?,
                    digest: Digest::parse(digest)?,
                    // no media type has a space in it: what reads as one is a plus that was not encoded
                    artifact_type: query.get("artifactType").map(|text| text.replace(' ', "+")),
                    last: query.get("last").unwrap_or_default().into_owned(),
                })
            }),
        }
    }
}

/// A colon makes it a digest: no tag has one.
fn parse_reference(text: &str) -> Result<ManifestReference, Failure> {
    Ok(if text.contains(':') { ManifestReference::Digest(Digest::parse(text)?) } else { ManifestReference::Tag(TagName::parse(text)?) })
}

#[derive(Clone, Copy)]
struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    fn get(self, key: &str) -> Option<Cow<'q, str>> {
        form_urlencoded::parse(self.0.as_bytes()).find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn digest(self) -> Result<Option<Digest>, Failure> {
        Ok(self.get("digest").map(|text| Digest::parse(&text)).transpose()?)
    }

    fn tags(self) -> Result<Vec<TagName>, Failure> {
        let tags = form_urlencoded::parse(self.0.as_bytes()).filter(|(name, _)| name == "tag");
        Ok(tags.map(|(_, tag)| TagName::parse(&tag)).collect::<Result<_, _>>()?)
    }

    fn page(self) -> Result<PageQuery, Failure> {
        Ok(PageQuery { n: self.number()?, last: self.get("last").unwrap_or_default().into_owned() })
    }

    fn number(self) -> Result<Option<usize>, Failure> {
        match self.get("n").filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                // a number too large to hold is merely a page too large to give
                Ok(Some(text.parse().unwrap_or(usize::MAX)))
            }
            Some(text) => Err(Failure::PageNumber(text.into_owned())),
        }
    }

    fn history(self) -> Result<HistoryFilter, Failure> {
        let time = |key: &str| {
            let Some(text) = self.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
            // a plus sign that was not encoded reads as a space
            let time = humantime::parse_rfc3339_weak(text.trim().trim_end_matches("+00:00").trim_end_matches(" 00:00"));
            let since_epoch = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let millis = since_epoch.and_then(|time| i64::try_from(time.as_millis()).ok());
            millis.map(Some).ok_or_else(|| Failure::Time { key: key.to_owned(), text: text.into_owned() })
        };
        Ok(HistoryFilter { n: self.number()?, before: time("before")?, since: time("since")?, digest: self.digest()? })
    }

    fn new_upload(self, name: RepositoryName) -> Result<Action, Failure> {
        if let Some(digest) = self.get("mount") {
            // what cannot be mounted is uploaded
            let Ok(digest) = Digest::parse(&digest) else { return Ok(Action::BeginUpload { name, algorithm: Algorithm::Sha256 }) };
            let from = self.get("from").filter(|from| !from.is_empty()).map(|from| RepositoryName::parse(&from)).transpose();
            return Ok(match from {
                Ok(from) => Action::MountBlob { name, digest, from },
                // some clients name what they pulled from another registry: nothing here is called that
                Err(_) => Action::BeginUpload { name, algorithm: digest.algorithm() },
            });
        }
        if let Some(digest) = self.digest()? {
            return Ok(Action::PushBlob { name, digest });
        }
        let algorithm = self.get("digest-algorithm").map_or(Ok(Algorithm::Sha256), |text| Algorithm::parse(&text))?;
        Ok(Action::BeginUpload { name, algorithm })
    }

    fn search(self) -> Result<Action, Failure> {
        let number = |key, default| self.get(key).and_then(|text| text.parse().ok()).unwrap_or(default);
        Ok(Action::SearchV1 { term: self.get("q").unwrap_or_default().into_owned(), count: number("n", 25), page: number("page", 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(method: &str, uri: &str) -> Result<Action, Failure> {
        Action::parse(&method.parse().unwrap(), &uri.parse().unwrap())
    }

    proptest! {
        #[test]
        fn no_request_line_panics(method in "[A-Z]{1,7}", path in "/(v2/)?[ -~]{0,60}") {
            if let Ok(uri) = path.parse::<Uri>() {
                let _ = Action::parse(&method.parse().unwrap(), &uri);
            }
        }

        #[test]
        fn names_may_contain_what_looks_like_a_route(name in "[a-z]{1,3}(/(manifests|blobs|tags|uploads|list|referrers|v2)){0,4}", tag in "[a-z]{1,9}") {
            let expected = Action::GetManifest {
                name: RepositoryName::parse(&name).unwrap(),
                reference: ManifestReference::Tag(TagName::parse(&tag).unwrap()),
            };
            prop_assert_eq!(parse("GET", &format!("/v2/{name}/manifests/{tag}")).unwrap(), expected);
        }
    }

    #[test]
    fn methods_that_a_path_has_not_are_named() {
        for (method, uri, allowed) in [
            ("POST", "/v2/", "GET, HEAD"),
            ("PATCH", "/v2/a/manifests/b", "DELETE, GET, HEAD, PUT"),
            ("GET", "/v2/a/blobs/uploads/", "POST"),
            ("DELETE", "/v2/_catalog", "GET, HEAD"),
        ] {
            assert!(matches!(parse(method, uri), Err(Failure::Method { allowed: found }) if found == allowed), "{method} {uri}");
        }
    }

    #[test]
    fn empty_parts_of_a_path_are_redirected_from() {
        for (path, expected) in [
            ("//v2/", "/v2/"),
            ("//v2", "/v2"),
            ("/v2//_catalog?n=1", "/v2/_catalog?n=1"),
            ("/v2/_catalog/", "/v2/_catalog"),
            ("//v2//a//b/manifests/v1//", "/v2/a/b/manifests/v1"),
            ("//", "/"),
        ] {
            assert_eq!(parse("GET", path).unwrap(), Action::Redirect { to: expected.to_owned() }, "{path}");
            assert!(parse("DELETE", path).is_err(), "{path}");
        }
        for path in ["//evil.example/", "//evil.example//v2/", "/v2/a//b", "/v2/a/manifests//"] {
            assert!(parse("GET", path).is_err(), "{path}");
        }
    }

    #[test]
    fn encoded_digests_and_huge_pages_are_read() {
        let hex = "a".repeat(64);
        assert!(matches!(parse("GET", &format!("/v2/a/b/blobs/sha256%3A{hex}")), Ok(Action::GetBlob { .. })));
        let page = PageQuery { n: Some(usize::MAX), last: "x y".into() };
        assert_eq!(parse("GET", "/v2/_catalog?n=99999999999999999999999&last=x%20y").unwrap(), Action::ListRepositories { page });
        assert!(matches!(parse("GET", "/v2/_catalog?n=-1"), Err(Failure::PageNumber(_))));
    }

    /// A request that is refused for what it says counts where one counts that is not.
    #[test]
    fn a_path_is_about_what_its_action_is_about() {
        let (digest, id) = (format!("sha256:{}", "a".repeat(64)), "00000000-89ab-4cde-8f01-23456789abcd");
        for (method, path) in [
            ("GET", "/v2/".to_owned()),
            ("GET", "/v2/_catalog".to_owned()),
            ("GET", "/v2/a/b/tags/list".to_owned()),
            ("PUT", "/v2/a/manifests/b".to_owned()),
            ("DELETE", format!("/v2/a/blobs/{digest}")),
            ("POST", "/v2/a/blobs/uploads/".to_owned()),
            ("PATCH", format!("/v2/a/blobs/uploads/{id}")),
            ("GET", format!("/v2/a/referrers/{digest}")),
            ("GET", "/v2/a/_oci/tag-history/b".to_owned()),
            ("DELETE", "/v2/a/".to_owned()),
            ("GET", "/livez".to_owned()),
        ] {
            assert_eq!(parse(method, &path).unwrap().handler(), Handler::of_path(&path), "{path}");
        }
    }
}
