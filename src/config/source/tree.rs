//! A configuration as written: text with its origins, before validation.

use serde_json::Value;

use crate::config::source::origin::Origin;

/// A value, and where it comes from; for a member of a map, the place of its key.
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
    /// In the order of the file.
    Map(Vec<(String, Node)>),
}

#[derive(Clone, Debug)]
pub(in crate::config) struct Scalar {
    /// As it is spelled, without quotation marks.
    pub text: String,
    /// What YAML takes it for.
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

    /// Whether it says anything: an empty text, list or section does not.
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

    /// The members of a map, of which an empty place is made one; none where something else stands.
    pub fn members_mut(&mut self) -> Option<&mut Vec<(String, Self)>> {
        if matches!(self.content, Content::Null) {
            self.content = Content::Map(Vec::new());
        }
        match &mut self.content {
            Content::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The items of a list, of which an empty place is made one, and a single text its first item; none where something else
    /// stands.
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

    /// As JSON, by what YAML takes the scalars for.
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
