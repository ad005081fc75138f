//! Message and fields of an event.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

use crate::escape::OneLine;

/// Message and fields, in the order in which they were recorded.
#[derive(Default)]
pub(super) struct EventText {
    pub message: String,
    pub fields: Vec<(&'static str, FieldValue)>,
}

/// Value of a field.
pub(super) enum FieldValue {
    /// Text, which is quoted outside of JSON.
    Text(String),
    /// Result of `Display` or `Debug`.
    Shown(String),
    /// Number or boolean.
    Other(Value),
}

impl FieldValue {
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Text(text) | Self::Shown(text) => Value::String(text.clone()),
            Self::Other(value) => value.clone(),
        }
    }
}

impl fmt::Display for FieldValue {
    /// Formats the value as in `key=value`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Shown(text) => write!(f, "{}", OneLine(text)),
            Self::Other(value) => write!(f, "{value}"),
        }
    }
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, FieldValue::Shown(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, FieldValue::Text(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, FieldValue::Other(value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, FieldValue::Other(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, FieldValue::Other(value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, FieldValue::Other(value.into()));
    }
}

impl EventText {
    fn add(&mut self, field: &Field, value: FieldValue) {
        match (field.name(), value) {
            ("message", FieldValue::Text(text) | FieldValue::Shown(text)) => self.message = text,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

/// Configured value as in `key=value`, quoted if it would not read as one word.
pub(super) struct Configured<'v>(pub &'v Value);

impl fmt::Display for Configured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
                write!(f, "{text:?}")
            }
            Value::String(text) => write!(f, "{}", OneLine(text)),
            other => write!(f, "{other}"),
        }
    }
}
