//! `registry access`: what the access rules let somebody do.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tarkeep::auth::{AccessRule, AccessRules, Claims, Client, Rights, Subject};
use tarkeep::config::Loaded;
use tarkeep::oci::RepositoryName;

use crate::cli::error::Error;
use crate::cli::from_config::check::Flags;
use crate::cli::from_config::{access, known_users};
use crate::cli::sources::Sources;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::table::{Cell, Column};

#[derive(clap::Args)]
#[command(after_help = keys::ACCESS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say whether somebody may do something in a repository, and which rule decides
    ///
    /// The exit code is 1 if not.
    Check(CheckArguments),
    /// List the rules that give somebody rights
    Show(ShowArguments),
}

#[derive(clap::Args)]
#[command(after_help = keys::ACCESS)]
struct CheckArguments {
    #[command(flatten)]
    who: Person,
    /// Action or role: pull, create, update, delete, push, maintain or admin
    action: String,
    /// Repository, whether it exists or not
    repository: String,
    #[command(flatten)]
    source: Source,
}

#[derive(clap::Args)]
#[command(after_help = keys::ACCESS)]
struct ShowArguments {
    #[command(flatten)]
    who: Person,
    #[command(flatten)]
    source: Source,
}

#[derive(clap::Args)]
struct Person {
    /// Name of a user, @GROUP for the members of a group, token:NAME for the rules that name a token, trust:NAME for logins
    /// by tokens of a trusted issuer, or anonymous for clients without a login
    who: String,
    /// Claim of the issuer's token, for rules with {claim.NAME}
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
}

#[derive(clap::Args)]
struct Source {
    /// Address from which the client connects [default: unknown, so that rules with a from do not apply]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// The server's configuration [default: the running server's, or else $REGISTRY_CONFIGURATION_PATH]
    #[arg(long, value_name = "CONFIG.yml")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Check(arguments) => check(&arguments),
        Command::Show(arguments) => show(&arguments),
    }
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Person {
    fn client<'c>(&'c self, claims: &'c Claims, address: Option<IpAddr>) -> Client<'c> {
        Client {
            subject: Subject::parse(&self.who, claims),
            address,
        }
    }

    fn claims(&self) -> Claims {
        Claims::new(self.claims.iter().cloned())
    }

    /// Returns the name of the group, if it is one.
    fn group(&self) -> Option<&str> {
        self.who.strip_prefix('@')
    }
}

impl Source {
    /// Reads the rules of the configuration; a group is a member of itself in them.
    fn rules(&self, who: &Person) -> Result<AccessRules, Error> {
        let sources = Sources::find(self.config.clone(), Flags::default())?;
        let (file, is_served) = (sources.file.clone(), sources.is_served);
        let (Loaded { config, .. }, rules) = sources.draft()?.finish_with(access::rules)?;
        let rules = rules.ok_or_else(|| {
            Error::Other(match file {
                None if is_served => {
                    "it has no section access: everybody who is admitted may do everything".to_owned()
                }
                None => {
                    "no configuration was named, so nothing was checked: name the server's with --config"
                        .to_owned()
                }
                Some(file) => format!(
                    "{} has no section access: everybody who is admitted may do everything",
                    file.display()
                ),
            })
        })?;
        if let Some(group) = who.group() {
            return rules
                .with_member(group, &who.who)
                .ok_or_else(|| no_group(group, &rules));
        }
        if let Subject::User(user) = Subject::parse(&who.who, &Claims::default())
            && let Some(note) = known_users::note_about(&config, user)
        {
            output::complain(&note);
        }
        Ok(rules)
    }
}

fn no_group(group: &str, rules: &AccessRules) -> Error {
    let known: Vec<_> = rules
        .groups()
        .keys()
        .map(|name| format!("@{name}"))
        .collect();
    let known = match &*known {
        [] => "access.groups has none".to_owned(),
        known => format!("access.groups has {}", known.join(", ")),
    };
    Error::Other(format!("there is no group '{group}': {known}"))
}

fn check(
    CheckArguments {
        who,
        action,
        repository,
        source,
    }: &CheckArguments,
) -> Result<(), Error> {
    let wanted = Rights::parse(action).map_err(Error::Other)?;
    let repository =
        RepositoryName::parse(repository).map_err(|error| Error::Other(error.to_string()))?;
    let rules = source.rules(who)?;
    let claims = who.claims();
    let client = who.client(&claims, source.from);
    let rights = rules.rights(client, repository.as_str());
    let is_allowed = rights.contains(wanted);
    let deciding = rules.deciding(client, repository.as_str(), wanted);
    match source.output.format {
        Format::Text => {
            let verb = if is_allowed { "may" } else { "may not" };
            let reason = match deciding {
                Some(number) => format!("access.rules[{number}]: {}", line(&rules.rules()[number])),
                None if is_allowed => "several rules together".to_owned(),
                None => format!("the rules allow {rights} there"),
            };
            output::print(&format!(
                "{} {verb} {action} {repository} ({reason})\n",
                who.who
            ))?;
        }
        Format::Json => json::print(&json!({
            "name": who.who,
            "action": action,
            "repository": repository.as_str(),
            "allowed": is_allowed,
            "rights": names(rights),
            "ruleNumber": deciding,
        }))?,
    }
    if is_allowed {
        Ok(())
    } else {
        Err(Error::Reported)
    }
}

fn show(ShowArguments { who, source }: &ShowArguments) -> Result<(), Error> {
    let rules = source.rules(who)?;
    let columns = [
        Column::number("RULE"),
        Column::name("REPOSITORIES"),
        Column::text("MAY"),
        Column::text("WHO"),
        Column::text("FROM"),
    ];
    let format = source.output.format;
    let numbers = rules.rules_of(who.client(&who.claims(), source.from));
    if format == Format::Text {
        output::say(&membership(who, &rules))?;
        if numbers.is_empty() {
            return output::say(&format!("no rule gives {} any rights", who.who));
        }
    }
    let mut list = List::object(format, &columns);
    list.field("name", &Value::from(&*who.who))?;
    list.field("groups", &json!(rules.groups_of(&who.who)))?;
    list.field("members", &json!(members(who, &rules)))?;
    list.next("rules")?;
    for number in numbers {
        let rule = &rules.rules()[number];
        list.push(|| cells(number, rule), || as_json(number, rule))?;
    }
    list.finish()
}

/// Returns the members of a group; nobody for anything else.
fn members<'r>(who: &Person, rules: &'r AccessRules) -> Vec<&'r str> {
    let members = who.group().and_then(|group| rules.groups().get(group));
    let members = members.into_iter().flatten().map(String::as_str);
    // it was made a member of itself
    members.filter(|name| *name != who.who).collect()
}

/// Says which groups somebody is in, or who is in a group.
fn membership(who: &Person, rules: &AccessRules) -> String {
    let name = &who.who;
    let (members, groups) = (members(who, rules), rules.groups_of(name));
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

/// Formats a rule as one line.
fn line(rule: &AccessRule) -> String {
    let from = match &*rule.from {
        [] => String::new(),
        networks => format!(" from {}", joined(networks)),
    };
    format!(
        "{} may {} in {}{from}",
        joined(&rule.who),
        rule.may,
        joined(&rule.repositories)
    )
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

fn joined<T: ToString>(items: &[T]) -> String {
    texts(items).join(", ")
}

/// Names of actions, for JSON.
fn names(rights: Rights) -> Vec<String> {
    match rights {
        Rights::NONE => Vec::new(),
        rights => rights.to_string().split(", ").map(str::to_owned).collect(),
    }
}
