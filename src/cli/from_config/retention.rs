//! The settings of garbage collection, from the sections `gc` and `policies`.

use tarkeep::config::{self, Config, Violations, collect, combine};
use tarkeep::oci::Glob;
use tarkeep::registry::{KeepUntagged, Policy, Retention, TagRule};

use crate::cli::from_config::caches::caches;

pub(super) fn retention(config: &Config) -> Result<Retention, Violations> {
    let (gc, defaults) = (&config.gc, Retention::default());
    let policies = collect(
        config
            .policies
            .iter()
            .enumerate()
            .map(|(number, rules)| policy(&format!("policies[{number}]"), rules)),
    );
    let (policies, caches) = combine((policies, caches(config)))?;
    Ok(Retention {
        enabled: gc.enabled.unwrap_or(defaults.enabled),
        interval: gc.interval.map_or(defaults.interval, |interval| interval.0),
        lease: gc.lease.map_or(defaults.lease, |lease| lease.0),
        grace: gc.grace.map_or(defaults.grace, |grace| grace.0),
        keep_untagged: gc.keepuntagged.map_or(defaults.keep_untagged, keep),
        history: gc.history.map_or(defaults.history, |history| history.0),
        policies,
        caches,
    })
}

pub(super) fn keep(keepuntagged: config::KeepUntagged) -> KeepUntagged {
    match keepuntagged {
        config::KeepUntagged::For(interval) => KeepUntagged::For(interval.0),
        config::KeepUntagged::Forever => KeepUntagged::Forever,
    }
}

fn policy(name: &str, policy: &config::Policy) -> Result<Policy, Violations> {
    let repositories = in_policies(
        &format!("{name}.repositories"),
        Glob::for_repositories(&policy.repositories),
    );
    let immutable = tags(&format!("{name}.immutable"), &policy.immutable);
    let rules = collect(
        policy
            .tags
            .iter()
            .enumerate()
            .map(|(number, given)| rule(&format!("{name}.tags[{number}]"), given)),
    );
    let (repositories, immutable, tags) = combine((repositories, immutable, rules))?;
    Ok(Policy {
        repositories,
        keep_untagged: policy.keepuntagged.map(keep),
        immutable,
        expire_immutable: policy.expireimmutable,
        tags,
    })
}

fn rule(name: &str, rule: &config::TagRule) -> Result<TagRule, Violations> {
    let (key, names) = (format!("{name}.match"), rule.tags.join(", "));
    if rule.tags.is_empty() || rule.tags.iter().any(String::is_empty) {
        let sentence = format!(
            "a rule in policies matches no tag: its match is '{names}'; write match: ['*'] for all tags"
        );
        return Err(Violations::of(key, sentence));
    }
    if !rule.always && rule.newest.is_none() && rule.younger.is_none() && rule.pulled.is_none() {
        let sentence = format!(
            "the rule for '{names}' in policies has no condition: add always: true, newest, younger or pulled (newest: 0 removes all)"
        );
        return Err(Violations::within(name, sentence));
    }
    Ok(TagRule {
        tags: tags(&key, &rule.tags)?,
        always: rule.always,
        newest: rule.newest,
        younger: rule.younger.map(|interval| interval.0),
        pulled: rule.pulled.map(|interval| interval.0),
    })
}

fn tags(key: &str, texts: &[String]) -> Result<Vec<Glob>, Violations> {
    collect(
        texts
            .iter()
            .map(|text| in_policies(key, Glob::for_tags(text))),
    )
}

fn in_policies(key: &str, pattern: Result<Glob, String>) -> Result<Glob, Violations> {
    pattern.map_err(|error| Violations::of(key, format!("in policies, {error}")))
}
