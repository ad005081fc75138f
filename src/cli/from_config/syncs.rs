//! Rules about content that is fetched ahead, from `upstreams[].sync`.

use std::time::Duration;

use semver::VersionReq;
use tarkeep::config::{self, Violations, collect, combine};
use tarkeep::oci::{Glob, PlatformName};
use tarkeep::registry::SyncRule;

/// Time from one run to the next.
const EVERY: Duration = Duration::from_secs(6 * 3600);
/// Shortest such time.
const SHORTEST: Duration = Duration::from_secs(1);

/// Returns what is fetched ahead from an upstream, whose section is `place`.
pub(super) fn rules(place: &str, given: &config::Mirror) -> Result<Vec<SyncRule>, Violations> {
    if given.adopt && !given.sync.is_empty() {
        let sentence = "what is adopted comes whole, by itself: leave out sync";
        return Err(Violations::within(format!("{place}.sync"), sentence));
    }
    let rules = given.sync.iter().enumerate();
    let rules =
        collect(rules.map(|(number, ahead)| rule(&format!("{place}.sync[{number}]"), ahead)))?;
    let words: Vec<_> = rules.iter().map(SyncRule::to_string).collect();
    for (number, text) in words.iter().enumerate() {
        if words[..number].contains(text) {
            let sentence = format!("sync names {text} twice: leave out one of them");
            return Err(Violations::within(
                format!("{place}.sync[{number}]"),
                sentence,
            ));
        }
    }
    Ok(rules)
}

fn rule(place: &str, ahead: &config::Ahead) -> Result<SyncRule, Violations> {
    let fault = |key: &str, sentence: String| {
        Violations::of(format!("{place}.{key}"), format!("in sync, {sentence}"))
    };
    let repository = Glob::for_repositories(&ahead.repository);
    let tags = collect(ahead.tags.iter().map(|text| {
        let glob = Glob::for_tags(text);
        glob.map_err(|error| fault("tags", error))
    }));
    let versions = ahead.semver.as_deref().map(VersionReq::parse).transpose();
    let platforms = collect(ahead.platforms.iter().map(|text| {
        let sentence = || {
            format!(
                "'{text}' is not a platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, as in linux/arm64"
            )
        };
        PlatformName::parse(text).ok_or_else(|| fault("platforms", sentence()))
    }));
    let every = match ahead.every.map_or(EVERY, |every| every.0) {
        every if every < SHORTEST => Err(fault("every", "every must be at least 1s".to_owned())),
        every => Ok(every),
    };
    let (repository, tags, versions, platforms, every) = combine((
        repository.map_err(|error| fault("repository", error)),
        tags,
        versions.map_err(|error| {
            let range = ahead.semver.as_deref().unwrap_or_default();
            let sentence = format!(
                "'{range}' is no range of versions ({error}): write one as in '>=1.2, <2' or '~1.25'"
            );
            fault("semver", sentence)
        }),
        platforms,
        every,
    ))?;
    if tags.is_empty() && versions.is_none() {
        let sentence =
            "in sync, tags or semver must say which tags are fetched: write tags: ['*'] for all";
        return Err(Violations::within(place, sentence));
    }
    Ok(SyncRule {
        repository,
        tags,
        versions,
        platforms,
        every,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(adopt: bool, sync: Value) -> Result<Vec<SyncRule>, Violations> {
        let given =
            json!({ "prefix": "hub", "url": "https://a.example", "adopt": adopt, "sync": sync });
        rules(
            "upstreams[0]",
            &serde_json::from_value(given).expect("an upstream"),
        )
    }

    #[test]
    fn rules_say_what_is_fetched() {
        let found = parsed(
            false,
            json!([{ "repository": "a/*", "tags": ["v*"], "semver": ">=1.2, <2", "platforms": ["linux/amd64"], "every": "1h" },
                { "repository": "b", "tags": ["*"] }]),
        );
        let found = found.expect("rules");
        assert_eq!(found[0].to_string(), "a/*:v* >=1.2, <2 linux/amd64");
        assert_eq!(
            (found[0].every, found[1].every),
            (Duration::from_secs(3600), EVERY)
        );
        for wrong in [
            json!({ "repository": "a" }),
            json!({ "repository": "A", "tags": ["*"] }),
            json!({ "repository": "a", "tags": ["a/b"] }),
            json!({ "repository": "a", "semver": "newest" }),
            json!({ "repository": "a", "tags": ["*"], "platforms": ["amd64"] }),
            json!({ "repository": "a", "tags": ["*"], "every": "10ms" }),
        ] {
            assert!(parsed(false, json!([wrong])).is_err(), "{wrong}");
        }
        let all = json!({ "repository": "a", "tags": ["*"] });
        assert!(parsed(false, json!([all, all])).is_err());
        assert!(parsed(true, json!([all])).is_err());
    }
}
