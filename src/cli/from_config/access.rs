//! The access rules, from the section `access`.

use std::collections::{BTreeMap, BTreeSet};

use tarkeep::auth::{AccessRule, AccessRules, RepositoryPattern, Rights, Who};
use tarkeep::config::{self, Config, Violations, collect, combine};
use tarkeep::http::parse_network;

/// Converts the section; `None` if there is none.
pub(crate) fn rules(config: &Config) -> Result<Option<AccessRules>, Violations> {
    let Some(section) = &config.access else {
        return Ok(None);
    };
    if section.rules.is_empty() {
        let sentence = "access has no rules, so nobody may do anything: add access.rules, or take the section out";
        return Err(Violations::within("access", sentence));
    }
    let rules =
        collect(section.rules.iter().enumerate().map(|(number, given)| {
            rule(config, section, &format!("access.rules[{number}]"), given)
        }))?;
    Ok(Some(AccessRules::new(groups(section), rules)))
}

/// Returns notes about rules that grant rights in repositories which their clients cannot see.
pub(crate) fn notes(config: &Config) -> Vec<String> {
    let Ok(Some(rules)) = rules(config) else {
        return Vec::new();
    };
    let note = |number: usize| {
        let may = rules.rules()[number].may;
        format!(
            "access.rules[{number}] allows {may} without pull, and clients read before they write: without another rule that lets them \
             pull there, they are told that the repository is unknown; write may: [pull, {may}]"
        )
    };
    rules.unreadable().into_iter().map(note).collect()
}

fn groups(section: &config::AccessSection) -> BTreeMap<String, BTreeSet<String>> {
    let group =
        |(name, users): (&String, &Vec<String>)| (name.clone(), users.iter().cloned().collect());
    section.groups.iter().map(group).collect()
}

fn rule(
    config: &Config,
    section: &config::AccessSection,
    name: &str,
    rule: &config::AccessRule,
) -> Result<AccessRule, Violations> {
    let repositories = each(
        name,
        "repositories",
        &rule.repositories,
        RepositoryPattern::parse,
    );
    let is_trusted = |name: &str| config.trust.iter().any(|trusted| trusted.name == name);
    let who = each(name, "who", &rule.who, |text| match Who::parse(text)? {
        Who::Trust(trusted) if !is_trusted(&trusted) => Err(format!(
            "there is no trusted issuer '{trusted}': add it to the section trust"
        )),
        Who::Group(group) if !section.groups.contains_key(&group) => Err(format!(
            "there is no group '{group}': add it to access.groups"
        )),
        Who::User(user) if user == *text && section.groups.contains_key(&user) => Err(format!(
            "'{user}' is a group: write '@{user}', or 'user:{user}' for the user of this name"
        )),
        who => Ok(who),
    });
    let may = each(name, "may", &rule.may, Rights::parse);
    let from = collect(
        rule.from
            .iter()
            .map(|text| parsed(name, "from", text, &parse_network)),
    );
    let (repositories, who, may, from) = combine((repositories, who, may, from))?;
    Ok(AccessRule {
        repositories,
        who,
        from,
        may: may
            .into_iter()
            .fold(Rights::NONE, |all, rights| all | rights),
    })
}

/// Parses the texts of a key, of which there must be one at least.
fn each<T>(
    rule: &str,
    key: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Violations> {
    if texts.is_empty() {
        let key = format!("{rule}.{key}");
        let sentence = format!("{key} is empty: a rule names repositories, clients and rights");
        return Err(Violations::of(key, sentence));
    }
    collect(texts.iter().map(|text| parsed(rule, key, text, &parse)))
}

fn parsed<T>(
    rule: &str,
    key: &str,
    text: &str,
    parse: &impl Fn(&str) -> Result<T, String>,
) -> Result<T, Violations> {
    parse(text).map_err(|error| {
        Violations::of(format!("{rule}.{key}"), format!("in access.rules, {error}"))
    })
}
