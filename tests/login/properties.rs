//! Properties of the decision, for random rules, tokens and clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use tarkeep::auth::{
    AccessRule, AccessRules, Claims, Client, Decision, RepositoryPattern, Rights, Subject,
    TokenRecord, Visible, Who, is_visible, visible,
};

const PATTERNS: [&str; 9] = [
    "**",
    "a/**",
    "a/b",
    "*",
    "a/*",
    "{user}/**",
    "{claim.repository}/**",
    "[ab]/x",
    "a/{user}/**",
];
const WHO: [&str; 7] = [
    "anonymous",
    "users",
    "@g",
    "ann",
    "bob",
    "token:ci",
    "trust:t",
];
const MAY: [&str; 7] = [
    "pull", "create", "update", "delete", "push", "maintain", "admin",
];
const NAMES: [&str; 8] = [
    "a",
    "a/b",
    "a/x",
    "b/x",
    "ann/x",
    "bob/y",
    "a/ann/z",
    "acme/app/w",
];

fn rule() -> impl Strategy<Value = AccessRule> {
    let some = |all: &'static [&'static str]| prop::sample::subsequence(all, 1..=2);
    (some(&PATTERNS), some(&WHO), some(&MAY), any::<bool>()).prop_map(
        |(repositories, who, may, is_local)| AccessRule {
            repositories: patterns(&repositories),
            who: who
                .iter()
                .map(|text| Who::parse(text).expect("a client"))
                .collect(),
            from: match is_local {
                true => vec!["10.0.0.0/8".parse().expect("a network")],
                false => Vec::new(),
            },
            may: rights(&may),
        },
    )
}

fn patterns(texts: &[&str]) -> Vec<RepositoryPattern> {
    let parse = |text: &&str| RepositoryPattern::parse(text).expect("a pattern");
    texts.iter().map(parse).collect()
}

fn rights(words: &[&str]) -> Rights {
    let parsed = words
        .iter()
        .map(|word| Rights::parse(word).expect("a word"));
    parsed.fold(Rights::NONE, |all, one| all | one)
}

/// A token named `ci` with some grant, of a user or of nobody.
fn token() -> impl Strategy<Value = TokenRecord> {
    let globs = prop::sample::subsequence(&PATTERNS[..6], 0..=2);
    let may = prop::sample::subsequence(&MAY[..], 1..=2);
    (
        globs,
        may,
        prop::sample::select(vec![None, Some("ann"), Some("bob")]),
    )
        .prop_map(|(globs, may, owner)| TokenRecord {
            name: "ci".to_owned(),
            repositories: globs.iter().map(|glob| (*glob).to_owned()).collect(),
            may: may.join(", "),
            owner: owner.map(str::to_owned),
            hash: Vec::new(),
            expires_at: None,
            replaced_at: None,
            revoked_at: None,
        })
}

fn arranged(members: &[&str], rules: &[AccessRule]) -> Arc<AccessRules> {
    let members: BTreeSet<_> = members.iter().map(|name| (*name).to_owned()).collect();
    let groups = BTreeMap::from([("g".to_owned(), members)]);
    Arc::new(AccessRules::new(groups, rules.to_vec()))
}

/// Rights of everybody in every repository, in a fixed order: first those without a login.
fn all_rights(rules: &Arc<AccessRules>, token: &TokenRecord, is_local: bool) -> Vec<Vec<Rights>> {
    let address = Some(
        if is_local {
            [10, 1, 2, 3]
        } else {
            [192, 0, 2, 1]
        }
        .into(),
    );
    let claims = Claims::new([("repository".to_owned(), "acme/app".to_owned())]);
    let subjects = [
        Subject::Anonymous,
        Subject::User("ann"),
        Subject::User("bob"),
        Subject::Token("other"),
        Subject::Trust("t", &claims),
    ];
    let by_rules = subjects.map(|subject| {
        let client = Client { subject, address };
        let decide = |name: &&str| Decision::by_rules(rules, client, name, Rights::PULL).rights;
        NAMES.iter().map(decide).collect()
    });
    let bearer = token.bearer(address, Some(Arc::clone(rules)));
    let of_token = NAMES
        .iter()
        .map(|name| bearer.decide(name, Rights::PULL).rights);
    by_rules.into_iter().chain([of_token.collect()]).collect()
}

fn contains(larger: &[Vec<Rights>], smaller: &[Vec<Rights>]) -> bool {
    let pairs = larger.iter().flatten().zip(smaller.iter().flatten());
    pairs
        .into_iter()
        .all(|(larger, smaller)| larger.contains(*smaller))
}

proptest! {
    #[test]
    fn rights_only_add_up(
        rules in prop::collection::vec(rule(), 0..7),
        token in token(),
        is_local: bool,
        removed: prop::sample::Index,
    ) {
        let whole = arranged(&["ann", "bob"], &rules);
        let all = all_rights(&whole, &token, is_local);
        for held in &all {
            for (held, anonymous) in held.iter().zip(&all[0]) {
                prop_assert!(held.contains(*anonymous), "a login takes nothing away");
            }
        }
        if !rules.is_empty() {
            let mut fewer = rules.clone();
            fewer.remove(removed.index(rules.len()));
            let fewer = all_rights(&arranged(&["ann", "bob"], &fewer), &token, is_local);
            prop_assert!(contains(&all, &fewer), "a rule takes nothing away");
        }
        let alone = all_rights(&arranged(&["ann"], &rules), &token, is_local);
        prop_assert!(contains(&all, &alone), "a member takes nothing away");
        let mut turned = rules.clone();
        turned.reverse();
        prop_assert_eq!(&all, &all_rights(&arranged(&["ann", "bob"], &turned), &token, is_local), "order means nothing");
        let elsewhere = all_rights(&whole, &token, false);
        prop_assert!(!is_local || contains(&all, &elsewhere), "a network takes nothing away");
        if let Some(owner) = &token.owner {
            let users = &all[if owner == "ann" { 1 } else { 2 }];
            for (of_token, of_user) in all[5].iter().zip(users) {
                prop_assert!(of_user.contains(*of_token), "a token has no more than its user");
            }
        }
    }

    #[test]
    fn a_token_sees_what_it_may_pull(
        rules in prop::collection::vec(rule(), 0..7),
        token in token(),
        has_rules: bool,
    ) {
        let rules = has_rules.then(|| arranged(&["ann"], &rules));
        let bearer = token.bearer(Some([10, 1, 2, 3].into()), rules);
        let seen = visible(&bearer);
        for name in NAMES {
            let decision = bearer.decide(name, Rights::PULL);
            let may = decision.rights.contains(Rights::PULL);
            prop_assert_eq!(is_visible(&bearer, name), may);
            let is_listed = match &seen {
                Visible::All => true,
                Visible::Prefixes(prefixes) => prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())),
            };
            prop_assert!(is_listed || !may, "lists read the names with these prefixes only: {} {:?}", name, seen);
            prop_assert!(!matches!(seen, Visible::All) || may, "what may not be pulled is listed: {}", name);
            let is_limited = decision.user.is_some_and(|user| !user.rights.contains(Rights::PULL));
            prop_assert!(!is_limited || !may);
            prop_assert!(may || is_limited || !(decision.is_granted || decision.rule.is_some()));
        }
    }
}
