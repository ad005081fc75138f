//! The settings of garbage collection, from the sections `gc` and `policies`.

use std::path::Path;

use tarkeep::config::{self, Config, Violations, collect, combine};
use tarkeep::oci::Glob;
use tarkeep::registry::{EditedRules, KeepUntagged, Policy, Retention, TagRule};

use crate::cli::from_config::caches::caches;

pub(super) fn retention(config: &Config) -> Result<Retention, Violations> {
    let (gc, defaults) = (&config.gc, Retention::default());
    let (policies, caches) = combine((policies(config), caches(config)))?;
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

/// Reads rules that somebody tries out; whatever else a configuration has is no matter.
///
/// # Errors
/// A sentence for each mistake, with its line.
pub(crate) fn edited(text: &str) -> Result<EditedRules, String> {
    let draft = Config::part(text, Path::new("rules")).and_then(|draft| draft.finish_with(rules));
    match draft {
        Ok((_, rules)) => Ok(rules),
        Err(error) => Err(error.to_string()),
    }
}

fn rules(config: &Config) -> Result<EditedRules, Violations> {
    Ok(EditedRules {
        policies: policies(config)?,
        keep_untagged: config.gc.keepuntagged.map(keep),
    })
}

fn policies(config: &Config) -> Result<Vec<Policy>, Violations> {
    let policies = config.policies.iter().enumerate();
    collect(policies.map(|(number, rules)| policy(&format!("policies[{number}]"), rules)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_they_are_read() {
        let text = "policies:\n\
            - repositories: 'web/{api,shop}'\n  keepuntagged: 3d\n  immutable: ['v[0-9]*', 'it''s']\n  expireimmutable: true\n  tags:\n  \
            - match: ['main', 'latest']\n    always: true\n  - match: ['pr-*']\n    newest: 3\n    younger: 14d\n    pulled: 1h30m\n\
            - repositories: '**'\n";
        // no tag has an apostrophe, so that a glob with one is refused; written it would be right
        let text = text.replace(", 'it''s'", "");
        let rules = edited(&text).unwrap();
        let retention = rules.over(&Retention::default());
        assert_eq!(retention.written(None), text);
        let own = retention.written(Some("other"));
        assert_eq!(own, "policies:\n- repositories: '**'\n");
        assert_eq!(
            edited("policies:").unwrap().over(&retention).policies,
            Vec::new()
        );
        let whole = "version: 0.1\nhttp: {addr: ':5000'}\ngc: {keepuntagged: forever}\n";
        let rules = edited(whole).unwrap();
        assert_eq!(rules.keep_untagged, Some(KeepUntagged::Forever));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, message) in [
            ("policies: [", "rules line 1: this is not YAML"),
            ("policies:\n- tags: []\n", "rules line 2"),
            (
                "policies:\n- repositories: a\n  tags:\n  - match: ['*']\n",
                "has no condition",
            ),
            ("policies:\n- repositories: 'A/**'\n", "rules line 2"),
            ("polices: []", "did you mean policies"),
        ] {
            let error = edited(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        // every line doubles the one before
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for number in 1..60 {
            let former = number - 1;
            bomb += &format!("a{number}: &a{number} [*a{former}, *a{former}]\n");
        }
        assert!(edited(&bomb).is_err());
    }
}
