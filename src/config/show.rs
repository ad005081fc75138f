//! The configuration in force, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::config::keys::{self, Kind, Status};
use crate::config::loaded::Loaded;
use crate::config::source::Origin;
use crate::escape::is_hidden;
use crate::redact::{self, REDACTED};

/// Maximum length of a key without a mark, in bytes (YAML 1.2, "Flow Mappings").
const IMPLICIT_KEY: usize = 1024;

impl Loaded {
    /// Renders an equivalent file, with the origin of each value as a comment and secrets redacted.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        if let Some(Shown::Map(members)) = self.shown("", Some(&self.values), "") {
            members
                .iter()
                .for_each(|(name, member)| write_member(&mut text, 0, name, member));
        }
        text
    }

    /// Renders `config`, in the shape of the file, and `origins` by key, with secrets redacted.
    pub fn to_json(&self) -> Value {
        let mut origins = BTreeMap::new();
        let config = self
            .shown("", Some(&self.values), "")
            .and_then(|shown| shown.into_value("", &mut origins));
        json!({ "config": config, "origins": origins })
    }

    /// Returns the effective value at `path` of the table of keys; `name` is its path with indexes.
    fn shown(&self, path: &str, value: Option<&Value>, name: &str) -> Option<Shown> {
        if let Some(key) = keys::find(path) {
            return match (key.status, value) {
                (Status::Supported, Some(value)) => {
                    let origin = self.origins.get(name).cloned().unwrap_or(Origin::Default);
                    Some(Shown::Value(redacted(key.kind, value), origin))
                }
                (Status::Supported, None) => default(key),
                _ => None,
            };
        }
        if keys::is_list(path) {
            let items = value?.as_array()?.iter().enumerate();
            let item = |(number, item)| {
                self.shown(
                    &format!("{path}[]"),
                    Some(item),
                    &format!("{name}[{number}]"),
                )
            };
            return Some(Shown::List(items.filter_map(item).collect()));
        }
        let alternatives = keys::alternatives(path);
        if path == "auth"
            && alternatives
                .iter()
                .chain(&["challenge"])
                .all(|way| value.is_none_or(|value| value.get(way).is_none()))
        {
            return Some(Shown::Value(Value::from("none"), Origin::Default));
        }
        // the section has no effect without the keys that it requires
        if matches!(path, "http.tls" | "http.tls.letsencrypt" | "ui.oidc") && value.is_none() {
            return None;
        }
        let member = |member: &&'static str| {
            let value = value.and_then(|value| value.get(member));
            // only the selected authentication method; there is only one storage driver
            if path == "auth" && alternatives.contains(member) && value.is_none() {
                return None;
            }
            Some((
                (*member).to_owned(),
                self.shown(&keys::join(path, member), value, &keys::join(name, member))?,
            ))
        };
        let members: Vec<_> = keys::members(path).iter().filter_map(member).collect();
        (!members.is_empty()).then_some(Shown::Map(members))
    }
}

enum Shown {
    Value(Value, Origin),
    /// A default that can only be described.
    Words(&'static str),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// Returns the default of a key, if it has one.
fn default(key: &keys::Key) -> Option<Shown> {
    let text = key.default;
    if let Some(words) = text.strip_prefix('(') {
        return Some(Shown::Words(words.trim_end_matches(')')));
    }
    let value = match key.kind {
        _ if text.is_empty() => None,
        Kind::Switch => Some(Value::Bool(text == "true")),
        Kind::Count(_) | Kind::Page => text.parse::<u64>().ok().map(Value::from),
        _ => Some(Value::from(text)),
    };
    value.map(|value| Shown::Value(value, Origin::Default))
}

fn redacted(kind: Kind, value: &Value) -> Value {
    let by_name = |name: &String, value: &Value| {
        if redact::is_secret_name(name) {
            hidden(value)
        } else {
            value.clone()
        }
    };
    match (kind, value) {
        (Kind::Secret, _) => Value::from(REDACTED),
        (Kind::SecretHeaders, Value::Object(headers)) => headers
            .iter()
            .map(|(name, values)| (name.clone(), hidden(values)))
            .collect(),
        (Kind::HeaderSources, Value::Object(headers)) => headers
            .iter()
            .map(|(name, values)| match values {
                // where the secret is, is none
                Value::Object(_) => (name.clone(), values.clone()),
                _ => (name.clone(), hidden(values)),
            })
            .collect(),
        (Kind::Headers | Kind::Fields, Value::Object(members)) => members
            .iter()
            .map(|(name, value)| (name.clone(), by_name(name, value)))
            .collect(),
        (Kind::Url | Kind::BaseUrl, Value::String(text)) => Value::from(redact::url(text)),
        // a URL given in place of a path or a name
        (Kind::Text, Value::String(text)) if text.contains("://") => Value::from(redact::url(text)),
        _ => value.clone(),
    }
}

/// Redacts each value.
fn hidden(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|_| Value::from(REDACTED)).collect(),
        _ => Value::from(REDACTED),
    }
}

impl Shown {
    /// Returns `None` for a described default, which is added to the origins.
    fn into_value(self, name: &str, origins: &mut BTreeMap<String, String>) -> Option<Value> {
        Some(match self {
            Self::Value(value, origin) => {
                origins.insert(name.to_owned(), origin.to_string());
                value
            }
            Self::Words(words) => {
                origins.insert(name.to_owned(), format!("{}: {words}", Origin::Default));
                return None;
            }
            Self::List(items) => {
                let items = items.into_iter().enumerate();
                items
                    .filter_map(|(number, item)| {
                        item.into_value(&format!("{name}[{number}]"), origins)
                    })
                    .collect()
            }
            Self::Map(members) => {
                let member = |(key, member): (String, Self)| {
                    let value = member.into_value(&keys::join(name, &key), origins)?;
                    Some((key, value))
                };
                Value::Object(
                    members
                        .into_iter()
                        .filter_map(member)
                        .collect::<Map<_, _>>(),
                )
            }
        })
    }
}

fn write_member(text: &mut String, depth: usize, name: &str, shown: &Shown) {
    let indent = "  ".repeat(depth);
    let name = scalar(&Value::from(name));
    // writing to a String cannot fail
    let _ = match shown {
        Shown::Value(value, origin) => {
            writeln!(text, "{indent}{name}: {}  # {origin}", flow(value))
        }
        Shown::Words(words) => writeln!(text, "{indent}# {name}: {words}  # {}", Origin::Default),
        Shown::List(items) if items.is_empty() => writeln!(text, "{indent}{name}: []"),
        Shown::List(_) | Shown::Map(_) => writeln!(text, "{indent}{name}:"),
    };
    match shown {
        Shown::Value(..) | Shown::Words(_) => {}
        Shown::List(items) => items
            .iter()
            .for_each(|item| write_item(text, depth + 1, item)),
        Shown::Map(members) => members
            .iter()
            .for_each(|(name, member)| write_member(text, depth + 1, name, member)),
    }
}

fn write_item(text: &mut String, depth: usize, item: &Shown) {
    let Shown::Map(members) = item else { return };
    let start = text.len();
    members
        .iter()
        .for_each(|(name, member)| write_member(text, depth + 1, name, member));
    // the hyphen goes into the indentation of the first member
    let hyphen = start + 2 * depth;
    text.replace_range(hyphen..hyphen + 1, "-");
}

fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(flow).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let name = scalar(&Value::from(&**name));
                let mark = if name.len() > IMPLICIT_KEY { "? " } else { "" };
                format!("{mark}{name}: {}", flow(value))
            };
            format!(
                "{{{}}}",
                members.iter().map(member).collect::<Vec<_>>().join(", ")
            )
        }
        single => scalar(single),
    }
}

/// Formats a scalar, quoted if YAML could read it as something else.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c))
        && text.parse::<f64>().is_err()
        && !text.starts_with("0x")
        && !text.starts_with("0o")
        && !text.starts_with("0b")
        && keys::switch(text).is_none()
        && !text.eq_ignore_ascii_case("null");
    if is_plain {
        text.clone()
    } else {
        quoted(value)
    }
}

/// Formats a string with double quotes, as JSON does, and with escapes for what YAML excludes (YAML 1.2, "Character Set").
fn quoted(value: &Value) -> String {
    let escaped = |c: char| match u32::from(c) {
        number @ 0x10000.. if is_hidden(c) => format!("\\U{number:08x}"),
        number if is_hidden(c) => format!("\\u{number:04x}"),
        _ => c.to_string(),
    };
    value.to_string().chars().map(escaped).collect()
}
