//! Origin of a change that a browser sends: a page of this registry, or one of somebody else.

use std::net::IpAddr;

use http::header::{HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Uri};

use crate::http::proxy::client::{Client, names_another};
use crate::http::response::error::ApiError;
use crate::http::settings::ServerSettings;

/// Page from which a browser sends a request, in its own words.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Rule for changes that do not say which page they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsaid {
    /// Accepted: programs say nothing.
    Accepted,
    /// Refused: browsers say it with every form.
    Refused,
}

/// Rejects a change that a page of another origin has a browser send, with whatever rights the browser has here.
///
/// # Errors
/// [`ApiError::ForeignSite`].
pub(crate) fn check(
    head: &Parts,
    settings: &ServerSettings,
    unsaid: Unsaid,
) -> Result<(), ApiError> {
    let is_own = match (head.headers.get(SEC_FETCH_SITE), head.headers.get(ORIGIN)) {
        (Some(site), _) => site == "same-origin" || site == "none",
        // browsers send no Sec-Fetch-Site without TLS
        (None, Some(origin)) => {
            let base = base(head, settings);
            let own = base.match_indices('/').nth(2).map(|(end, _)| &base[..end]);
            origin == own.unwrap_or(&base)
        }
        (None, None) => unsaid == Unsaid::Accepted,
    };
    match is_own {
        true => Ok(()),
        false => Err(ApiError::ForeignSite),
    }
}

/// Address of the registry, as the browser knows it.
pub(crate) fn base(head: &Parts, settings: &ServerSettings) -> String {
    let client = head.extensions.get::<Client>();
    settings
        .external_url
        .absolute(&head.uri, &head.headers, client)
}

/// Reports whether a request was made on this machine, under its own name for itself: not through a proxy, and not by a page of
/// a name that was made to lead here.
pub(crate) fn is_local(head: &Parts) -> bool {
    let client = head.extensions.get::<Client>();
    let is_near = client.is_some_and(|client| {
        let address = client.address.map(|address| address.to_canonical());
        !client.is_by_proxy && address.is_some_and(|address| address.is_loopback())
    });
    let asked = head.headers.get(HOST).and_then(authority);
    let asked = head.uri.authority().cloned().or(asked);
    let origin = head.headers.get(ORIGIN);
    is_near
        && !names_another(&head.headers)
        && asked.is_some_and(|name| is_loopback(&name))
        && origin.is_none_or(|origin| origin_of(origin).is_some_and(|name| is_loopback(&name)))
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    Authority::try_from(value.as_bytes()).ok()
}

fn origin_of(value: &HeaderValue) -> Option<Authority> {
    Uri::try_from(value.as_bytes()).ok()?.into_parts().authority
}

/// Reports whether a host is a machine's own name for itself.
fn is_loopback(name: &Authority) -> bool {
    let host = name.host().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_few_names_for_themselves() {
        for (name, is_own) in [
            ("localhost:5000", true),
            ("LOCALHOST", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("evil.example:5000", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("192.0.2.1", false),
        ] {
            let value = HeaderValue::from_str(name).unwrap();
            assert_eq!(is_loopback(&authority(&value).unwrap()), is_own, "{name}");
        }
        let origin = HeaderValue::from_static("http://localhost:5000");
        assert!(is_loopback(&origin_of(&origin).unwrap()));
        assert!(
            origin_of(&HeaderValue::from_static("null")).is_none_or(|name| !is_loopback(&name))
        );
    }
}
