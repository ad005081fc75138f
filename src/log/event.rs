//! What an event says: its message and its fields.

use std::fmt::{self, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};

/// What was gathered of an event, in the order in which it was said.
#[derive(Default)]
pub(super) struct Said {
    pub message: String,
    pub fields: Vec<(&'static str, Word)>,
}

/// What a field holds.
pub(super) enum Word {
    /// Text, which is quoted where it is not an object's.
    Text(String),
    /// What something shows of itself.
    Shown(String),
    /// A number or a truth.
    Other(Value),
}

impl Word {
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Text(text) | Self::Shown(text) => Value::String(text.clone()),
            Self::Other(value) => value.clone(),
        }
    }
}

impl fmt::Display for Word {
    /// As `key=value` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Shown(text) => write!(f, "{}", Plain(text)),
            Self::Other(value) => write!(f, "{value}"),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Word::Shown(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Word::Text(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Word::Other(value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Word::Other(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Word::Other(value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Word::Other(value.into()));
    }
}

impl Said {
    fn add(&mut self, field: &Field, word: Word) {
        match (field.name(), word) {
            ("message", Word::Text(text) | Word::Shown(text)) => self.message = text,
            (name, word) => self.fields.push((name, word)),
        }
    }
}

/// A text without what would end the line, or move a terminal's cursor: clients choose some of what is logged.
pub(super) struct Plain<'t>(pub &'t str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '"' | '\'' | '\\' => f.write_char(char),
            other => write!(f, "{}", other.escape_debug()),
        })
    }
}

/// An owner's value as `key=value` has it: text in quotes where it would not read as one word.
pub(super) struct Bare<'v>(pub &'v Value);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
                write!(f, "{text:?}")
            }
            Value::String(text) => write!(f, "{}", Plain(text)),
            other => write!(f, "{other}"),
        }
    }
}
