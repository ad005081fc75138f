//! Manifests, as far as the registry reads them; their bytes are stored unchanged.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::digest::{Digest, DigestError};
use super::media_type::{MediaType, Shape};
use super::outline::MAX_DEPTH;
use super::unambiguous::check_config;

/// Manifest or index, as far as a registry reads it.
///
/// See OCI image-spec 1.1, "Image Manifest" and "Image Index".
#[derive(Debug)]
pub struct Manifest {
    /// Media type under which it is stored and served.
    pub media_type: MediaType,
    /// `artifactType`, or else the media type of its config.
    pub artifact_type: Option<String>,
    /// Manifest that this one is about, which need not exist.
    pub subject: Option<Digest>,
    /// Content that must exist before this manifest does, without repetition.
    pub references: Vec<Reference>,
    pub annotations: BTreeMap<String, String>,
    /// Descriptors of an index, in order; empty for an image.
    pub children: Vec<Descriptor>,
    /// Config of an image.
    pub config: Option<Descriptor>,
    /// Layers of an image, in order; empty for an index.
    pub layers: Vec<Descriptor>,
}

/// Content that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub digest: Digest,
    /// True for a child of an index: a manifest, or a blob in BuildKit's caches.
    pub is_child: bool,
    /// True for a foreign layer, which need not be stored here.
    pub is_optional: bool,
}

/// Pointer to content by digest (OCI image-spec 1.1, "Content Descriptors").
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    #[serde(default)]
    pub size: i64,
    /// Other locations of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Platform that an image is built for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Variant; 64-bit ARM has one that is often left out.
    pub fn variant(&self) -> Option<&str> {
        let named = self.variant.as_deref().filter(|text| !text.is_empty());
        named.or((self.architecture == "arm64").then_some("v8"))
    }

    /// Reads the platform from an image's config; `None` if it is none, or readers could see another one in it.
    pub fn of_config(bytes: &[u8]) -> Option<Self> {
        check_config(bytes).ok()?;
        serde_json::from_slice::<Object<Self>>(bytes)
            .ok()
            .map(|config| config.0)
    }
}

/// Reason why a manifest is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest is not a JSON object of the expected shape: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the manifest's mediaType is '{inside}', but it was pushed as '{outside}'")]
    MediaType { inside: String, outside: MediaType },
    #[error("'{0}' is not a media type")]
    MalformedMediaType(String),
    #[error(
        "'{0}' is no JSON type, as every manifest's is: application/json, or one that ends in +json"
    )]
    NotJson(MediaType),
    #[error("objects and arrays are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error(
        "the manifest has too many parts: parsing it takes up to {mib} MiB, and at most {limit} MiB are allowed"
    )]
    TooManyParts { mib: usize, limit: u32 },
    #[error("neither the Content-Type nor a mediaType names the kind of manifest")]
    Untyped,
    #[error("an image manifest must not have 'manifests', an index neither 'config' nor 'layers'")]
    Ambiguous,
    #[error("schemaVersion is required and must be 2")]
    SchemaVersion,
    #[error("the image manifest has no config, which is required")]
    NoConfig,
    #[error("Docker's manifest schema 1 is not supported: push with a newer client")]
    Obsolete,
    #[error("clients would not see the same config of the image: {0}")]
    Config(serde_json::Error),
    #[error("the image's config has more than {limit} MiB, which is the most that is read")]
    LargeConfig { limit: u64 },
    #[error("a descriptor of the manifest is malformed: {0}")]
    Descriptor(#[from] DigestError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Object<Descriptor>>,
    layers: Option<Vec<Object<Descriptor>>>,
    /// Layers of the OCI artifact manifest, which existed in release candidates only.
    blobs: Option<Vec<Object<Descriptor>>>,
    manifests: Option<Vec<Object<Descriptor>>>,
    subject: Option<Object<Descriptor>>,
    annotations: Option<BTreeMap<String, String>>,
}

/// JSON object and nothing else.
///
/// serde by itself also takes an array for a struct, which no other reader would.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

fn plain(objects: Option<Vec<Object<Descriptor>>>) -> Option<Vec<Descriptor>> {
    objects.map(|objects| objects.into_iter().map(|object| object.0).collect())
}

impl Manifest {
    /// Parses a manifest that was pushed or stored as `content_type`.
    ///
    /// Unknown fields are ignored and unknown media types accepted: both are stored byte for byte.
    pub fn parse(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, ManifestError> {
        let Object(document) = serde_json::from_slice::<Object<Document>>(bytes)?;
        let media_type = document.media_type(content_type)?;
        document.check(media_type.shape())?;
        let config = document.config.map(|config| config.0);
        let layers = plain(document.layers.or(document.blobs)).unwrap_or_default();
        let children = plain(document.manifests).unwrap_or_default();
        let artifact_type = document
            .artifact_type
            .filter(|text| !text.is_empty())
            .or_else(|| config.as_ref().map(|config| config.media_type.clone()));
        Ok(Self {
            subject: document
                .subject
                .map(|subject| Digest::parse(&subject.0.digest))
                .transpose()?,
            references: references(config.as_ref(), &layers, &children)?,
            annotations: document.annotations.unwrap_or_default(),
            media_type,
            artifact_type,
            children,
            config,
            layers,
        })
    }
}

impl Document {
    fn media_type(&self, content_type: Option<&str>) -> Result<MediaType, ManifestError> {
        let parse = |text: &str| {
            MediaType::parse(text).ok_or_else(|| ManifestError::MalformedMediaType(text.to_owned()))
        };
        let inside = self.media_type.as_deref().filter(|text| !text.is_empty());
        match (content_type, inside) {
            (Some(outside), Some(inside)) => {
                let outside = parse(outside)?;
                if outside.as_str() == inside {
                    Ok(outside)
                } else {
                    Err(ManifestError::MediaType {
                        inside: inside.to_owned(),
                        outside,
                    })
                }
            }
            (Some(text), None) => parse(text),
            // with spaces or parameters it would not be the type under which it is served
            (None, Some(text)) => match parse(text)? {
                kind if kind.as_str() == text => Ok(kind),
                _ => Err(ManifestError::MalformedMediaType(text.to_owned())),
            },
            (None, None) if self.manifests.is_some() => parse(MediaType::OCI_INDEX),
            (None, None) if self.config.is_some() => parse(MediaType::OCI_MANIFEST),
            (None, None) => Err(ManifestError::Untyped),
        }
    }

    /// Rejects documents that two readers could interpret differently (CVE-2021-41190).
    fn check(&self, shape: Shape) -> Result<(), ManifestError> {
        if shape == Shape::Obsolete || self.schema_version == Some(1) {
            return Err(ManifestError::Obsolete);
        }
        let looks_like_image = self.config.is_some() || self.layers.is_some();
        let looks_like_index = self.manifests.is_some();
        match shape {
            Shape::Image | Shape::Artifact if looks_like_index => Err(ManifestError::Ambiguous),
            Shape::Index if looks_like_image => Err(ManifestError::Ambiguous),
            // REQUIRED by the image-spec: without them no client pulls what was pushed
            Shape::Artifact if self.schema_version.is_some_and(|version| version != 2) => {
                Err(ManifestError::SchemaVersion)
            }
            Shape::Image | Shape::Index if self.schema_version != Some(2) => {
                Err(ManifestError::SchemaVersion)
            }
            Shape::Image if self.config.is_none() => Err(ManifestError::NoConfig),
            _ => Ok(()),
        }
    }
}

fn references(
    config: Option<&Descriptor>,
    layers: &[Descriptor],
    children: &[Descriptor],
) -> Result<Vec<Reference>, ManifestError> {
    let reference = |descriptor: &Descriptor, is_child, is_optional| {
        Ok::<_, ManifestError>(Reference {
            digest: Digest::parse(&descriptor.digest)?,
            is_child,
            is_optional,
        })
    };
    let mut references = Vec::with_capacity(1 + layers.len() + children.len());
    if let Some(descriptor) = config {
        references.push(reference(descriptor, false, false)?);
    }
    for descriptor in layers {
        references.push(reference(
            descriptor,
            false,
            MediaType::is_foreign_layer(&descriptor.media_type),
        )?);
    }
    for descriptor in children {
        references.push(reference(descriptor, true, false)?);
    }
    // sorted so that, of two mentions of one digest, the one that must exist comes first and stays
    references.sort();
    references.dedup_by(|later, earlier| {
        later.digest == earlier.digest && later.is_child == earlier.is_child
    });
    Ok(references)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn an_image_needs_its_config_and_its_own_layers() {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.x","digest":"{}"}},"layers":[{{"digest":"{1}"}},{{"digest":"{1}"}},
            {{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"{2}"}}],"x-unknown":[1]}}"#,
            digest('a'),
            digest('b'),
            digest('c')
        );
        let manifest = Manifest::parse(
            Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
            text.as_bytes(),
        )
        .unwrap();
        assert_eq!(manifest.artifact_type.as_deref(), Some("application/vnd.x"));
        let needed: Vec<_> = manifest
            .references
            .iter()
            .map(|reference| (reference.digest.as_str(), reference.is_optional))
            .collect();
        assert_eq!(
            needed,
            [
                (&*digest('a'), false),
                (&*digest('b'), false),
                (&*digest('c'), true)
            ]
        );
    }

    #[test]
    fn a_foreign_mention_does_not_excuse_a_plain_one() {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{0}"}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar","digest":"{0}"}},{{"digest":"{0}"}}]}}"#,
            digest('a')
        );
        let manifest = Manifest::parse(Some(MediaType::OCI_MANIFEST), text.as_bytes()).unwrap();
        assert_eq!(manifest.references.len(), 1);
        assert!(!manifest.references[0].is_optional);
    }

    #[test]
    fn an_ambiguous_document_is_rejected() {
        let both = br#"{"schemaVersion":2,"config":{"digest":"x"},"manifests":[]}"#;
        assert!(matches!(
            Manifest::parse(Some(MediaType::OCI_MANIFEST), both),
            Err(ManifestError::Ambiguous)
        ));
        assert!(matches!(
            Manifest::parse(Some(MediaType::OCI_INDEX), both),
            Err(ManifestError::Ambiguous)
        ));
    }

    #[test]
    fn required_members_are_required() {
        let config = format!(r#""config":{{"digest":"{}"}}"#, digest('a'));
        let read = |media_type, members: &str| {
            Manifest::parse(Some(media_type), format!("{{{members}}}").as_bytes())
        };
        for media_type in [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST] {
            for members in [
                "",
                &config,
                &format!(r#""schemaVersion":null,{config}"#),
                &format!(r#""schemaVersion":3,{config}"#),
            ] {
                assert!(
                    matches!(read(media_type, members), Err(ManifestError::SchemaVersion)),
                    "{members}"
                );
            }
            assert!(matches!(
                read(media_type, r#""schemaVersion":2,"layers":[]"#),
                Err(ManifestError::NoConfig)
            ));
            read(media_type, &format!(r#""schemaVersion":2,{config}"#)).unwrap();
        }
        for media_type in [MediaType::OCI_INDEX, MediaType::DOCKER_LIST] {
            assert!(matches!(
                read(media_type, r#""manifests":[]"#),
                Err(ManifestError::SchemaVersion)
            ));
            read(media_type, r#""schemaVersion":2"#).unwrap();
        }
        // artifacts have neither, and other types have no shape
        read(MediaType::OCI_ARTIFACT, r#""blobs":[]"#).unwrap();
        read("application/json", "").unwrap();
    }

    #[test]
    fn media_types_inside_and_outside_must_match() {
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":null}}"#,
            MediaType::OCI_INDEX
        );
        assert!(matches!(
            Manifest::parse(Some(MediaType::OCI_MANIFEST), index.as_bytes()),
            Err(ManifestError::MediaType { .. })
        ));
        assert_eq!(
            Manifest::parse(None, index.as_bytes())
                .unwrap()
                .media_type
                .as_str(),
            MediaType::OCI_INDEX
        );
        for inside in [" application/json", "application/json; charset=utf-8"] {
            let text = format!(r#"{{"mediaType":"{inside}"}}"#);
            assert!(matches!(
                Manifest::parse(None, text.as_bytes()),
                Err(ManifestError::MalformedMediaType(_))
            ));
        }
        assert!(matches!(
            Manifest::parse(None, b"{}"),
            Err(ManifestError::Untyped)
        ));
        assert!(matches!(
            Manifest::parse(Some("text"), b"{}"),
            Err(ManifestError::MalformedMediaType(_))
        ));
        assert!(matches!(
            Manifest::parse(None, b"[]"),
            Err(ManifestError::Json(_))
        ));
    }
}
