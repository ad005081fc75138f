//! A configuration as written: text with its origins, before validation.

use serde_json::Value;

use crate::config::source::origin::Origin;

/// A value and its origin; for a member of a map, the origin of its key.
#[derive(Clone, Debug)]
pub(in crate::config) struct Node {
    pub origin: Origin,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub(in crate::config) enum Content {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    /// Members in the order of the file.
    Map(Vec<(String, Node)>),
}

#[derive(Clone, Debug)]
pub(in crate::config) struct Scalar {
    /// Text as written, without quotes.
    pub text: String,
    /// Value as YAML reads it.
    pub value: Value,
}

impl Node {
    pub fn text(text: &str, origin: Origin) -> Self {
        Self {
            origin,
            content: Content::Scalar(Scalar {
                text: text.to_owned(),
                value: Value::from(text),
            }),
        }
    }

    /// Returns the text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// True for null, and for an empty text, list or section.
    pub fn is_empty(&self) -> bool {
        match &self.content {
            Content::Null => true,
            Content::Scalar(scalar) => scalar.text.is_empty(),
            Content::List(items) => items.is_empty(),
            Content::Map(members) => members.iter().all(|(_, member)| member.is_empty()),
        }
    }

    pub fn member(&self, name: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, member)| member),
            _ => None,
        }
    }

    /// Returns the members of a map, after turning null into one; `None` for anything else.
    pub fn members_mut(&mut self) -> Option<&mut Vec<(String, Self)>> {
        if matches!(self.content, Content::Null) {
            self.content = Content::Map(Vec::new());
        }
        match &mut self.content {
            Content::Map(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the items of a list, after turning null or a single text into one; `None` for anything else.
    pub fn items_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &self.content {
            Content::Null => self.content = Content::List(Vec::new()),
            Content::Scalar(_) => self.content = Content::List(vec![self.clone()]),
            _ => {}
        }
        match &mut self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    /// Converts to JSON, with scalars as YAML reads them.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Scalar(scalar) => scalar.value.clone(),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(members) => members
                .iter()
                .map(|(name, member)| (name.clone(), member.to_value()))
                .collect(),
        }
    }
}
