//! Address by which clients know the registry: the prefix of its paths, and the base of its locations.

use std::borrow::Cow;

use http::header::{FORWARDED, HOST, HeaderName, HeaderValue, LINK, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, Response, Uri};

use crate::http::proxy::client::{Client, parameter};
use crate::http::proxy::path_prefix::PathPrefix;
use crate::redact;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// URL of the registry as clients see it: prefix of its paths, and form of its locations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalUrl {
    prefix: PathPrefix,
    locations: Locations,
}

/// Form of the URLs in `Location`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Locations {
    /// Paths on the server that the client addressed, which is right behind every proxy.
    #[default]
    Relative,
    /// Scheme and host as the request names them, or any proxy in it: a client that makes them up misleads only itself.
    Absolute,
    /// This address, for every request.
    Fixed(BaseUrl),
}

/// URL of a server: `https://registry.example.com/`, with a path if a proxy serves it below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(
    /// Without a trailing slash.
    String,
);

impl BaseUrl {
    /// Parses a URL of scheme, host and optional path.
    ///
    /// # Errors
    /// Text that is no such URL, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            let shown = redact::url(text);
            format!(
                "'{shown}' is not the URL of a server: write https://registry.example.com, or with a path https://example.com/registry/"
            )
        };
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        match uri.authority() {
            Some(authority)
                if is_http
                    && !authority.host().is_empty()
                    && !authority.as_str().contains('@')
                    && uri.query().is_none() =>
            {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            _ => Err(malformed()),
        }
    }
}

impl ExternalUrl {
    #[must_use]
    pub fn new(prefix: PathPrefix, locations: Locations) -> Self {
        Self { prefix, locations }
    }

    pub(crate) fn prefix(&self) -> &PathPrefix {
        &self.prefix
    }

    /// Returns what precedes `/v2/` in the response to a request.
    pub(crate) fn base(&self, uri: &Uri, headers: &HeaderMap, client: Option<&Client>) -> Base {
        if let Locations::Fixed(base) = &self.locations {
            return Base {
                location: base.0.clone(),
                path: base.0.clone(),
            };
        }
        let claims = ForwardedInfo {
            uri,
            headers,
            client,
            believed: Believed::Anybody,
        };
        // the prefix that a proxy strips precedes our own
        let path = claims.as_proxies_say().prefix() + self.prefix.as_str();
        let location = match self.locations {
            // HTTP/1.0 may name no host
            Locations::Absolute => claims
                .host()
                .map(|host| format!("{}://{}{path}", claims.scheme(), with_escaped_zone(host))),
            _ => None,
        };
        Base {
            location: location.unwrap_or_else(|| path.clone()),
            path,
        }
    }
}

impl ExternalUrl {
    /// Returns the base with scheme and host, which a realm must have, whatever the form of locations.
    pub(crate) fn absolute(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        client: Option<&Client>,
    ) -> String {
        if let Locations::Fixed(base) = &self.locations {
            return base.0.clone();
        }
        let claims = ForwardedInfo {
            uri,
            headers,
            client,
            believed: Believed::Anybody,
        };
        format!(
            "{}://{}{}{}",
            claims.scheme(),
            with_escaped_zone(claims.host().unwrap_or_default()),
            claims.as_proxies_say().prefix(),
            self.prefix.as_str()
        )
    }
}

/// Part before `/v2/` in a response; empty for plain paths.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// In the location of what a request has made or found.
    location: String,
    /// In `Link` and in redirects, which caches may keep for others: nothing that any client can make up.
    path: String,
}

/// Returns scheme and host by which the client reaches this server. Assumes `https` unless the client is known to use
/// plain HTTP, as distribution does.
pub(crate) fn address(uri: &Uri, headers: &HeaderMap, client: Option<&Client>) -> String {
    let forwarded = ForwardedInfo {
        uri,
        headers,
        client,
        believed: Believed::TrustedProxies,
    };
    format!(
        "{}://{}",
        forwarded.reported_scheme().unwrap_or("https"),
        with_escaped_zone(forwarded.host().unwrap_or_default())
    )
}

/// Escapes the zone of an IPv6 address, as URLs require (RFC 6874): a Host header may name it as it is.
fn with_escaped_zone(host: &str) -> Cow<'_, str> {
    match host.split_once('%') {
        Some((address, zone)) if address.starts_with('[') && !zone.starts_with("25") => {
            format!("{address}%25{zone}").into()
        }
        _ => host.into(),
    }
}

/// Prepends the base to paths in a response's headers.
pub(crate) fn relocate<B>(answer: &mut Response<B>, base: &Base) {
    let location = if answer.status().is_redirection() {
        &base.path
    } else {
        &base.location
    };
    let answer = answer.headers_mut();
    let bases = [(LOCATION, "", location), (LINK, "<", &base.path)];
    for (name, opening, base) in bases.into_iter().filter(|(_, _, base)| !base.is_empty()) {
        let Some(value) = answer.get(&name).and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let Some(path) = value
            .strip_prefix(opening)
            .filter(|path| path.starts_with('/'))
        else {
            continue;
        };
        // the base holds only what headers can carry
        if let Ok(value) = HeaderValue::from_str(&format!("{opening}{base}{path}")) {
            answer.insert(name, value);
        }
    }
}

/// Peers whose `Forwarded` and `X-Forwarded-*` count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Believed {
    TrustedProxies,
    Anybody,
}

/// Address of a request, as the client or a proxy names it. As in distribution (`urls.go`), `Forwarded` takes
/// precedence over `X-Forwarded-*`, and the first of several entries, the client's, over the others.
#[derive(Clone, Copy)]
struct ForwardedInfo<'r> {
    uri: &'r Uri,
    headers: &'r HeaderMap,
    client: Option<&'r Client>,
    believed: Believed,
}

impl<'r> ForwardedInfo<'r> {
    /// Returns what trusted proxies say of the same request.
    fn as_proxies_say(self) -> Self {
        Self {
            believed: Believed::TrustedProxies,
            ..self
        }
    }

    fn forwarded(&self, name: &HeaderName) -> Option<&'r str> {
        let is_believed = self.believed == Believed::Anybody
            || self.client.is_some_and(|client| client.is_by_proxy);
        let value = self
            .headers
            .get(name)
            .filter(|_| is_believed)?
            .to_str()
            .ok()?;
        value.split(',').next().map(str::trim)
    }

    fn parameter(&self, name: &str) -> Option<&'r str> {
        self.forwarded(&FORWARDED)
            .and_then(|element| parameter(element, name))
    }

    fn scheme(&self) -> &'r str {
        let own = if self.client.is_some_and(|client| client.is_encrypted) {
            "https"
        } else {
            "http"
        };
        self.reported_scheme().unwrap_or(own)
    }

    fn reported_scheme(&self) -> Option<&'r str> {
        let reported = self
            .parameter("proto")
            .or_else(|| self.forwarded(&X_FORWARDED_PROTO));
        reported.filter(|scheme| matches!(*scheme, "http" | "https"))
    }

    fn host(&self) -> Option<&'r str> {
        let is_host = |text: &&str| text.parse::<Authority>().is_ok() && !text.contains('@');
        let reported = self
            .parameter("host")
            .or_else(|| self.forwarded(&X_FORWARDED_HOST))
            .filter(is_host);
        let own = || self.headers.get(HOST).and_then(|value| value.to_str().ok());
        reported
            .or_else(own)
            .or_else(|| self.uri.authority().map(Authority::as_str))
            .filter(is_host)
    }

    fn prefix(&self) -> String {
        self.forwarded(&X_FORWARDED_PREFIX)
            .and_then(|text| PathPrefix::parse(text).ok())
            .unwrap_or_default()
            .into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(site: &ExternalUrl, client: Client, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let base = site.base(&Uri::from_static("/v2/"), &map, Some(&client));
        base.location
    }

    fn site(prefix: &str, locations: Locations) -> ExternalUrl {
        ExternalUrl::new(PathPrefix::parse(prefix).unwrap(), locations)
    }

    const DIRECT: Client = Client {
        address: None,
        is_encrypted: false,
        is_by_proxy: false,
    };
    const PROXIED: Client = Client {
        is_by_proxy: true,
        ..DIRECT
    };

    /// Prefix, client, headers and the expected base.
    type Case<'c> = (&'c str, Client, &'c [(&'c str, &'c str)], &'c str);

    const HOSTED: (&str, &str) = ("host", "r.example:5000");
    const BY_HTTPS: (&str, &str) = ("x-forwarded-proto", "https");

    fn assert_bases(locations: &Locations, cases: &[Case<'_>]) {
        for (prefix, client, headers, expected) in cases {
            let site = site(prefix, locations.clone());
            let found = base(&site, *client, headers);
            assert_eq!(found, *expected, "{site:?} {headers:?}");
        }
    }

    #[test]
    fn relative_and_fixed_locations_begin_as_configured() {
        let outer = ("x-forwarded-prefix", "/outer/");
        assert_bases(
            &Locations::Relative,
            &[
                ("", PROXIED, &[HOSTED, BY_HTTPS], ""),
                ("/a/b/", DIRECT, &[HOSTED], "/a/b"),
                ("/a", PROXIED, &[HOSTED, outer], "/outer/a"),
                ("/a", DIRECT, &[HOSTED, outer], "/a"),
            ],
        );
        let url = "https://example.com/r";
        let other = ("x-forwarded-host", "other");
        assert_bases(
            &Locations::Fixed(BaseUrl::parse("https://example.com/r/").unwrap()),
            &[("/a", PROXIED, &[HOSTED, other], url)],
        );
    }

    #[test]
    fn absolute_locations_begin_with_the_address_that_the_client_knows() {
        let encrypted = Client {
            is_encrypted: true,
            ..DIRECT
        };
        let own = "http://r.example:5000";
        let host = |value| ("x-forwarded-host", value);
        let forwarded = ("forwarded", "host=\"out:8443\";proto=https");
        let several = host("out.example, in.example");
        let gopher = ("x-forwarded-proto", "gopher");
        assert_bases(
            &Locations::Absolute,
            &[
                ("", DIRECT, &[HOSTED], own),
                ("", encrypted, &[HOSTED], "https://r.example:5000"),
                (
                    "/a",
                    PROXIED,
                    &[HOSTED, BY_HTTPS],
                    "https://r.example:5000/a",
                ),
                ("", PROXIED, &[HOSTED, several], "http://out.example"),
                ("", PROXIED, &[HOSTED, forwarded], "https://out:8443"),
                ("", DIRECT, &[HOSTED, host("out"), BY_HTTPS], "https://out"),
                ("", DIRECT, &[HOSTED, forwarded], "https://out:8443"),
                ("", DIRECT, &[HOSTED, host("user@evil")], own),
                ("", DIRECT, &[HOSTED, ("x-forwarded-prefix", "/evil")], own),
                ("", PROXIED, &[HOSTED, gopher], own),
                (
                    "",
                    DIRECT,
                    &[("host", "[fe80::1%e0]:5000")],
                    "http://[fe80::1%25e0]:5000",
                ),
                (
                    "",
                    DIRECT,
                    &[("host", "[fe80::1%25e0]")],
                    "http://[fe80::1%25e0]",
                ),
                (
                    "",
                    DIRECT,
                    &[("host", "[fe80::1]:5000")],
                    "http://[fe80::1]:5000",
                ),
                ("/a", DIRECT, &[], "/a"),
            ],
        );
    }

    #[test]
    fn malformed_urls_are_rejected_by_name() {
        for text in [
            "registry.example.com",
            "localhost:5000",
            "ftp://x",
            "https://",
            "/path",
        ] {
            assert!(BaseUrl::parse(text).unwrap_err().contains(text), "{text}");
        }
        for (text, shown) in [
            ("https://u:p@x", "'https://(secret)@x'"),
            ("https://x/?a=b", "'https://x/?(secret)'"),
        ] {
            assert!(BaseUrl::parse(text).unwrap_err().contains(shown), "{text}");
        }
    }
}
