//! Repository names and tags (OCI distribution-spec 1.1, "Pulling manifests").

use std::fmt;

/// Maximum length of a repository name, in bytes.
const NAME_LIMIT: usize = 255;
/// Maximum length of a tag, in bytes.
const TAG_LIMIT: usize = 128;

/// Repository name: lower-case path components, at most 255 bytes in total.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Box<str>);

/// Tag: a letter, digit or underscore, then up to 127 of those, dots and dashes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagName(Box<str>);

/// Reason why a text is not a repository name, or not a tag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    #[error("the repository name has {0} bytes, at most 255 are allowed")]
    TooLong(usize),
    #[error(
        "'{0}' is not a repository name: use lower-case letters and digits, separated by '.', '_', '__' or dashes, in components separated by '/'"
    )]
    Name(String),
    #[error(
        "'{0}' is not a tag: use a letter, digit or '_', then up to 127 letters, digits, '_', '.' or '-'"
    )]
    Tag(String),
}

impl RepositoryName {
    /// Parses a name by the grammar of the distribution specification.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_LIMIT {
            return Err(NameError::TooLong(text.len()));
        }
        if text.split('/').all(is_component) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Name(text.to_owned()))
        }
    }

    /// Returns the name as in the protocol.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !is_alphanumeric(first) || !is_alphanumeric(last) {
        return false;
    }
    bytes.split(|&byte| is_alphanumeric(byte)).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&byte| byte == b'-')
    })
}

impl TagName {
    /// Parses a tag by the grammar of the distribution specification.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let bytes = text.as_bytes();
        let is_start_valid = bytes.first().is_some_and(|&byte| is_word(byte));
        let is_rest_valid = bytes
            .iter()
            .all(|&byte| is_word(byte) || byte == b'.' || byte == b'-');
        if is_start_valid && is_rest_valid && bytes.len() <= TAG_LIMIT {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Tag(text.to_owned()))
        }
    }

    /// Returns the tag as in the protocol.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shown_as_text {
    ($($name:ty),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}
shown_as_text!(RepositoryName, TagName);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_of_the_grammar_parse(name in "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}){0,4}") {
            prop_assert!(RepositoryName::parse(&name).is_ok());
        }

        #[test]
        fn tags_of_the_grammar_parse(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert!(TagName::parse(&tag).is_ok());
        }
    }

    #[test]
    fn names_outside_the_grammar_are_rejected() {
        for name in [
            "", "/", "a/", "/a", "a//b", "A", "a___b", "a..b", "a._b", "-a", "a-", "a/-b", "ä",
            "a b", "a\0", "_catalog", "..",
        ] {
            assert!(RepositoryName::parse(name).is_err(), "{name:?}");
        }
        assert_eq!(
            RepositoryName::parse(&"a".repeat(256)),
            Err(NameError::TooLong(256))
        );
        assert!(RepositoryName::parse(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn tags_outside_the_grammar_are_rejected() {
        for tag in ["", ".a", "-a", "a/b", "a:b", "ä", "a b", "a\n"] {
            assert!(TagName::parse(tag).is_err(), "{tag:?}");
        }
        assert!(TagName::parse(&"a".repeat(129)).is_err());
    }
}
