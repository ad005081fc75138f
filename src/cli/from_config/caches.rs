//! The limits of what is cached of upstreams, from `upstreams[].keep` and `proxy.ttl`.

use std::time::Duration;

use tarkeep::config::{Config, Mirror, Violations, collect};
use tarkeep::registry::CacheRule;

use crate::cli::from_config::syncs;

/// Time for which distribution keeps what it cached.
const TTL: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn caches(config: &Config) -> Result<Vec<CacheRule>, Violations> {
    if config.proxy.url().is_some() {
        let ttl = config.proxy.ttl.map_or(TTL, |ttl| ttl.0);
        let whole = CacheRule {
            unused: Some(ttl).filter(|ttl| !ttl.is_zero()),
            ..CacheRule::default()
        };
        return Ok(limited(vec![whole]));
    }
    let rules = config
        .upstreams
        .iter()
        .enumerate()
        .map(|(number, given)| rule(&format!("upstreams[{number}]"), given));
    Ok(limited(collect(rules)?))
}

/// Leaves out caches without a limit, which then cost nothing.
fn limited(mut rules: Vec<CacheRule>) -> Vec<CacheRule> {
    rules.retain(|rule| rule.unused.is_some() || rule.size.is_some());
    rules
}

fn rule(place: &str, given: &Mirror) -> Result<CacheRule, Violations> {
    let unused = given.keep.unused.map(|unused| unused.0);
    let nothing = |key: &str| {
        let sentence = "in upstreams, keep allows nothing: leave that out to keep everything";
        Violations::of(format!("{place}.keep.{key}"), sentence)
    };
    match (unused, given.keep.size) {
        (Some(Duration::ZERO), _) => Err(nothing("unused")),
        (_, Some(0)) => Err(nothing("size")),
        (unused, size) => Ok(CacheRule {
            name: given.prefix.clone(),
            unused,
            size,
            sync: syncs::rules(place, given)?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rules(upstreams: Value, proxy: Value) -> Result<Vec<CacheRule>, Violations> {
        caches(&Config {
            upstreams: serde_json::from_value(upstreams).expect("upstreams"),
            proxy: serde_json::from_value(proxy).expect("a proxy"),
            ..Config::default()
        })
    }

    #[test]
    fn a_whole_cache_keeps_as_distribution_does_and_others_as_they_say() {
        let upstream =
            |keep: Value| json!([{ "prefix": "hub", "url": "https://a.example", "keep": keep }]);
        let url = "https://a.example";
        let unused = |proxy: Value| {
            let rules = rules(json!([]), proxy).expect("rules");
            rules.first().map(|rule| (rule.name.clone(), rule.unused))
        };
        assert_eq!(unused(json!({})), None);
        assert_eq!(
            unused(json!({ "remoteurl": url })),
            Some((String::new(), Some(TTL)))
        );
        assert_eq!(unused(json!({ "remoteurl": url, "ttl": "0s" })), None);
        let day = Some((String::new(), Some(Duration::from_secs(86_400))));
        assert_eq!(unused(json!({ "remoteurl": url, "ttl": "24h" })), day);
        assert_eq!(rules(upstream(json!({})), json!({})).expect("rules"), []);
        let both = rules(upstream(json!({ "unused": "30d", "size": 9 })), json!({}));
        let expected = CacheRule {
            name: "hub".to_owned(),
            unused: Some(Duration::from_secs(30 * 86_400)),
            size: Some(9),
            sync: Vec::new(),
        };
        assert_eq!(both.expect("rules"), [expected]);
        for nothing in [json!({ "unused": "0s" }), json!({ "size": 0 })] {
            assert!(rules(upstream(nothing), json!({})).is_err());
        }
    }
}
