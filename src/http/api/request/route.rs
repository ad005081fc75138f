//! Parsing of a request's method, path and query into an action.

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use crate::http::api::request::action::Action;
use crate::http::api::request::query::{Query, SearchQuery};
use crate::http::api_v1::call::ApiCall;
use crate::http::endpoint::{Endpoint, MatchedPath, RouteLabel, allowed_anywhere};
use crate::http::response::error::ApiError;
use crate::http::ui::call::UiCall;
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};
use crate::registry::{ManifestReference, UploadId};

impl Action {
    /// Parses a request.
    ///
    /// # Errors
    /// Unknown path, unsupported method, or invalid name, digest or number.
    pub(crate) fn parse(method: &Method, uri: &Uri) -> Result<Self, ApiError> {
        match Self::parse_exactly(method, uri) {
            Err(ApiError::Method { allowed }) if method == Method::OPTIONS => {
                Ok(Self::Options { allowed })
            }
            Err(error) => Self::redirect(method, uri).ok_or(error),
            action => action,
        }
    }

    /// Redirects a path with empty segments to the path without them, if that is known.
    fn redirect(method: &Method, uri: &Uri) -> Option<Self> {
        // clients repeat other methods as GET, or not at all
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
        if path == "*" {
            return Err(ApiError::Method {
                allowed: allowed_anywhere(),
            });
        }
        let path = MatchedPath::of(&path).ok_or(ApiError::UnknownPath)?;
        // HEAD is GET whose body the server leaves out
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        match path.endpoint(method.as_str()) {
            Some(endpoint) => Self::build(endpoint, path, uri),
            // with other methods it is a path like any unknown one
            None if path.is_repository() => Err(ApiError::UnknownPath),
            None => Err(ApiError::Method {
                allowed: path.allowed(),
            }),
        }
    }

    fn build(endpoint: Endpoint, path: MatchedPath<'_>, uri: &Uri) -> Result<Self, ApiError> {
        let query = Query(uri.query().unwrap_or_default());
        let name = || RepositoryName::parse(path.name);
        Ok(match endpoint {
            Endpoint::Root => Self::Root,
            Endpoint::Liveness => Self::Liveness,
            Endpoint::Readiness => Self::Readiness,
            Endpoint::CheckApi => Self::CheckApi,
            Endpoint::PingV1 => Self::PingV1,
            Endpoint::SearchV1 => search(query),
            // no path leads to these
            Endpoint::Options | Endpoint::Redirect => return Err(ApiError::UnknownPath),
            Endpoint::GetManifest => manifest(path, |name, reference| Self::GetManifest {
                name,
                reference,
            })?,
            Endpoint::PutManifest => {
                let (name, reference) = manifest(path, |name, reference| (name, reference))?;
                let tags = query.tags()?;
                Self::PutManifest {
                    name,
                    reference,
                    tags,
                }
            }
            Endpoint::DeleteManifest => manifest(path, |name, reference| Self::DeleteManifest {
                name,
                reference,
            })?,
            Endpoint::DeleteRepository => Self::DeleteRepository { name: name()? },
            Endpoint::GetBlob => blob(path, |name, digest| Self::GetBlob { name, digest })?,
            Endpoint::DeleteBlob => blob(path, |name, digest| Self::DeleteBlob { name, digest })?,
            Endpoint::BeginUpload | Endpoint::PushBlob | Endpoint::MountBlob => {
                new_upload(query, name()?)?
            }
            Endpoint::GetUpload => upload(path, |name, id| Self::GetUpload { name, id })?,
            Endpoint::AppendUpload => upload(path, |name, id| Self::AppendUpload { name, id })?,
            Endpoint::FinishUpload => {
                let (name, id) = upload(path, |name, id| (name, id))?;
                let digest = query.closing_digest()?;
                Self::FinishUpload { name, id, digest }
            }
            Endpoint::CancelUpload => upload(path, |name, id| Self::CancelUpload { name, id })?,
            Endpoint::ListTags => Self::ListTags {
                name: name()?,
                page: query.page()?,
            },
            Endpoint::ListReferrers => {
                blob(path, |name, digest| list_referrers(name, digest, query))?
            }
            Endpoint::TagHistory => Self::TagHistory {
                name: name()?,
                tag: TagName::parse(path.last)?,
                filter: query.history()?,
            },
            Endpoint::ListEvents => Self::ListEvents(query.events()?),
            Endpoint::GetToken => Self::GetToken {
                scopes: query.scopes(),
            },
            Endpoint::PostToken => Self::PostToken,
            Endpoint::ListRepositories => Self::ListRepositories {
                page: query.page()?,
            },
            page if page.info().label == RouteLabel::Ui => {
                return UiCall::build(page, path, uri).map(Self::Ui);
            }
            api => return ApiCall::build(api, path, uri).map(Self::Api),
        })
    }
}

fn manifest<T>(
    path: MatchedPath<'_>,
    build: impl FnOnce(RepositoryName, ManifestReference) -> T,
) -> Result<T, ApiError> {
    let name = RepositoryName::parse(path.name)?;
    Ok(build(name, ManifestReference::parse(path.last)?))
}

fn blob<T>(
    path: MatchedPath<'_>,
    build: impl FnOnce(RepositoryName, Digest) -> T,
) -> Result<T, ApiError> {
    let name = RepositoryName::parse(path.name)?;
    Ok(build(name, Digest::parse(path.last)?))
}

fn upload<T>(
    path: MatchedPath<'_>,
    build: impl FnOnce(RepositoryName, UploadId) -> T,
) -> Result<T, ApiError> {
    let name = RepositoryName::parse(path.name)?;
    let id = UploadId::parse(path.last).ok_or(ApiError::MalformedUpload)?;
    Ok(build(name, id))
}

fn list_referrers(name: RepositoryName, digest: Digest, query: Query<'_>) -> Action {
    Action::ListReferrers {
        name,
        digest,
        // no media type contains a space: it was a plus that was not encoded
        artifact_type: query.get("artifactType").map(|text| text.replace(' ', "+")),
        last: query.get("last").unwrap_or_default().into_owned(),
    }
}

/// Label of a path in metrics, even if the request is invalid.
pub(crate) fn label_of(path: &str) -> RouteLabel {
    MatchedPath::of(path).map_or(RouteLabel::Other, MatchedPath::label)
}

fn new_upload(query: Query<'_>, name: RepositoryName) -> Result<Action, ApiError> {
    if let Some(digest) = query.get("mount") {
        // an invalid digest cannot be mounted, so the blob is uploaded
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
            // some clients name a repository of another registry, whose name is not valid here
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

fn search(query: Query<'_>) -> Action {
    let number = |key, default| {
        query
            .get(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    Action::SearchV1(SearchQuery {
        term: query.get("q").unwrap_or_default().into_owned(),
        count: number("n", 25),
        page: number("page", 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::request::query::PageQuery;
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
    fn an_unsupported_method_names_the_allowed_ones() {
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
    fn paths_with_empty_segments_are_redirected() {
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
            Err(ApiError::Number { .. })
        ));
    }

    /// An invalid request is counted under the same label as a valid one.
    #[test]
    fn the_label_of_a_path_is_that_of_its_actions() {
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
            ("GET", "/v2/_events".to_owned()),
            ("DELETE", "/v2/a/".to_owned()),
            ("GET", "/livez".to_owned()),
        ] {
            assert_eq!(
                parse(method, &path).unwrap().endpoint().info().label,
                label_of(&path),
                "{path}"
            );
        }
    }
}
