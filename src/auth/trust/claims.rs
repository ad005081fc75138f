//! Claims of a token, by their names.

use serde_json::{Map, Value};

/// Finds a claim. A dot leads into a claim that is an object, unless a name has it: `kubernetes.io.namespace`.
pub(in crate::auth) fn find<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let inner = claims.get(&name[..dot])?.as_object()?;
        find(inner, &name[dot + 1..])
    })
}

/// Returns a claim's text; `None` for lists, objects and nothing.
pub(in crate::auth) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is_true) => Some(is_true.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns the texts of a claim, of which a list may have several.
pub(in crate::auth) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        other => text(other).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dots_lead_into_objects() {
        let claims = json!({
            "a": "1", "a.b": "2", "kubernetes.io": { "namespace": "ci", "pod": { "name": "p" } },
            "c": { "d": true }, "list": ["x", 7, null],
        });
        let claims = claims.as_object().unwrap();
        for (name, value) in [
            ("a", "1"),
            ("a.b", "2"),
            ("kubernetes.io.namespace", "ci"),
            ("kubernetes.io.pod.name", "p"),
            ("c.d", "true"),
        ] {
            assert_eq!(find(claims, name).and_then(text).unwrap(), value);
        }
        for name in ["", ".", "a.", "b", "kubernetes.io", "kubernetes", "c.d.e"] {
            assert_eq!(find(claims, name).and_then(text), None, "{name}");
        }
        assert_eq!(texts(find(claims, "list").unwrap()), ["x", "7"]);
    }
}
