//! Prefix of the registry's paths, for a server that is reached below one.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

/// Prefix of all paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPrefix(
    /// Empty, or with a leading slash and without a trailing one.
    String,
);

impl PathPrefix {
    /// Parses a path such as `/registry/` or `registry`; `/` is the empty prefix.
    ///
    /// # Errors
    /// Text that cannot begin the path of a request, in a sentence.
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
                "'{text}' is not a path prefix: write one such as /registry/, with letters, digits and -._~"
            ));
        }
        Ok(Self(format!("/{path}")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// Returns the URI below the prefix; `None` outside of it. `/` itself is always served, for load balancers.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_prefixes_are_rejected_by_name() {
        for text in ["/a b/", "/a/../b", "//a//b", "/a?b"] {
            assert!(
                PathPrefix::parse(text).unwrap_err().contains(text),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn only_paths_below_the_prefix_are_found(path in "/[a-z/%.]{0,20}", query in "(\\?[a-z=&]{0,5})?") {
            let prefix = PathPrefix::parse("/x/y/").unwrap();
            let inside: Uri = format!("/x/y{path}{query}").parse().unwrap();
            let stripped = prefix.strip(&inside).unwrap();
            prop_assert_eq!(stripped.path_and_query().unwrap().as_str(), format!("{path}{query}"));
            let outside: Uri = format!("/x/yy{path}").parse().unwrap();
            prop_assert!(prefix.strip(&outside).is_none());
        }
    }
}
