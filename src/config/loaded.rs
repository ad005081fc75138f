//! A valid configuration, with the origin of each value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::config::keys::{is_partly_live, is_within};
use crate::config::schema::Config;
use crate::config::source::Origin;

/// A valid configuration as read.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Notes for the log about keys without effect.
    pub notes: Vec<String>,
    /// Supported values that the file or variables set.
    pub(super) values: Value,
    /// Origin of each of those values.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// Sections that say who may do what, what is kept, and who is told.
const SHARED: [&str; 8] = [
    "access",
    "auth",
    "gc",
    "notifications",
    "policies",
    "policy",
    "validation",
    "webhooks",
];

impl Loaded {
    /// Returns those sections that the file or variables have and that all servers on one data directory must have in common:
    /// who may do what, what is kept, and who is told.
    pub fn shared_sections(&self) -> BTreeSet<String> {
        let is_set = |section: &str| self.origins.keys().any(|key| is_within(key, section));
        SHARED
            .into_iter()
            .filter(|section| is_set(section))
            .map(str::to_owned)
            .collect()
    }

    /// Returns the keys whose values differ, in alphabetical order.
    ///
    /// Lists are compared as a whole, unless only some keys of their items are live.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        differ("", &self.values, &other.values, &mut found);
        found.sort();
        found.dedup();
        found
    }
}

fn differ(key: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    if let (Value::Array(ones), Value::Array(others)) = (one, other)
        && ones.len() == others.len()
        && is_partly_live(key)
    {
        let item = format!("{key}[]");
        let items = ones.iter().zip(others);
        return items.for_each(|(one, other)| differ(&item, one, other, found));
    }
    let (Value::Object(ones), Value::Object(others)) = (one, other) else {
        if one != other {
            found.push(key.to_owned());
        }
        return;
    };
    let mut names: Vec<_> = ones.keys().chain(others.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let member = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };
        let empty = Value::Object(serde_json::Map::default());
        match (ones.get(name), others.get(name)) {
            (Some(one), Some(other)) => differ(&member, one, other, found),
            (Some(Value::Object(only)), None) | (None, Some(Value::Object(only))) => {
                differ(&member, &Value::Object(only.clone()), &empty, found);
            }
            _ => found.push(member),
        }
    }
}
