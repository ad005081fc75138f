//! The access rules, from the section `access`.

use std::collections::{BTreeMap, BTreeSet};

use tarkeep::auth::{AccessRule, AccessRules, Client, RepositoryPattern, Rights, Subject, Who};
use tarkeep::config::{self, Config, Violations, collect, combine};
use tarkeep::http::parse_network;
use tarkeep::oci::RepositoryName;
use tarkeep::registry::is_token_name;

use crate::cli::from_config::known_users;
use crate::cli::from_config::trust::is_name;
use crate::cli::terminal::values::few;

/// Maximum number of users that a note names.
const UNFIT: usize = 10;

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
        section.rules.iter().enumerate().map(|(number, given)| {
            rule(config, section, &format!("access.rules[{number}]"), given)
        });
    let (groups, rules) = combine((groups(section), collect(rules)))?;
    Ok(Some(AccessRules::new(groups, rules)))
}

/// Returns notes about rules that grant less than they seem to: nobody can log in, or see the repositories.
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
    let notes = rules.unreadable().into_iter().map(note);
    notes
        .chain(without_login(config, rules.rules()))
        .chain(unfit_users(config, &rules))
        .collect()
}

/// Returns a note about users who get nothing by the first rule with `{user}`, because no repository can have their name.
fn unfit_users(config: &Config, rules: &AccessRules) -> Option<String> {
    let everybody = known_users::names(config).unwrap_or_default();
    let users_of = |who: &Who| match who {
        Who::Users => everybody.iter().cloned().collect(),
        Who::Group(group) => rules
            .groups()
            .get(group)
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        Who::User(user) => vec![user.clone()],
        Who::Anonymous | Who::Token(_) | Who::Trust(_) => Vec::new(),
    };
    let (number, rule) = of_user(rules).next()?;
    let users: BTreeSet<String> = rule.who.iter().flat_map(users_of).collect();
    let unfit: Vec<_> = users
        .iter()
        .filter(|user| !is_component(user))
        .map(|user| format!("'{user}'"))
        .collect();
    (!unfit.is_empty()).then(|| unfit_note(number, &few(&unfit, UNFIT)))
}

/// Returns a note about a user who gets nothing by a rule with `{user}`, if there is one that is for this user.
pub(crate) fn unfit_user(rules: &AccessRules, user: &str) -> Option<String> {
    let client = Client {
        subject: Subject::User(user),
        address: None,
    };
    let own = rules.rules_of(client);
    let (number, _) = of_user(rules).find(|(number, _)| own.contains(number))?;
    (!is_component(user)).then(|| unfit_note(number, &format!("'{user}'")))
}

fn unfit_note(number: usize, users: &str) -> String {
    format!(
        "access.rules[{number}] is about repositories with the name of a user, and none can be named after {users}: in such names, letters \
         are small, and . _ - stand between letters or digits; rename the user, or add a rule that names a repository"
    )
}

/// Returns the rules with `{user}`, and their numbers.
fn of_user(rules: &AccessRules) -> impl Iterator<Item = (usize, &AccessRule)> {
    let numbered = rules.rules().iter().enumerate();
    numbered.filter(|(_, rule)| rule.repositories.iter().any(RepositoryPattern::is_of_user))
}

/// Reports whether a name can be a component of a repository's.
fn is_component(name: &str) -> bool {
    RepositoryName::parse(name).is_ok() && !name.contains('/')
}

/// Returns a note about the first rule for users where no user can log in.
fn without_login(config: &Config, rules: &[AccessRule]) -> Option<String> {
    let is_user = |who: &Who| matches!(who, Who::Users | Who::Group(_) | Who::User(_));
    let mut for_users = rules.iter().map(|rule| rule.who.iter().any(is_user));
    let number = for_users.position(|is_for_users| is_for_users && !config.auth.asks())?;
    Some(format!(
        "access.rules[{number}] is for users, and nobody can log in as a user without a section auth: add one, such as auth.htpasswd, or \
         write who: anonymous"
    ))
}

fn groups(
    section: &config::AccessSection,
) -> Result<BTreeMap<String, BTreeSet<String>>, Violations> {
    let groups = section.groups.iter().map(|(name, users)| {
        let place = format!("access.groups.{name}");
        if !is_name(name) {
            let sentence = format!(
                "in access.groups, '{name}' is no name of a group: write letters, digits, dots and hyphens, and the @ in rules alone"
            );
            return Err(Violations::of(place, sentence));
        }
        match users.iter().find(|user| user.starts_with('@') || user.contains(':')) {
            Some(other) => Err(Violations::of(
                &*place,
                format!("{place} has '{other}', and groups hold users alone: name each user"),
            )),
            None => Ok((name.clone(), users.iter().cloned().collect())),
        }
    });
    Ok(collect(groups)?.into_iter().collect())
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
        Who::Token(token) if !is_token_name(&token) => Err(format!(
            "'{token}' in '{text}' is no name of a token: name each token"
        )),
        Who::User(user) if user == *text && section.groups.contains_key(&user) => Err(format!(
            "'{user}' is a group: write '@{user}', or 'user:{user}' for the user of this name"
        )),
        who => Ok(who),
    });
    let may = each(name, "may", &rule.may, |text| match text.contains(',') {
        true => Err(format!(
            "'{text}' is one text: write a list, as in may: [{text}]"
        )),
        false => Rights::parse(text),
    });
    let from = collect(
        rule.from
            .iter()
            .map(|text| parsed(name, "from", text, &parse_network)),
    );
    let (repositories, who, may, from) = combine((repositories, who, may, from))?;
    if let Some(pattern) =
        (repositories.iter()).find(|pattern| !who.iter().any(|who| who.has_names_of(pattern)))
    {
        let sentence = format!(
            "in access.rules, nobody in who has all names that '{pattern}' refers to: {{user}} is for users, and {{claim.NAME}} for who: trust:NAME"
        );
        return Err(Violations::of(format!("{name}.repositories"), sentence));
    }
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
