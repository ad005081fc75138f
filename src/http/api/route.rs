//! From a request's method and path to what it asks for.
//!
//! Repository names contain slashes, so a path is read from its right end.

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use crate::http::api::action::Action;
use crate::http::api::query::{Query, ReadinessQuery};
use crate::http::endpoint::{self, Endpoint};
use crate::http::response::error::ApiError;
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::{ManifestReference, UploadId};

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
    pub(crate) fn parse(method: &Method, uri: &Uri) -> Result<Self, ApiError> {
        match Self::parse_exactly(method, uri) {
            Err(ApiError::Method { allowed }) if method == Method::OPTIONS => {
                Ok(Self::Options { allowed })
            }
            Err(failure) => Self::redirect(method, uri).ok_or(failure),
            action => action,
        }
    }

    /// Where a path leads to without its empty parts, if it leads anywhere then; for methods that clients repeat there.
    fn redirect(method: &Method, uri: &Uri) -> Option<Self> {
        if method != Method::GET && method != Method::HEAD {
            return None;
        }
        let trimmed: String = uri
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .flat_map(|part| ["/", part])
            .collect();
        let slashed = format!("{trimmed}/");
        let candidates = if uri.path().ends_with('/') {
            [slashed, trimmed]
        } else {
            [trimmed, slashed]
        };
        let query = uri
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let to = candidates
            .into_iter()
            .filter(|path| path != uri.path())
            .map(|path| path + &query);
        to.filter(|to| {
            to.parse()
                .is_ok_and(|uri| Self::parse_exactly(method, &uri).is_ok())
        })
        .map(|to| Self::Redirect { to })
        .next()
    }

    fn parse_exactly(method: &Method, uri: &Uri) -> Result<Self, ApiError> {
        let path = percent_decode_str(uri.path())
            .decode_utf8()
            .map_err(|_| ApiError::UnknownPath)?;
        let query = Query(uri.query().unwrap_or_default());
        // HEAD is GET whose body the server leaves out
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        match &*path {
            "*" => Err(ApiError::Method {
                allowed: "DELETE, GET, HEAD, PATCH, POST, PUT",
            }),
            "/" => only_get(method, || Ok(Self::Root)),
            endpoint::LIVE => only_get(method, || Ok(Self::Live)),
            endpoint::READY => only_get(method, || Ok(Self::Ready(ReadinessQuery::read(uri)))),
            "/v2" | "/v2/" => only_get(method, || Ok(Self::CheckApi)),
            "/v2/_catalog" => only_get(method, || {
                Ok(Self::ListRepositories {
                    page: query.page()?,
                })
            }),
            "/v1/_ping" => only_get(method, || Ok(Self::PingV1)),
            "/v1/search" => only_get(method, || search(query)),
            other => match other.strip_prefix("/v2/").and_then(Resource::parse) {
                Some(resource) => resource.action(method, query),
                None => Err(ApiError::UnknownPath),
            },
        }
    }
}

impl Endpoint {
    /// What a path is about that nothing could be made of: whatever stands in the place of names and digests.
    pub(crate) fn of_path(path: &str) -> Self {
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

fn only_get(
    method: &Method,
    action: impl FnOnce() -> Result<Action, ApiError>,
) -> Result<Action, ApiError> {
    if method == Method::GET {
        action()
    } else {
        Err(ApiError::Method {
            allowed: "GET, HEAD",
        })
    }
}

impl<'p> Resource<'p> {
    /// Splits a path below `/v2/`.
    fn parse(path: &'p str) -> Option<Self> {
        let (rest, last) = path.rsplit_once('/')?;
        if last.is_empty() {
            return Some(
                rest.strip_suffix("/blobs/uploads")
                    .map_or(Self::Repository(rest), Self::Uploads),
            );
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
            ("tag-history", tag) => name
                .strip_suffix("/_oci")
                .map(|name| Self::TagHistory(name, tag)),
            _ => None,
        }
    }

    fn action(self, method: &Method, query: Query<'_>) -> Result<Action, ApiError> {
        match self {
            Self::Repository(name) => match *method {
                Method::DELETE => Ok(Action::DeleteRepository {
                    name: RepositoryName::parse(name)?,
                }),
                // nothing else is known of it, as of any unknown path
                _ => Err(ApiError::UnknownPath),
            },
            Self::TagHistory(name, tag) => only_get(method, || {
                Ok(Action::TagHistory {
                    name: RepositoryName::parse(name)?,
                    tag: TagName::parse(tag)?,
                    filter: query.history()?,
                })
            }),
            Self::Manifest(name, reference) => {
                let (name, reference) = (RepositoryName::parse(name)?, parse_reference(reference)?);
                match *method {
                    Method::GET => Ok(Action::GetManifest { name, reference }),
                    Method::PUT => Ok(Action::PutManifest {
                        name,
                        reference,
                        tags: query.tags()?,
                    }),
                    Method::DELETE => Ok(Action::DeleteManifest { name, reference }),
                    _ => Err(ApiError::Method {
                        allowed: "DELETE, GET, HEAD, PUT",
                    }),
                }
            }
            Self::Blob(name, digest) => {
                let (name, digest) = (RepositoryName::parse(name)?, Digest::parse(digest)?);
                match *method {
                    Method::GET => Ok(Action::GetBlob { name, digest }),
                    Method::DELETE => Ok(Action::DeleteBlob { name, digest }),
                    _ => Err(ApiError::Method {
                        allowed: "DELETE, GET, HEAD",
                    }),
                }
            }
            Self::Uploads(name) => match *method {
                Method::POST => new_upload(query, RepositoryName::parse(name)?),
                _ => Err(ApiError::Method { allowed: "POST" }),
            },
            Self::Upload(name, id) => {
                let name = RepositoryName::parse(name)?;
                let id = UploadId::parse(id).ok_or(ApiError::MalformedUpload)?;
                match *method {
                    Method::GET => Ok(Action::GetUpload { name, id }),
                    Method::PATCH => Ok(Action::AppendUpload { name, id }),
                    Method::PUT => Ok(Action::FinishUpload {
                        name,
                        id,
                        digest: query.digest()?.ok_or(ApiError::DigestMissing)?,
                    }),
                    Method::DELETE => Ok(Action::CancelUpload { name, id }),
                    _ => Err(ApiError::Method {
                        allowed: "DELETE, GET, HEAD, PATCH, PUT",
                    }),
                }
            }
            Self::Tags(name) => only_get(method, || {
                Ok(Action::ListTags {
                    name: RepositoryName::parse(name)?,
                    page: query.page()?,
                })
            }),
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

fn new_upload(query: Query<'_>, name: RepositoryName) -> Result<Action, ApiError> {
    if let Some(digest) = query.get("mount") {
        // what cannot be mounted is uploaded
        let Ok(digest) = Digest::parse(&digest) else {
            return Ok(Action::BeginUpload {
                name,
                algorithm: Algorithm::Sha256,
            });
        };
        let from = query
            .get("from")
            .filter(|from| !from.is_empty())
            .map(|from| RepositoryName::parse(&from))
            .transpose();
        return Ok(match from {
            Ok(from) => Action::MountBlob { name, digest, from },
            // some clients name what they pulled from another registry: nothing here is called that
            Err(_) => Action::BeginUpload {
                name,
                algorithm: digest.algorithm(),
            },
        });
    }
    if let Some(digest) = query.digest()? {
        return Ok(Action::PushBlob { name, digest });
    }
    let algorithm = query
        .get("digest-algorithm")
        .map_or(Ok(Algorithm::Sha256), |text| Algorithm::parse(&text))?;
    Ok(Action::BeginUpload { name, algorithm })
}

fn search(query: Query<'_>) -> Result<Action, ApiError> {
    let number = |key, default| {
        query
            .get(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    Ok(Action::SearchV1 {
        term: query.get("q").unwrap_or_default().into_owned(),
        count: number("n", 25),
        page: number("page", 1),
    })
}

/// A colon makes it a digest: no tag has one.
fn parse_reference(text: &str) -> Result<ManifestReference, ApiError> {
    Ok(if text.contains(':') {
        ManifestReference::Digest(Digest::parse(text)?)
    } else {
        ManifestReference::Tag(TagName::parse(text)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::query::PageQuery;
    use proptest::prelude::*;

    fn parse(method: &str, uri: &str) -> Result<Action, ApiError> {
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
            assert!(
                matches!(parse(method, uri), Err(ApiError::Method { allowed: found }) if found == allowed),
                "{method} {uri}"
            );
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
            assert_eq!(
                parse("GET", path).unwrap(),
                Action::Redirect {
                    to: expected.to_owned()
                },
                "{path}"
            );
            assert!(parse("DELETE", path).is_err(), "{path}");
        }
        for path in [
            "//evil.example/",
            "//evil.example//v2/",
            "/v2/a//b",
            "/v2/a/manifests//",
        ] {
            assert!(parse("GET", path).is_err(), "{path}");
        }
    }

    #[test]
    fn encoded_digests_and_huge_pages_are_read() {
        let hex = "a".repeat(64);
        assert!(matches!(
            parse("GET", &format!("/v2/a/b/blobs/sha256%3A{hex}")),
            Ok(Action::GetBlob { .. })
        ));
        let page = PageQuery {
            n: Some(usize::MAX),
            last: "x y".into(),
        };
        assert_eq!(
            parse("GET", "/v2/_catalog?n=99999999999999999999999&last=x%20y").unwrap(),
            Action::ListRepositories { page }
        );
        assert!(matches!(
            parse("GET", "/v2/_catalog?n=-1"),
            Err(ApiError::PageNumber(_))
        ));
    }

    /// A request that is refused for what it says counts where one counts that is not.
    #[test]
    fn a_path_is_about_what_its_action_is_about() {
        let (digest, id) = (
            format!("sha256:{}", "a".repeat(64)),
            "00000000-89ab-4cde-8f01-23456789abcd",
        );
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
            assert_eq!(
                parse(method, &path).unwrap().endpoint(),
                Endpoint::of_path(&path),
                "{path}"
            );
        }
    }
}
