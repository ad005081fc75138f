//! `registry access check`.

use serde_json::{Value, json};
use tarkeep::auth::{AccessRules, Decision, Rights};
use tarkeep::oci::RepositoryName;

use super::arguments::CheckArguments;
use super::format::{names, numbered};
use super::known_token::KnownToken;
use super::source::Judges;
use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};

pub(super) async fn check(
    CheckArguments {
        who,
        action,
        repository,
        source,
    }: CheckArguments,
) -> Result<(), Error> {
    let wanted = Rights::parse(&action).map_err(Error::Other)?;
    let repository =
        RepositoryName::parse(&repository).map_err(|error| Error::Other(error.to_string()))?;
    let Judges { rules, token } = source.judges(&who).await?;
    let claims = who.claims();
    let name = repository.as_str();
    let decision = match (&token, &rules) {
        (Some(token), rules) => {
            let bearer = token.record.bearer(source.from, rules.clone());
            bearer.decide(name, wanted)
        }
        (None, Some(rules)) => {
            Decision::by_rules(rules, who.client(&claims, source.from), name, wanted)
        }
        (None, None) => return Ok(()),
    };
    let question = Question {
        wanted,
        decision,
        rules: rules.as_deref(),
        token: token.as_ref(),
    };
    let is_allowed = question.is_allowed();
    match source.output.format {
        Format::Text => {
            let verb = if is_allowed { "may" } else { "may not" };
            output::print(&format!(
                "{} {verb} {action} {name} ({})\n",
                who.who,
                question.reason()
            ))?;
        }
        Format::Json => json::print(&json!({
            "name": who.who,
            "action": action,
            "repository": name,
            "allowed": is_allowed,
            "rights": names(question.rights()),
            "ruleNumber": decision.rule,
            "grant": question.token_as_json(),
        }))?,
    }
    if is_allowed {
        Ok(())
    } else {
        Err(Error::Reported)
    }
}

/// A question, and its decision.
struct Question<'q> {
    wanted: Rights,
    decision: Decision,
    rules: Option<&'q AccessRules>,
    token: Option<&'q KnownToken>,
}

impl Question<'_> {
    fn rights(&self) -> Rights {
        match self.token.and_then(|token| token.void.as_ref()) {
            Some(_) => Rights::NONE,
            None => self.decision.rights,
        }
    }

    fn is_allowed(&self) -> bool {
        self.rights().contains(self.wanted)
    }

    fn reason(&self) -> String {
        match self.token {
            Some(KnownToken {
                void: Some(reason), ..
            }) => reason.clone(),
            _ if self.is_allowed() => self.reason_for(),
            _ => self.reason_against(),
        }
    }

    /// Says what allows it: to a token of a user also what allows it to this user.
    fn reason_for(&self) -> String {
        let own = match (self.decision.rule, self.token) {
            (Some(number), _) => numbered(number, self.rules),
            (None, Some(token)) if self.decision.is_granted => token.grant(),
            (None, Some(token)) => format!("several rules together, and {}", token.grant()),
            (None, None) => "several rules together".to_owned(),
        };
        let Some((user, limit)) = self.user() else {
            return own;
        };
        let users = match (self.rules, limit.rule) {
            (None, _) => format!("{user} may do everything"),
            (_, Some(number)) => format!("{user} may by {}", numbered(number, self.rules)),
            (_, None) => format!("{user} may by several rules together"),
        };
        format!("{own}; {users}")
    }

    fn reason_against(&self) -> String {
        if let Some((user, limit)) = self.user()
            && !limit.rights.contains(self.wanted)
        {
            return format!(
                "it is a token of {user}, to whom the rules allow {} there",
                limit.rights
            );
        }
        let rights = self.decision.rights;
        match (self.token, self.rules) {
            (None, _) => format!("the rules allow {rights} there"),
            (Some(token), Some(_)) => {
                format!(
                    "the rules and its grant allow {rights} there; {}",
                    token.grant()
                )
            }
            (Some(token), None) => token.grant(),
        }
    }

    /// Returns the user of a token, with the limit that this is.
    fn user(&self) -> Option<(&str, tarkeep::auth::UserLimit)> {
        let user = self.token?.record.owner.as_deref()?;
        Some((user, self.decision.user?))
    }

    fn token_as_json(&self) -> Option<Value> {
        let limit = self.decision.user;
        let decided = [
            ("allows", json!(self.decision.is_granted)),
            ("userRights", json!(limit.map(|limit| names(limit.rights)))),
            ("userRuleNumber", json!(limit.and_then(|limit| limit.rule))),
        ];
        Some(self.token?.as_json(&decided))
    }
}
