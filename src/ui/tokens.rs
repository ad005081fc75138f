//! Tokens: a list, a form that makes one, and a secret that is shown once.

use std::collections::BTreeSet;

use askama::Template;

use crate::escape;
use crate::registry::{Error, Registry};
use crate::report::{self, MadeSecret, RotatedSecret, Time, TokenItem, TokenWords, Tokens};
use crate::ui::page::Page;
use crate::ui::parts::{Count, Moment, RepositoryLabel, Text};
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Maximum number of repositories that are listed.
const REACHED: usize = 50;
/// Roles and lifetimes that are offered.
const ROLES: [&str; 4] = ["pull", "push", "maintain", "admin"];
const LIFETIMES: [(&str, &str); 5] = [
    ("90d", "in 90 days"),
    ("30d", "in 30 days"),
    ("7d", "in 7 days"),
    ("365d", "in a year"),
    ("never", "never"),
];

/// State of the page of tokens.
#[derive(Debug, Default)]
pub struct TokensPage {
    /// Those who log in with a password; `None` if they are not known.
    pub users: Option<BTreeSet<String>>,
    /// Words that were typed into the form.
    pub words: TokenWords,
    /// Fault of these words.
    pub fault: Option<String>,
    /// Repositories that the token would reach.
    pub reach: Option<Vec<Reached>>,
    pub made: Option<NewSecret>,
}

/// Repository that a token reaches.
#[derive(Clone, Debug)]
pub struct Reached {
    pub repository: String,
    /// Rights there, in words.
    pub rights: String,
    /// True if its user may do less than was asked for.
    pub is_limited: bool,
}

/// Secret that is shown this once.
#[derive(Debug)]
pub enum NewSecret {
    Created(MadeSecret),
    Rotated(RotatedSecret),
}

impl NewSecret {
    fn secret(&self) -> &MadeSecret {
        match self {
            Self::Created(made) => made,
            Self::Rotated(rotated) => &rotated.made,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Rotated(_) => "rotated",
        }
    }

    fn expires(&self) -> Option<Time> {
        self.secret().expires
    }

    /// Time until which the former secret works.
    fn former(&self) -> Option<Time> {
        match self {
            Self::Created(_) => None,
            Self::Rotated(rotated) => rotated.former_expires,
        }
    }
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensTemplate {
    shell: Shell,
    tokens: Vec<TokenItem>,
    page: TokensPage,
    may_administer: bool,
}

/// Lines for the configuration of a system that builds.
struct Snippet {
    name: &'static str,
    text: String,
}

impl TokensTemplate {
    fn roles(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let chosen = self.page.words.may.first();
        let chosen = chosen.map_or("push", String::as_str).to_owned();
        ROLES.into_iter().map(move |role| (role, role == chosen))
    }

    fn lifetimes(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let chosen = self.page.words.expires.clone();
        LIFETIMES
            .into_iter()
            .map(move |(value, words)| (value, words, chosen.as_deref() == Some(value)))
    }

    fn globs(&self) -> String {
        self.page.words.repositories.join(" ")
    }

    fn reached(&self) -> &[Reached] {
        let all = self.page.reach.as_deref().unwrap_or_default();
        &all[..all.len().min(REACHED)]
    }

    fn label<'r>(&self, reached: &'r Reached) -> RepositoryLabel<'r> {
        RepositoryLabel(&reached.repository)
    }

    fn snippets(&self) -> Vec<Snippet> {
        let host = self.shell.site.host();
        let Some(made) = &self.page.made else {
            return Vec::new();
        };
        let name = &made.secret().name;
        let snippet = |name, text| Snippet { name, text };
        vec![
            snippet(
                "docker login",
                format!(
                    "echo {} | docker login {host} -u {} --password-stdin",
                    escape::shell(&made.secret().token),
                    escape::shell(name)
                ),
            ),
            snippet(
                "GitHub, Forgejo",
                format!(
                    "# TARKEEP_TOKEN is a secret of the repository\n- uses: docker/login-action@v3\n  with:\n    registry: {host}\n    \
                     username: {name}\n    password: ${{{{ secrets.TARKEEP_TOKEN }}}}"
                ),
            ),
            snippet(
                "GitLab",
                format!(
                    "# TARKEEP_TOKEN is a masked variable\nbefore_script:\n  - echo \"$TARKEEP_TOKEN\" | docker login {host} -u {name} \
                     --password-stdin"
                ),
            ),
            snippet(
                "Kubernetes",
                format!(
                    "kubectl create secret docker-registry tarkeep --docker-server={host} \\\n  --docker-username={name} \
                     --docker-password=\"$TARKEEP_TOKEN\""
                ),
            ),
        ]
    }
}

/// Makes the page of tokens.
///
/// # Errors
/// Those of the database.
pub async fn tokens(registry: &Registry, reader: &Reader, page: TokensPage) -> Result<Page, Error> {
    let twin = Twin {
        command: format!("registry token ls --all --server {}", reader.site.url),
        api: "tokens?all=true".to_owned(),
    };
    Page::of(&TokensTemplate {
        shell: Shell::new(reader, Section::Tokens, "Tokens", twin),
        tokens: report::tokens(registry, Tokens::All, page.users.as_ref()).await?,
        may_administer: reader.may_administer,
        page,
    })
}
