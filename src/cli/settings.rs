//! From a configuration to the registry's own terms.

use regex::RegexSet;
use registry::config::{self, Config};
use registry::registry::{
    Acceptance, Children, Class, KeepUntagged, PageLimits, Pattern, Policy, Purging, Retention, Settings, TagRule, Urls,
};

use super::{Failure, health, logins, wire};

/// What a configuration says about the registry's rules; the defaults for the rest.
pub(super) fn of(config: &Config) -> Result<Settings, Failure> {
    let defaults = Settings::default();
    Ok(Settings {
        sparse: config.manifests.sparse,
        manifest_limit: config.manifests.limit.unwrap_or(defaults.manifest_limit),
        reserve: config.storage.reserve.unwrap_or(defaults.reserve),
        delete: config.storage.delete.enabled,
        read_only: config.storage.maintenance.readonly.enabled,
        purging: purging(&config.storage.maintenance.uploadpurging),
        pages: PageLimits {
            catalog: page(config.catalog.maxentries, defaults.pages.catalog),
            tags: page(config.tags.maxtags, defaults.pages.tags),
        },
        acceptance: acceptance(config)?,
        retention: retention(config)?,
    })
}

/// Nought is no limit of the owner's, as in distribution.
fn page(limit: Option<usize>, default: usize) -> usize {
    limit.filter(|limit| *limit > 0).unwrap_or(default)
}

fn purging(purging: &config::UploadPurging) -> Purging {
    let defaults = Purging::default();
    Purging {
        enabled: purging.enabled.unwrap_or(defaults.enabled),
        age: purging.age.map_or(defaults.age, |age| age.0),
        interval: purging.interval.map_or(defaults.interval, |interval| interval.0),
        dry_run: purging.dryrun,
    }
}

fn acceptance(config: &Config) -> Result<Acceptance, Failure> {
    let (validation, classes) = (&config.validation, &config.policy.repository.classes);
    let classes = classes.iter().map(|class| match class {
        config::Class::Image => Class::Image,
        config::Class::Plugin => Class::Plugin,
    });
    let classes = classes.collect();
    // in distribution `enabled: true` goes over `disabled`, and is otherwise of no effect
    if validation.disabled && validation.enabled != Some(true) {
        return Ok(Acceptance { urls: Urls::All, children: Children::None, classes });
    }
    let indexes = &validation.manifests.indexes;
    let platforms = || indexes.platformlist.iter().map(|platform| (platform.os.clone(), platform.architecture.clone())).collect();
    let children = match indexes.platforms {
        config::Platforms::All => Children::All,
        config::Platforms::None => Children::None,
        config::Platforms::List if indexes.platformlist.is_empty() => Children::All,
        config::Platforms::List => Children::Platforms(platforms()),
    };
    Ok(Acceptance { urls: urls(validation)?, children, classes })
}

/// Without a word about URLs distribution allows none. Here that takes `validation.enabled: true`: images for Windows name
/// some, and are no worse for it.
fn urls(validation: &config::Validation) -> Result<Urls, Failure> {
    let config::Urls { allow, deny } = &validation.manifests.urls;
    if allow.is_empty() && deny.is_empty() {
        return Ok(if validation.enabled == Some(true) { Urls::None } else { Urls::All });
    }
    Ok(Urls::Matching { allow: expressions("allow", allow)?, deny: expressions("deny", deny)? })
}

fn expressions(list: &str, texts: &[String]) -> Result<RegexSet, Failure> {
    RegexSet::new(texts).map_err(|error| {
        let error = error.to_string();
        let cause = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Failure::Other(format!("validation.manifests.urls.{list} holds what is no regular expression: {cause}"))
    })
}

/// Whether a server could start with a configuration, as far as that can be told without one.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    of(config)?;
    logins::of(config)?;
    health::checks(&config.health)?;
    wire::address(None, &config.http)?;
    wire::settings(&config.http, usize::MAX, None).map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults that people are shown are those in force.
    #[test]
    fn what_is_shown_as_default_changes_nothing() {
        let nothing = Config::load(None, std::iter::empty()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yml");
        std::fs::write(&path, nothing.to_yaml()).unwrap();
        let shown = Config::load(Some(&path), std::iter::empty()).unwrap();
        assert!(shown.notes.is_empty() && nothing.to_yaml().contains("grace: 24h  # default"));
        assert_eq!(format!("{:?}", of(&shown.config).unwrap()), format!("{:?}", of(&nothing.config).unwrap()));
        let limits = |config: &Config| format!("{:?}", wire::settings(&config.http, usize::MAX, None).unwrap().limits);
        assert_eq!(limits(&shown.config), limits(&nothing.config));
        let address = |config: &Config| format!("{:?}", wire::address(None, &config.http).unwrap());
        assert_eq!(address(&shown.config), address(&nothing.config));
    }
}
