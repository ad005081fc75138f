//! The arguments of the commands.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use tarkeep::auth::{AccessRules, Claims, Client, Subject, Who};

use crate::cli::terminal::keys;
use crate::cli::terminal::output::Output;

#[derive(clap::Args)]
#[command(after_help = keys::ACCESS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Say whether somebody may do something in a repository, and which rule decides
    ///
    /// The exit code is 1 if not.
    Check(CheckArguments),
    /// List the rules that give somebody rights, and what a token was made for
    Show(ShowArguments),
}

#[derive(clap::Args)]
#[command(after_help = keys::ACCESS)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub who: Person,
    /// Action or role: pull, create, update, delete, push, maintain or admin
    pub action: String,
    /// Repository, whether it exists or not
    pub repository: String,
    #[command(flatten)]
    pub source: Source,
}

#[derive(clap::Args)]
#[command(after_help = keys::ACCESS)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    pub who: Person,
    #[command(flatten)]
    pub source: Source,
}

#[derive(clap::Args)]
pub(super) struct Person {
    /// Name of a user, @GROUP for the members of a group, token:NAME for a token, trust:NAME for logins by tokens of a trusted
    /// issuer, or anonymous for clients without a login
    pub who: String,
    /// Claim of the issuer's token, for rules with {claim.NAME}
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
}

#[derive(clap::Args)]
pub(super) struct Source {
    /// Address from which the client connects [default: unknown, so that rules with a from do not apply]
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<IpAddr>,
    /// The server's configuration [default: the running server's, or else $REGISTRY_CONFIGURATION_PATH]
    #[arg(long, value_name = "CONFIG.yml")]
    pub config: Option<PathBuf>,
    /// Data directory, which has the tokens [default: the configuration's]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Person {
    pub(super) fn client<'c>(&'c self, claims: &'c Claims, address: Option<IpAddr>) -> Client<'c> {
        Client {
            subject: Subject::parse(&self.who, claims),
            address,
        }
    }

    pub(super) fn claims(&self) -> Claims {
        Claims::new(self.claims.iter().cloned())
    }

    /// Returns the name of the group, if it is one.
    pub(super) fn group(&self) -> Option<&str> {
        self.who.strip_prefix('@')
    }

    /// Returns the name of the issuer in the section `trust`, if it is about the logins of one.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.who.strip_prefix("trust:")
    }

    /// Returns the claims that rules for it refer to and that were not given.
    pub(super) fn missing_claims<'r>(&self, rules: &'r AccessRules) -> Vec<&'r str> {
        let Some(issuer) = self.issuer() else {
            return Vec::new();
        };
        let own = Who::Trust(issuer.to_owned());
        let own = rules.rules().iter().filter(|rule| rule.who.contains(&own));
        let patterns = own.flat_map(|rule| &rule.repositories);
        let names: BTreeSet<_> = patterns.flat_map(|pattern| pattern.claims()).collect();
        let is_given = |name: &str| self.claims.iter().any(|(given, _)| given == name);
        names.into_iter().filter(|name| !is_given(name)).collect()
    }

    /// Returns the name of the token, if it is one.
    pub(super) fn token(&self) -> Option<&str> {
        self.who.strip_prefix("token:")
    }
}
