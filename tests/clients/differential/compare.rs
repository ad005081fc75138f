//! What of two answers is compared, and in which form.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::wire::Reply;

/// Something in which the answers to one request differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    pub request: String,
    pub aspect: String,
    pub theirs: String,
    pub ours: String,
}

/// What nobody can be asked to make equal: the time, how an answer is framed, and whether the connection stays.
const LEFT_OUT: &[&str] = &["date", "connection", "transfer-encoding"];
/// As long as a value may be in the list of differences.
const SHOWN: usize = 90;
const NOTHING: &str = "(none)";

pub struct Comparison {
    uuid: Regex,
    state: Regex,
    hex: Regex,
    origin: Regex,
}

impl Comparison {
    pub fn new() -> Self {
        let regex = |text| Regex::new(text).unwrap();
        Self {
            uuid: regex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
            state: regex(r"[?&]_state=[^&>]*"),
            hex: regex("[0-9a-f]{64,128}"),
            origin: regex("^https?://[^/]+"),
        }
    }

    /// Everything in which `ours` is not `theirs`.
    pub fn differences(&self, request: &str, theirs: &Reply, ours: &Reply) -> Vec<Difference> {
        let (theirs, ours) = (self.aspects(theirs), self.aspects(ours));
        let names: BTreeSet<&String> = theirs.iter().chain(&ours).map(|(name, _)| name).collect();
        let value = |aspects: &[(String, String)], name: &String| {
            let values: Vec<&str> = aspects.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
            if values.is_empty() { NOTHING.to_owned() } else { values.join(", ") }
        };
        let differences = names.into_iter().map(|name| Difference {
            request: request.to_owned(),
            aspect: name.clone(),
            theirs: value(&theirs, name),
            ours: value(&ours, name),
        });
        differences.filter(|difference| difference.theirs != difference.ours).map(|difference| self.shown(difference)).collect()
    }

    fn aspects(&self, reply: &Reply) -> Vec<(String, String)> {
        let Some(status) = reply.status else { return vec![("status".to_owned(), "the connection is closed".to_owned())] };
        let mut aspects = vec![("status".to_owned(), status.to_string())];
        let is_error = status >= 400;
        let boundary = reply.header("content-type").and_then(|kind| kind.split_once("boundary=")).map(|(_, boundary)| boundary);
        for (name, value) in reply.headers.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())) {
            // of errors it tells only how long their texts are
            if is_error && name == "content-length" {
                continue;
            }
            if name == "location"
                && let Some(origin) = self.origin.find(value)
            {
                aspects.push((
                    "origin in location".to_owned(),
                    if origin.as_str().starts_with("https:") { "https" } else { "http" }.to_owned(),
                ));
            }
            aspects.push((name.clone(), self.stable(value, boundary)));
        }
        aspects.extend(self.body(reply, is_error, boundary));
        aspects
    }

    fn body(&self, reply: &Reply, is_error: bool, boundary: Option<&str>) -> Vec<(String, String)> {
        if reply.body.is_empty() {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&reply.body);
        let Ok(json) = serde_json::from_slice::<Value>(&reply.body) else { return vec![("body".to_owned(), self.stable(&text, boundary))] };
        let errors = json["errors"].as_array().filter(|_| is_error);
        let Some(errors) = errors else {
            // what is stored comes back byte for byte; what the server writes itself, in whatever layout
            let is_list = json.get("repositories").or(json.get("tags")).is_some();
            return vec![("body".to_owned(), if is_list { json.to_string() } else { self.stable(text.trim_end(), boundary) })];
        };
        let part = |name: &str| {
            let parts: Vec<String> = errors.iter().map(|error| self.stable(&leaf(&error[name]), None)).collect();
            parts.join(" + ")
        };
        ["code", "message", "detail"].map(|name| (name.to_owned(), part(name))).into()
    }

    /// Without what is another each time.
    fn stable(&self, value: &str, boundary: Option<&str>) -> String {
        let value = boundary.map_or(value.to_owned(), |boundary| value.replace(boundary, "BOUNDARY"));
        let value = self.origin.replace(&value, "");
        let value = self.state.replace_all(&value, "");
        self.uuid.replace_all(&value, "UUID").into_owned()
    }

    /// Short enough for a table, and told apart from what is longer than that by its length.
    fn shown(&self, difference: Difference) -> Difference {
        let short = |value: String| {
            let value = self.hex.replace_all(&value, |found: &regex::Captures<'_>| format!("{}…", &found[0][..8]));
            let value = value.trim().replace("\r\n", "⏎").replace('\n', "⏎").replace('|', "¦").replace('`', "'");
            let length = value.chars().count();
            if length <= SHOWN { value } else { format!("{}… ({length})", value.chars().take(SHOWN - 10).collect::<String>()) }
        };
        Difference { theirs: short(difference.theirs), ours: short(difference.ours), ..difference }
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
