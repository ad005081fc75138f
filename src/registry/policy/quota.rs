//! Quotas: limits of the bytes that repositories hold together.

use crate::oci::Glob;

/// Component that gathers repositories.
const ACROSS: &str = "**";

/// Limit for the repositories that a glob matches.
///
/// Those that differ before the first `**` have quotas of their own, and all without one: `home/*/**` is a quota for each
/// user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRule {
    glob: Glob,
    /// Number of components before the first with `**`; `None` if there is none.
    own: Option<usize>,
    /// In bytes.
    limit: u64,
}

/// Quotas in the order of the configuration; the first that matches a repository applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaRules(Vec<QuotaRule>);

/// Quota that a repository falls under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct QuotaLimit {
    /// Glob of the repositories that share it.
    pub(in crate::registry) name: String,
    /// In bytes.
    pub(in crate::registry) limit: u64,
}

impl QuotaRule {
    /// Parses a glob, with the bytes that each quota allows.
    ///
    /// # Errors
    /// A sentence: globs that match no name, and alternatives across components.
    pub fn parse(repositories: &str, limit: u64) -> Result<Self, String> {
        let glob = Glob::for_repositories(repositories)?;
        let components: Vec<_> = repositories.split('/').collect();
        let own = components.iter().position(|part| part.contains(ACROSS));
        let before = &components[..own.unwrap_or(components.len())];
        let is_whole = |part: &&str| part.matches('{').count() == part.matches('}').count();
        match before.iter().all(is_whole) {
            true => Ok(Self { glob, own, limit }),
            false => Err(format!(
                "in the pattern '{repositories}', no alternatives in braces may hold a slash: write one quota for each"
            )),
        }
    }

    /// Returns the name of the quota of a repository that matches.
    fn name_for(&self, repository: &str) -> String {
        let Some(own) = self.own else {
            return repository.to_owned();
        };
        let own_parts = repository.split('/').take(own);
        let others = self.glob.as_str().split('/').skip(own);
        own_parts.chain(others).collect::<Vec<_>>().join("/")
    }
}

impl QuotaRules {
    pub fn new(quotas: Vec<QuotaRule>) -> Self {
        Self(quotas)
    }

    pub(in crate::registry) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the quota that a repository falls under.
    pub(in crate::registry) fn of(&self, repository: &str) -> Option<QuotaLimit> {
        let quota = self.0.iter().find(|quota| quota.glob.matches(repository))?;
        Some(QuotaLimit {
            name: quota.name_for(repository),
            limit: quota.limit,
        })
    }
}

/// Formats a size: `1.4 MiB`.
pub fn shown_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_before_two_stars_has_its_own_quota() {
        let quota = |(pattern, limit)| QuotaRule::parse(pattern, limit).unwrap();
        let quotas = QuotaRules::new(
            [
                ("home/boss/**", 9),
                ("home/*/**", 1),
                ("team/*", 2),
                ("ci/**/x", 3),
                ("**", 4),
            ]
            .map(quota)
            .to_vec(),
        );
        for (repository, name, limit) in [
            ("home/ann/app", "home/ann/**", 1),
            ("home/ann/app/web", "home/ann/**", 1),
            ("home/bob/app", "home/bob/**", 1),
            ("home/boss/app", "home/boss/**", 9),
            ("team/app", "team/app", 2),
            ("ci/a/b/x", "ci/**/x", 3),
            ("home/ann", "**", 4),
            ("other", "**", 4),
        ] {
            let found = quotas.of(repository).unwrap();
            assert_eq!((&*found.name, found.limit), (name, limit), "{repository}");
        }
        assert!(
            QuotaRules::new(vec![quota(("a/**", 1))])
                .of("b/c")
                .is_none()
        );
        assert!(QuotaRule::parse("{a/b,c}/**", 1).is_err());
        assert!(QuotaRule::parse("Team/**", 1).is_err());
    }
}
