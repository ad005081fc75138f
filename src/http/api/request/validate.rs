//! HTTP/1.1's requirements on the head of a request that hyper does not check.

use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, Request, StatusCode, Version};

use crate::http::limits::CONNECTION_BUFFER;
use crate::http::response::error::ApiError;

/// Rejects a missing, repeated or malformed `Host` (RFC 9112, section 3.2), transfer encodings other than chunked (section
/// 6.1), and too large a head.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), ApiError> {
    let headers = request.headers();
    if is_too_large(request) {
        return Err(ApiError::Unreadable(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ));
    }
    if request.version() == Version::HTTP_11 && !has_host(headers) {
        return Err(ApiError::Host);
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(ApiError::Unreadable(StatusCode::NOT_IMPLEMENTED));
    }
    Ok(())
}

/// True of a head that hyper takes though it is too large, because it came in one piece.
fn is_too_large<B>(request: &Request<B>) -> bool {
    // "METHOD TARGET HTTP/1.1\r\n", "NAME: VALUE\r\n" for each header, and "\r\n"
    let target = request.uri().path_and_query();
    let first = request.method().as_str().len() + target.map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter();
    let lines = headers.map(|(name, value)| name.as_str().len() + value.len() + 4);
    let size = first + lines.sum::<usize>() + 14;
    request.version() < Version::HTTP_2 && size > CONNECTION_BUFFER
}

fn has_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        // empty where the target has no authority
        (Some(host), None) => {
            host.is_empty()
                || host
                    .to_str()
                    .is_ok_and(|host| host.parse::<Authority>().is_ok())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: Version, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn there_is_one_host() {
        for host in [
            "localhost",
            "registry.lan:5000",
            "[::1]:5000",
            "127.0.0.1",
            "",
        ] {
            assert!(of(Version::HTTP_11, &[("host", host)]), "{host}");
        }
        for host in ["a b", "a/b", "http://a"] {
            assert!(!of(Version::HTTP_11, &[("host", host)]), "{host}");
        }
        assert!(
            !of(Version::HTTP_11, &[]) && !of(Version::HTTP_11, &[("host", "a"), ("host", "a")])
        );
        assert!(of(Version::HTTP_10, &[]) && of(Version::HTTP_2, &[]));
    }

    #[test]
    fn bodies_come_whole_or_in_chunks() {
        let host = ("host", "a");
        assert!(of(
            Version::HTTP_11,
            &[host, ("transfer-encoding", "Chunked")]
        ));
        assert!(!of(
            Version::HTTP_11,
            &[host, ("transfer-encoding", "gzip, chunked")]
        ));
    }
}
