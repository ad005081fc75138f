//! By which address clients know the registry: the prefix of its paths, what locations begin with, and the headers that
//! its owner adds.

use std::borrow::Cow;

use http::header::{FORWARDED, HOST, HeaderName, HeaderValue, LINK, LOCATION};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri};

use crate::http::proxy::client::{Client, parameter};
use crate::http::response::extra_headers::ExtraHeaders;
use crate::redact;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Where everything is, seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    prefix: PathPrefix,
    locations: Locations,
    headers: ExtraHeaders,
}

/// The path below which everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPrefix(
    /// Empty, or with a slash before it and none behind.
    String,
);

/// What `Location` and `Link` begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Locations {
    /// Nothing: they are paths on whatever server the client asked, which is right behind every proxy.
    #[default]
    Relative,
    /// Scheme and host, as the request or a trusted proxy names them.
    Absolute,
    /// This address, whatever the request says.
    Fixed(BaseUrl),
}

/// The address of a server: `https://registry.example.com/`, with a path where a proxy serves it below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(
    /// Without a slash at the end.
    String,
);

impl PathPrefix {
    /// Reads a path: `/registry/`, `registry`; `/` is none.
    ///
    /// # Errors
    /// What cannot be the beginning of a request's path, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.trim_matches('/');
        let is_plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        if path.is_empty() {
            return Ok(Self::default());
        }
        if !path.split('/').all(is_plain) {
            return Err(format!(
                "'{text}' is no prefix of paths: write /registry/, of letters, digits and -._~"
            ));
        }
        Ok(Self(format!("/{path}")))
    }

    /// What a request asks for below the prefix; none for what lies outside. Load balancers ask for `/` itself, prefix or
    /// not.
    pub(crate) fn strip<'u>(&self, uri: &'u Uri) -> Option<Cow<'u, Uri>> {
        if self.0.is_empty() || uri.path() == "/" {
            return Some(Cow::Borrowed(uri));
        }
        let rest = uri.path_and_query()?.as_str().strip_prefix(&self.0)?;
        if !rest.starts_with('/') {
            return None;
        }
        rest.parse::<PathAndQuery>()
            .ok()
            .map(|rest| Cow::Owned(Uri::from(rest)))
    }
}

impl BaseUrl {
    /// Reads a URL of scheme and host, and perhaps a path.
    ///
    /// # Errors
    /// What is no such URL, in a sentence.
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

impl Site {
    #[must_use]
    pub fn new(prefix: PathPrefix, locations: Locations, headers: ExtraHeaders) -> Self {
        Self {
            prefix,
            locations,
            headers,
        }
    }

    pub(crate) fn prefix(&self) -> &PathPrefix {
        &self.prefix
    }

    pub(crate) fn headers(&self) -> &ExtraHeaders {
        &self.headers
    }

    /// What comes before `/v2/` in what clients are told: empty for paths as they are.
    pub(crate) fn base(&self, uri: &Uri, headers: &HeaderMap, client: Option<&Client>) -> String {
        let word = ForwardedInfo {
            uri,
            headers,
            client,
        };
        match &self.locations {
            Locations::Fixed(base) => base.0.clone(),
            // what a proxy has cut off counts from outside
            Locations::Relative => word.prefix() + &self.prefix.0,
            Locations::Absolute => match word.host() {
                Some(host) => format!(
                    "{}://{host}{}{}",
                    word.scheme(),
                    word.prefix(),
                    self.prefix.0
                ),
                // HTTP/1.0: nobody knows
                None => word.prefix() + &self.prefix.0,
            },
        }
    }
}

/// Scheme and name by which the client reaches this server, for what is beside the registry there. Who does not say that it
/// is plain HTTP is behind a proxy with certificates, as in distribution.
pub(crate) fn address(uri: &Uri, headers: &HeaderMap, client: Option<&Client>) -> String {
    let word = ForwardedInfo {
        uri,
        headers,
        client,
    };
    format!(
        "{}://{}",
        word.told_scheme().unwrap_or("https"),
        word.host().unwrap_or_default()
    )
}

/// Makes the paths in an answer's headers into what the client can follow.
pub(crate) fn relocate(answer: &mut HeaderMap, base: &str) {
    if base.is_empty() {
        return;
    }
    for (name, opening) in [(LOCATION, ""), (LINK, "<")] {
        let Some(value) = answer.get(&name).and_then(|value| value.to_str().ok()) else {
            continue;
        };
        let Some(path) = value
            .strip_prefix(opening)
            .filter(|path| path.starts_with('/'))
        else {
            continue;
        };
        // the base is made of what headers carried or can carry
        if let Ok(value) = HeaderValue::from_str(&format!("{opening}{base}{path}")) {
            answer.insert(name, value);
        }
    }
}

/// What a request, and a trusted proxy before it, say of where it was sent to. As in distribution (`urls.go`), `Forwarded`
/// counts before `X-Forwarded-*`, and the first of several entries, the one nearest to the client.
struct ForwardedInfo<'r> {
    uri: &'r Uri,
    headers: &'r HeaderMap,
    client: Option<&'r Client>,
}

impl<'r> ForwardedInfo<'r> {
    fn forwarded(&self, name: &HeaderName) -> Option<&'r str> {
        let is_believed = self.client.is_some_and(|client| client.is_by_proxy);
        let value = self
            .headers
            .get(name)
            .filter(|_| is_believed)?
            .to_str()
            .ok()?;
        value.split(',').next().map(str::trim)
    }

    fn parameter(&self, wanted: &str) -> Option<&'r str> {
        self.forwarded(&FORWARDED)
            .and_then(|element| parameter(element, wanted))
    }

    fn scheme(&self) -> &'r str {
        let own = if self.client.is_some_and(|client| client.is_encrypted) {
            "https"
        } else {
            "http"
        };
        self.told_scheme().unwrap_or(own)
    }

    fn told_scheme(&self) -> Option<&'r str> {
        let told = self
            .parameter("proto")
            .or_else(|| self.forwarded(&X_FORWARDED_PROTO));
        told.filter(|scheme| matches!(*scheme, "http" | "https"))
    }

    fn host(&self) -> Option<&'r str> {
        let is_host = |text: &&str| text.parse::<Authority>().is_ok() && !text.contains('@');
        let told = self
            .parameter("host")
            .or_else(|| self.forwarded(&X_FORWARDED_HOST))
            .filter(is_host);
        let own = || self.headers.get(HOST).and_then(|value| value.to_str().ok());
        told.or_else(own)
            .or_else(|| self.uri.authority().map(Authority::as_str))
            .filter(is_host)
    }

    fn prefix(&self) -> String {
        self.forwarded(&X_FORWARDED_PREFIX)
            .and_then(|text| PathPrefix::parse(text).ok())
            .unwrap_or_default()
            .0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base(site: &Site, client: Client, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        site.base(&Uri::from_static("/v2/"), &map, Some(&client))
    }

    fn site(prefix: &str, locations: Locations) -> Site {
        Site::new(
            PathPrefix::parse(prefix).unwrap(),
            locations,
            ExtraHeaders::default(),
        )
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

    #[test]
    fn locations_begin_as_the_owner_wants_them_to() {
        let host = ("host", "r.example:5000");
        let fixed = Locations::Fixed(BaseUrl::parse("https://example.com/r/").unwrap());
        let encrypted = Client {
            is_encrypted: true,
            ..DIRECT
        };
        for (site, client, headers, expected) in [
            (
                site("", Locations::Relative),
                PROXIED,
                &[host, ("x-forwarded-proto", "https")][..],
                "",
            ),
            (site("/a/b/", Locations::Relative), DIRECT, &[host], "/a/b"),
            (
                site("/a", Locations::Relative),
                PROXIED,
                &[host, ("x-forwarded-prefix", "/outer/")],
                "/outer/a",
            ),
            (
                site("/a", Locations::Relative),
                DIRECT,
                &[host, ("x-forwarded-prefix", "/outer/")],
                "/a",
            ),
            (
                site("", Locations::Absolute),
                DIRECT,
                &[host],
                "http://r.example:5000",
            ),
            (
                site("", Locations::Absolute),
                encrypted,
                &[host],
                "https://r.example:5000",
            ),
            (
                site("/a", Locations::Absolute),
                PROXIED,
                &[host, ("x-forwarded-proto", "https")],
                "https://r.example:5000/a",
            ),
            (
                site("", Locations::Absolute),
                PROXIED,
                &[host, ("x-forwarded-host", "out.example, in.example")],
                "http://out.example",
            ),
            (
                site("", Locations::Absolute),
                PROXIED,
                &[host, ("forwarded", "host=\"out:8443\";proto=https")],
                "https://out:8443",
            ),
            (
                site("", Locations::Absolute),
                DIRECT,
                &[
                    host,
                    ("x-forwarded-host", "evil"),
                    ("x-forwarded-proto", "https"),
                ],
                "http://r.example:5000",
            ),
            (
                site("", Locations::Absolute),
                PROXIED,
                &[host, ("x-forwarded-proto", "gopher")],
                "http://r.example:5000",
            ),
            (site("/a", Locations::Absolute), DIRECT, &[], "/a"),
            (
                site("/a", fixed),
                PROXIED,
                &[host, ("x-forwarded-host", "other")],
                "https://example.com/r",
            ),
        ] {
            assert_eq!(
                base(&site, client, headers),
                expected,
                "{site:?} {headers:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused_by_name() {
        for text in ["/a b/", "/a/../b", "//a//b", "/a?b"] {
            assert!(
                PathPrefix::parse(text).unwrap_err().contains(text),
                "{text}"
            );
        }
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
        for (name, value) in [
            ("X Y", "1"),
            ("", "1"),
            ("X", "a\nb"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
        ] {
            assert!(
                ExtraHeaders::parse([(name, value)])
                    .unwrap_err()
                    .contains(name)
            );
        }
    }

    proptest! {
        #[test]
        fn what_lies_below_the_prefix_is_found_and_nothing_else(path in "/[a-z/%.]{0,20}", query in "(\\?[a-z=&]{0,5})?") {
            let prefix = PathPrefix::parse("/x/y/").unwrap();
            let inside: Uri = format!("/x/y{path}{query}").parse().unwrap();
            let stripped = prefix.strip(&inside).unwrap();
            prop_assert_eq!(stripped.path_and_query().unwrap().as_str(), format!("{path}{query}"));
            let outside: Uri = format!("/x/yy{path}").parse().unwrap();
            prop_assert!(prefix.strip(&outside).is_none());
        }
    }
}
