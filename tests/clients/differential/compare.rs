//! The parts of two responses that are compared, and their normal form.

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

/// Headers that may differ: the time, the framing, and keeping the connection.
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

    /// Everything in which `ours` is not `theirs`. An answer of another status, or an error of another code, is another
    /// answer, and the rest of it is not compared.
    pub fn differences(&self, request: &str, theirs: &Reply, ours: &Reply) -> Vec<Difference> {
        let found = |aspect: &str, theirs: String, ours: String| {
            let (request, aspect) = (request.to_owned(), aspect.to_owned());
            (theirs != ours).then(|| {
                self.shown(Difference {
                    request,
                    aspect,
                    theirs,
                    ours,
                })
            })
        };
        if let Some(another) = found("answer", summary(theirs), summary(ours)) {
            return vec![another];
        }
        let (theirs, ours) = (self.aspects(theirs), self.aspects(ours));
        let names: BTreeSet<&String> = theirs.iter().chain(&ours).map(|(name, _)| name).collect();
        let value = |aspects: &[(String, String)], name: &String| {
            let values: Vec<&str> = aspects
                .iter()
                .filter(|(found, _)| found == name)
                .map(|(_, value)| value.as_str())
                .collect();
            if values.is_empty() {
                NOTHING.to_owned()
            } else {
                values.join(", ")
            }
        };
        names
            .into_iter()
            .filter_map(|name| found(name, value(&theirs, name), value(&ours, name)))
            .collect()
    }

    fn aspects(&self, reply: &Reply) -> Vec<(String, String)> {
        let boundary = reply
            .header("content-type")
            .and_then(|kind| kind.split_once("boundary="))
            .map(|(_, boundary)| boundary);
        let mut aspects = self.body(reply, boundary);
        for (name, value) in reply
            .headers
            .iter()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
        {
            // of a body that is here it tells nothing new
            if name == "content-length" && (!reply.body.is_empty() || is_error(reply)) {
                continue;
            }
            if name == "location"
                && let Some(origin) = self.origin.find(value)
            {
                let scheme = if origin.as_str().starts_with("https:") {
                    "https"
                } else {
                    "http"
                };
                aspects.push(("origin in location".to_owned(), scheme.to_owned()));
            }
            aspects.push((name.clone(), self.stable(value, boundary)));
        }
        aspects
    }

    fn body(&self, reply: &Reply, boundary: Option<&str>) -> Vec<(String, String)> {
        let text = String::from_utf8_lossy(&reply.body);
        if let Some(errors) = errors(reply) {
            let details: Vec<String> = errors
                .iter()
                .map(|error| self.stable(&leaf(&error["detail"]), None))
                .collect();
            return vec![("detail".to_owned(), details.join(" + "))];
        }
        // what is stored comes back byte for byte; what the server writes itself, in whatever layout
        let is_list = |json: &Value| json.get("repositories").or(json.get("tags")).is_some();
        let list = serde_json::from_slice::<Value>(&reply.body)
            .ok()
            .filter(is_list);
        let body = list.map_or_else(
            || self.stable(text.trim_end(), boundary),
            |list| list.to_string(),
        );
        if body.is_empty() {
            Vec::new()
        } else {
            vec![("body".to_owned(), body)]
        }
    }

    /// Without what is another each time.
    fn stable(&self, value: &str, boundary: Option<&str>) -> String {
        let value = boundary.map_or(value.to_owned(), |boundary| {
            value.replace(boundary, "BOUNDARY")
        });
        let value = self.origin.replace(&value, "");
        let value = self.state.replace_all(&value, "");
        self.uuid.replace_all(&value, "UUID").into_owned()
    }

    /// Short enough for a table, and told apart from what is longer than that by its length.
    fn shown(&self, difference: Difference) -> Difference {
        let short = |value: String| {
            let value = self.hex.replace_all(&value, |found: &regex::Captures<'_>| {
                format!("{}…", &found[0][..8])
            });
            let value = value
                .trim()
                .replace("\r\n", "⏎")
                .replace(['\n', '\r'], "⏎")
                .replace('|', "¦")
                .replace('`', "'");
            let length = value.chars().count();
            if length <= SHOWN {
                value
            } else {
                format!(
                    "{}… ({length})",
                    value.chars().take(SHOWN - 10).collect::<String>()
                )
            }
        };
        Difference {
            theirs: short(difference.theirs),
            ours: short(difference.ours),
            ..difference
        }
    }
}

/// Status, and of an error its codes.
fn summary(reply: &Reply) -> String {
    let Some(status) = reply.status else {
        return "the connection is closed".to_owned();
    };
    let Some(errors) = errors(reply) else {
        let is_text = is_error(reply) && !reply.body.is_empty();
        return if is_text {
            format!("{status} (text)")
        } else {
            status.to_string()
        };
    };
    let codes: Vec<String> = errors.iter().map(|error| leaf(&error["code"])).collect();
    let is_silent = errors
        .iter()
        .any(|error| leaf(&error["message"]).is_empty());
    format!(
        "{status} {}{}",
        codes.join(" + "),
        if is_silent { " without a message" } else { "" }
    )
}

fn is_error(reply: &Reply) -> bool {
    reply.status.is_some_and(|status| status >= 400)
}

/// The errors that the body tells, where it is JSON.
fn errors(reply: &Reply) -> Option<Vec<Value>> {
    let json: Value = serde_json::from_slice(&reply.body)
        .ok()
        .filter(|_| is_error(reply))?;
    json["errors"].as_array().cloned()
}

fn leaf(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
