//! `registry access show`.

use serde_json::{Value, json};
use tarkeep::auth::{AccessRule, AccessRules};

use super::arguments::{Person, ShowArguments};
use super::format::{joined, names, texts};
use super::known_token::KnownToken;
use super::source::Judges;
use crate::cli::error::Error;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 5] = [
    Column::number("RULE"),
    Column::name("REPOSITORIES"),
    Column::text("MAY"),
    Column::text("WHO"),
    Column::text("FROM"),
];

pub(super) async fn show(ShowArguments { who, source }: ShowArguments) -> Result<(), Error> {
    let Judges { rules, token } = source.judges(&who).await?;
    let rules = rules.as_deref();
    let format = source.output.format;
    let claims = who.claims();
    let is_void = token.as_ref().is_some_and(|token| token.void.is_some());
    let rules_that_count = rules.filter(|_| !is_void);
    let numbers = rules_that_count.map(|rules| rules.rules_of(who.client(&claims, source.from)));
    let numbers = numbers.unwrap_or_default();
    if format == Format::Text {
        match (&token, rules) {
            (Some(token), _) => bounds(&who, token)?,
            (None, Some(rules)) => output::say(&membership(&who, rules))?,
            (None, None) => {}
        }
        if is_void {
            let name = &who.who;
            return output::say(&format!(
                "{name}: so it is refused everywhere, also where anybody may read"
            ));
        }
        if numbers.is_empty() {
            return output::say(&format!("no rule gives {} any rights", who.who));
        }
    }
    let mut list = List::object(format, &COLUMNS);
    list.field("name", &Value::from(&*who.who))?;
    list.field(
        "groups",
        &json!(rules.map_or_else(Vec::new, |rules| rules.groups_of(&who.who))),
    )?;
    list.field("members", &json!(members(&who, rules)))?;
    list.field("grant", &json!(token.map(|token| token.as_json(&[]))))?;
    list.next("rules")?;
    for (number, rule) in numbers
        .into_iter()
        .filter_map(|number| Some((number, rules?.rules().get(number)?)))
    {
        list.push(|| cells(number, rule), || as_json(number, rule))?;
    }
    list.finish()
}

/// Says what a token was made for, as it decides.
fn bounds(who: &Person, token: &KnownToken) -> Result<(), Error> {
    let name = &who.who;
    output::say(&format!("{name}: {}", token.grant()))?;
    output::say(&format!("{name}: {}", token.validity()))?;
    match &token.record.owner {
        Some(user) => output::say(&format!(
            "{name}: it may never do more than {user}: registry access show {user}"
        )),
        None => Ok(()),
    }
}

/// Returns the members of a group; nobody for anything else.
fn members<'r>(who: &Person, rules: Option<&'r AccessRules>) -> Vec<&'r str> {
    let members = who.group().and_then(|group| rules?.groups().get(group));
    let members = members.into_iter().flatten().map(String::as_str);
    // it was made a member of itself
    members.filter(|name| *name != who.who).collect()
}

/// Says which groups somebody is in, or who is in a group.
fn membership(who: &Person, rules: &AccessRules) -> String {
    let name = &who.who;
    let (members, groups) = (members(who, Some(rules)), rules.groups_of(name));
    match (who.group(), &members[..], &groups[..]) {
        (Some(_), [], _) => format!("{name} has no members"),
        (Some(_), members, _) => format!("{name} is {}", members.join(", ")),
        (None, _, []) => format!("{name} is in no group"),
        (None, _, groups) => format!("{name} is in @{}", groups.join(", @")),
    }
}

fn cells(number: usize, rule: &AccessRule) -> Vec<Cell> {
    vec![
        Cell::Count(number as u64),
        joined(&rule.repositories).into(),
        rule.may.to_string().into(),
        joined(&rule.who).into(),
        joined(&rule.from).into(),
    ]
}

fn as_json(number: usize, rule: &AccessRule) -> Value {
    json!({
        "ruleNumber": number,
        "repositories": texts(&rule.repositories),
        "may": names(rule.may),
        "clients": texts(&rule.who),
        "from": texts(&rule.from),
    })
}
