//! Rules and rights as text and as JSON.

use tarkeep::auth::{AccessRule, AccessRules, Rights};

/// Formats the rule of that number: `access.rules[4]: @dev may pull in team/**`.
pub(super) fn numbered(number: usize, rules: Option<&AccessRules>) -> String {
    let rule = rules.and_then(|rules| rules.rules().get(number));
    let rule = rule.map(line).unwrap_or_default();
    format!("access.rules[{number}]: {rule}")
}

/// Formats a rule as one line.
fn line(rule: &AccessRule) -> String {
    let from = match &*rule.from {
        [] => String::new(),
        networks => format!(" from {}", joined(networks)),
    };
    format!(
        "{} may {} in {}{from}",
        joined(&rule.who),
        rule.may,
        joined(&rule.repositories)
    )
}

pub(super) fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

pub(super) fn joined<T: ToString>(items: &[T]) -> String {
    texts(items).join(", ")
}

/// Names of actions, for JSON.
pub(super) fn names(rights: Rights) -> Vec<String> {
    match rights {
        Rights::NONE => Vec::new(),
        rights => rights.to_string().split(", ").map(str::to_owned).collect(),
    }
}
