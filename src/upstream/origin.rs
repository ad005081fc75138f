//! The address of an upstream, and of what it points at.

use http::Uri;
use http::uri::{Authority, Scheme};

use super::error::Error;
use crate::outbound::Server;
use crate::redact;

/// Address of an upstream.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
    /// Path before `/v2/`, without a slash at its end.
    base: String,
}

impl Origin {
    /// Parses the URL of a registry; `https://` may be left out.
    ///
    /// # Errors
    /// Anything else than `http` and `https`, a user, a query, in a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = redact::url(text);
        let fault = || format!("'{shown}' is not the URL of a registry, as in https://ghcr.io");
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("https://{text}"),
        };
        let parts = whole.parse::<Uri>().map_err(|_| fault())?.into_parts();
        let scheme = parts.scheme.ok_or_else(fault)?;
        let authority = parts.authority.ok_or_else(fault)?;
        let is_web = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !is_web || authority.as_str().contains('@') || text.contains(['?', '#']) {
            return Err(fault());
        }
        let path = parts
            .path_and_query
            .map_or_else(String::new, |path| path.path().to_owned());
        Ok(Self {
            scheme,
            authority,
            base: path.trim_end_matches('/').to_owned(),
        })
    }

    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// Returns the server, whatever the scheme.
    pub fn server(&self) -> Server {
        Server::new(self.host(), Some(self.port()))
    }

    fn port(&self) -> u16 {
        let port = self.authority.port_u16();
        port.unwrap_or_else(|| default_port(&self.scheme))
    }

    /// Returns the URL of a path below `/v2/`.
    pub fn url(&self, path: &str) -> Result<Uri, Error> {
        let path = format!("{}/v2/{path}", self.base);
        self.at(&path)
    }

    /// Returns the URL of a whole path, with its query.
    pub fn at(&self, path: &str) -> Result<Uri, Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| Error::Broken("it points at something that is no URL".to_owned()))
    }

    /// Reports whether a URL leads to this very server.
    pub fn is_at(&self, url: &Uri) -> bool {
        url.scheme() == Some(&self.scheme)
            && url
                .host()
                .is_some_and(|host| host.eq_ignore_ascii_case(self.host()))
            && port(url) == self.port()
    }

    /// Reports whether a URL's connection is as well protected as the one to this server.
    pub fn is_as_safe(&self, url: &Uri) -> bool {
        self.scheme == Scheme::HTTP || url.scheme() == Some(&Scheme::HTTPS)
    }
}

/// Returns the port of a URL.
pub(super) fn port(url: &Uri) -> u16 {
    let standard = url.scheme().map_or(443, default_port);
    url.port_u16().unwrap_or(standard)
}

fn default_port(scheme: &Scheme) -> u16 {
    match *scheme == Scheme::HTTP {
        true => 80,
        false => 443,
    }
}

/// Resolves where an answer points: a whole URL, or a path on the server that gave it.
pub(super) fn resolve(from: &Uri, target: &str) -> Option<Uri> {
    let target = target.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let whole = if target.starts_with("//") {
        format!("{scheme}:{target}")
    } else if target.starts_with('/') {
        format!("{scheme}://{authority}{target}")
    } else if target.starts_with('?') {
        format!("{scheme}://{authority}{}{target}", from.path())
    } else if target.contains("://") {
        target.to_owned()
    } else {
        let (folder, _) = from.path().rsplit_once('/')?;
        format!("{scheme}://{authority}{folder}/{target}")
    };
    let url: Uri = whole.parse().ok()?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https"));
    let has_user = url
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    (is_web && url.host().is_some() && !has_user).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_registries_are_parsed() {
        let url = |text: &str| {
            Origin::parse(text)
                .unwrap()
                .url("a/tags/list")
                .unwrap()
                .to_string()
        };
        assert_eq!(url("https://ghcr.io"), "https://ghcr.io/v2/a/tags/list");
        assert_eq!(url("ghcr.io/"), "https://ghcr.io/v2/a/tags/list");
        assert_eq!(
            url("http://h:5000/base/"),
            "http://h:5000/base/v2/a/tags/list"
        );
        for text in [
            "ftp://h",
            "https://u:p@h",
            "https://h?q",
            "https://",
            "",
            "https://h#f",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = Origin::parse("https://example.com").unwrap();
        let is_at = |text: &str| origin.is_at(&text.parse().unwrap());
        assert!(is_at("https://EXAMPLE.com/v2/") && is_at("https://example.com:443/"));
        for other in [
            "http://example.com/",
            "https://example.com:8443/",
            "https://a.example.com/",
            "https://example.com.evil/",
        ] {
            assert!(!is_at(other), "{other}");
        }
    }

    #[test]
    fn targets_are_resolved() {
        let from: Uri = "https://h:1/v2/a/tags/list?n=2".parse().unwrap();
        for (target, url) in [
            ("/x?y", Some("https://h:1/x?y")),
            ("//other/x", Some("https://other/x")),
            ("https://other/x#f", Some("https://other/x")),
            ("?last=b", Some("https://h:1/v2/a/tags/list?last=b")),
            ("list?last=b", Some("https://h:1/v2/a/tags/list?last=b")),
            ("ftp://other/x", None),
            ("https://u@other/x", None),
            ("/x y", None),
        ] {
            let resolved = resolve(&from, target).map(|url| url.to_string());
            assert_eq!(resolved.as_deref(), url, "{target}");
        }
    }
}
