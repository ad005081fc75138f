//! The dashboard in `docs/grafana` uses exported metrics only.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::metrics;

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(
                members
                    .get("expr")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            members
                .values()
                .for_each(|member| expressions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn every_metric_of_the_dashboard_is_exported() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/grafana/registry.json"
    ))
    .expect("the dashboard");
    let mut asked = Vec::new();
    expressions(&serde_json::from_str(&text).expect("JSON"), &mut asked);
    assert!(asked.len() > 20, "{} expressions", asked.len());
    assert_exported(&asked);
}

/// `tests/clients` has them fire.
#[test]
fn every_metric_of_the_alerts_is_exported() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/deploy/prometheus/rules.yml"
    );
    let text = std::fs::read_to_string(path).expect("the rules");
    assert!(text.matches("expr:").count() > 10);
    assert_exported(&[text]);
}

/// Asserts that a server exports every metric of the expressions.
fn assert_exported(asked: &[String]) {
    let name = Regex::new("registry_[a-z_]+").expect("an expression");
    let used: BTreeSet<&str> = asked
        .iter()
        .flat_map(|expression| name.find_iter(expression))
        .map(|found| found.as_str())
        .collect();

    let metrics = metrics::start_with_all_metrics().metrics();
    let samples = metrics::families(&metrics)
        .into_iter()
        .flat_map(|(name, kind)| {
            let suffixes: &[&str] = if kind == "histogram" {
                &["_bucket", "_sum", "_count"]
            } else {
                &[""]
            };
            suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
        });
    let exported: BTreeSet<String> = samples.collect();
    let missing: Vec<_> = used
        .into_iter()
        .filter(|name| !exported.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A healthy server has no failure series, and "no data" looks like missing monitoring.
#[test]
fn sums_of_failures_are_zero_without_failures() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/grafana/registry.json"
    ))
    .expect("the dashboard");
    let mut asked = Vec::new();
    expressions(&serde_json::from_str(&text).expect("JSON"), &mut asked);
    let failures: Vec<_> = asked
        .iter()
        .filter(|expression| expression.contains("code=~\"5"))
        .collect();
    assert!(!failures.is_empty());
    failures
        .into_iter()
        .for_each(|expression| assert!(expression.ends_with("or vector(0)"), "{expression}"));
}
