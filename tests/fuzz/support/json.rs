//! JSON as Go's `encoding/json` reads it: an object's members in order, repeated ones too, their keys in any case.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value with all of an object's members.
pub enum Json {
    Object(Vec<(String, Self)>),
    List(Vec<Self>),
    Other,
}

impl Json {
    /// Returns the members that Go takes for the field `name`, which is ASCII.
    pub fn fields<'j>(&'j self, name: &str) -> Vec<(&'j str, &'j Self)> {
        let Self::Object(members) = self else {
            return Vec::new();
        };
        let is_field = |key: &str| key.chars().map(folded).eq(name.chars().map(folded));
        let fields = members.iter().filter(|(key, _)| is_field(key));
        fields.map(|(key, value)| (&**key, value)).collect()
    }

    /// Returns the elements of a list.
    pub fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            Self::Object(_) | Self::Other => &[],
        }
    }
}

/// Folds a character as `unicode.SimpleFold` does, as far as it leads to ASCII.
fn folded(character: char) -> char {
    match character {
        'ſ' => 'S',
        '\u{212a}' => 'K',
        other => other.to_ascii_uppercase(),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Json::List(elements))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }
}
