//! The settings of the registry's operations, from several sections.

use std::time::Duration;

use regex::RegexSet;
use tarkeep::config::{self, Config, Interval, Violations, collect, combine};
use tarkeep::oci::Glob;
use tarkeep::registry::{
    ContentClass, KeepUntagged, ManifestRules, PageLimits, QuotaRule, QuotaRules, RegistrySettings,
    RequiredChildren, SessionTimes, UploadExpiry, UrlRules, VerifySchedule,
};

use crate::cli::from_config::backup;
use crate::cli::from_config::retention::{keep, retention};

/// Minimum of `audit.keep`.
const AUDIT_KEEP: Duration = Duration::from_secs(24 * 3600);

/// Converts the configuration, with defaults for unset keys.
pub(crate) fn settings(config: &Config) -> Result<RegistrySettings, Violations> {
    let defaults = RegistrySettings::default();
    let (manifest_rules, retention, backup, quotas, audit_keep) = combine((
        manifest_rules(config),
        retention(config),
        backup::settings(config),
        quotas(config),
        audit_keep(config, defaults.audit_keep),
    ))?;
    Ok(RegistrySettings {
        sparse: config.manifests.sparse,
        manifest_limit: config.manifests.limit.unwrap_or(defaults.manifest_limit),
        reserve: config.storage.reserve.unwrap_or(defaults.reserve),
        delete: config.storage.delete.enabled,
        read_only: config.storage.maintenance.readonly.enabled,
        upload_expiry: upload_expiry(&config.storage.maintenance.uploadpurging),
        pages: PageLimits {
            catalog: page(config.catalog.maxentries, defaults.pages.catalog),
            tags: page(config.tags.maxtags, defaults.pages.tags),
        },
        manifest_rules,
        retention,
        quotas,
        backup,
        audit_keep,
        verify: verify_schedule(&config.verify),
        sessions: sessions(&config.ui),
    })
}

/// Returns the ends of logins to the page.
fn sessions(ui: &config::Ui) -> SessionTimes {
    let default = SessionTimes::default();
    let time = |given: Option<Interval>, default| given.map_or(default, |Interval(time)| time);
    SessionTimes {
        idle: time(ui.idle, default.idle),
        lifetime: time(ui.lifetime, default.lifetime),
    }
}

fn quotas(config: &Config) -> Result<QuotaRules, Violations> {
    let rules = collect(config.quotas.iter().enumerate().map(|(number, quota)| {
        let rule = is_plain(&quota.repositories)
            .and_then(|()| QuotaRule::parse(&quota.repositories, quota.bytes));
        rule.map_err(|error| {
            let key = format!("quotas[{number}].repositories");
            Violations::of(key, format!("in quotas, {error}"))
        })
    }))?;
    Ok(QuotaRules::new(rules))
}

/// Checks that the glob of a quota means what it looks like: names of clients are for access rules only.
fn is_plain(glob: &str) -> Result<(), String> {
    Glob::check_stars(glob)?;
    let Some(word) = Glob::lone_word(glob) else {
        return Ok(());
    };
    let own = glob.replace(&format!("{{{word}}}"), "*");
    Err(format!(
        "the pattern '{glob}' has {{{word}}}, and names of clients are for access rules: write '{own}'"
    ))
}

/// Converts `audit.keep`, which is no way to switch the audit log off.
fn audit_keep(config: &Config, default: KeepUntagged) -> Result<KeepUntagged, Violations> {
    match config.audit.keep.map_or(default, keep) {
        KeepUntagged::For(time) if time < AUDIT_KEEP => Err(Violations::of(
            "audit.keep",
            "audit.keep must be 1d or more, because the audit log cannot be switched off: set a time such as 90d, or forever",
        )),
        time => Ok(time),
    }
}

/// Applies the default page size for 0, as in distribution.
fn page(limit: Option<usize>, default: usize) -> usize {
    limit.filter(|limit| *limit > 0).unwrap_or(default)
}

fn upload_expiry(purging: &config::UploadPurging) -> UploadExpiry {
    let defaults = UploadExpiry::default();
    UploadExpiry {
        enabled: purging.enabled.unwrap_or(defaults.enabled),
        age: purging.age.map_or(defaults.age, |age| age.0),
        interval: purging
            .interval
            .map_or(defaults.interval, |interval| interval.0),
        dry_run: purging.dryrun,
    }
}

fn verify_schedule(verify: &config::Verify) -> VerifySchedule {
    let defaults = VerifySchedule::default();
    VerifySchedule {
        enabled: verify.enabled.unwrap_or(defaults.enabled),
        every: verify.every.map_or(defaults.every, |every| every.0),
    }
}

fn manifest_rules(config: &Config) -> Result<ManifestRules, Violations> {
    let (validation, classes) = (&config.validation, &config.policy.repository.classes);
    let classes = classes.iter().map(|class| match class {
        config::Class::Image => ContentClass::Image,
        config::Class::Plugin => ContentClass::Plugin,
    });
    let classes = classes.collect();
    // as in distribution, `enabled: true` overrides `disabled`
    if validation.disabled && validation.enabled != Some(true) {
        return Ok(ManifestRules {
            urls: UrlRules::All,
            children: RequiredChildren::None,
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
        config::Platforms::All => RequiredChildren::All,
        config::Platforms::None => RequiredChildren::None,
        config::Platforms::List if indexes.platformlist.is_empty() => RequiredChildren::All,
        config::Platforms::List => RequiredChildren::Platforms(platforms()),
    };
    Ok(ManifestRules {
        urls: urls(validation)?,
        children,
        classes,
    })
}

/// Converts the rules about URLs of layers.
///
/// Without rules distribution allows none. Here that takes `validation.enabled: true`, because images for Windows have some.
fn urls(validation: &config::Validation) -> Result<UrlRules, Violations> {
    let config::Urls { allow, deny } = &validation.manifests.urls;
    if allow.is_empty() && deny.is_empty() {
        return Ok(if validation.enabled == Some(true) {
            UrlRules::None
        } else {
            UrlRules::All
        });
    }
    let (allow, deny) = combine((expressions("allow", allow), expressions("deny", deny)))?;
    Ok(UrlRules::Matching { allow, deny })
}

fn expressions(list: &str, texts: &[String]) -> Result<RegexSet, Violations> {
    RegexSet::new(texts).map_err(|error| {
        let error = error.to_string();
        let cause = error
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let key = format!("validation.manifests.urls.{list}");
        let sentence = format!("{key} has an invalid regular expression: {cause}");
        Violations::of(key, sentence)
    })
}

/// True if the configuration sets any retention rule.
pub(crate) fn names_retention(config: &Config) -> bool {
    config.gc != config::Gc::default()
        || !config.policies.is_empty()
        || !config.upstreams.is_empty()
        || config.proxy.url().is_some()
}
