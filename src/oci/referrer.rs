//! Referrers as they are listed (OCI distribution-spec 1.1, "Listing Referrers").

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::digest::Digest;

/// Descriptor of a manifest that is about another one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    pub media_type: String,
    pub digest: String,
    /// In bytes.
    pub size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// JSON as pushed: a map of them takes many times the space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<RawValue>>,
}

/// Descriptor of a manifest in another registry's list, while that is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedReferrer<'l> {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: i64,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(borrow, default)]
    annotations: Option<&'l RawValue>,
}

impl Referrer {
    /// Turns what another registry lists into what is listed here; `None` if it is no descriptor.
    pub fn listed(listed: ListedReferrer<'_>) -> Option<Self> {
        Some(Self {
            media_type: listed.media_type,
            digest: Digest::parse(&listed.digest).ok()?.as_str().to_owned(),
            size: usize::try_from(listed.size).ok()?,
            artifact_type: listed.artifact_type,
            annotations: listed.annotations.and_then(texts),
        })
    }
}

/// Returns the annotations of a manifest; `None` if there are none, or not all of them are text.
pub fn annotations(manifest: &[u8]) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Annotated<'m> {
        #[serde(borrow)]
        annotations: Option<&'m RawValue>,
    }
    let found = serde_json::from_slice::<Annotated<'_>>(manifest)
        .ok()?
        .annotations?;
    texts(found)
}

/// Returns an object of text as it is; `None` if it is empty, or something else.
fn texts(found: &RawValue) -> Option<Box<RawValue>> {
    let Texts { are_any } = serde_json::from_str(found.get()).ok()?;
    are_any.then(|| found.to_owned())
}

/// Object whose values are all text, which is not kept.
struct Texts {
    are_any: bool,
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut are_any = false;
        while map.next_entry::<Text, Text>()?.is_some() {
            are_any = true;
        }
        Ok(Texts { are_any })
    }
}

struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Text, E> {
        Ok(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_what_was_pushed_if_all_of_them_are_text() {
        let of = |text: &str| annotations(text.as_bytes()).map(|found| found.get().to_owned());
        for (manifest, expected) in [
            (
                r#"{"a":[{}],"annotations":{"x":"1","y\n":""}}"#,
                Some(r#"{"x":"1","y\n":""}"#),
            ),
            (r#"{"annotations":{}}"#, None),
            (r#"{"annotations":null}"#, None),
            (r#"{"annotations":"x"}"#, None),
            (r#"{"annotations":{"x":"1","y":2}}"#, None),
            (r#"{"annotations":{"x":{}}}"#, None),
            (r#"{"annotations":["x"]}"#, None),
            ("{}", None),
            ("[", None),
        ] {
            assert_eq!(of(manifest).as_deref(), expected, "{manifest}");
        }
    }
}
