//! The upstreams of a configuration, as clients name and reach them.

use tarkeep::config::Config;
use tarkeep::upstream::{Dialect, Settings};

use crate::cli::error::Error;

/// A registry, as clients reach it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `HOST:PORT`.
    pub authority: String,
}

/// An upstream, as clients name it.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    /// Host of its images: `docker.io`.
    pub host: String,
    /// URL that clients fall back to.
    pub server: String,
    /// Name below which its repositories are; `None` if the whole registry is its cache.
    pub prefix: Option<String>,
    /// Address that leads to it alone.
    pub alone: Option<Place>,
}

impl Place {
    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// Returns the registry as clients reach it: as they are told, or as the configuration says.
///
/// # Errors
/// The configuration names no host.
pub(super) fn place(config: &Config, host: Option<&str>) -> Result<Place, Error> {
    let tls = &config.http.tls;
    let is_encrypted = tls.certificate.is_some() || !tls.letsencrypt.hosts.is_empty();
    let scheme = if is_encrypted { "https" } else { "http" };
    if let Some(given) = host {
        return Ok(at(given, scheme));
    }
    if let Some(url) = config.http.host.as_deref().filter(|url| !url.is_empty()) {
        return Ok(at(url, scheme));
    }
    let addr = config.http.addr.as_deref().unwrap_or("127.0.0.1:5000");
    let is_everywhere = ["", "0.0.0.0", "[::]"].contains(&host_of(addr));
    match is_everywhere {
        false => Ok(at(addr, scheme)),
        true => Err(Error::Other(
            "name the host by which clients reach this registry, as in --host registry.example.com:5000"
                .to_owned(),
        )),
    }
}

/// Splits a URL or an address.
fn at(text: &str, usual: &'static str) -> Place {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => ("http", rest),
        Some(("https", rest)) => ("https", rest),
        _ => (usual, text),
    };
    Place {
        scheme,
        authority: rest.split('/').next().unwrap_or_default().to_owned(),
    }
}

fn host_of(authority: &str) -> &str {
    let port = authority.rfind(':').filter(|colon| {
        // of an IPv6 address in brackets, or of a name
        authority[*colon..]
            .chars()
            .skip(1)
            .all(|c| c.is_ascii_digit())
            && !authority.ends_with(']')
    });
    &authority[..port.unwrap_or(authority.len())]
}

/// Returns the upstreams that clients can name.
///
/// # Errors
/// There is none.
pub(super) fn upstreams(config: &Config, here: &Place) -> Result<Vec<Upstream>, Error> {
    if let Some(url) = config.proxy.url() {
        let (_, rest) = url.split_once("://").unwrap_or(("", url));
        let host = rest.split('/').next().unwrap_or_default();
        let settings = Settings::of(url);
        let is_hub = settings.dialect == Dialect::DockerHub;
        return Ok(vec![Upstream {
            host: if is_hub { "docker.io" } else { host }.to_owned(),
            server: settings.url,
            prefix: None,
            alone: Some(here.clone()),
        }]);
    }
    let named = config.upstreams.iter().filter_map(|upstream| {
        let host = upstream.ns.clone()?;
        Some(Upstream {
            server: match &*host {
                "docker.io" => Settings::of(&host).url,
                host => format!("https://{host}"),
            },
            host,
            prefix: Some(upstream.prefix.clone()),
            alone: upstream.listen.as_deref().map(|listen| alone(listen, here)),
        })
    });
    let named: Vec<_> = named.collect();
    match named.is_empty() {
        true => Err(Error::Other(
            "no upstream has a namespace: set upstreams[].ns, as in ns: docker.io, or proxy.remoteurl"
                .to_owned(),
        )),
        false => Ok(named),
    }
}

/// Returns the place of an upstream's own address: its port on this registry's host, unless it names a host itself.
fn alone(listen: &str, here: &Place) -> Place {
    let host = host_of(listen);
    let authority = match ["", "0.0.0.0", "[::]"].contains(&host) {
        true => format!("{}{}", host_of(&here.authority), &listen[host.len()..]),
        false => listen.to_owned(),
    };
    Place {
        scheme: here.scheme,
        authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_ports() {
        for (authority, host) in [
            ("a.example:5000", "a.example"),
            ("a.example", "a.example"),
            (":5001", ""),
            ("[::1]:5000", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host_of(authority), host);
        }
        let here = at("https://a.example:5000/base", "http");
        assert_eq!(here.url(), "https://a.example:5000");
        assert_eq!(alone(":5001", &here).url(), "https://a.example:5001");
        assert_eq!(alone("b.example:1", &here).url(), "https://b.example:1");
    }
}
