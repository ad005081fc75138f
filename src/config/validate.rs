//! Validation of the tree against the table of keys: unknown keys, values of the wrong kind, ignored and rejected keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::error::Report;
use crate::config::keys::{self, Effect, Key, Kind, Status};
use crate::config::schema::Interval;
use crate::config::source::{Content, Node, Origin, Scalar};

/// The supported values of a configuration.
pub(super) struct Checked {
    /// In the shape of [`crate::config::Config`].
    pub values: Value,
    /// Origin of each value, by its path: `health.http[0].uri`.
    pub origins: BTreeMap<String, Origin>,
}

/// Validates the whole tree, and adds its problems to the report.
pub(super) fn check(tree: &Node, report: &mut Report) -> Checked {
    let mut check = Check {
        report,
        origins: BTreeMap::new(),
    };
    let values = match &tree.content {
        Content::Null => Map::new(),
        Content::Map(members) => check.members(tree, members, "", ""),
        _ => {
            check.report.problem(
                &tree.origin,
                "",
                "a configuration must be a map of sections, such as http and storage".to_owned(),
            );
            Map::new()
        }
    };
    Checked {
        values: Value::Object(values),
        origins: check.origins,
    }
}

/// Requires `version` in the file itself, as distribution does. Without it the file may be half written.
pub(super) fn version(tree: &Node, report: &mut Report) {
    let is_missing = match tree.content {
        Content::Null | Content::Map(_) => tree.member("version").is_none_or(Node::is_empty),
        // reported as a whole elsewhere
        Content::Scalar(_) | Content::List(_) => false,
    };
    if is_missing {
        let sentence =
            "version is missing: write version: 0.1, unless the file is still being written";
        report.problem(&tree.origin, "version", sentence.to_owned());
    }
}

struct Check<'a> {
    report: &'a mut Report,
    origins: BTreeMap<String, Origin>,
}

impl Check<'_> {
    /// Validates the value at `path` of the table of keys; messages call it `shown`.
    fn node(&mut self, node: &Node, path: &str, shown: &str) -> Option<Value> {
        match keys::find(path) {
            Some(key) => self.key(key, node, shown),
            None if keys::is_list(path) => self.list(node, path, shown),
            None => self.section(node, path, shown),
        }
    }

    fn key(&mut self, key: &Key, node: &Node, shown: &str) -> Option<Value> {
        match key.status {
            Status::Rejected(when, why) => {
                match when.effect(node) {
                    Effect::Rejected => self.report.problem(
                        &node.origin,
                        shown,
                        format!("{shown} is not supported: {why}"),
                    ),
                    Effect::Ignored(why) => self.no_effect(node, shown, why),
                    Effect::Nothing => {}
                }
                None
            }
            Status::Ignored(why) => {
                if !node.is_empty() {
                    self.no_effect(node, shown, why);
                }
                None
            }
            Status::Supported => match value(key.kind, node) {
                Ok(value) => {
                    if value.is_some() {
                        self.origins.insert(shown.to_owned(), node.origin.clone());
                    }
                    if let Some(difference) = difference(key.kind, node) {
                        self.report
                            .note(&node.origin, &format!("{shown} {difference}"));
                    }
                    value
                }
                Err(sentence) => {
                    self.report
                        .problem(&node.origin, shown, format!("{shown} {sentence}"));
                    None
                }
            },
        }
    }

    fn no_effect(&mut self, node: &Node, shown: &str, why: &str) {
        self.report
            .note(&node.origin, &format!("{shown} has no effect: {why}"));
    }

    fn list(&mut self, node: &Node, path: &str, shown: &str) -> Option<Value> {
        match &node.content {
            Content::Null => None,
            Content::List(items) => {
                let path = format!("{path}[]");
                let empty = || Value::Object(Map::new());
                let item = |(number, item)| {
                    self.section(item, &path, &format!("{shown}[{number}]"))
                        .unwrap_or_else(empty)
                };
                Some(items.iter().enumerate().map(item).collect())
            }
            _ => {
                self.report.problem(
                    &node.origin,
                    shown,
                    format!("{shown} must be a list: put a hyphen before each of its items"),
                );
                None
            }
        }
    }

    fn section(&mut self, node: &Node, path: &str, shown: &str) -> Option<Value> {
        let members = match &node.content {
            Content::Map(members) => &**members,
            // an empty section still lacks its required keys
            Content::Null => &[],
            _ => {
                let example = keys::members(path).first().copied().unwrap_or_default();
                self.report.problem(
                    &node.origin,
                    shown,
                    format!("{shown} is a section: write its keys below it, such as {example}"),
                );
                return None;
            }
        };
        let values = self.members(node, members, path, shown);
        (!values.is_empty()).then_some(Value::Object(values))
    }

    fn members(
        &mut self,
        section: &Node,
        members: &[(String, Node)],
        path: &str,
        shown: &str,
    ) -> Map<String, Value> {
        let known = keys::members(path);
        let mut values = Map::new();
        self.choice(members, path);
        for (name, member) in members {
            let (path_of, shown) = (keys::join(path, name), keys::join(shown, name));
            if !known.contains(&&**name) {
                self.unknown(member, path, name, &shown);
            } else if let Some(fault) = keys::fault_if_empty(&path_of).filter(|_| member.is_empty())
            {
                let sentence = format!("{shown} {fault}");
                self.report.problem(&member.origin, &shown, sentence);
            } else {
                let value = self.node(member, &path_of, &shown);
                values.extend(value.map(|value| (name.clone(), value)));
            }
        }
        for key in keys::all()
            .iter()
            .filter(|key| key.is_required && is_member(&key.path, path))
        {
            let name = key.path.rsplit('.').next().unwrap_or_default();
            // the part of the server that uses a list decides whether it may be empty
            let is_there =
                |member: &Node| matches!(member.content, Content::List(_)) || !member.is_empty();
            let is_there = members
                .iter()
                .any(|(given, member)| given == name && is_there(member));
            if !is_there {
                let missing = keys::join(shown, name);
                let sentence = format!("{missing} is missing: {shown} requires it");
                self.report.problem(&section.origin, &missing, sentence);
            }
        }
        values
    }

    /// Rejects two alternatives in one section.
    fn choice(&mut self, members: &[(String, Node)], path: &str) {
        let alternatives = keys::alternatives(path);
        let chosen: Vec<_> = members
            .iter()
            .filter(|(name, _)| alternatives.contains(&&**name))
            .collect();
        if let [(first, one), .., (last, other)] = &*chosen {
            let sentence = format!(
                "{path} has both {first} ({}) and {last}: keep one of them",
                one.origin
            );
            self.report.problem(&other.origin, path, sentence);
        }
    }

    fn unknown(&mut self, member: &Node, path: &str, name: &str, shown: &str) {
        if let Some(sentence) = keys::renamed(path, name, member.as_text()) {
            self.report
                .problem(&member.origin, shown, format!("{shown} {sentence}"));
            return;
        }
        let hint = match keys::nearest(path, name) {
            Some(near) => format!(": did you mean {near}?"),
            None if path.is_empty() => String::new(),
            None => format!(": {path} has {}", keys::members(path).join(", ")),
        };
        self.report
            .problem(&member.origin, shown, format!("unknown key {shown}{hint}"));
    }
}

/// True if `key` is directly in the section `path`.
fn is_member(key: &str, path: &str) -> bool {
    key.strip_prefix(path)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|rest| !rest.contains('.'))
}

/// The key's value, or `None` if empty. The error continues the sentence begun by the key name.
fn value(kind: Kind, node: &Node) -> Result<Option<Value>, String> {
    match (kind, &node.content) {
        (Kind::Nothing, content) => match content {
            Content::Null => Ok(Some(Value::Object(Map::new()))),
            Content::Map(members) if members.is_empty() => Ok(Some(Value::Object(Map::new()))),
            _ => Err("takes no keys: leave it empty".to_owned()),
        },
        (_, Content::Null) => Ok(None),
        (Kind::Texts, content) => texts(content, &|text| Ok(text.to_owned())),
        (Kind::Words(words), content) => texts(content, &|text| word(words, text)),
        (
            Kind::Headers | Kind::SecretHeaders | Kind::HeaderSources | Kind::Lists,
            Content::Map(members),
        ) => {
            let member = |(name, node): &(String, Node)| {
                if let (Kind::HeaderSources, Content::Map(source)) = (kind, &node.content) {
                    return Ok((name.clone(), secret_source(name, source)?));
                }
                let values = texts(&node.content, &|text| Ok(text.to_owned()))
                    .map_err(|sentence| format!(".{name} {sentence}"))?;
                Ok((
                    name.clone(),
                    values.unwrap_or_else(|| Value::Array(Vec::new())),
                ))
            };
            Ok(Some(Value::Object(
                members.iter().map(member).collect::<Result<_, String>>()?,
            )))
        }
        (Kind::Headers | Kind::SecretHeaders | Kind::HeaderSources, _) => {
            Err("must be a map of header names, each with a list of values".to_owned())
        }
        (Kind::Lists, _) => Err("must be a map of names, each with a list of values".to_owned()),
        (Kind::Fields, Content::Map(_)) => Ok(Some(node.to_value())),
        (Kind::Fields, _) => Err("must be a map of names and values".to_owned()),
        (_, Content::Scalar(scalar)) if scalar.text.is_empty() => Ok(None),
        (kind, Content::Scalar(scalar)) => self::scalar(kind, scalar),
        (_, Content::List(_)) => Err("takes one value, not a list".to_owned()),
        (_, Content::Map(_)) => Err("takes a value, not a section".to_owned()),
    }
}

/// Reads where the value of a header is: `{file: PATH}` or `{variable: NAME}`.
fn secret_source(name: &str, source: &[(String, Node)]) -> Result<Value, String> {
    match source {
        [(place, node)] if matches!(&**place, "file" | "variable") => match node.as_text() {
            Some(text) if !text.is_empty() => Ok(serde_json::json!({ place: text })),
            _ => Err(format!(".{name}.{place} takes a text")),
        },
        _ => Err(format!(
            ".{name} must be a value, a list of values, {{file: PATH}} or {{variable: NAME}}"
        )),
    }
}

fn scalar(kind: Kind, scalar: &Scalar) -> Result<Option<Value>, String> {
    let text = &*scalar.text;
    let number = || scalar.value.as_u64().or_else(|| text.parse().ok());
    match kind {
        Kind::Switch => match keys::switch(text) {
            Some(switch) => Ok(Some(Value::Bool(switch))),
            None => Err(format!("must be true or false, not '{text}'")),
        },
        Kind::Count(most) => match number() {
            Some(number) if number <= most => Ok(Some(Value::from(number))),
            _ if most == u64::MAX => Err(format!("must be a whole number, not '{text}'")),
            _ => Err(format!("must be a whole number up to {most}, not '{text}'")),
        },
        Kind::Bytes => bytes(text).map(|number| Some(Value::from(number))),
        Kind::Page => match (number(), text.parse::<i64>()) {
            (Some(0), _) | (None, Ok(_)) => Ok(None),
            (Some(number), _) => Ok(Some(Value::from(number))),
            _ => Err(format!("must be a whole number, not '{text}'")),
        },
        Kind::Time => time(text).map(Some),
        Kind::GoTime => match text.parse::<u64>() {
            Ok(nanoseconds) => Ok(Some(Value::from(format!("{nanoseconds}ns")))),
            Err(_) => time(text).map(Some),
        },
        Kind::BaseUrl if !text.contains("://") => Ok(None),
        Kind::Keep => match &*text.to_ascii_lowercase() {
            "forever" => Ok(Some(Value::from("forever"))),
            "never" => Err(format!(
                "is 'never', which could mean either: {}",
                keys::KEEP_OR_REMOVE
            )),
            _ => time(text)
                .map(Some)
                .map_err(|sentence| format!("{sentence}, or forever")),
        },
        Kind::Word(words) => word(words, text).map(|word| Some(Value::from(word))),
        Kind::TlsVersion => tls_version(text).map(|version| Some(Value::from(version))),
        Kind::Version if text != "0.1" => Err(format!("is {text}, and the only version is 0.1")),
        _ => Ok(Some(Value::from(text))),
    }
}

/// Parses a number of bytes: `500`, `500MB`, `20GiB`, `1.5 TiB`.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 10] = [
        ("", 1.0),
        ("b", 1.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("tb", 1e12),
        ("kib", 1024.0),
        ("mib", 1_048_576.0),
        ("gib", 1_073_741_824.0),
        ("tib", 1_099_511_627_776.0),
    ];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit);
    match (number.parse::<f64>(), factor) {
        (Ok(number), Some((_, factor))) => Ok((number * factor) as u64),
        _ => Err(format!(
            "must be a number of bytes such as 20GiB or 500MB, not '{text}'"
        )),
    }
}

fn word(words: &[&str], text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    if words.contains(&&*lower) {
        Ok(lower)
    } else {
        Err(format!("must be one of {}, not '{text}'", words.join(", ")))
    }
}

fn tls_version(text: &str) -> Result<String, String> {
    if is_old_tls(text) {
        return Ok("tls1.2".to_owned());
    }
    word(&["tls1.2", "tls1.3"], text)
}

fn is_old_tls(text: &str) -> bool {
    matches!(&*text.to_lowercase(), "tls1.0" | "tls1.1")
}

/// Returns a difference to distribution that an accepted value makes; it continues the sentence begun by the key name.
fn difference(kind: Kind, node: &Node) -> Option<String> {
    let Content::Scalar(Scalar { text, .. }) = &node.content else {
        return None;
    };
    match kind {
        Kind::TlsVersion if is_old_tls(text) => Some(format!(
            "is {text}, and the lowest version here is tls1.2, which every client of registries has"
        )),
        Kind::GoTime if text.parse::<u64>().is_ok_and(|number| number > 0) => Some(format!(
            "is {text} nanoseconds, as in distribution, because it has no unit: did you mean {text}s?"
        )),
        Kind::BaseUrl if !text.is_empty() && !text.contains("://") => Some(
            "has no effect: it has no scheme, and distribution ignores it too: write https://registry.example.com"
                .to_owned(),
        ),
        _ => None,
    }
}

fn time(text: &str) -> Result<Value, String> {
    match text.parse::<f64>() {
        Ok(0.0) => return Ok(Value::from("0s")),
        Ok(_) => {
            return Err(format!(
                "is {text} without a unit, which distribution reads as nanoseconds: write {text}s or {text}ns"
            ));
        }
        Err(_) => {}
    }
    Interval::try_from(Value::from(text))
        .map(|_| Value::from(text))
        .map_err(|error| format!("is invalid: {error}"))
}

fn texts(
    content: &Content,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Option<Value>, String> {
    let one = |node: &Content| match node {
        Content::Scalar(scalar) => read(&scalar.text).map(Value::from),
        _ => Err("must be a list of texts".to_owned()),
    };
    match content {
        Content::Null => Ok(None),
        Content::Scalar(scalar) if scalar.text.is_empty() => Ok(None),
        Content::List(items) => items
            .iter()
            .map(|item| one(&item.content))
            .collect::<Result<Vec<_>, _>>()
            .map(|items| Some(items.into())),
        single => one(single).map(|item| Some(vec![item].into())),
    }
}
