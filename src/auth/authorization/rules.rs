//! The access rules in force, arranged so that a request is judged by few of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::claims::{Claims, Names};
use super::pattern::RepositoryPattern;
use super::rights::Rights;
use super::rule::{AccessRule, Who};

/// Groups of users, and the rules that grant rights to them.
///
/// Rights only add up: there is no order and no exception, and nobody has less than anonymous clients.
#[derive(Debug)]
pub struct AccessRules {
    groups: BTreeMap<String, BTreeSet<String>>,
    rules: Vec<AccessRule>,
    /// Groups of each user.
    groups_of: HashMap<String, Vec<String>>,
    by_who: ByWho,
}

/// Numbers of rules by the clients that they are for.
#[derive(Debug, Default)]
struct ByWho {
    anonymous: ByComponent,
    users: ByComponent,
    /// By the name of the user, group, token or issuer.
    user: HashMap<String, ByComponent>,
    group: HashMap<String, ByComponent>,
    token: HashMap<String, ByComponent>,
    trust: HashMap<String, ByComponent>,
}

/// Numbers of rules by the first component of the names that they match.
#[derive(Debug, Default)]
struct ByComponent {
    by_component: HashMap<String, Vec<usize>>,
    /// Rules whose patterns begin with a wildcard.
    others: Vec<usize>,
}

/// Login of a client, as far as access rules tell logins apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'c> {
    /// No login.
    Anonymous,
    User(&'c str),
    /// A user who logged in at an issuer, which names groups beside those of the section.
    Member(&'c str, &'c [String]),
    /// A token of this registry, which is no user.
    Token(&'c str),
    /// A login by another server's token: its name in the section `trust`, and its claims.
    Trust(&'c str, &'c Claims),
}

/// Client, as far as access rules tell clients apart.
#[derive(Clone, Copy, Debug)]
pub struct Client<'c> {
    pub subject: Subject<'c>,
    /// `None` on a Unix socket.
    pub address: Option<IpAddr>,
}

impl<'c> Subject<'c> {
    /// Parses `anonymous`, `token:NAME`, `trust:NAME`, `user:NAME` or a user's name, as rules name them.
    ///
    /// `claims` are those of a login by another server's token.
    pub fn parse(text: &'c str, claims: &'c Claims) -> Self {
        match (text, text.split_once(':')) {
            ("anonymous", _) => Self::Anonymous,
            (_, Some(("token", name))) => Self::Token(name),
            (_, Some(("trust", name))) => Self::Trust(name, claims),
            (_, Some(("user", name))) => Self::User(name),
            _ => Self::User(text),
        }
    }

    /// Returns the name that `{user}` stands for.
    fn user(self) -> Option<&'c str> {
        match self {
            Self::User(name) | Self::Member(name, _) => Some(name),
            Self::Anonymous | Self::Token(_) | Self::Trust(..) => None,
        }
    }

    /// Returns the groups that are not those of the section.
    fn further_groups(self) -> &'c [String] {
        match self {
            Self::Member(_, groups) => groups,
            Self::Anonymous | Self::User(_) | Self::Token(_) | Self::Trust(..) => &[],
        }
    }

    /// Returns what the placeholders of patterns stand for.
    pub(super) fn names(self) -> Names<'c> {
        match self {
            Self::Trust(_, claims) => Names {
                user: None,
                claims: Some(claims),
            },
            Self::Anonymous | Self::User(_) | Self::Member(..) | Self::Token(_) => {
                Names::of_user(self.user())
            }
        }
    }
}

/// Names that a client may see: prefixes of theirs, sorted, none within another.
pub(super) type Prefixes = Vec<String>;

impl ByComponent {
    fn add(&mut self, number: usize, rule: &AccessRule) {
        for pattern in &rule.repositories {
            let numbers = match pattern.first_component() {
                Some(component) => self.by_component.entry(component.to_owned()).or_default(),
                None => &mut self.others,
            };
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
    }

    fn candidates(&self, repository: &str) -> impl Iterator<Item = usize> {
        let first = repository.split('/').next().unwrap_or_default();
        let named = self.by_component.get(first).into_iter().flatten();
        named.chain(&self.others).copied()
    }

    fn all(&self) -> impl Iterator<Item = usize> {
        self.by_component
            .values()
            .flatten()
            .chain(&self.others)
            .copied()
    }
}

impl ByWho {
    fn of(&mut self, who: &Who) -> &mut ByComponent {
        let (named, name) = match who {
            Who::Anonymous => return &mut self.anonymous,
            Who::Users => return &mut self.users,
            Who::Group(name) => (&mut self.group, name),
            Who::User(name) => (&mut self.user, name),
            Who::Token(name) => (&mut self.token, name),
            Who::Trust(name) => (&mut self.trust, name),
        };
        named.entry(name.clone()).or_default()
    }
}

impl AccessRules {
    /// Arranges rules. A group that does not exist has no members.
    pub fn new(groups: BTreeMap<String, BTreeSet<String>>, rules: Vec<AccessRule>) -> Self {
        let mut by_who = ByWho::default();
        for (number, rule) in rules.iter().enumerate() {
            for who in &rule.who {
                by_who.of(who).add(number, rule);
            }
        }
        let mut groups_of: HashMap<String, Vec<String>> = HashMap::new();
        for (group, users) in &groups {
            for user in users {
                let groups = groups_of.entry(user.clone()).or_default();
                groups.push(group.clone());
            }
        }
        Self {
            groups,
            rules,
            groups_of,
            by_who,
        }
    }

    /// Returns the rules for a client, whatever its address is, by those that they name.
    fn applicable<'s>(&'s self, subject: Subject<'s>) -> impl Iterator<Item = &'s ByComponent> {
        let by_who = &self.by_who;
        let named = match subject {
            Subject::Anonymous => None,
            Subject::User(name) | Subject::Member(name, _) => by_who.user.get(name),
            Subject::Token(name) => by_who.token.get(name),
            Subject::Trust(name, _) => by_who.trust.get(name),
        };
        let user = subject.user();
        let groups = user.and_then(|name| self.groups_of.get(name));
        let users = user.map(|_| &by_who.users);
        let groups = groups
            .into_iter()
            .flatten()
            .chain(subject.further_groups())
            .filter_map(|group| by_who.group.get(group));
        std::iter::once(&by_who.anonymous)
            .chain(users)
            .chain(named)
            .chain(groups)
    }

    /// Returns the numbers of the rules that grant a client rights in a repository.
    fn granting<'s>(
        &'s self,
        client: Client<'s>,
        repository: &'s str,
    ) -> impl Iterator<Item = usize> {
        let candidates = self
            .applicable(client.subject)
            .flat_map(move |rules| rules.candidates(repository));
        candidates.filter(move |number| {
            let rule = &self.rules[*number];
            rule.is_from(client.address)
                && rule.matching(repository, client.subject.names()).is_some()
        })
    }

    /// Returns the rights of a client in a repository, whether or not this exists.
    pub fn rights(&self, client: Client<'_>, repository: &str) -> Rights {
        let granting = self.granting(client, repository);
        granting.fold(Rights::NONE, |rights, number| {
            rights | self.rules[number].may
        })
    }

    /// Returns the number, from 0, of the first rule that grants a client all of `rights` in a repository.
    pub fn deciding(&self, client: Client<'_>, repository: &str, rights: Rights) -> Option<usize> {
        let granting = self.granting(client, repository);
        granting
            .filter(|number| self.rules[*number].may.contains(rights))
            .min()
    }

    /// Returns the numbers, in order, of the rules that grant a client anything at all.
    pub fn rules_of(&self, client: Client<'_>) -> BTreeSet<usize> {
        let numbers = self.applicable(client.subject).flat_map(ByComponent::all);
        numbers
            .filter(|number| self.rules[*number].is_from(client.address))
            .collect()
    }

    /// Returns the prefixes of all names that a client may pull.
    pub(super) fn visible(&self, client: Client<'_>) -> Prefixes {
        let pulling = self
            .rules_of(client)
            .into_iter()
            .filter(|number| self.rules[*number].may.contains(Rights::PULL));
        let patterns = pulling.flat_map(|number| &self.rules[number].repositories);
        let prefixes = patterns.filter_map(|pattern| pattern.prefix(client.subject.names()));
        shortest(prefixes.collect())
    }

    /// Reports whether one rule gives a client these rights in every repository.
    pub(super) fn gives_everywhere(&self, client: Client<'_>, rights: Rights) -> bool {
        self.rules_of(client).into_iter().any(|number| {
            let rule = &self.rules[number];
            rule.may.contains(rights)
                && rule
                    .repositories
                    .iter()
                    .any(|pattern| pattern.is_everything())
        })
    }

    /// Reports whether a rule is for clients without a login.
    pub(in crate::auth) fn has_anonymous(&self) -> bool {
        self.by_who.anonymous.all().next().is_some()
    }

    /// Returns the names of claims that patterns refer to.
    pub(in crate::auth) fn claims(&self) -> BTreeSet<&str> {
        let patterns = self.rules.iter().flat_map(|rule| &rule.repositories);
        patterns.flat_map(RepositoryPattern::claims).collect()
    }

    /// Returns the rules in the order of the configuration.
    pub fn rules(&self) -> &[AccessRule] {
        &self.rules
    }

    /// Returns the users of each group.
    pub fn groups(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.groups
    }

    /// Returns these rules with a further member of a group; `None` if there is no such group.
    pub fn with_member(&self, group: &str, name: &str) -> Option<Self> {
        let mut groups = self.groups.clone();
        groups.get_mut(group)?.insert(name.to_owned());
        Some(Self::new(groups, self.rules.clone()))
    }

    /// Returns the groups of a user, sorted.
    pub fn groups_of(&self, user: &str) -> Vec<&str> {
        let groups = self.groups.iter().filter(|(_, users)| users.contains(user));
        groups.map(|(group, _)| group.as_str()).collect()
    }
}

/// Sorts prefixes, and leaves out those within another.
pub(super) fn shortest(mut prefixes: Prefixes) -> Prefixes {
    prefixes.sort_unstable();
    // after sorting, whatever begins with a prefix follows it
    prefixes.dedup_by(|later, earlier| later.starts_with(earlier.as_str()));
    prefixes
}

/// Equal if configured equally.
impl PartialEq for AccessRules {
    fn eq(&self, other: &Self) -> bool {
        (&self.groups, &self.rules) == (&other.groups, &other.rules)
    }
}

impl Eq for AccessRules {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern::RepositoryPattern;
    use super::*;

    const NAMES: [&str; 5] = ["a", "a/b", "a/b/c", "ann/x", "b/ann"];
    const PATTERNS: [&str; 7] = ["**", "a", "a/**", "*/b", "{user}/**", "b/{user}", "a*/*"];
    const SUBJECTS: [Subject<'_>; 6] = [
        Subject::Anonymous,
        Subject::User("ann"),
        Subject::User("bob"),
        Subject::User("a"),
        Subject::Token("ann"),
        Subject::Token("ci"),
    ];

    fn rule() -> impl Strategy<Value = AccessRule> {
        let who = prop_oneof![
            Just(Who::Anonymous),
            Just(Who::Users),
            Just(Who::Group("g".to_owned())),
            Just(Who::User("ann".to_owned())),
            Just(Who::User("bob".to_owned())),
            Just(Who::Token("ci".to_owned())),
        ];
        let patterns = prop::collection::vec(prop::sample::select(&PATTERNS[..]), 1..3);
        let may = prop::sample::select(vec!["pull", "create", "update", "delete", "push", "admin"]);
        let from = prop::option::of(Just("10.0.0.0/8".parse().unwrap()));
        (patterns, prop::collection::vec(who, 1..3), may, from).prop_map(
            |(patterns, who, may, from)| AccessRule {
                repositories: patterns
                    .into_iter()
                    .map(|text| RepositoryPattern::parse(text).unwrap())
                    .collect(),
                who,
                from: from.into_iter().collect(),
                may: Rights::parse(may).unwrap(),
            },
        )
    }

    fn groups() -> BTreeMap<String, BTreeSet<String>> {
        BTreeMap::from([("g".to_owned(), BTreeSet::from(["bob".to_owned()]))])
    }

    /// The rights as the documentation defines them, without an index.
    fn defined(rules: &[AccessRule], client: Client<'_>, repository: &str) -> Rights {
        let is_for = |who: &Who| match who {
            Who::Anonymous => true,
            Who::Users => matches!(client.subject, Subject::User(_)),
            Who::Group(_) => client.subject == Subject::User("bob"),
            Who::User(name) => client.subject == Subject::User(name),
            Who::Token(name) => client.subject == Subject::Token(name),
            Who::Trust(name) => matches!(client.subject, Subject::Trust(other, _) if other == name),
        };
        let applies = |rule: &&AccessRule| {
            rule.who.iter().any(is_for)
                && rule.is_from(client.address)
                && rule.matching(repository, client.subject.names()).is_some()
        };
        let applying = rules.iter().filter(applies);
        applying.fold(Rights::NONE, |rights, rule| rights | rule.may)
    }

    proptest! {
        #[test]
        fn rights_add_up(rules in prop::collection::vec(rule(), 0..6), is_inside: bool, removed: prop::sample::Index) {
            let address = Some(if is_inside { [10, 1, 2, 3] } else { [192, 0, 2, 1] }.into());
            let all = AccessRules::new(groups(), rules.clone());
            let fewer: Vec<_> = match rules.len() {
                0 => Vec::new(),
                count => {
                    let mut fewer = rules.clone();
                    fewer.remove(removed.index(count));
                    fewer
                }
            };
            let fewer = AccessRules::new(groups(), fewer);
            for (subject, repository) in SUBJECTS.iter().flat_map(|subject| NAMES.map(|repository| (*subject, repository))) {
                let client = Client { subject, address };
                let rights = all.rights(client, repository);
                prop_assert_eq!(rights, defined(&rules, client, repository));
                let anonymous = Client { subject: Subject::Anonymous, address };
                prop_assert!(rights.contains(all.rights(anonymous, repository)), "a login takes nothing away");
                prop_assert!(rights.contains(fewer.rights(client, repository)), "a rule takes nothing away");
                prop_assert_eq!(all.deciding(client, repository, Rights::PULL).is_some(), rights.contains(Rights::PULL));
                // lists read the names with these prefixes only
                let prefixes = all.visible(client);
                prop_assert!(!rights.contains(Rights::PULL) || prefixes.iter().any(|prefix| repository.starts_with(prefix.as_str())));
                prop_assert!(!all.gives_everywhere(client, Rights::PULL) || rights.contains(Rights::PULL));
                prop_assert!(prefixes.windows(2).all(|pair| pair[0] < pair[1] && !pair[1].starts_with(&pair[0])));
            }
        }
    }
}
