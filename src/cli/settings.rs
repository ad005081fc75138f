//! From a configuration to the registry's own terms.

use regex::RegexSet;
use std::path::PathBuf;

use tarkeep::config::{self, Config, Draft, Wrongs, both, each};
use tarkeep::registry::{
    Acceptance, Children, Class, KeepUntagged, PageLimits, Pattern, Policy, Purging, Retention,
    Settings, TagRule, Urls,
};

use super::{Failure, health, logins, place, watch, wire};

/// What a configuration says about the registry's rules; the defaults for the rest.
pub(super) fn of(config: &Config) -> Result<Settings, Wrongs> {
    let defaults = Settings::default();
    let (acceptance, retention) = both(acceptance(config), retention(config))?;
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
        acceptance,
        retention,
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
        interval: purging
            .interval
            .map_or(defaults.interval, |interval| interval.0),
        dry_run: purging.dryrun,
    }
}

fn acceptance(config: &Config) -> Result<Acceptance, Wrongs> {
    let (validation, classes) = (&config.validation, &config.policy.repository.classes);
    let classes = classes.iter().map(|class| match class {
        config::Class::Image => Class::Image,
        config::Class::Plugin => Class::Plugin,
    });
    let classes = classes.collect();
    // in distribution `enabled: true` goes over `disabled`, and is otherwise of no effect
    if validation.disabled && validation.enabled != Some(true) {
        return Ok(Acceptance {
            urls: Urls::All,
            children: Children::None,
            classes,
        });
    }
    let indexes = &validation.manifests.indexes;
    let platforms = || {
        indexes
            .platformlist
            .iter()
            .map(|platform| (platform.os.clone(), platform.architecture.clone()))
            .collect()
    };
    let children = match indexes.platforms {
        config::Platforms::All => Children::All,
        config::Platforms::None => Children::None,
        config::Platforms::List if indexes.platformlist.is_empty() => Children::All,
        config::Platforms::List => Children::Platforms(platforms()),
    };
    Ok(Acceptance {
        urls: urls(validation)?,
        children,
        classes,
    })
}

/// Without a word about URLs distribution allows none. Here that takes `validation.enabled: true`: images for Windows name
/// some, and are no worse for it.
fn urls(validation: &config::Validation) -> Result<Urls, Wrongs> {
    let config::Urls { allow, deny } = &validation.manifests.urls;
    if allow.is_empty() && deny.is_empty() {
        return Ok(if validation.enabled == Some(true) {
            Urls::None
        } else {
            Urls::All
        });
    }
    let (allow, deny) = both(expressions("allow", allow), expressions("deny", deny))?;
    Ok(Urls::Matching { allow, deny })
}

fn expressions(list: &str, texts: &[String]) -> Result<RegexSet, Wrongs> {
    RegexSet::new(texts).map_err(|error| {
        let error = error.to_string();
        let cause = error
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let key = format!("validation.manifests.urls.{list}");
        let sentence = format!("{key} holds what is no regular expression: {cause}");
        Wrongs::of(key, sentence)
    })
}

/// What is said at a start, and goes over the configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags {
    pub addr: Option<String>,
    pub data_dir: Option<PathBuf>,
}

/// Looks at what a server takes from a configuration at its start only.
pub(super) fn check_fixed(draft: &mut Draft, flags: &Flags) {
    let config = draft.config().clone();
    draft.judge(health::checks(&config.health));
    draft.judge(wire::address(flags.addr.as_deref(), &config.http));
    draft.judge(watch::check(&config.http.debug));
    watch::notes(&config.http.debug)
        .into_iter()
        .for_each(|note| draft.note(note.to_owned()));
}

/// Looks at everything that a server takes from a configuration: whether it fits, what is in the files that it names, and
/// whether a server could begin in the data directory. Nothing is changed. The warnings are those of a start.
pub(super) fn check_start(draft: &mut Draft, flags: &Flags) {
    let config = draft.config().clone();
    draft.judge(of(&config));
    draft.judge(logins::check(&config));
    draft.judge(wire::check(&config.http));
    check_fixed(draft, flags);
    let found = place::check(flags.data_dir.as_deref(), draft.config());
    draft.judge(found);
}

/// Whether a configuration says anything about what is kept.
pub(super) fn names_retention(config: &Config) -> bool {
    config.gc != config::Gc::default() || !config.policies.is_empty()
}

fn retention(config: &Config) -> Result<Retention, Wrongs> {
    let (gc, defaults) = (&config.gc, Retention::default());
    let policies = each(
        config
            .policies
            .iter()
            .enumerate()
            .map(|(number, rules)| policy(&format!("policies[{number}]"), rules)),
    )?;
    Ok(Retention {
        enabled: gc.enabled.unwrap_or(defaults.enabled),
        interval: gc.interval.map_or(defaults.interval, |interval| interval.0),
        lease: gc.lease.map_or(defaults.lease, |lease| lease.0),
        grace: gc.grace.map_or(defaults.grace, |grace| grace.0),
        untagged: gc.untagged.map_or(defaults.untagged, keep),
        history: gc.history.map_or(defaults.history, |history| history.0),
        policies,
    })
}

fn keep(untagged: config::Untagged) -> KeepUntagged {
    match untagged {
        config::Untagged::Never => KeepUntagged::Never,
        config::Untagged::For(interval) => KeepUntagged::For(interval.0),
        config::Untagged::Forever => KeepUntagged::Forever,
    }
}

fn policy(name: &str, policy: &config::Policy) -> Result<Policy, Wrongs> {
    let repositories = in_policies(
        &format!("{name}.repositories"),
        Pattern::for_repositories(&policy.repositories),
    );
    let immutable = tags(&format!("{name}.immutable"), &policy.immutable);
    let rules = each(
        policy
            .tags
            .iter()
            .enumerate()
            .map(|(number, given)| rule(&format!("{name}.tags[{number}]"), given)),
    );
    let (repositories, (immutable, tags)) = both(repositories, both(immutable, rules))?;
    Ok(Policy {
        repositories,
        untagged: policy.untagged.map(keep),
        immutable,
        expire_immutable: policy.expireimmutable,
        tags,
    })
}

fn rule(name: &str, rule: &config::TagRule) -> Result<TagRule, Wrongs> {
    let (key, names) = (format!("{name}.match"), rule.tags.join(", "));
    if rule.tags.is_empty() || rule.tags.iter().any(String::is_empty) {
        let sentence = format!(
            "a rule of policies matches no tag: its match is '{names}'; write match: ['*'] for all tags"
        );
        return Err(Wrongs::of(key, sentence));
    }
    if !rule.always && rule.newest.is_none() && rule.younger.is_none() && rule.pulled.is_none() {
        let sentence = format!(
            "the rule for '{names}' in policies keeps nothing: give it always: true, newest, younger or pulled (newest: 0 removes all)"
        );
        return Err(Wrongs::within(name, sentence));
    }
    Ok(TagRule {
        tags: tags(&key, &rule.tags)?,
        always: rule.always,
        newest: rule.newest,
        younger: rule.younger.map(|interval| interval.0),
        pulled: rule.pulled.map(|interval| interval.0),
    })
}

fn tags(key: &str, texts: &[String]) -> Result<Vec<Pattern>, Wrongs> {
    each(
        texts
            .iter()
            .map(|text| in_policies(key, Pattern::for_tags(text))),
    )
}

fn in_policies(key: &str, pattern: Result<Pattern, String>) -> Result<Pattern, Wrongs> {
    pattern.map_err(|error| Wrongs::of(key, format!("in policies, {error}")))
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
        assert_eq!(
            format!("{:?}", of(&shown.config).unwrap()),
            format!("{:?}", of(&nothing.config).unwrap())
        );
        let limits = |config: &Config| {
            format!(
                "{:?}",
                wire::settings(&config.http, usize::MAX, None)
                    .unwrap()
                    .limits
            )
        };
        assert_eq!(limits(&shown.config), limits(&nothing.config));
        let address = |config: &Config| format!("{:?}", wire::address(None, &config.http).unwrap());
        assert_eq!(address(&shown.config), address(&nothing.config));
    }
}
