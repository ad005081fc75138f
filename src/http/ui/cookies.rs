//! Cookies of the page. Over TLS they have the names that no other host can set.

use std::time::Duration;

use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;

use crate::http::api::request::origin;
use crate::http::settings::ServerSettings;

/// Kind of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// A session.
    Session,
    /// A login at the issuer that has begun.
    Attempt,
}

impl Cookie {
    /// Returns its name at an address: over TLS none counts that another host may have set.
    pub(super) fn name(self, base: &str) -> &'static str {
        match (self, base.starts_with("https:")) {
            (Self::Session, true) => "__Host-tarkeep",
            (Self::Session, false) => "tarkeep",
            (Self::Attempt, true) => "__Host-tarkeep-login",
            (Self::Attempt, false) => "tarkeep-login",
        }
    }

    /// Returns its value in a request for the address `base`.
    pub(super) fn value<'h>(self, headers: &'h HeaderMap, base: &str) -> Option<&'h str> {
        let name = self.name(base);
        let values = headers.get_all(COOKIE).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let pairs = values.flat_map(|value| value.split(';'));
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        let own = pairs.find(|(found, value)| *found == name && !value.is_empty());
        own.map(|(_, value)| value)
    }

    /// Returns the value of `Set-Cookie`; without a value the cookie goes.
    pub(super) fn set(
        self,
        head: &Parts,
        settings: &ServerSettings,
        value: &str,
        lifetime: Duration,
    ) -> String {
        let seconds = lifetime.as_secs();
        let base = origin::base(head, settings);
        let name = self.name(&base);
        match base.starts_with("https:") {
            true => {
                format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax; Secure")
            }
            false => {
                let prefix = settings.external_url.prefix().as_str();
                format!(
                    "{name}={value}; Path={prefix}/ui; Max-Age={seconds}; HttpOnly; SameSite=Lax"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        let (plain, secure) = ("http://r.example", "https://r.example");
        assert_eq!(Cookie::Session.value(&headers, plain), None);
        let value = "a=b; tarkeep=secret; __Host-tarkeep=other; tarkeep-login=";
        headers.insert(COOKIE, http::HeaderValue::from_static(value));
        assert_eq!(Cookie::Session.value(&headers, plain), Some("secret"));
        assert_eq!(Cookie::Session.value(&headers, secure), Some("other"));
        assert_eq!(Cookie::Attempt.value(&headers, plain), None);
    }
}
