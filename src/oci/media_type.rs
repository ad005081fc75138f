//! Media types known to the registry; any other one is stored unchanged.

use std::fmt;

/// Media type without its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaType(Box<str>);

/// Shape of a manifest according to its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Image,
    /// Like an image, without `schemaVersion` and config.
    Artifact,
    Index,
    /// Docker's first schema, signed and without descriptors, which no client has pushed in ten years.
    Obsolete,
    Other,
}

impl MediaType {
    pub const OCI_INDEX: &'static str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_CONFIG: &'static str = "application/vnd.oci.image.config.v1+json";
    pub const DOCKER_CONFIG: &'static str = "application/vnd.docker.container.image.v1+json";
    pub const DOCKER_PLUGIN: &'static str = "application/vnd.docker.plugin.v1+json";
    pub(super) const OCI_ARTIFACT: &'static str = "application/vnd.oci.artifact.manifest.v1+json";
    pub(super) const DOCKER_LIST: &'static str =
        "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_MANIFEST: &'static str =
        "application/vnd.docker.distribution.manifest.v2+json";
    /// Manifests that this registry accepts, as a client asks another registry for them.
    pub const MANIFESTS: [&'static str; 5] = [
        Self::OCI_INDEX,
        Self::OCI_MANIFEST,
        Self::DOCKER_LIST,
        Self::DOCKER_MANIFEST,
        Self::OCI_ARTIFACT,
    ];
    const DOCKER_SCHEMA_1: [&'static str; 2] = [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ];
    const PLAIN_JSON: [&'static str; 2] = ["application/json", "text/json"];
    const FOREIGN_LAYERS: [&'static str; 2] = [
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
    ];

    /// Parses `TYPE/SUBTYPE[; parameters]` and drops the parameters.
    ///
    /// `None` for any other text, or one with a character that a header could not carry back.
    pub fn parse(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = essence.split_once('/')?;
        let is_token = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        (is_token(kind) && is_token(subtype) && essence.len() <= 255).then(|| Self(essence.into()))
    }

    /// Returns the text, for headers and storage.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shape(&self) -> Shape {
        match &*self.0 {
            Self::OCI_MANIFEST | Self::DOCKER_MANIFEST => Shape::Image,
            Self::OCI_ARTIFACT => Shape::Artifact,
            Self::OCI_INDEX | Self::DOCKER_LIST => Shape::Index,
            text if Self::DOCKER_SCHEMA_1.contains(&text) => Shape::Obsolete,
            _ => Shape::Other,
        }
    }

    /// Reports whether content of this type is JSON (WHATWG MIME Sniffing Standard, "JSON MIME type").
    pub fn is_json(&self) -> bool {
        let text = self.0.to_ascii_lowercase();
        text.ends_with("+json") || Self::PLAIN_JSON.contains(&&*text)
    }

    /// Reports whether this type says more about a manifest than `other`: a kind of manifest that the registry knows
    /// more than any other, and any other more than plain JSON.
    pub fn is_more_specific_than(&self, other: &Self) -> bool {
        self.specificity() > other.specificity()
    }

    fn specificity(&self) -> u8 {
        match self.shape() {
            Shape::Other if Self::PLAIN_JSON.contains(&&*self.0) => 0,
            Shape::Other => 1,
            Shape::Image | Shape::Artifact | Shape::Index | Shape::Obsolete => 2,
        }
    }

    /// Reports whether a layer of this type need not be stored.
    ///
    /// See OCI image-spec 1.1, "Non-Distributable Layers".
    pub(super) fn is_foreign_layer(text: &str) -> bool {
        Self::FOREIGN_LAYERS
            .iter()
            .any(|prefix| text.starts_with(prefix))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specificity_has_one_direction() {
        let types = [
            "application/json",
            "application/vnd.example.thing+json",
            MediaType::OCI_MANIFEST,
        ]
        .map(|text| MediaType::parse(text).unwrap());
        for (more, one) in types.iter().enumerate() {
            for (less, other) in types.iter().enumerate() {
                assert_eq!(
                    one.is_more_specific_than(other),
                    more > less,
                    "{one} {other}"
                );
            }
        }
        let docker = MediaType::parse(MediaType::DOCKER_MANIFEST).unwrap();
        assert!(!docker.is_more_specific_than(&types[2]));
    }
}
