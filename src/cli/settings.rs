//! From a configuration to the registry's own terms.

use registry::config::{self, Config};
use registry::registry::{KeepUntagged, Pattern, Policy, Retention, Settings, TagRule};

use super::Failure;

/// What a configuration says about the registry's rules; the defaults for the rest.
pub(super) fn of(config: &Config) -> Result<Settings, Failure> {
    let defaults = Settings::default();
    Ok(Settings {
        sparse: config.manifests.sparse,
        manifest_limit: config.manifests.limit.unwrap_or(defaults.manifest_limit),
        reserve: config.storage.reserve.unwrap_or(defaults.reserve),
        delete: config.storage.delete.enabled,
        upload_lifetime: defaults.upload_lifetime,
        retention: retention(config)?,
    })
}

/// Whether a configuration says anything about what is kept.
pub(super) fn names_retention(config: &Config) -> bool {
    config.gc != config::Gc::default() || !config.policies.is_empty()
}

fn retention(config: &Config) -> Result<Retention, Failure> {
    let (gc, defaults) = (&config.gc, Retention::default());
    Ok(Retention {
        enabled: gc.enabled.unwrap_or(defaults.enabled),
        interval: gc.interval.map_or(defaults.interval, |interval| interval.0),
        lease: gc.lease.map_or(defaults.lease, |lease| lease.0),
        grace: gc.grace.map_or(defaults.grace, |grace| grace.0),
        untagged: gc.untagged.map_or(defaults.untagged, keep),
        history: gc.history.map_or(defaults.history, |history| history.0),
        policies: config.policies.iter().map(policy).collect::<Result<_, _>>()?,
    })
}

fn keep(untagged: config::Untagged) -> KeepUntagged {
    match untagged {
        config::Untagged::Never => KeepUntagged::Never,
        config::Untagged::For(interval) => KeepUntagged::For(interval.0),
        config::Untagged::Forever => KeepUntagged::Forever,
    }
}

fn policy(policy: &config::Policy) -> Result<Policy, Failure> {
    Ok(Policy {
        repositories: in_policies(Pattern::for_repositories(&policy.repositories))?,
        untagged: policy.untagged.map(keep),
        immutable: policy.immutable.iter().map(|text| in_policies(Pattern::for_tags(text))).collect::<Result<_, _>>()?,
        expire_immutable: policy.expireimmutable,
        tags: policy.tags.iter().map(rule).collect::<Result<_, _>>()?,
    })
}

fn rule(rule: &config::TagRule) -> Result<TagRule, Failure> {
    let names = rule.tags.join(", ");
    if rule.tags.is_empty() || rule.tags.iter().any(String::is_empty) {
        return Err(Failure::Other(format!("a rule of policies matches no tag: its match is '{names}'; write match: ['*'] for all tags")));
    }
    if !rule.always && rule.newest.is_none() && rule.younger.is_none() && rule.pulled.is_none() {
        return Err(Failure::Other(format!(
            "the rule for '{names}' in policies keeps nothing: give it always: true, newest, younger or pulled (newest: 0 removes all)"
        )));
    }
    Ok(TagRule {
        tags: rule.tags.iter().map(|text| in_policies(Pattern::for_tags(text))).collect::<Result<_, _>>()?,
        always: rule.always,
        newest: rule.newest,
        younger: rule.younger.map(|interval| interval.0),
        pulled: rule.pulled.map(|interval| interval.0),
    })
}

fn in_policies(pattern: Result<Pattern, String>) -> Result<Pattern, Failure> {
    pattern.map_err(|error| Failure::Other(format!("in policies, {error}")))
}

/// Reads a glob.
pub(super) fn pattern(text: &str) -> Result<Pattern, Failure> {
    Pattern::try_from(text.to_owned()).map_err(Failure::Other)
}
