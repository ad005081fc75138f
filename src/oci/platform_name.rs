//! Names of platforms, as people write them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::oci::manifest::Platform;

/// Name of a platform: `OS/ARCHITECTURE[/VARIANT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlatformName {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl PlatformName {
    /// Parses a name; `None` for other texts.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        };
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => return None,
        };
        parts.iter().all(is_word).then(|| Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant,
        })
    }

    /// Reports whether an image for `platform` is one for this name; a name without variant means any.
    pub fn matches(&self, platform: &Platform) -> bool {
        let wanted = self.variant.as_deref();
        self.os == platform.os
            && self.architecture == platform.architecture
            && (wanted.is_none() || wanted == platform.variant())
    }
}

impl TryFrom<String> for PlatformName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("'{text}' is not a platform"))
    }
}

impl From<PlatformName> for String {
    fn from(name: PlatformName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_texts_are_no_platforms() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "linux/am d64",
        ] {
            assert!(PlatformName::parse(text).is_none(), "{text}");
        }
    }
}
