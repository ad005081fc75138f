//! Rules that grant rights in repositories which their clients cannot see.
//!
//! A push and a deletion begin with reads, and a repository that may not be pulled does not exist for its client.

use super::pattern::RepositoryPattern;
use super::rights::Rights;
use super::rule::{AccessRule, Who};
use super::rules::AccessRules;

impl AccessRules {
    /// Returns the numbers of the rules that grant rights without `pull` which no other rule surely adds.
    pub fn unreadable(&self) -> Vec<usize> {
        let rules = self.rules();
        let is_unreadable = |rule: &AccessRule| {
            let is_readable = |who: &Who, pattern: &RepositoryPattern| {
                rules.iter().any(|other| {
                    other.may.contains(Rights::PULL) && other.covers(who, pattern, &rule.from)
                })
            };
            let mut clients = rule.who.iter();
            !clients.all(|who| {
                let mut patterns = rule.repositories.iter();
                patterns.all(|pattern| is_readable(who, pattern))
            })
        };
        let numbers = 0..rules.len();
        numbers
            .filter(|number| is_unreadable(&rules[*number]))
            .collect()
    }
}

impl AccessRule {
    /// Reports whether the rule surely applies to all these clients, in all these repositories.
    fn covers(&self, who: &Who, pattern: &RepositoryPattern, from: &[ipnet::IpNet]) -> bool {
        let is_for = |own: &Who| match (own, who) {
            (Who::Anonymous, _) => true,
            (Who::Users, Who::Users | Who::User(_) | Who::Group(_)) => true,
            _ => own == who,
        };
        let is_about = |own: &RepositoryPattern| {
            let (own, other) = (own.as_str(), pattern.as_str());
            let within = own.strip_suffix("**");
            own == other || within.is_some_and(|prefix| other.starts_with(prefix))
        };
        let is_from_everywhere = self.from.is_empty() || self.from == from;
        is_from_everywhere && self.who.iter().any(is_for) && self.repositories.iter().any(is_about)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn rule(repositories: &str, who: &str, may: &str, from: Option<&str>) -> AccessRule {
        AccessRule {
            repositories: vec![RepositoryPattern::parse(repositories).unwrap()],
            who: vec![Who::parse(who).unwrap()],
            from: from.map(|text| text.parse().unwrap()).into_iter().collect(),
            may: Rights::parse(may).unwrap(),
        }
    }

    #[test]
    fn a_right_to_write_needs_one_to_read() {
        let lan = Some("10.0.0.0/8");
        let writing = rule("team/**", "ann", "create", None);
        for (other, is_readable) in [
            (rule("**", "anonymous", "pull", None), true),
            (rule("team/**", "users", "pull", None), true),
            (rule("team/**", "ann", "push", None), true),
            (rule("t*/**", "ann", "pull", None), false),
            (rule("team/*", "ann", "pull", None), false),
            (rule("**", "@dev", "pull", None), false),
            (rule("**", "anonymous", "update", None), false),
            (rule("**", "anonymous", "pull", lan), false),
        ] {
            let rules = AccessRules::new(BTreeMap::new(), vec![writing.clone(), other.clone()]);
            assert_eq!(!rules.unreadable().contains(&0), is_readable, "{other:?}");
        }
        let in_lan = vec![
            rule("team/**", "ann", "delete", lan),
            rule("**", "ann", "pull", lan),
        ];
        assert!(
            AccessRules::new(BTreeMap::new(), in_lan)
                .unreadable()
                .is_empty()
        );
    }
}
